"""Mistakes in a configuration, each in one line: the key's path, the value, what is allowed."""

import difflib
import re
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


class ConfigError(Exception):
    """The config is wrong; the message says where, what was found and what is allowed."""


def suggestion(value: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(value, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(sorted(allowed))}"


def explained(model: type[BaseModel], values: dict[str, Any], detail: Any) -> str:
    location, current = [], values
    for index, part in enumerate(detail["loc"]):
        inside = isinstance(current, dict | list) and (isinstance(current, list) or part in current)
        if inside or index == len(detail["loc"]) - 1:
            location.append(str(part))
        current = current[part] if inside else current
    where = ".".join(location) or "config"
    if detail["type"] == "extra_forbidden":
        return (
            f"{where}: unknown key{suggestion(str(detail['loc'][-1]), _fields_at(model, detail['loc'][:-1]))}"
        )
    if detail["type"] == "missing":
        return f"{where}: this key is missing"
    if detail["type"] == "value_error":
        told = str(detail["ctx"]["error"])
        if not location:
            return told
        # A validator of a model names the key, one of a field does not.
        return f"{where}.{told}" if re.match(r"[\w.-]+: ", told) else f"{where}: {told}"
    return f"{where}: {detail['msg']}; got {detail['input']!r}"


def _fields_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Keys of the model at the place of an error, which names the kinds of unions as pydantic does."""
    current: Any = model
    for part in location:
        current = _child(current, part)
    return [field.alias or name for name, field in _model(current).model_fields.items()]


def _model(annotation: Any) -> Any:
    """The model that an annotation is, or is one of: `Model | None`."""
    if isinstance(annotation, type):
        return annotation
    return next(_model(item) for item in get_args(annotation) if item is not type(None))


def _child(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[str(part)].annotation
    if get_origin(annotation) is Annotated:
        return _child(get_args(annotation)[0], part)
    arguments = [
        get_args(item)[0] if get_origin(item) is Annotated else item
        for item in get_args(annotation)
        if item is not type(None)
    ]
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) is list:
        return arguments[0]
    models = [item for item in arguments if isinstance(item, type) and issubclass(item, BaseModel)]
    for model in models:
        if part in get_args(getattr(model.model_fields.get("kind"), "annotation", None)):
            return model
    return _child((models or arguments)[0], part)

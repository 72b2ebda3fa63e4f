"""Mistakes in a configuration, each in one line: the key's path, the value, what is allowed."""

import difflib
import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from workflow_scripts.config.strict import Strict, as_number

# Families whose entries are told apart by their kind: pydantic puts it into the place of a mistake, third.
TOLD_APART = ("datasets", "images")


class ConfigError(Exception):
    """The config is wrong; the message says where, what was found and what is allowed."""


def suggestion(value: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(value, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(sorted(allowed))}"


def wrong(lines: Iterable[str]) -> ConfigError:
    """The error that lists mistakes, each once."""
    return ConfigError("the config is wrong:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(lines)))


def explained(model: type[BaseModel], values: dict[str, Any], detail: Any) -> str:
    """A mistake that pydantic found in one line: where it is, what is wrong, and how to mend it."""
    # The part of a place that says that a key is meant.
    key_itself = detail["loc"][-1:] == ("[key]",)
    path = detail["loc"][:-1] if key_itself else detail["loc"]
    if issubclass(model, Strict) and path[:1] and path[0] in TOLD_APART:
        path = path[:2] + path[3:]
    location, current = [], values
    for index, part in enumerate(path):
        inside = isinstance(current, dict | list) and (isinstance(current, list) or part in current)
        if inside or index == len(path) - 1:
            location.append(str(part))
        current = current[part] if inside else current
    if key_itself:
        location[-1:] = [str(detail["input"])]
    where = ".".join(location) or "config"
    given, kind = detail["input"], detail["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key{suggestion(str(path[-1]), _fields_at(model, detail['loc'][:-1]))}"
    if kind == "missing":
        return f"{where}: this key is missing"
    if kind == "union_tag_not_found":
        return f"{where}.kind: this key is missing; it says what the entry is"
    if kind == "union_tag_invalid":
        allowed = re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"])
        return (
            f"{where}.kind: {detail['ctx']['tag']!r} is not known{suggestion(detail['ctx']['tag'], allowed)}"
        )
    if kind == "value_error":
        told = str(detail["ctx"]["error"])
        if not location:
            return told
        # A validator of a model names the key, one of a field does not.
        return f"{where}.{told}" if re.match(r"[\w.-]+: ", told) else f"{where}: {told}"
    return f"{where}: {detail['msg']}; got {given!r}{_mend(kind, given)}"


def _mend(kind: str, given: Any) -> str:
    """How to write what YAML did not read as it was meant; empty where the message says it."""
    if kind == "string_type" and isinstance(given, bool):
        return "; YAML reads yes, no, on, off, true and false so: write the word in quotes"
    if kind == "string_type" and isinstance(given, int | float | date):
        return f"; YAML reads no text here: write it in quotes, '{given}', with zeros that it begins with"
    if given is None:
        return "; write a value, or leave the key out"
    if kind in ("int_type", "float_type", "bool_type", "finite_number"):
        if isinstance(given, float) and kind == "int_type":
            return "; write it without a point"
        return as_number(given) or "; write digits" * (kind != "bool_type")
    if kind == "list_type":
        return f"; write [{given}]" if isinstance(given, str | int | float) else "; write a list, [one, two]"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "; write keys with values below it, or {key: value}"
    return ""


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
        if part == model.__name__:
            return model
        if part in get_args(getattr(model.model_fields.get("kind"), "annotation", None)):
            return model
    return _child((models or arguments)[0], part)

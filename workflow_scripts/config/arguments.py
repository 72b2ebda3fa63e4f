"""Arguments of the classes that a config names, held against the classes themselves."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from mrilib.store.classes import arguments_model, load_class
from workflow_scripts.config.errors import ConfigError, explained


class Named(NamedTuple):
    """A class that a config names.

    Args:
        where: path of the key in the config.
        path: import path of the class.
        arguments: those that the config gives.
        given: names of those that jobs add, such as a tuned parameter or a checkpoint.
        extends: import path of the class that it must be a subclass of.
    """

    where: str
    path: str
    arguments: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    extends: str = "builtins:object"


def nested(named: Named) -> Iterator[Named]:
    """A class with those that its arguments name: `{class: package.module:Name, arguments: {...}}`."""
    yield named
    for name, value in named.arguments.items():
        if isinstance(value, Mapping) and isinstance(value.get("class"), str):
            inner = value.get("arguments") or {}
            yield from nested(Named(f"{named.where}.{name}.arguments", value["class"], inner))


def check_arguments(classes: list[Named]) -> None:
    """See that every class takes its arguments. The classes are imported.

    Raises:
        ConfigError: with one line for every mistake.
    """
    wrong = [line for outer in classes for named in nested(outer) for line in _wrong(named)]
    if wrong:
        raise ConfigError("the config is wrong:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(wrong)))


def _wrong(named: Named) -> Iterator[str]:
    try:
        model = arguments_model(load_class(named.path, load_class(named.extends, object)))
    except ValueError as error:
        yield f"{named.where}: {error}"
        return
    try:
        model.model_validate(dict(named.arguments))
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "missing" and detail["loc"][0] in named.given:
                continue
            yield f"{named.where}.{explained(model, dict(named.arguments), detail)}"

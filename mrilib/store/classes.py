"""Classes that a config names by their import paths."""

import functools
import importlib
import inspect
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model


def load_class(path: str, kind: type) -> Any:
    """The class that an import path like `mrilib.attacks.searches.gradient:GradientAscent` names.

    Raises:
        ValueError: if the path is malformed, does not exist, or names no subclass of `kind`.
    """
    found = named_by(path, "ClassName")
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"import path {path!r}: expected a subclass of {kind.__name__}, got {found!r}")
    return found


def named_by(path: str, what: str) -> Any:
    """What an import path names; `what` stands for it in messages.

    Raises:
        ValueError: if the path is malformed or does not exist.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"import path {path!r}: expected package.module:{what}")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"import path {path!r}: {error}; check the spelling and PYTHONPATH") from error


def built(given: Any, kind: type, name: str, where: str, *, such: str) -> Any:
    """The object, made if a config names it: `{class: package.module:Name, arguments: {...}}`.

    Args:
        given: an instance of `kind`, or what a config has.
        kind: class that it is to be of.
        name: of the argument, for messages.
        where: who asks.
        such: what an instance is called, with its article.

    Raises:
        ValueError: if it names none, or with arguments that it does not take; says so of `name`, in `where`.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping) or "class" not in given or given.keys() - {"class", "arguments"}:
        raise ValueError(
            f"{where}: expected {name} as {such} or as {{class: package.module:Name, arguments: {{...}}}}, "
            f"got {given!r}"
        )
    found = load_class(given["class"], kind)
    try:
        return found(**given.get("arguments", {}))
    except TypeError as error:
        raise ValueError(f"{where}: {name} {given['class']}: {error}") from error


@functools.cache
def arguments_model(kind: type) -> type[BaseModel]:
    """The model of a class's arguments: what its constructor takes by keyword, with types and defaults.

    Ranges stand in the constructor's signature, as `lines: Annotated[int, Field(ge=1)]`. An argument without
    annotation, or with one that pydantic cannot check, takes anything.

    Raises:
        ValueError: if the constructor cannot be read.
    """
    try:
        signature = inspect.signature(kind)
        hints = typing.get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind.__name__}: its arguments cannot be read: {error}") from error
    except NameError:
        hints = {}
    given = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in given.items()
    }
    open_ended = len(given) < len(signature.parameters)
    config = ConfigDict(extra="ignore" if open_ended else "forbid", arbitrary_types_allowed=True)
    return create_model(kind.__name__, __config__=config, **fields)

"""What every part of the configuration is made of."""

import math
import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def matching(pattern: str, what: str) -> AfterValidator:
    """Validator of a text of this form; `what` says in words what is expected."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {what}, got {value!r}")
        return value

    return AfterValidator(check)


def not_empty(mend: str) -> AfterValidator:
    """Validator of a list that is not empty; `mend` says what to do with one that is."""

    def check(values: list[Any]) -> list[Any]:
        if not values:
            raise ValueError(f"expected at least one, got an empty list; {mend}")
        return values

    return AfterValidator(check)


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"expected each once, got {value!r} {values.count(value)} times; keep one")
    return values


EACH_ONCE = AfterValidator(_each_once)
# Of a list that chooses: where the key is left out, all are meant.
CHOSEN = not_empty("leave the key out for all")
# Of a list that stands for nothing where it is empty.
LISTED = not_empty("name one")


def expanded(path: str) -> str:
    """A path with `~` and `$VARIABLE` in full.

    Raises:
        ValueError: if it is empty, or a variable is not set.
    """
    found = os.path.expanduser(os.path.expandvars(path))
    if not found.strip():
        raise ValueError(f"expected a path, got {path!r}; name a file or a folder, or leave the key out")
    if unset := re.search(r"\$(?:\w+|\{[^}]*\})", found):
        raise ValueError(
            f"{path}: {unset[0]} is not set in the environment; set it, or write the path in full"
        )
    if found.startswith("~"):
        raise ValueError(f"{path}: there is no such user's home; write the path in full")
    return found


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected a number, got {value!r}{as_number(value)}")
    return value


def as_number(value: Any) -> str:
    """How to write as a number what YAML did not read as one; empty where that is not the fault."""
    if isinstance(value, bool):
        return "; YAML reads yes, no, on, off, true and false so: write digits"
    try:
        float(value)
    except (TypeError, ValueError):
        return ""
    return " as text; write 1.0e-3 for 1e-3, and no quotes" if isinstance(value, str) else ""


_NAME = "a name of letters, digits, - and _ that begins with a letter or digit"
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_-]*", _NAME)]
ImportPath = Annotated[str, matching(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "an import path, package.module:Name")]
FilePath = Annotated[str, AfterValidator(expanded)]
# What tables print: no line ends in it, nor other characters without a shape.
Label = Annotated[str, matching(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*", "a text in one line")]
Names = Annotated[list[Name], CHOSEN, EACH_ONCE]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Number = Annotated[Any, AfterValidator(_number)]


class Strict(BaseModel):
    """Unknown keys are errors, numbers are finite, and text is no number, nor is yes or no."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class SourceScope(Strict):
    """Where a source is measured, and which methods it takes.

    Args:
        masks: under all masks that suit it, or under those named.
        methods: these alone are applied to it, by default all whose `sources` do not leave it out.
        tuned_on: the source whose tuned parameters and trained networks are applied to it, by default itself.
    """

    masks: Names | None = None
    methods: Names | None = None
    tuned_on: Name | None = None

"""What every part of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class Strict(BaseModel):
    """Unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourceScope(Strict):
    """Where a source is measured, and whose methods it takes.

    Args:
        masks: under all masks that suit it, or under those named.
        tuned_on: the source whose tuned parameters and trained networks are applied to it, by default itself.
    """

    masks: list[Name] | None = None
    tuned_on: Name | None = None

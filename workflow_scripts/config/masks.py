"""The configuration of masks: each entry is a class of `mrilib.data.sampling` and its arguments."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.config.strict import Count, MaskEntry


class Radial(MaskEntry):
    """Golden-angle radial mask. `size` is only compared with that of the images."""

    sampling: ClassVar[str] = "mrilib.data.sampling.radial:Radial"

    kind: Literal["radial"]
    lines: Count
    size: Count | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return {"lines": self.lines}

    @property
    def label(self) -> str:
        return f"{self.lines} lines"


class Columns(MaskEntry):
    """Phase encodes: random or equispaced columns around a full centre, drawn from the volume's name.

    `redraw` draws again until the true acceleration is that close to the nominal one; `draw` numbers further
    draws of the same kind.
    """

    sampling: ClassVar[str] = "mrilib.data.sampling.columns:Columns"

    kind: Literal["random", "equispaced", "equispaced-fraction"]
    acceleration: Annotated[float, Field(ge=1)]
    center_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.08
    redraw: Annotated[float, Field(gt=0)] | None = None
    draw: Annotated[int, Field(ge=0)] = 0

    @property
    def arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude={"tuned_on"})

    @property
    def label(self) -> str:
        number = f", draw {self.draw}" if self.draw else ""
        return f"{self.kind} {self.acceleration:g}×{number}"


Mask = Annotated[Radial | Columns, Field(discriminator="kind")]

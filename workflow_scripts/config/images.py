"""The configuration of sources: phantoms, image files, slices of raw multi-coil volumes."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.config.scans import Scans
from workflow_scripts.config.strict import EACH_ONCE, LISTED, Count, FilePath, Name, SourceScope


class Ellipses(SourceScope):
    """Phantoms, drawn on the fly: they are tuned and trained on, and tested."""

    kind: Literal["ellipses"]
    test: Count
    validation: Count

    @property
    def count(self) -> int:
        return self.test

    @property
    def validation_count(self) -> int:
        return self.validation


class Files(SourceScope):
    """Images from files, all of them test images: methods are those of another source, `tuned_on`."""

    kind: Literal["files"]
    files: Annotated[list[FilePath], LISTED, EACH_ONCE]
    test: Count | None = None
    resize: Literal["area", "crop_or_pad"] = "area"
    slice: Annotated[int, Field(ge=0)] | None = None
    tuned_on: Name

    @property
    def count(self) -> int:
        return len(self.files) if self.test is None else self.test

    @property
    def validation_count(self) -> int:
        return 0


Source = Annotated[Ellipses | Files | Scans, Field(discriminator="kind")]

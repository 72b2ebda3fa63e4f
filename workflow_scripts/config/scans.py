"""The configuration of raw multi-coil data: sources of volumes, sets of slices, masks of columns."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.strict import Count, Fraction, Name, SourceScope, Strict

# A name on mridata.org, of a file in an e-mail, of an archive's member: never a path.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Volumes(Strict):
    """What all datasets have.

    `strict` ends the run at the first volume that cannot be used; else it is listed as rejected. `split` says
    how patients are dealt out.
    """

    anatomy: Name
    strict: bool = False
    split: dict[Literal["train", "validation", "test"], Fraction] = {}

    @model_validator(mode="after")
    def _whole(self) -> "Volumes":
        if self.split and abs(sum(self.split.values()) - 1.0) > 1e-6:
            raise ValueError(f"split: expected fractions that add up to 1, got {self.split}")
        return self


class Stanford(Volumes):
    """Fully sampled volumes of mridata.org, by their UUIDs, with a checksum each where one is known."""

    kind: Literal["stanford"]
    url: Annotated[str, Field(pattern="^https?://.*/$")] = "http://mridata.org/download/"
    volumes: Annotated[list[FileName], Field(min_length=1)]
    sha256: dict[FileName, Sha256] = {}

    @property
    def names(self) -> list[str]:
        return list(self.volumes)


class FastMRI(Volumes):
    """fastMRI volumes: folders that have them already, or archives by the links of an e-mail.

    `volumes` names those that are wanted, all by default; `manifest` is a file of SHA-256 sums.
    """

    kind: Literal["fastmri"]
    folders: list[str] = []
    mail: str | None = None
    archives: list[FileName] = []
    manifest: str | None = None
    volumes: list[FileName] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "FastMRI":
        if not self.folders and not self.archives:
            raise ValueError("folders: expected folders with volumes, or mail and archives, got neither")
        if self.archives and self.mail is None:
            raise ValueError("mail: expected the file of the e-mail with the links to archives, got none")
        return self

    @property
    def names(self) -> list[str]:
        """None is known before the folders are read."""
        return []


class RawFile(Strict):
    """A file of ISMRMRD (`.h5`, `.mrd`) or of BART (`.cfl` with `.hdr`).

    The rest is for BART alone, whose headers do not say it: which dimension is the readout and which the
    coils, and whether to transform along the slices, for 3-D scans.
    """

    file: str
    rows: Literal[0, 1, 2] = 0
    coils: Annotated[int, Field(ge=0, le=15)] | None = None
    transform: bool = False


class Raw(Volumes):
    """Files of raw data, a volume each."""

    kind: Literal["raw"]
    volumes: Annotated[dict[Name, RawFile], Field(min_length=1)]

    @property
    def names(self) -> list[str]:
        return list(self.volumes)


class Slices(Strict):
    """Slices of an image file, along the last axis of its voxels: from, to (exclusive) and every how many."""

    start: Annotated[int, Field(ge=0)]
    stop: Count
    step: Count = 1


class Drawn(Strict):
    """A volume made from an image file: its slices, or one image drawn several times, turned and scaled."""

    file: str
    slices: Slices | None = None
    draws: Count | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "Drawn":
        if self.slices is not None and self.draws is not None:
            raise ValueError("draws: expected slices of a volume or draws of one image, got both")
        return self


class Simulated(Volumes):
    """Real magnitude images made multi-coil: coil maps, a smooth phase, noise; marked as simulated."""

    kind: Literal["simulated"]
    volumes: Annotated[dict[Name, Drawn], Field(min_length=1)]
    coils: Count = 8
    rows: Count
    columns: Count
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.01

    @property
    def names(self) -> list[str]:
        return list(self.volumes)


Dataset = Annotated[Stanford | FastMRI | Raw | Simulated, Field(discriminator="kind")]


class Selection(Strict):
    """Slices of a dataset by position: volumes in a seeded order, a slice of each in turn.

    `middle` keeps that fraction of a volume's slices around its middle; `fewer` takes what there is where
    there is less than `count`, and says so.
    """

    dataset: Name
    count: Count
    split: Literal["train", "validation", "test"] | None = None
    acquisitions: list[str] | None = None
    middle: Fraction = 1.0
    per_volume: Count | None = None
    fewer: bool = False


class Scans(SourceScope):
    """Slices of raw multi-coil volumes.

    Methods are tuned on `validation` and trained on `train`, or are those of another source, `tuned_on`.
    """

    kind: Literal["scans"]
    test: Selection
    validation: Selection | None = None
    train: Selection | None = None

    @property
    def count(self) -> int:
        return self.test.count

    @property
    def validation_count(self) -> int:
        return 0 if self.validation is None else self.validation.count

    @property
    def sets(self) -> dict[str, Selection]:
        found = {"test": self.test, "validation": self.validation, "train": self.train}
        return {name: selection for name, selection in found.items() if selection is not None}


class Annotations(Strict):
    """A table of boxes, in the format of fastMRI+ or of the knee boxes of Caliva et al., for a dataset."""

    file: str
    dataset: Name

"""The configuration of raw multi-coil data: sources of volumes, sets of slices, annotations."""

from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from workflow_scripts.config.entries import Entry, import_path, words
from workflow_scripts.config.strict import (
    CHOSEN,
    EACH_ONCE,
    LISTED,
    Count,
    FilePath,
    Fraction,
    Name,
    SourceScope,
    Strict,
    matching,
)
from workflow_scripts.provenance import class_attribute

# A name on mridata.org, of a file in an e-mail, of an archive's member: never a path.
FileName = Annotated[str, matching(r"[A-Za-z0-9][\w.-]*", "the name of a file, without its folder")]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits")]


class CoilCompression(Strict):
    """Virtual coils in the place of many: see `mrilib.data.coil_compression.compress_coils`.

    Slices of at least `from_coils` coils are compressed to the fewest with `share` of their energy; those of
    fewer stay as they are. Our choice: 0.99, for more is spent on noise.
    """

    share: Fraction = 0.99
    from_coils: Count = 32


class Volumes(Strict):
    """What all datasets have.

    `strict` ends the run at the first volume that cannot be used; else it is listed as rejected. `split` says
    how patients are dealt out. `coil_compression` makes few coils of many, and `null` none.

    Attributes:
        way: how volumes of the fastMRI schema come about: linked, all at once, or converted or simulated, one
            by one.
    """

    way: ClassVar[Literal["linked", "converted", "simulated"]]

    anatomy: Name
    strict: bool = False
    split: dict[Literal["train", "validation", "test"], Fraction] = {}
    coil_compression: CoilCompression | None = CoilCompression()

    @model_validator(mode="after")
    def _whole(self) -> "Volumes":
        if self.split and abs(sum(self.split.values()) - 1.0) > 1e-6:
            raise ValueError(f"split: expected fractions that add up to 1, got {self.split}")
        return self

    @property
    def names(self) -> list[str]:
        """Of the volumes, where they are known before anything is read."""
        return []


class Converted(Volumes):
    """Volumes that are converted from raw files, one each."""

    way = "converted"

    def raw_file(self, volume: str, downloads: str) -> str:
        """The file that a volume is converted from; `downloads` is the folder of those that are fetched."""
        raise NotImplementedError

    def reader(self, volume: str) -> dict[str, Any]:
        """Class and arguments of what converts it."""
        raise NotImplementedError


class Stanford(Converted):
    """Fully sampled volumes of mridata.org, by their UUIDs, with a checksum each where one is known.

    They are files of ISMRMRD.
    """

    kind: Literal["stanford"]
    url: Annotated[str, matching(r"https?://.*/", "a URL that ends with /")] = "http://mridata.org/download/"
    volumes: Annotated[list[FileName], LISTED, EACH_ONCE]
    sha256: dict[FileName, Sha256] = {}

    @property
    def names(self) -> list[str]:
        return list(self.volumes)

    def raw_file(self, volume: str, downloads: str) -> str:
        return f"{downloads}/stanford/{volume}.h5"

    def reader(self, volume: str) -> dict[str, Any]:
        return {"class": import_path("reader", "ismrmrd"), "arguments": {}}


class FastMRI(Volumes):
    """fastMRI volumes: folders that have them already, or archives by the links of an e-mail.

    `volumes` names those that are wanted, all by default; `manifest` is a file of SHA-256 sums.
    """

    way = "linked"

    kind: Literal["fastmri"]
    folders: list[FilePath] = []
    mail: FilePath | None = None
    archives: list[FileName] = []
    manifest: FilePath | None = None
    volumes: Annotated[list[FileName], CHOSEN, EACH_ONCE] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "FastMRI":
        if not self.folders and not self.archives:
            raise ValueError("folders: expected folders with volumes, or mail and archives, got neither")
        if self.archives and self.mail is None:
            raise ValueError("mail: expected the file of the e-mail with the links to archives, got none")
        return self


class ReaderEntry(Entry):
    """What reads a raw file."""

    family: ClassVar[str] = "reader"


def reader_of_ending(file: str) -> str:
    """Import path of our reader that takes files of this ending; the longest ending counts.

    Raises:
        ValueError: if none does.
    """
    readers = {
        suffix: (word, path)
        for word, path in words("reader").items()
        for suffix in class_attribute(path, "suffixes") or ()
    }
    fitting = [suffix for suffix in readers if file.endswith(suffix)]
    if not fitting:
        known = ", ".join(f"{suffix} ({word})" for suffix, (word, _) in readers.items())
        raise ValueError(
            f"file: no reader of ours takes {file!r} by its ending; there are {known}; name one of them, "
            "`reader: {kind: ...}`, or your own, `reader: {class: package.module:Name, arguments: {...}}`"
        )
    return readers[max(fitting, key=len)][1]


class RawFile(Strict):
    """A file of raw data and what reads it: by default our reader that takes its ending.

    What else stands in the entry are arguments of the reader, and may stand there without naming one.
    """

    model_config = ConfigDict(extra="allow")

    file: FilePath
    reader: ReaderEntry | None = None

    @model_validator(mode="after")
    def _readable(self) -> "RawFile":
        if self.reader is None:
            reader_of_ending(self.file)
        elif twice := self.reader.arguments.keys() & self._beside.keys():
            raise ValueError(f"reader: {self.file}: expected {', '.join(sorted(twice))} once, got it twice")
        return self

    @property
    def _beside(self) -> dict[str, Any]:
        return self.model_extra or {}

    @property
    def described(self) -> dict[str, Any]:
        """Class and arguments of the reader, as jobs are told."""
        if self.reader is None:
            return {"class": reader_of_ending(self.file), "arguments": self._beside}
        return {"class": self.reader.path, "arguments": self.reader.arguments | self._beside}


class Raw(Converted):
    """Files of raw data, a volume each."""

    kind: Literal["raw"]
    volumes: Annotated[dict[Name, RawFile], Field(min_length=1)]

    @property
    def names(self) -> list[str]:
        return list(self.volumes)

    def raw_file(self, volume: str, downloads: str) -> str:
        return self.volumes[volume].file

    def reader(self, volume: str) -> dict[str, Any]:
        return self.volumes[volume].described


class Slices(Strict):
    """Slices of an image file, along the last axis of its voxels: from, to (exclusive) and every how many."""

    start: Annotated[int, Field(ge=0)]
    stop: Count
    step: Count = 1

    @model_validator(mode="after")
    def _not_empty(self) -> "Slices":
        if self.stop <= self.start:
            raise ValueError(
                f"stop: expected more than start ({self.start}), got {self.stop}; no slice is left"
            )
        return self


class Drawn(Strict):
    """A volume made from an image file: its slices, or one image drawn several times, turned and scaled."""

    file: FilePath
    slices: Slices | None = None
    draws: Count | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "Drawn":
        if self.slices is not None and self.draws is not None:
            raise ValueError(
                "draws: expected slices of a volume or draws of one image, got both; leave one out"
            )
        return self

    @property
    def count(self) -> int:
        """Slices of the volume."""
        if self.slices is None:
            return self.draws or 1
        return len(range(self.slices.start, self.slices.stop, self.slices.step))


class Simulated(Volumes):
    """Real magnitude images made multi-coil: coil maps, a smooth phase, noise; marked as simulated.

    Images are cropped or padded to `(rows, columns)` after means of `shrink × shrink` pixels were taken; what
    is drawn several times is scaled to fit anyway.
    """

    way = "simulated"

    kind: Literal["simulated"]
    volumes: Annotated[dict[Name, Drawn], Field(min_length=1)]
    coils: Count = 8
    rows: Count
    columns: Count
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.01
    shrink: Count = 1

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
    acquisitions: Annotated[list[str], CHOSEN, EACH_ONCE] | None = None
    middle: Fraction = 1.0
    per_volume: Count | None = None
    fewer: bool = False


class Hardest(Strict):
    """The hardest slices of another source's test set, the pool, hardest first.

    The methods of `by`, which should be none that are tested, reconstruct the pool, and a slice is judged by
    the mean of `quantity` over them: see `mrilib.data.hard_slices`. At most half of the slices are taken, so
    that the others can be a control; `fewer` takes that half where it is less than `count`.
    """

    hardest_of: Name
    by: Annotated[list[Name], LISTED, EACH_ONCE]
    count: Count
    quantity: Name = "ssim"
    fewer: bool = False


class Control(Strict):
    """For each of the first hard slices of a source one of the same pool that is not hard, of its SNR."""

    control_of: Name
    count: Count


# By the key that it alone has, to the name of the class; what has none of these is a `Selection`.
_BY_KEY = {"hardest_of": "Hardest", "control_of": "Control"}


def _kind_of_test(values: Any) -> str | None:
    """Which kind of test set is meant, also where its key is misspelled."""
    if isinstance(values, Strict):
        return type(values).__name__
    if not isinstance(values, dict):
        return None
    keys = [str(key) for key in values]
    meant = (name for key, name in _BY_KEY.items() if get_close_matches(key, keys, cutoff=0.8))
    return next(meant, "Selection")


# The tags are the names of the classes, by which messages find the keys of each.
TestSet = Annotated[
    Annotated[Selection, Tag("Selection")]
    | Annotated[Hardest, Tag("Hardest")]
    | Annotated[Control, Tag("Control")],
    Discriminator(_kind_of_test, custom_error_type="dict_type"),
]


class Scans(SourceScope):
    """Slices of raw multi-coil volumes.

    Methods are tuned on `validation` and trained on `train`, or are those of another source, `tuned_on`.
    """

    kind: Literal["scans"]
    test: TestSet
    validation: Selection | None = None
    train: Selection | None = None

    @model_validator(mode="after")
    def _tested_alone(self) -> "Scans":
        for part in ("validation", "train"):
            if getattr(self, part) is not None and not isinstance(self.test, Selection):
                raise ValueError(
                    f"{part}: slices of another source are tested alone; leave it out, and name the source "
                    "whose methods are applied, `tuned_on`"
                )
        return self

    @property
    def count(self) -> int:
        return self.test.count

    @property
    def validation_count(self) -> int:
        return 0 if self.validation is None else self.validation.count

    @property
    def sets(self) -> dict[str, Selection]:
        """Its own selections from datasets: not hard slices, nor their control (see `Run.sets_of`)."""
        found = {"test": self.test, "validation": self.validation, "train": self.train}
        return {name: selection for name, selection in found.items() if isinstance(selection, Selection)}


class Annotations(Strict):
    """A table of boxes, in the format of fastMRI+ or of the knee boxes of Caliva et al., for a dataset."""

    file: FilePath
    dataset: Name

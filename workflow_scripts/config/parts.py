"""The parts of a configuration: images, methods, attacks, studies, figures."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.scans import Scans
from workflow_scripts.config.strict import Count, Fraction, ImportPath, Name, SourceScope, Strict


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
    files: Annotated[list[str], Field(min_length=1)]
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


class Domain(Strict):
    """A named pair of a source and a mask, which methods are tuned and trained on."""

    source: Name
    mask: Name


class Shift(Strict):
    """Tuned and trained methods of one domain, applied to a source under a mask that are not its own.

    `domain` is the name of a domain, or `source@mask`. With `attacks` they are attacked there as well.
    """

    domain: str
    source: Name
    mask: Name
    methods: list[Name] | None = None
    attacks: bool = False


class Grid(Strict):
    """Candidates, spaced evenly in the logarithm."""

    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    count: Count

    @property
    def values(self) -> list[float]:
        if self.count == 1:
            return [self.low]
        ratio = (self.high / self.low) ** (1 / (self.count - 1))
        return [self.low * ratio**index for index in range(self.count)]


class Tune(Strict):
    """A parameter of a method that is chosen on the validation images of every domain.

    `at`: for each noise level apart, under Gaussian noise of that level (P1), or once on clean data (P2).
    """

    parameter: str
    grid: Grid
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    at: Literal["levels", "clean"] = "levels"


class Phase(Strict):
    """A stretch of training with one setting of its optimizer; without `restart` it keeps its moments."""

    epochs: Count
    batch: Count
    learning_rate: Annotated[float, Field(gt=0)]
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    accumulate: Count = 1
    optimizer: Literal["adam", "rmsprop"] = "adam"
    restart: bool = True


class Start(Strict):
    """Another method's network after one of its epochs, counted through all phases from 1."""

    method: Name
    epoch: Count


class Training(Strict):
    """How a method's network is trained, once for each of its domains.

    On phantoms, drawn on the fly: `images` an epoch, `validation` of them, the loss `moduli`, `jitter` on the
    data. On scans: all slices of the set `train`, each with a mask of its own in every epoch, and one of the
    other losses.
    """

    loss: Literal["moduli", "ssim", "l1", "mse"] = "moduli"
    images: Count | None = None
    validation: Count | None = None
    jitter: Annotated[float, Field(ge=0)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    start: Start | None = None
    phases: Annotated[list[Phase], Field(min_length=1)]

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Training":
        if self.loss == "moduli" and (self.images is None or self.validation is None):
            raise ValueError(
                "images: expected the numbers of phantoms, images and validation, for the loss 'moduli'; "
                "for scans choose the loss ssim, l1 or mse"
            )
        if self.loss != "moduli" and (self.images or self.validation or self.jitter):
            raise ValueError(
                "loss: images, validation and jitter are for phantoms, whose loss is 'moduli'; "
                f"got {self.loss!r}"
            )
        return self


class Method(Strict):
    """A reconstruction method: a class, its arguments, and how it is tuned or trained, and attacked.

    It is applied to all sources under all masks, or to those named. Without `search` it is attacked by the
    search that its class names. `training: {seeds: [0, 1, 2], ...}` makes one method of each seed, which then
    say whose replicas they are.
    """

    reconstructor: ImportPath = "mrilib.reconstructors.trained:Trained"
    parameters: dict[str, Any] = {}
    tune: Tune | None = None
    training: Training | None = None
    search: ImportPath | None = None
    search_arguments: dict[str, Any] = {}
    masks: list[Name] | None = None
    sources: list[Name] | None = None
    published: Literal["tv", "tira", "tirafl"] | None = None
    label: str | None = None
    replica_of: Name | None = None


class AttackScope(Strict):
    """Where an attack is run: on all masks, methods and sources, or on those named."""

    masks: list[Name] | None = None
    methods: list[Name] | None = None
    sources: list[Name] | None = None


class Localized(AttackScope):
    """Eq. (6): a window at every place of a grid over the image, or over the object in it.

    `disk_radius` is 5 pixels on 256, and in proportion elsewhere. `artifact`: what is measured of complex
    images, their difference or that of their moduli.
    """

    kind: Literal["localized"]
    objective: Literal["peak", "disk"] = "peak"
    grid: Count = 8
    region: Literal["image", "object"] = "image"
    restarts: Count = 1
    disk_radius: Annotated[float, Field(ge=0)] | None = None
    artifact: Literal["complex", "magnitude"] = "complex"
    search: ImportPath | None = None
    select: Literal["clean", "truth"] = "clean"


class Global(AttackScope):
    """Eq. (4): the whole image."""

    kind: Literal["global"]
    steps: Count = 100
    restarts: Count = 2
    artifact: Literal["complex", "magnitude"] = "complex"
    search: ImportPath | None = None


class Gaussian(AttackScope):
    """White noise of the attacks' norm: the baseline of every attack."""

    kind: Literal["gaussian"]


Attack = Annotated[Localized | Global | Gaussian, Field(discriminator="kind")]


class RadiusStudy(Strict):
    """Severity and α against the radius of the disk, from one pixel to the whole image."""

    method: Name
    mask: Name
    level: Fraction
    source: Name
    images: Count
    radii: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    grid: Count = 8


class WeightStudy(Strict):
    """Severity and α against λ, by several searches."""

    method: Name
    mask: Name
    levels: Annotated[list[Fraction], Field(min_length=1)]
    source: Name
    images: Count
    factors: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    attacks: Annotated[list[Name], Field(min_length=1)]
    grid: Count = 8


class Studies(Strict):
    """Studies of one parameter each; leave one out to skip it."""

    radius: RadiusStudy | None = None
    weight: WeightStudy | None = None


class Example(Strict):
    """An image that the picture figures show, under a mask: by default that of the figures."""

    source: Name
    position: Annotated[int, Field(ge=0)] = 0
    mask: Name | None = None


class Figures(Strict):
    """What the picture figures show: every method on every example that it is applied to."""

    examples: Annotated[list[Example], Field(min_length=1)]
    methods: Annotated[list[Name], Field(min_length=1, max_length=4)]
    mask: Name
    attack: Name
    level: Fraction

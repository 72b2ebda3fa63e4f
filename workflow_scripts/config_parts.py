"""The parts of a configuration: images, masks, methods, attacks, studies, figures."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from workflow_scripts.config_scans import Columns, Scans
from workflow_scripts.strict import Count, Fraction, ImportPath, Name, Strict


class SourceScope(Strict):
    """Where a source is measured: under all masks of a method, or under those named."""

    masks: list[Name] | None = None


class Ellipses(SourceScope):
    """Phantoms, drawn on the fly."""

    kind: Literal["ellipses"]
    test: Count
    validation: Count

    @property
    def validation_source(self) -> str | None:
        return None


class Files(SourceScope):
    """Images from files, all of them test images; λ comes from the validation images of another source."""

    kind: Literal["files"]
    files: Annotated[list[str], Field(min_length=1)]
    test: Count | None = None
    resize: Literal["area", "crop_or_pad"] = "area"
    slice: Annotated[int, Field(ge=0)] | None = None
    validation: Name

    @property
    def validation_source(self) -> str | None:
        return self.validation

    @property
    def count(self) -> int:
        return len(self.files) if self.test is None else self.test


Source = Annotated[Ellipses | Files | Scans, Field(discriminator="kind")]


class Radial(Strict):
    """Golden-angle radial mask."""

    kind: Literal["radial"]
    lines: Count
    size: Count | None = None


Mask = Annotated[Radial | Columns, Field(discriminator="kind")]


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
    """A parameter of a method that is chosen on validation images, for each mask and level."""

    parameter: str
    grid: Grid
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3


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
    """How a method's network is trained, once for each of its masks, on images drawn on the fly."""

    kind: Literal["phantoms"] = "phantoms"
    source: Name
    images: Count
    validation: Count
    jitter: Annotated[float, Field(ge=0)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    start: Start | None = None
    phases: Annotated[list[Phase], Field(min_length=1)]

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)


class SliceTraining(Strict):
    """How a method's network is trained, once for each source of scans and mask, on the slices of its sets.

    Every slice gets a mask of its own in every epoch, of the kind of the mask.
    """

    kind: Literal["slices"]
    loss: Literal["ssim", "l1", "mse"]
    seed: Annotated[int, Field(ge=0)] = 0
    phases: Annotated[list[Phase], Field(min_length=1)]

    @property
    def start(self) -> None:
        """None starts from another method's network."""
        return None


def _kind(value: Any) -> str:
    return str((value if isinstance(value, dict) else vars(value)).get("kind", "phantoms"))


AnyTraining = Annotated[
    Annotated[Training, Tag("phantoms")] | Annotated[SliceTraining, Tag("slices")], Discriminator(_kind)
]


class Method(Strict):
    """A reconstruction method: a class, its arguments, and how it is tuned or trained, and attacked."""

    reconstructor: ImportPath = "mrilib.reconstructors.trained:Trained"
    parameters: dict[str, Any] = {}
    tune: Tune | None = None
    training: AnyTraining | None = None
    search: ImportPath = "mrilib.attacks.pgd:GradientAscent"
    search_arguments: dict[str, Any] = {}
    masks: list[Name] | None = None
    published: Literal["tv", "tira", "tirafl"] | None = None
    label: str | None = None


class AttackScope(Strict):
    """Where an attack is run: on all masks and methods, or on those named."""

    masks: list[Name] | None = None
    methods: list[Name] | None = None


class Localized(AttackScope):
    """Eq. (6): a window at every place of a grid."""

    kind: Literal["localized"]
    objective: Literal["peak", "disk"] = "peak"
    grid: Count = 8
    restarts: Count = 1
    disk_radius: Annotated[float, Field(ge=0)] = 5.0
    search: ImportPath | None = None
    select: Literal["clean", "truth"] = "clean"


class Global(AttackScope):
    """Eq. (4): the whole image."""

    kind: Literal["global"]
    steps: Count = 100
    restarts: Count = 2
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
    """The image that the picture figures show."""

    source: Name
    position: Annotated[int, Field(ge=0)] = 0


class Figures(Strict):
    """What the picture figures show: every method on every example."""

    examples: Annotated[list[Example], Field(min_length=1)]
    methods: Annotated[list[Name], Field(min_length=1, max_length=4)]
    mask: Name
    attack: Name
    level: Fraction

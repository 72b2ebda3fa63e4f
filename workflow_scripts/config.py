"""The configuration: what may stand in a config file, checked before anything is planned."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Level = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class ConfigError(Exception):
    """The config is wrong; the message says where, what was found and what is allowed."""


class Strict(BaseModel):
    """Unknown keys are errors, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


Source = Annotated[Ellipses | Files, Field(discriminator="kind")]


class Radial(Strict):
    """Golden-angle radial mask."""

    kind: Literal["radial"]
    lines: Count
    size: Count | None = None


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
    """A stretch of training with one setting of Adam."""

    epochs: Count
    batch: Count
    learning_rate: Annotated[float, Field(gt=0)]
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    accumulate: Count = 1


class Start(Strict):
    """Another method's network after one of its epochs, counted through all phases from 1."""

    method: Name
    epoch: Count


class Training(Strict):
    """How a method's network is trained, once for each of its masks, on images drawn on the fly."""

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


class Method(Strict):
    """A reconstruction method: a class, its arguments, and how it is tuned or trained, and attacked."""

    reconstructor: ImportPath = "mrilib.reconstructors.trained:Trained"
    parameters: dict[str, Any] = {}
    tune: Tune | None = None
    training: Training | None = None
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
    level: Level
    source: Name
    images: Count
    radii: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    grid: Count = 8


class WeightStudy(Strict):
    """Severity and α against λ, by several searches."""

    method: Name
    mask: Name
    levels: Annotated[list[Level], Field(min_length=1)]
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
    level: Level


class Config(Strict):
    """A run."""

    run: Name
    seed: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=8)]
    images: Annotated[dict[Name, Source], Field(min_length=1)]
    masks: Annotated[dict[Name, Radial], Field(min_length=1)]
    levels: Annotated[list[Level], Field(min_length=1)]
    methods: Annotated[dict[Name, Method], Field(min_length=1)]
    attacks: Annotated[dict[Name, Attack], Field(min_length=1)]
    studies: Studies = Studies()
    figures: Figures

    @model_validator(mode="after")
    def _references(self) -> "Config":
        for name, mask in self.masks.items():
            if mask.size is not None and mask.size != self.size:
                comparison = "larger" if mask.size > self.size else "smaller"
                raise ValueError(
                    f"masks.{name}.size: the mask ({mask.size}) is {comparison} than the images "
                    f"({self.size}); leave size out or make both equal"
                )
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels: expected each level once, got {self.levels}")
        for name, source in self.images.items():
            for mask in source.masks or []:
                self._known(f"images.{name}.masks", mask, self.masks)
            if isinstance(source, Files):
                self._known(f"images.{name}.validation", source.validation, self.validation_sources)
                _check_files(name, source)
        for name, method in self.methods.items():
            for mask in method.masks or []:
                self._known(f"methods.{name}.masks", mask, self.masks)
            if method.training is not None:
                self._training(f"methods.{name}.training", name, method.training)
        for name, attack in self.attacks.items():
            for mask in attack.masks or []:
                self._known(f"attacks.{name}.masks", mask, self.masks)
            for method_name in attack.methods or []:
                self._known(f"attacks.{name}.methods", method_name, self.methods)
        if self.studies.radius is not None:
            self._study("studies.radius", self.studies.radius, [self.studies.radius.level])
        if self.studies.weight is not None:
            study = self.studies.weight
            self._study("studies.weight", study, study.levels)
            for attack in study.attacks:
                self._known("studies.weight.attacks", attack, self.attacks)
            if self.methods[study.method].tune is None:
                raise ValueError(f"studies.weight.method: {study.method!r} has no tuned parameter")
        for name in self.figures.methods:
            self._known("figures.methods", name, self.methods)
            self._known("figures.mask", self.figures.mask, self.masks_of(name))
            self._known("figures.attack", self.figures.attack, self.attacks_of(name, self.figures.mask))
        self._level("figures.level", self.figures.level)
        for example in self.figures.examples:
            self._known("figures.examples.source", example.source, self.sources_of(self.figures.mask))
            self._position("figures.examples.position", example.source, example.position)
        return self

    def _training(self, where: str, name: str, training: Training) -> None:
        self._known(f"{where}.source", training.source, self.validation_sources)
        for number, phase in enumerate(training.phases):
            if phase.batch > training.images:
                raise ValueError(
                    f"{where}.phases.{number}.batch: {phase.batch} is more than the {training.images} images"
                )
        seen, start = [name], training.start
        while start is not None:
            self._known(f"{where}.start.method", start.method, self.trained)
            if start.method in seen:
                raise ValueError(f"{where}.start.method: {' starts from '.join([*seen, start.method])}")
            seen.append(start.method)
            other = self.methods[start.method]
            if start.epoch > other.training.epochs:
                raise ValueError(
                    f"{where}.start.epoch: {start.method} is trained for {other.training.epochs} epochs, "
                    f"got {start.epoch}"
                )
            for mask in self.masks_of(name):
                self._known(f"{where}.start.method: mask", mask, self.masks_of(start.method))
            start = other.training.start

    def _study(self, where: str, study: RadiusStudy | WeightStudy, levels: list[float]) -> None:
        self._known(f"{where}.method", study.method, self.methods)
        self._known(f"{where}.mask", study.mask, self.masks_of(study.method))
        self._known(f"{where}.source", study.source, self.sources_of(study.mask))
        self._position(f"{where}.images", study.source, study.images - 1)
        for level in levels:
            self._level(f"{where}.level", level)

    def _known(self, where: str, value: str, allowed: Any) -> None:
        if value not in allowed:
            raise ValueError(f"{where}: {value!r} is not defined{_suggestion(value, list(allowed))}")

    def _level(self, where: str, level: float) -> None:
        if level not in self.levels:
            raise ValueError(f"{where}: {level:g} is not among levels {self.levels}")

    def _position(self, where: str, source: str, position: int) -> None:
        if position >= self.count(source):
            raise ValueError(f"{where}: {source} has {self.count(source)} test images, got {position + 1}")

    @property
    def validation_sources(self) -> list[str]:
        return [name for name, source in self.images.items() if isinstance(source, Ellipses)]

    @property
    def trained(self) -> list[str]:
        """Methods with a training."""
        return [name for name, method in self.methods.items() if method.training is not None]

    def kept_epochs(self, method: str) -> list[int]:
        """Epochs of a method's training that others start from."""
        starts = [self.methods[name].training.start for name in self.trained]
        return sorted({start.epoch for start in starts if start is not None and start.method == method})

    def rivals_of(self, method: str, mask: str) -> list[str]:
        """The other methods under a mask, whose perturbations this one is given."""
        return [name for name in self.methods if name != method and mask in self.masks_of(name)]

    def count(self, source: str) -> int:
        """Number of test images."""
        found = self.images[source]
        return found.test if isinstance(found, Ellipses) else found.count

    def sources_of(self, mask: str) -> list[str]:
        """Sources that are measured under a mask."""
        return [name for name, source in self.images.items() if mask in (source.masks or [mask])]

    def masks_of(self, method: str) -> list[str]:
        return self.methods[method].masks or list(self.masks)

    def attacks_of(self, method: str, mask: str) -> list[str]:
        return [
            name
            for name, attack in self.attacks.items()
            if mask in (attack.masks or [mask]) and method in (attack.methods or [method])
        ]

    def validation_of(self, source: str) -> str:
        """The source whose validation images tune the methods for this one."""
        return self.images[source].validation_source or source

    def search_of(self, method: str, attack: str) -> str | None:
        """Import path of the search of an attack on a method; none for noise."""
        return getattr(self.attacks[attack], "search", None) or (
            None if self.attacks[attack].kind == "gaussian" else self.methods[method].search
        )


def _check_files(name: str, source: Files) -> None:
    """What a look at the folder tells: nothing is read."""
    folders = [path for path in source.files if Path(path).is_dir()]
    if folders and source.test is None:
        raise ValueError(
            f"images.{name}.test: the number of images is needed when files holds a folder ({folders[0]})"
        )
    for path in source.files:
        if ":" in path:
            continue
        if not Path(path).exists():
            raise ValueError(f"images.{name}.files: {path} does not exist")
        if Path(path).is_file() and Path(path).stat().st_size == 0:
            raise ValueError(f"images.{name}.files: {path} is empty (0 bytes); fetch it again")


def _suggestion(value: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(value, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(sorted(allowed))}"


def load(values: dict[str, Any]) -> Config:
    """Check a parsed config file.

    Raises:
        ConfigError: with one line for every mistake: the key's path, the value, what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [_explained(values, detail) for detail in error.errors()]
        raise ConfigError("the config is wrong:\n" + "\n".join(f"  {line}" for line in lines)) from None


def _explained(values: dict[str, Any], detail: Any) -> str:
    location, current = [], values
    for index, part in enumerate(detail["loc"]):
        inside = isinstance(current, dict | list) and (isinstance(current, list) or part in current)
        if inside or index == len(detail["loc"]) - 1:
            location.append(str(part))
        current = current[part] if inside else current
    where = ".".join(location) or "config"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(str(detail['loc'][-1]), _fields_at(detail['loc'][:-1]))}"
    if detail["type"] == "missing":
        return f"{where}: this key is missing"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"{where}: {detail['msg']}; got {detail['input']!r}"


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    """Keys of the model at the place of an error, which names the kinds of unions as pydantic does."""
    current: Any = Config
    for part in location:
        current = _child(current, part)
    return list(current.model_fields)


def _child(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[str(part)].annotation
    if get_origin(annotation) is Annotated:
        return _child(get_args(annotation)[0], part)
    arguments = [item for item in get_args(annotation) if item is not type(None)]
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) is list:
        return arguments[0]
    models = [item for item in arguments if isinstance(item, type) and issubclass(item, BaseModel)]
    for model in models:
        if part in get_args(getattr(model.model_fields.get("kind"), "annotation", None)):
            return model
    return _child(models[0], part)

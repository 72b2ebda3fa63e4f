"""The configuration: what may stand in a config file, checked before anything is planned."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from workflow_scripts.config_errors import ConfigError, explained, suggestion
from workflow_scripts.config_parts import (
    Attack,
    Ellipses,
    Figures,
    Files,
    Mask,
    Method,
    Radial,
    RadiusStudy,
    SliceTraining,
    Source,
    Studies,
    Training,
    WeightStudy,
)
from workflow_scripts.config_scans import Annotations, Columns, Dataset, Scans
from workflow_scripts.strict import Fraction, Name, Strict


class Config(Strict):
    """A run. `size` is of phantoms and of images from files; scans have their own."""

    run: Name
    seed: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=8)] = 256
    downloads: str = "results/downloads"
    datasets: dict[Name, Dataset] = {}
    annotations: dict[Name, Annotations] = {}
    images: dict[Name, Source] = {}
    masks: dict[Name, Mask] = {}
    levels: list[Fraction] = []
    methods: dict[Name, Method] = {}
    attacks: dict[Name, Attack] = {}
    studies: Studies = Studies()
    figures: Figures | None = None

    @model_validator(mode="after")
    def _references(self) -> "Config":
        if not self.images and not self.datasets:
            raise ValueError("images: expected images or datasets, got neither")
        if self.methods:
            needed = (
                ("images", "masks") if self.scans else ("images", "masks", "levels", "attacks", "figures")
            )
            for key in needed:
                if not getattr(self, key):
                    raise ValueError(f"{key}: methods need this key")
        if self.scans and len(self.scans) < len(self.images):
            raise ValueError("images: scans and other images need a run each, got both in one")
        self._scans()
        for name, mask in self.masks.items():
            if isinstance(mask, Radial) and mask.size is not None and mask.size != self.size:
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
                self._known(f"images.{name}.masks", mask, self._masks_for(source))
            if isinstance(source, Files):
                self._known(f"images.{name}.validation", source.validation, self.validation_sources)
                _check_files(name, source)
        for name, method in self.methods.items():
            for mask in method.masks or []:
                self._known(f"methods.{name}.masks", mask, self.masks)
            if isinstance(method.training, SliceTraining) != bool(self.scans) and method.training:
                wanted = "slices" if self.scans else "phantoms"
                raise ValueError(f"methods.{name}.training.kind: expected {wanted!r} for these images")
            if isinstance(method.training, Training):
                self._training(f"methods.{name}.training", name, method.training)
            if self.scans and (method.tune or method.training):
                self._parts(f"methods.{name}", method)
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
        if self.figures is not None:
            self._figures(self.figures)
        return self

    def _figures(self, figures: Figures) -> None:
        for name in figures.methods:
            self._known("figures.methods", name, self.methods)
            self._known("figures.mask", figures.mask, self.masks_of(name))
            self._known("figures.attack", figures.attack, self.attacks_of(name, figures.mask))
        self._level("figures.level", figures.level)
        for example in figures.examples:
            self._known("figures.examples.source", example.source, self.sources_of(figures.mask))
            self._position("figures.examples.position", example.source, example.position)

    def _scans(self) -> None:
        for name, source in self.scans.items():
            for part, selection in source.sets.items():
                where = f"images.{name}.{part}"
                self._known(f"{where}.dataset", selection.dataset, self.datasets)
                if selection.split is not None:
                    self._known(f"{where}.split", selection.split, self.datasets[selection.dataset].split)
            if source.tuned_on is not None:
                own = [other for other, found in self.scans.items() if found.tuned_on is None]
                self._known(f"images.{name}.tuned_on", source.tuned_on, own)
            if not self._masks_for(source):
                raise ValueError(f"images.{name}: scans need a mask of columns (random or equispaced)")
        for name, annotations in self.annotations.items():
            self._known(f"annotations.{name}.dataset", annotations.dataset, self.datasets)

    def _masks_for(self, source: Source) -> list[str]:
        """Masks of the kind that suits a source: columns for scans, radial ones for images."""
        kind = Columns if isinstance(source, Scans) else Radial
        return [name for name, mask in self.masks.items() if isinstance(mask, kind)]

    def _parts(self, where: str, method: Method) -> None:
        """Scans have the sets that tuning and training take their slices from."""
        for name, source in self.scans.items():
            for key, needed in (("validation", True), ("train", method.training is not None)):
                if needed and source.tuned_on is None and key not in source.sets:
                    raise ValueError(
                        f"images.{name}.{key}: {where} needs this set, or a source that it is tuned_on"
                    )

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
            raise ValueError(f"{where}: {value!r} is not defined{suggestion(value, list(allowed))}")

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
        if isinstance(found, Scans):
            return found.test.count
        return found.test if isinstance(found, Ellipses) else found.count

    @property
    def scans(self) -> dict[str, Scans]:
        """Sources of raw multi-coil data."""
        return {name: source for name, source in self.images.items() if isinstance(source, Scans)}

    def tuned_on(self, source: str) -> str:
        """The source of scans whose slices the methods are tuned and trained on for this one."""
        return self.scans[source].tuned_on or source

    def masks_for(self, source: str) -> list[str]:
        """Masks that a source is measured under."""
        return self.images[source].masks or self._masks_for(self.images[source])

    def sources_of(self, mask: str) -> list[str]:
        """Sources that are measured under a mask."""
        return [name for name in self.images if mask in self.masks_for(name)]

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


def load(values: dict[str, Any]) -> Config:
    """Check a parsed config file.

    Raises:
        ConfigError: with one line for every mistake: the key's path, the value, what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [explained(Config, values, detail) for detail in error.errors()]
        raise ConfigError("the config is wrong:\n" + "\n".join(f"  {line}" for line in lines)) from None

"""The configuration: what may stand in a config file, checked before anything is planned."""

import contextlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from workflow_scripts.config.attacks import FACTOR, Attack
from workflow_scripts.config.domains import Domain
from workflow_scripts.config.errors import ConfigError, explained, wrong
from workflow_scripts.config.figures import OWN, Comparison, Figures
from workflow_scripts.config.hard_slices import check_hard_slices
from workflow_scripts.config.images import Ellipses
from workflow_scripts.config.leaks import leaks
from workflow_scripts.config.methods import Training, replicas, spelled_by_seed
from workflow_scripts.config.names import misnamed
from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import Scans
from workflow_scripts.config.theory import Noisy, Recovery
from workflow_scripts.config.uses import unused
from workflow_scripts.provenance import MISSING, class_attribute

__all__ = ["Config", "ConfigError", "load"]


class Config(Run):
    """A run whose parts fit together."""

    @model_validator(mode="before")
    @classmethod
    def _seeds(cls, values: Any) -> Any:
        """A method with several training seeds becomes several, each with a name and a seed of its own."""
        if isinstance(values, dict) and isinstance(values.get("methods"), dict):
            return values | {"methods": spelled_by_seed(values["methods"])}
        return values

    @model_validator(mode="after")
    def _references(self) -> "Config":
        if not self.images and not self.datasets and not self.theory:
            raise ValueError("images: expected images, datasets or theory, got none")
        for key in ("images", "masks") if self.methods else ():
            if not getattr(self, key):
                raise ValueError(f"{key}: methods need this key")
        for key in ("levels", "methods") if self.attacks else ():
            if not getattr(self, key):
                raise ValueError(f"{key}: attacks need this key")
        if len({f"{level:g}" for level in self.levels}) != len(self.levels):
            raise ValueError(f"levels: expected each level once, in six digits, got {self.levels}")
        self._masks()
        self._sources()
        self._domains()
        check_hard_slices(self)
        self._methods()
        for name, attack in self.attacks.items():
            self._attack(f"attacks.{name}", attack)
        self._attackable()
        self._searches()
        self._features()
        self._theory()
        if self.figures is not None:
            self._figures(self.figures)
        return self

    def _theory(self) -> None:
        """Entries that take the draws of another one find them there."""
        for name, entry in self.theory.items():
            if not isinstance(entry, Noisy):
                continue
            self._known(f"theory.{name}.of", entry.of, self.theory)
            other = self.theory[entry.of]
            if not isinstance(other, Recovery) or other.signal == "piecewise-constant" or other.width != 1:
                raise ValueError(
                    f"theory.{name}.of: expected an entry of kind recovery, of ℓ1 and of spikes, got "
                    f"{entry.of!r}; name another"
                )
            for size, sparsity in entry.cases:
                if (size, sparsity) not in other.cases:
                    raise ValueError(
                        f"theory.{name}: {entry.of} has no draws at size {size} and sparsity {sparsity}; "
                        "leave them out, or add them there"
                    )

    def _masks(self) -> None:
        for name, mask in self.masks.items():
            if mask.tuned_on is not None:
                own = [other for other, found in self.masks.items() if found.tuned_on is None]
                self._known(f"masks.{name}.tuned_on", mask.tuned_on, own)

    def _sources(self) -> None:
        for name, source in self.images.items():
            for mask in source.masks or []:
                self._known(f"images.{name}.masks", mask, self.masks)
            for method in source.methods or []:
                self._known(f"images.{name}.methods", method, self.methods)
            if self.methods and not self.masks_for(name):
                usual = "several coils" if isinstance(source, Scans) else "a single coil"
                raise ValueError(
                    f"images.{name}.masks: none of the masks is usual for {usual}; name those that measure it"
                )
            if source.tuned_on is not None:
                own = [other for other, found in self.images.items() if found.tuned_on is None]
                self._known(f"images.{name}.tuned_on", source.tuned_on, own)
                if isinstance(source, Scans) != isinstance(self.images[source.tuned_on], Scans):
                    raise ValueError(
                        f"images.{name}.tuned_on: scans take the methods of scans, and images those of "
                        f"images; got {source.tuned_on!r}"
                    )
            if isinstance(source, Scans):
                for part, selection in source.sets.items():
                    where = f"images.{name}.{part}"
                    self._known(f"{where}.dataset", selection.dataset, self.datasets)
                    if selection.split is not None:
                        splits = self.datasets[selection.dataset].split
                        self._known(f"{where}.split", selection.split, splits)
        for name, annotations in self.annotations.items():
            self._known(f"annotations.{name}.dataset", annotations.dataset, self.datasets)

    def _domains(self) -> None:
        pairs: dict[tuple[str, str], str] = {}
        for name, domain in self.domains.items():
            self._known(f"domains.{name}.source", domain.source, self.images)
            self._known(f"domains.{name}.mask", domain.mask, self.masks)
            if (pair := (domain.source, domain.mask)) in pairs:
                raise ValueError(f"domains.{name}: {pairs[pair]!r} is this pair already; keep one of them")
            pairs[pair] = name
        for name, shift in self.shifts.items():
            self._known(f"shifts.{name}.source", shift.source, self.images)
            self._known(f"shifts.{name}.mask", shift.mask, self.masks)
            pair = self._domain(f"shifts.{name}.domain", shift.domain)
            if isinstance(self.images[pair.source], Scans) != isinstance(self.images[shift.source], Scans):
                raise ValueError(
                    f"shifts.{name}: scans take the methods of scans, and images those of images"
                )
            if self.usual_domain(shift.source, shift.mask) == self.domain_name(pair.source, pair.mask):
                raise ValueError(
                    f"shifts.{name}.domain: {shift.domain!r} is the usual domain of {shift.source} under "
                    f"{shift.mask}, which needs no entry; leave it out"
                )
            for method in shift.methods or []:
                self._known(f"shifts.{name}.methods", method, self.adapted)

    def _methods(self) -> None:
        for name, method in self.methods.items():
            for mask in method.masks or []:
                self._known(f"methods.{name}.masks", mask, self.masks)
            for source in method.sources or []:
                self._known(f"methods.{name}.sources", source, self.images)
            if method.tune is not None and method.tune.at == "levels" and not self.levels:
                raise ValueError(
                    f"methods.{name}.tune.at: there are no levels; say `at: clean`, or give levels"
                )
        for method, domain in self.trainings:
            self._training(f"methods.{method}.training", method, self.domain(domain))
        for method, domain in self.tunings:
            source = self.domain(domain).source
            if not self.images[source].validation_count:
                raise ValueError(
                    f"images.{source}.validation: methods.{method} needs this set, or a source that it is "
                    "tuned_on"
                )

    def _training(self, where: str, name: str, domain: Domain) -> None:
        source = self.images[domain.source]
        training: Training = self.methods[name].training  # type: ignore[assignment]
        phantoms = isinstance(source, Ellipses)
        if phantoms != (training.loss == "moduli"):
            wanted = "'moduli'" if phantoms else "'ssim', 'l1' or 'mse'"
            raise ValueError(
                f"{where}.loss: expected {wanted} on {domain.source}, got {training.loss!r}; methods that "
                "learn from other sources name them, `sources: [...]`"
            )
        if isinstance(source, Scans):
            for key in ("train", "validation"):
                if key not in source.sets:
                    raise ValueError(
                        f"images.{domain.source}.{key}: methods.{name} needs this set, or a source that it "
                        "is tuned_on"
                    )
        for number, phase in enumerate(training.phases):
            if training.images is not None and phase.batch > training.images:
                raise ValueError(
                    f"{where}.phases.{number}.batch: {phase.batch} is more than the {training.images} images"
                )
        seen, start = [name], training.start
        while start is not None:
            self._known(f"{where}.start.method", start.method, self.trained)
            if start.method in seen:
                raise ValueError(f"{where}.start.method: {' starts from '.join([*seen, start.method])}")
            seen.append(start.method)
            other: Training = self.methods[start.method].training  # type: ignore[assignment]
            if start.epoch > other.epochs:
                raise ValueError(
                    f"{where}.start.epoch: {start.method} is trained for {other.epochs} epochs, "
                    f"got {start.epoch}"
                )
            self._known(f"{where}.start.method: mask", domain.mask, self.masks_of(start.method))
            start = other.start

    def _attackable(self) -> None:
        """No attack is asked for that needs a derivative or a seed which the method does not have."""
        for name, attack in self.attacks.items():
            for method in attack.methods or []:
                if attack.needs_seed and not self.is_seeded(method):
                    raise ValueError(
                        f"attacks.{name}.methods: {method!r} has no seed, so that another fit is the same; "
                        "name untrained networks, or leave it out"
                    )
                if (
                    attack.needs_derivative
                    and attack.search is None
                    and self.methods[method].search is None
                    and class_attribute(self.methods[method].reconstructor, "search") is None
                ):
                    joint = class_attribute(self.methods[method].reconstructor, "joint")
                    mend = (
                        "leave it out" if joint in (None, MISSING) else "say `search: joint`, or leave it out"
                    )
                    raise ValueError(
                        f"attacks.{name}.methods: {method!r} has no derivative, which {attack.word} attacks "
                        f"follow; {mend}"
                    )

    def _searches(self) -> None:
        """There are the validation images that an argument of a search is chosen on."""
        for name, method, domain in self.search_tunings:
            source, wanted = self.domain(domain).source, self.attacks[name].tune.images  # type: ignore[union-attr]
            if (count := self.images[source].validation_count) < wanted:
                raise ValueError(
                    f"attacks.{name}.tune.images: {source} has {count} validation images, which {method} is "
                    f"attacked on, got {wanted}; lower it, or add images"
                )

    def _features(self) -> None:
        if self.features and not self.methods:
            raise ValueError("methods: features need this key")
        for name, feature in self.features.items():
            where = f"features.{name}"
            for key, known in (("masks", self.masks), ("methods", self.methods), ("sources", self.images)):
                for value in getattr(feature, key) or []:
                    self._known(f"{where}.{key}", value, known)
            if feature.images is not None:
                for source in feature.sources or self.images:
                    self._position(f"{where}.images", source, feature.images - 1)
            for method in feature.methods or []:
                if feature.needs_steps and not self.in_steps(method):
                    raise ValueError(
                        f"{where}.methods: {method!r} is not fitted in steps, which {feature.word} follows; "
                        "name untrained networks, or leave it out"
                    )
            for source in feature.sources or []:
                if feature.needs_boxes and not self.annotations_of(source):
                    raise ValueError(
                        f"{where}.sources: {source!r} has no annotations, which {feature.word} needs; name "
                        "its dataset in an entry of annotations, or leave it out"
                    )

    def _attack(self, where: str, attack: Attack) -> None:
        for key, known in (("masks", self.masks), ("methods", self.methods), ("sources", self.images)):
            for value in getattr(attack, key) or []:
                self._known(f"{where}.{key}", value, known)
        for level in attack.levels or []:
            self._level(f"{where}.levels", level)
        if attack.images is not None:
            for source in attack.sources or self.images:
                self._position(f"{where}.images", source, attack.images - 1)
        if attack.tune is not None and attack.tune.level is not None:
            self._level(f"{where}.tune.level", attack.tune.level)
        if FACTOR in attack.vary:
            if min(attack.vary[FACTOR]) <= 0:
                raise ValueError(
                    f"{where}.vary.factor: expected multiples above 0, got {attack.vary[FACTOR]}; tuned: 1"
                )
            for method in attack.methods or self.methods:
                if self.methods[method].tune is None:
                    raise ValueError(
                        f"{where}.vary.factor: {method!r} has no tuned parameter; name methods that have one"
                    )

    def _figures(self, figures: Figures) -> None:
        if not self.attacks:
            raise ValueError("figures: expected attacks, which these figures show, got none")
        self._known("figures.mask", figures.mask, self.masks)
        for example in figures.examples:
            mask = example.mask or figures.mask
            self._known("figures.examples.mask", mask, self.masks)
            self._known("figures.examples.source", example.source, self.sources_of(mask))
            self._position("figures.examples.position", example.source, example.position)
        for name, compared in figures.compared.items():
            own = name == OWN and name not in figures.comparisons
            self._compared("figures" if own else f"figures.comparisons.{name}", figures, compared)

    def _compared(self, where: str, figures: Figures, compared: Comparison) -> None:
        """Methods of a figure under an attack at a level: all known, and all shown by some example."""
        attack, level = compared.attack or figures.attack, compared.level or figures.level
        for name in compared.methods:
            self._known(f"{where}.methods", name, self.methods)
        self._known(f"{where}.attack", attack, self.attacks)
        self._level(f"{where}.level", level)
        if level not in (levels := self.levels_of(attack)):
            raise ValueError(f"{where}.level: {attack} is run at {levels} alone, got {level:g}")
        places = [(each.source, each.mask or figures.mask, each.position) for each in figures.examples]
        for name in compared.methods:
            here = [place for place in places if self.applies(name, *place[:2])]
            for place in here:
                self._known(f"{where}.attack", attack, self.shown_attacks(name, *place))
            if not here:
                raise ValueError(
                    f"{where}.methods: {name!r} is applied to none of the examples; leave it out"
                )

    def _level(self, where: str, level: float) -> None:
        if level not in self.levels:
            raise ValueError(f"{where}: {level:g} is not among levels {self.levels}")

    def _position(self, where: str, source: str, position: int) -> None:
        if position >= self.count(source):
            raise ValueError(f"{where}: {source} has {self.count(source)} test images, got {position + 1}")


def load(values: dict[str, Any], *, classes: bool = True, passed: Path | None = None) -> Config:
    """Check a parsed config file.

    Args:
        values: as YAML has them.
        classes: also hold the arguments of every class that is named against the class, which imports it, and
            look at every path.
        passed: folder that remembers what has passed: the same config, judged by the same code, passes
            without an import of its classes. By default nothing is remembered.

    Raises:
        ConfigError: with one line for every mistake: the key's path, the value, what is allowed.
    """
    try:
        found = Config.model_validate(values)
    except ValidationError as error:
        written = replicas(values.get("methods"))
        details = [_as_written(detail, written) for detail in error.errors()]
        raise wrong(explained(Config, values, detail) for detail in details) from None
    lines = [*misnamed(found), *leaks(found), *unused(found)]
    if classes:
        from workflow_scripts.config.passed import mark_of
        from workflow_scripts.config.paths import unreadable

        lines += unreadable(found)
        mark = passed and mark_of(found, passed)
        if not (mark and mark.exists()):
            lines += _misused(found, alone=bool(lines))
        if mark and not lines:
            # It may be another user's folder, who plans and runs there.
            with contextlib.suppress(OSError):
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
    if lines:
        raise wrong(lines)
    return found


def _misused(config: Config, *, alone: bool) -> list[str]:
    """What is wrong with the classes that a config names, which takes seconds to import.

    Args:
        config: a run whose parts fit together.
        alone: hold nothing against the rest: only what is right by itself can be.
    """
    from workflow_scripts.config.arguments import classes_wrong, misfits

    return list(classes_wrong(config)) or ([] if alone else list(misfits(config)))


def _as_written(detail: Any, replicas: dict[str, str]) -> Any:
    """A mistake where the file has it: methods of several seeds stand there as one."""
    place = detail["loc"]
    if place[:1] != ("methods",) or len(place) == 1 or place[1] not in replicas:
        return detail
    return detail | {"loc": ("methods", replicas[place[1]], *place[2:])}

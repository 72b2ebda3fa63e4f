"""Attacks as the config has them, and perturbations as they are stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mrilib.attacks.judge import SOLVED, AttackResult
from mrilib.attacks.kinds.base import AttackKind, Conditions, kind_from
from mrilib.attacks.rivals import WORK, Rival, strengthened
from mrilib.attacks.searches.base import Search
from mrilib.attacks.target import NoPlaceError, Start, Target
from mrilib.data.measurement import Relative
from mrilib.jobs.subjects import Subject
from mrilib.metrics.artifacts import amplification, severity
from mrilib.solvers.solution import NotConvergedError
from mrilib.store.arrays import Group
from mrilib.store.classes import load_class
from mrilib.store.units import derived_seed

# Arrays of a unit, where the attack has them.
ARRAYS = ("perturbation", "reconstruction", "severities", "severities_first_round")


@dataclass(frozen=True)
class Attack:
    """An attack of the config, as a job is told of it.

    Args:
        kind: what is maximised.
        search: import path of the search; `None` for the method's own.
        search_arguments: of its constructor.
        relative_to: whose norm the level is relative to.
        impossible: why it cannot be run, or "": then every unit fails for this reason.
    """

    kind: AttackKind
    search: str | None = None
    search_arguments: Mapping[str, Any] | None = None
    relative_to: Relative = "data"
    impossible: str = ""

    @staticmethod
    def of(described: Mapping[str, Any]) -> "Attack":
        """From `class` and `arguments` of the kind, and what else the fields are called."""
        names = ("search", "search_arguments", "relative_to", "impossible")
        return Attack(kind_from(described), **{name: described[name] for name in names if name in described})

    @property
    def about(self) -> dict[str, Any]:
        """What is stored of the attack itself."""
        found = {name: self.kind.about[name] for name in ("kind", "region", "artifact")}
        return found | {"relative_to": self.relative_to}

    def seed(self, subject: Subject) -> int:
        """Of a subject: made of the image, the level, the kind and the search."""
        parts = self.kind.seeded_by(subject.target)
        parts["search"] = (
            None if self.search is None else load_class(self.search, Search).seeded_as(self.search)
        )
        if self.search_arguments:
            parts["search_arguments"] = dict(self.search_arguments)
        return derived_seed(*subject.seed, subject.level, parts)


class Assault:
    """An attack on a subject: what a check repeats.

    Args:
        attack: of the config.
        subject: what is attacked.
    """

    def __init__(self, attack: Attack, subject: Subject) -> None:
        self._attack, self._subject = attack, subject
        search = self._search()
        from_state = search is not None and search.from_state
        clean = subject.clean_with_state if from_state else subject.target.clean
        radius = subject.measurement.radius(subject.level, attack.relative_to)
        self.target = replace(subject.target, artifact=attack.kind.artifact, radius=radius, clean=clean)
        self._conditions = Conditions(
            reference=subject.reference,
            seed=attack.seed(subject),
            refitted=subject.refitted if subject.reconstructor.seeded else None,
        )

    def run(self, restarts: int | None = None, starts: list[Start] | None = None) -> AttackResult:
        """Search, with so many restarts and from further starts."""
        conditions = replace(
            self._conditions, search=self._search(), restarts=restarts, starts=tuple(starts or ())
        )
        return self._attack.kind.attack(self.target, conditions)

    def _search(self) -> Search | None:
        if self._attack.search is None:
            return None
        found: Search = load_class(self._attack.search, Search)(**self._attack.search_arguments or {})
        return found

    def rivals(self, result: AttackResult) -> list[Rival]:
        """What needs no search, and is not to be stronger than the result."""
        return self._attack.kind.rivals(self.target, result, self._conditions)

    def checked(self, result: AttackResult, rivals: list[Rival]) -> tuple[AttackResult, dict[str, Any]]:
        """`strengthened`."""
        kind = self._attack.kind
        return strengthened(
            self.run, self.target, result, rivals, measure=kind.measure, restarts=kind.restarts
        )


def outcome(subject: Subject, attributes: dict[str, Any], compute: Callable[[], Group]) -> Group:
    """The unit that is computed, or one that says why there is none: a numerical failure is an outcome."""
    if isinstance(subject.clean, str):
        return Group(attributes=attributes | {"failed": f"clean reconstruction failed: {subject.clean}"})
    try:
        return compute()
    except (NotConvergedError, FloatingPointError, NoPlaceError) as error:
        print(f"failed: {error}", flush=True)
        # An empty text would stand for success.
        return Group(attributes=attributes | {"failed": str(error) or type(error).__name__})


def group_of(arrays: dict[str, Tensor], attributes: dict[str, Any]) -> Group:
    """Arrays with their units."""
    units = dict.fromkeys(arrays, "scale") | {"perturbation": "scale, orthonormal transform"}
    return Group(
        arrays={key: value.cpu().numpy() for key, value in arrays.items()},
        attributes=attributes,
        units={key: units[key] for key in arrays},
    )


def stored(subject: Subject, attack: Attack, result: AttackResult, record: dict[str, Any]) -> Group:
    """A result as it is stored, with what its artifact has to stand out of, unless it is that itself."""
    found = {name: getattr(result, name) for name in ARRAYS}
    row, column = result.location.tolist()
    stats = {key: float(value) for key, value in result.stats.items()}
    if not attack.kind.needs_seed:
        stats |= subject.limits(stats.get("error_bound"))
    return group_of(
        {name: array for name, array in found.items() if array is not None},
        subject.attributes | attack.about | record | stats | {"row": row, "column": column},
    )


def as_found(target: Target, unit: Group) -> AttackResult:
    """The result that a unit was stored of."""
    arrays = {name: torch.from_numpy(array) for name, array in unit.arrays.items()}
    perturbation = arrays["perturbation"].to(target.kspace)
    reconstruction = arrays["reconstruction"].to(target.clean.value)
    image_perturbation = target.operator.to_image(perturbation)
    artifact = target.artifacts(reconstruction)
    return AttackResult(
        perturbation=perturbation,
        image_perturbation=image_perturbation,
        reconstruction=reconstruction,
        artifact=artifact,
        location=torch.tensor([unit.attributes["row"], unit.attributes["column"]]),
        severity=severity(artifact),
        amplification=amplification(artifact, image_perturbation),
        severities=arrays.get("severities"),
        severities_first_round=arrays.get("severities_first_round"),
        stats={key: unit.attributes[key] for key in (*WORK, "seconds", *SOLVED) if key in unit.attributes},
    )

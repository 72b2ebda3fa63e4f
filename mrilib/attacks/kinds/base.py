"""What every kind of attack offers: what is maximised, from where, and what its result is held against."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.judge import AttackResult, Judged, result_of
from mrilib.attacks.rivals import Rival
from mrilib.attacks.searches.base import Clock, Search
from mrilib.attacks.target import Artifact, Start, Target
from mrilib.store.classes import load_class


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What an attack runs under.

    Args:
        reference: the image that errors refer to, which may be cropped.
        search: how to search; `None` for the method's own search.
        seed: of everything random.
        restarts: of the search, in place of the attack's own.
        starts: further perturbations to begin from; the result is no weaker than any of them.
        refitted: `mrilib.attacks.accuracy.refitted` of the target, for whoever has it already.
    """

    reference: Tensor
    search: Search | None = None
    seed: int = 0
    restarts: int | None = None
    starts: Sequence[Start] = field(default=())
    refitted: Callable[[], Judged] | None = None


class AttackKind(ABC):
    """A kind of attack: the perturbations of a budget, and what is maximised over them.

    A config names a subclass by its `word`, or by `class: package.module:Name`; what else stands in the entry
    are the arguments of its constructor, and where, on what and by which search it is run.

    Attributes:
        needs_derivative: whether it follows a method's derivative. If so, its perturbations are given to the
            other methods as well; noise, which needs none, is not.
        needs_seed: whether it is for methods with a seed alone (`Reconstructor.seeded`).
        has_places: whether results have a map of severities by place.
        maximised: the quantity of scores that is `measure`, relative to the image: by it an argument of the
            search is chosen.
        artifact: what is measured of methods that return complex images: see `Target.artifacts`.
        restarts: of its search.
    """

    needs_derivative: ClassVar[bool] = True
    needs_seed: ClassVar[bool] = False
    has_places: ClassVar[bool] = False
    maximised: ClassVar[Literal["severity", "artifact_norm"]] = "severity"
    artifact: Artifact = "complex"
    restarts: int = 1

    def check_shape(self, shape: tuple[int, int]) -> None:  # noqa: B027
        """Raise `ValueError` if the attack cannot be run on images of `(rows, columns)`."""

    @abstractmethod
    def attack(self, target: Target, conditions: Conditions) -> AttackResult:
        """The perturbation that is found, judged; see `mrilib.attacks.judge.result_of`.

        Raises:
            NoPlaceError: if there is no place to look at.
        """

    @abstractmethod
    def measure(self, artifact: Tensor) -> Float[Tensor, "*batch"]:
        """What is maximised, of an artifact: by it results are compared."""

    def rivals(self, target: Target, result: AttackResult, conditions: Conditions) -> list[Rival]:
        """Perturbations that need no search, which the result must not be weaker than; none by default."""
        return []

    @property
    def checked(self) -> bool:
        """Whether results are held against rivals, and searched for again where they are weaker."""
        return self.needs_derivative

    @property
    def about(self) -> dict[str, Any]:
        """What scores and tables say of the attack: `kind`, and by which options it differs from the usual.

        `region` and `artifact` stand in scores. Nothing more is known of an attack unless its class says so:
        `label` is printed, `sort` is what figures call it and draw it as (`mrilib.report.names.SORT_LABELS`),
        and `table_1` says that the numbers compare with Table 1 of [alaifari2023].
        """
        return {"kind": self.name, "region": "image", "artifact": self.artifact}

    @property
    def name(self) -> str:
        """The kind's short word, or the name of its class."""
        return str(getattr(self, "word", type(self).__name__))

    def seeded_by(self, target: Target) -> dict[str, Any]:
        """What seeds are made of: the kind with its options.

        An option that came later than results which are to be found again counts only where it is not at
        its default.
        """
        return {"kind": self.name}


def unsearched(target: Target, judged: Judged, clock: Clock) -> AttackResult:
    """The result of a single perturbation that nobody searched for: its location is the largest pixel's."""
    row, column = divmod(int(judged.artifacts[0].abs().argmax()), judged.artifacts.shape[-1])
    stats = {"solver_steps": 0.0, "gradient_evaluations": 0.0, "judging_steps": judged.steps}
    stats["seconds"] = clock.seconds
    return result_of(target, judged, 0, location=torch.tensor([row, column]), stats=stats)


def kind_from(described: Mapping[str, Any]) -> AttackKind:
    """A kind of attack, from `class`, an import path, and the `arguments` of its constructor."""
    found: AttackKind = load_class(described["class"], AttackKind)(**described["arguments"])
    return found


def abouts(described: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What tables say of attacks, by name: `about` of each kind, and `relative_to` of the entry."""
    entries = {"relative_to"}
    return {
        name: kind_from(each).about | {key: each[key] for key in entries & each.keys()}
        for name, each in described.items()
    }

"""What searches share: their interface, their rounds, where they start, and which one serves a method."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.classes import load_class

# Cost of differentiating one solver step, in solver steps (measured for autograd on unrolled steps).
BACKWARD_COST = 1.48
# Serves every method with a derivative, under every operator.
GENERAL = "mrilib.attacks.searches.gradient:GradientAscent"
# Serves methods that minimise step by step.
JOINT = "mrilib.attacks.searches.joint:JointDescent"

Own = TypeVar("Own", bound="Candidates")


@dataclass(frozen=True)
class Round:
    """A stage of a search: every running candidate takes `steps`, the best `keep` (`None`: all) go on."""

    steps: int
    keep: int | None


def rounds_of(rounds: Sequence[Round | Sequence[int | None]]) -> tuple[Round, ...]:
    """Rounds from `Round`s or from pairs `[steps, keep]`, as a config has them.

    Raises:
        ValueError: if there is none, if one is no pair, or for counts below 1.
    """
    found = []
    for entry in rounds:
        steps, keep = (entry.steps, entry.keep) if isinstance(entry, Round) else _pair(entry)
        if steps is None or steps < 1 or (keep is not None and keep < 1):
            raise ValueError(f"rounds: expected steps >= 1 and keep >= 1 or null, got [{steps}, {keep}]")
        found.append(Round(steps, keep))
    if not found:
        raise ValueError("rounds: expected at least one, got none")
    return tuple(found)


def _pair(entry: Sequence[int | None]) -> tuple[int | None, int | None]:
    if len(entry) != 2:
        raise ValueError(f"rounds: expected pairs [steps, keep], got {list(entry)}")
    return entry[0], entry[1]


@dataclass(frozen=True)
class Candidates:
    """What searches carry along: all fields are tensors with an entry for every candidate."""

    def __getitem__(self: Own, candidates: Tensor) -> Own:
        return type(self)(**{name: value[candidates] for name, value in self._fields().items()})

    def put(self: Own, candidates: Tensor, found: Own) -> None:
        """Overwrite some candidates."""
        for name, value in self._fields().items():
            value[candidates] = getattr(found, name)

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Climb(Candidates):
    """Where candidates are on their way up, and the best that they have seen.

    Args:
        position: the perturbation, as the search holds it.
        best: the position with the largest value.
        value: the objective there.
        peak: the largest pixel of the artifact in the window there.
    """

    position: Tensor
    best: Tensor
    value: Float[Tensor, "candidates"]
    peak: Float[Tensor, "candidates"]


class Search(ABC):
    """Ascent of `‖φ ⊙ ρ‖₂` over `‖e‖₂ ≤ η` for several candidates at once, `ρ` as `Target.artifacts`.

    A subclass keeps its running candidates as it likes. The caller runs `rounds`, drops candidates
    between them, and judges what is left; nothing that a search says about itself is taken as a result.

    Attributes:
        label: what figures call the search; by default the name of its class.
        start: where candidates start at first.
        start_norm: norm of noise that they start from, in radii.
        artifacts: of which it can climb, complex ones and magnitudes.
        from_state: whether the search begins from the state of the clean solve, which whoever has several
            searches of one image may then solve for once.
        seconds: what an attack by it takes at one level on 256² pixels, by which jobs ask for their time;
            `None` if nobody has said.
        seconds_on_coils: the same for the whole image, 15 coils of 640×368 pixels, 2 restarts of 200 steps.
        steps_a_gradient: steps that it takes for one of the global attack's: one that solves nothing costs a
            small part of a gradient.
        loads: attribute in which problems of solvers name a class that the search loads; `None` if none.
        former_path: import path that seeds are made of, where the class has moved: seeds outlive a move.
    """

    label: ClassVar[str]
    rounds: tuple[Round, ...]
    start: ClassVar[Literal["spike", "gaussian"]] = "spike"
    start_norm: ClassVar[float] = 1.0
    artifacts: ClassVar[tuple[Artifact, ...]] = ("complex", "magnitude")
    from_state: ClassVar[bool] = False
    seconds: ClassVar[float | None] = None
    seconds_on_coils: ClassVar[float | None] = None
    steps_a_gradient: ClassVar[int] = 1
    loads: ClassVar[str | None] = None
    former_path: ClassVar[str | None] = None

    @classmethod
    def seeded_as(cls, path: str) -> str:
        """What seeds call the search that a config names by its import path."""
        return cls.__dict__.get("former_path") or path

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        """Why the search cannot attack this method under this operator; `None` if it can."""
        return None

    @classmethod
    def refusal_unless(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, *, method: type, measured_by: type
    ) -> str | None:
        """What a search made for one method under one kind of operator says of others."""
        if not isinstance(reconstructor, method):
            return cls.refused(f"expected {method.__name__}, got {type(reconstructor).__name__}")
        if not isinstance(operator, measured_by):
            return cls.refused(f"expected a {measured_by.__name__} operator, got {type(operator).__name__}")
        return None

    @classmethod
    def refusal_unless_stepped(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, *, never: str, here: str
    ) -> str | None:
        """What a search that steps through a method's own minimisation says of others.

        A method that has such steps names their class in the attribute `loads`.
        """
        name = type(reconstructor).__name__
        if getattr(reconstructor, str(cls.loads)) is None:
            return cls.refused(f"{name} {never}")
        if not reconstructor.steps_on(operator):
            return cls.refused(f"{name} {here} under {type(operator).__name__}")
        return None

    @classmethod
    def refused(cls, wrong: str) -> str:
        """A refusal; whoever tells it says which searches serve instead."""
        return f"{cls.__name__}: {wrong}"

    @abstractmethod
    def begin(self, task: Task) -> None:
        """Take up the task."""

    @abstractmethod
    def run(self, steps: int) -> Float[Tensor, "running"]:
        """Take `steps` steps with every candidate; returns each one's `‖ρ‖∞` as the search sees it."""

    def promising(self, seen: Float[Tensor, "running"]) -> Float[Tensor, "running"]:
        """What candidates are chosen by for a further round, larger is better; `seen` is what `run` gave."""
        return seen

    @abstractmethod
    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        """Go on with these of the running candidates."""

    @abstractmethod
    def found(self) -> Complex[Tensor, "running *coil ky kx"]:
        """Perturbation of each running candidate, in the budget and on the mask."""

    @property
    @abstractmethod
    def costs(self) -> dict[str, float]:
        """Counted work: `solver_steps` (a backward step counts `BACKWARD_COST`), `gradient_evaluations`."""


def chosen_search(
    given: Search | None,
    reconstructor: Reconstructor,
    operator: MeasurementOperator,
    artifact: Artifact,
    where: str,
) -> Search:
    """The search that was given, or by default one of the class that the method names for so many coils.

    If that class cannot serve the method under this operator with this artifact, the default is
    `GradientAscent`, which follows the method's own derivative.

    Raises:
        ValueError: if the given search cannot serve, or if the method has no derivative.
    """
    if given is not None:
        refusal = given.refusal(reconstructor, operator, artifact)
        if refusal is not None:
            raise ValueError(f"{where}: {refusal}; {_instead(reconstructor, operator, artifact)}")
        return given
    if reconstructor.search is None:
        raise ValueError(
            f"{where}: {type(reconstructor).__name__} has no derivative that a search could follow; "
            f"{_instead(reconstructor, operator, artifact)}; methods that have one need no search named: "
            "TotalVariation, L1, ZeroFilled, Tikhonov, Trained, TrainedMultiCoil, and your own that name one"
        )
    on_coils = reconstructor.search_on_coils if operator.kspace_axes > 2 else None
    named = load_class(on_coils or reconstructor.search, Search)
    if named.refusal(reconstructor, operator, artifact) is not None:
        named = load_class(GENERAL, Search)
    found: Search = named()
    return found


def _instead(reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact) -> str:
    """How to mend that a search does not serve a method."""
    serving = [
        path
        for path in (GENERAL, JOINT)
        if load_class(path, Search).refusal(reconstructor, operator, artifact) is None
    ]
    return f"search with {' or '.join(serving)}" if serving else "no search of ours serves it"


def gaussian_starts(
    operator: MeasurementOperator, count: int, norm: float, seed: list[int]
) -> Complex[Tensor, "count *coil ky kx"]:
    """`count` draws of complex Gaussian noise on the mask of every coil, each scaled to `norm` over all."""
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal((count, *operator.kspace_shape, 2), dtype=np.float32)
    noise = torch.view_as_complex(torch.from_numpy(draw)).to(operator.mask.device) * operator.mask
    return noise * by_item(norm / operator.kspace_norm(noise), noise)


def by_item(values: Tensor, arrays: Tensor) -> Tensor:
    """One number an item, to multiply arrays of as many items."""
    return values.reshape(-1, *[1] * (arrays.ndim - 1))


def starts_of(
    search: Search,
    operator: MeasurementOperator,
    locations: Int[Tensor, "places 2"],
    radius: float,
    seed: list[int],
    restarts: int = 1,
) -> Complex[Tensor, "candidates *coil ky kx"]:
    """Where a search of localized perturbations begins: `restarts` times at all places.

    First spikes, or noise for searches that start there; noise again for every further restart. Noise has
    `start_norm` radii.
    """
    count, norm = locations.shape[0], search.start_norm * radius
    if search.start == "spike":
        first = torch.stack([spike(operator, location, radius) for location in locations])
    else:
        first = gaussian_starts(operator, count, norm, seed)
    further = [gaussian_starts(operator, count, norm, [*seed, restart]) for restart in range(1, restarts)]
    return torch.cat([first, *further])


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

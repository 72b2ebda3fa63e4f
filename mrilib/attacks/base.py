"""What attacks share: the task of a search, its interface, and the judgement of what it found."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.chunks import Chunks
from mrilib.attacks.spike import spike
from mrilib.metrics.artifacts import amplification, severity
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.solvers.solution import Solution

# Projection in float32 leaves the norm this close to the radius.
BUDGET_SLACK = 1e-5
# Cost of differentiating one solver step, in solver steps (measured for autograd on unrolled steps).
BACKWARD_COST = 1.48


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
class Start:
    """A perturbation that a search is to begin from as well, such as one made for another method.

    Args:
        location: row and column of its window's centre; the whole image has no use for it.
        perturbation: it is taken to the mask and into the budget.
    """

    location: tuple[int, int]
    perturbation: Complex[Tensor, "ky kx"]


@dataclass(frozen=True)
class Target:
    """What is attacked: a method on one image's data.

    Args:
        reconstructor: the method.
        operator: the measurement `A`.
        kspace: clean data `y`, `(ky, kx)`.
        radius: budget `η`.
        clean: `rec(y)` as the method solved it.
    """

    reconstructor: Reconstructor
    operator: MaskedFourier
    kspace: Complex[Tensor, "ky kx"]
    radius: float
    clean: Solution


@dataclass(frozen=True)
class Task(Target):
    """What a search is given: its target, and the candidates.

    Args:
        windows: windows `φ`, `(candidates, y, x)`.
        starts: where each candidate begins, `(candidates, ky, kx)`, on the mask.
    """

    windows: Float[Tensor, "candidates y x"]
    starts: Complex[Tensor, "candidates ky kx"]


class Search(ABC):
    """Ascent of `‖φ ⊙ (rec(y + e) − rec(y))‖₂` over `‖e‖₂ ≤ η` for several candidates at once.

    A subclass keeps its running candidates as it likes. The caller runs `rounds`, drops candidates
    between them, and judges what is left; nothing that a search says about itself is taken as a result.
    """

    rounds: tuple[Round, ...]
    start: ClassVar[Literal["spike", "gaussian"]] = "spike"
    start_norm: ClassVar[float] = 1.0

    @abstractmethod
    def begin(self, task: Task) -> None:
        """Take up the task."""

    @abstractmethod
    def run(self, steps: int) -> Float[Tensor, "running"]:
        """Take `steps` steps with every candidate; returns each one's `‖ρ‖∞` as the search sees it."""

    @abstractmethod
    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        """Go on with these of the running candidates."""

    @abstractmethod
    def found(self) -> Complex[Tensor, "running ky kx"]:
        """Perturbation of each running candidate, in the budget and on the mask."""

    @property
    @abstractmethod
    def costs(self) -> dict[str, float]:
        """Counted work: `solver_steps` (a backward step counts `BACKWARD_COST`), `gradient_evaluations`."""


@dataclass(frozen=True)
class AttackResult:
    """The perturbation that an attack found, and what it does; leading axes are those of k-space.

    Args:
        perturbation: `e`, `(*batch, ky, kx)`, in the budget.
        image_perturbation: `r = A†e`, `(*batch, y, x)`.
        reconstruction: `rec(y + e)`.
        artifact: `ρ = rec(y + e) − rec(y)`.
        location: row and column of the window's centre, `(*batch, 2)`; `(−1, −1)` for the whole image.
        severity: `‖ρ‖∞`, `(*batch)`, in the units of the image.
        amplification: `α = ‖ρ‖∞/‖r‖∞`, `(*batch)`.
        severities: largest severity that the search saw at each place, `(*batch, grid, grid)`; judged
            where a place was kept to the end. Places that were kept longer had more steps: do not compare
            them. `None` for the whole image.
        severities_first_round: severity that the search saw at each place after its first round, where all
            had the same number of steps. Not judged.
        stats: counted work, seconds, and relative duality `gap` of the judged solve where the method has
            one; one entry an item.
    """

    perturbation: Tensor
    image_perturbation: Tensor
    reconstruction: Tensor
    artifact: Tensor
    location: Tensor
    severity: Tensor
    amplification: Tensor
    severities: Tensor | None
    severities_first_round: Tensor | None
    stats: dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """Perturbations with what the method, solved anew to its accuracy, makes of them."""

    perturbations: Tensor
    solution: Solution
    artifacts: Tensor
    severities: Float[Tensor, "candidates"]

    @property
    def steps(self) -> float:
        return float(self.solution.stats["steps"].sum()) if "steps" in self.solution.stats else math.nan


def gaussian_starts(
    operator: MaskedFourier, count: int, norm: float, seed: list[int]
) -> Complex[Tensor, "count ky kx"]:
    """`count` draws of complex Gaussian noise on the mask, each scaled to `norm`."""
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal((count, *operator.mask.shape, 2), dtype=np.float32)
    noise = torch.view_as_complex(torch.from_numpy(draw)).to(operator.mask.device) * operator.mask
    return noise * (norm / norm2(noise))[:, None, None]


def starts_of(
    search: Search,
    operator: MaskedFourier,
    locations: Int[Tensor, "places 2"],
    radius: float,
    seed: list[int],
    restarts: int = 1,
) -> Complex[Tensor, "candidates ky kx"]:
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


def admitted(
    perturbation: Complex[Tensor, "ky kx"], operator: MaskedFourier, radius: float
) -> Complex[Tensor, "ky kx"]:
    """Projection to the mask and to the ball of `radius`: `e·min(1, η/‖e‖₂)`."""
    inside = perturbation.to(operator.mask.device) * operator.mask
    norm = float(norm2(inside))
    return inside * (radius / norm) if norm > radius else inside


def judge(
    target: Target, perturbations: Complex[Tensor, "candidates ky kx"], *, chunk: int | None = None
) -> Judged:
    """Verify the budget and reconstruct from `y + e`, at most `chunk` candidates at once (see `Chunks`).

    Raises:
        ValueError: if a perturbation is not finite, leaves the mask or exceeds the budget: the search
            that made it is wrong.
    """
    outside = perturbations * ~target.operator.mask
    norms = norm2(perturbations)
    if not bool(norms.isfinite().all()):
        raise ValueError("attack: the search returned a perturbation with NaN or infinite entries")
    if bool(outside.abs().any()):
        raise ValueError("attack: the search returned a perturbation outside the mask")
    largest = float(norms.max())
    if largest > target.radius * (1.0 + BUDGET_SLACK):
        raise ValueError(
            f"attack: the search returned norm {largest:.6g} above the radius {target.radius:.6g}"
        )

    def solved(part: Tensor) -> Solution:
        return target.reconstructor.solve(target.kspace + perturbations[part], target.operator)

    solution = _joined(Chunks(chunk, perturbations.device).map(solved, perturbations.shape[0]))
    artifacts = solution.value - target.clean.value
    return Judged(perturbations, solution, artifacts, severity(artifacts))


def _joined(solutions: list[Solution]) -> Solution:
    """Solutions of the parts of a batch as one; states, which nobody needs here, are dropped."""
    failed = [solution.status for solution in solutions if solution.status.failed]
    return Solution(
        torch.cat([solution.value for solution in solutions]),
        failed[0] if failed else solutions[0].status,
        {key: torch.cat([solution.stats[key] for solution in solutions]) for key in solutions[0].stats},
    )


def clean_solution(
    reconstructor: Reconstructor, kspace: Tensor, operator: MaskedFourier, given: Solution | None
) -> Solution:
    """`rec(y)` of one item: solved here, or as the caller has it."""
    if given is None:
        return reconstructor.solve(kspace, operator)
    if given.value.shape != kspace.shape:
        raise ValueError(
            f"attack: expected clean as a solution of one item {tuple(kspace.shape)}, "
            f"got {tuple(given.value.shape)}; leave it out for batches"
        )
    return given


def check_attack(
    kspace: Tensor, operator: MaskedFourier, radius: float | Tensor, where: str, starts: Sequence[Start] = ()
) -> Float[Tensor, "items"]:
    """Validate an attack's input; one radius an item of the flattened batch."""
    check_kspace(kspace, where)
    batch = kspace.shape[:-2]
    if starts and math.prod(batch) != 1:
        raise ValueError(f"{where}: starts are those of one item, got a batch {tuple(batch)}; go one by one")
    for start in starts:
        if start.perturbation.shape != kspace.shape[-2:]:
            raise ValueError(
                f"{where}: expected starts shaped {tuple(kspace.shape[-2:])} as the data, "
                f"got {tuple(start.perturbation.shape)}"
            )
    radii = torch.as_tensor(radius, dtype=torch.float64)
    if radii.ndim and radii.shape != batch:
        raise ValueError(
            f"{where}: expected one radius, or one an item {tuple(batch)}, got shape {tuple(radii.shape)}"
        )
    radii = radii.expand(batch).reshape(math.prod(batch))
    if not bool((radii.isfinite() & (radii > 0)).all()):
        raise ValueError(f"{where}: expected radius > 0, one number or one an item, got {radius}")
    return radii


def result_of(
    target: Target,
    judged: Judged,
    best: int,
    *,
    location: Tensor,
    stats: dict[str, Any],
    severities: Tensor | None = None,
    severities_first_round: Tensor | None = None,
) -> AttackResult:
    """Assemble one item's result from the judged candidate `best`."""
    perturbation = judged.perturbations[best]
    image_perturbation = target.operator.pinv(perturbation)
    solved = {key: value[best] for key, value in judged.solution.stats.items() if key in ("gap", "objective")}
    return AttackResult(
        perturbation=perturbation,
        image_perturbation=image_perturbation,
        reconstruction=judged.solution.value[best],
        artifact=judged.artifacts[best],
        location=location,
        severity=judged.severities[best],
        amplification=amplification(judged.artifacts[best], image_perturbation),
        severities=severities,
        severities_first_round=severities_first_round,
        stats=stats | solved,
    )


def stacked(results: list[AttackResult], batch: torch.Size) -> AttackResult:
    """Results of the items of a batch as one, with the batch's axes."""

    def joined(name: str) -> Tensor:
        values = torch.stack([getattr(result, name) for result in results])
        return values.reshape((*batch, *values.shape[1:]))

    first = results[0]
    return AttackResult(
        **{
            name: joined(name)
            for name in (
                "perturbation",
                "image_perturbation",
                "reconstruction",
                "artifact",
                "location",
                "severity",
                "amplification",
            )
        },
        severities=None if first.severities is None else joined("severities"),
        severities_first_round=None if first.severities is None else joined("severities_first_round"),
        stats={
            key: torch.stack([torch.as_tensor(result.stats[key]) for result in results]).reshape(batch)
            for key in first.stats
        },
    )


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

"""What a perturbation does, found anew: no number of a search is a result."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.chunks import Chunks
from mrilib.attacks.target import Target
from mrilib.metrics.artifacts import amplification, severity
from mrilib.reconstructors.base import not_finite
from mrilib.solvers.solution import Solution, Status

# Projection in float32 leaves the norm closer than this to the radius: its factor is rounded, 6e-8, and so
# is the norm; roundings of the entries average out.
BUDGET_SLACK = 1e-6
# What is kept of the judged solve, where the method has it.
SOLVED = ("gap", "objective", "error_bound")


@dataclass(frozen=True)
class AttackResult:
    """The perturbation that an attack found, and what it does; leading axes are those of k-space.

    Args:
        perturbation: `e`, `(*batch, ky, kx)` or `(*batch, coil, ky, kx)`, in the budget.
        image_perturbation: `r`, `A†e` of a single coil and `Aᴴe` of several, `(*batch, y, x)`.
        reconstruction: `rec(y + e)`, a complex one as coils see it (`operator.seen`).
        artifact: `ρ`, of `rec(y + e)` and `rec(y)`: see `Target.artifacts`.
        location: row and column of the window's centre, `(*batch, 2)`; `(−1, −1)` for the whole image.
        severity: `‖ρ‖∞`, `(*batch)`, in the units of the image.
        amplification: `α = ‖ρ‖∞/‖r‖∞`, `(*batch)`.
        severities: largest severity that the search saw at each place, `(*batch, grid, grid)`; judged
            where a place was kept to the end, NaN where a place was left out. Places that were kept longer
            had more steps: do not compare them. `None` for the whole image.
        severities_first_round: severity that the search saw at each place after its first round, where all
            had the same number of steps. Not judged.
        stats: counted work, seconds, and `SOLVED` of the judged solve where the method has them; one entry an
            item.
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
    """Perturbations with what the method, solved anew to its accuracy, makes of them.

    Args:
        perturbations: `e`, those judged.
        reconstructions: `rec(y + e)`, as coils see it.
        artifacts: `ρ`.
        severities: `‖ρ‖∞`.
        stats: of the solver, one entry a candidate.
    """

    perturbations: Tensor
    reconstructions: Tensor
    artifacts: Tensor
    severities: Float[Tensor, "candidates"]
    stats: dict[str, Tensor]

    @property
    def steps(self) -> float:
        return float(self.stats["steps"].sum()) if "steps" in self.stats else math.nan


def judge(target: Target, perturbations: Tensor, *, chunk: int | None = None) -> Judged:
    """Verify the budget and reconstruct from `y + e`, at most `chunk` candidates at once (see `Chunks`).

    Args:
        target: what is attacked.
        perturbations: `(candidates, ky, kx)` or `(candidates, coil, ky, kx)`.
        chunk: the largest part.

    Raises:
        ValueError: if a perturbation is not finite, leaves the mask or exceeds the budget, over all coils,
            by more than `BUDGET_SLACK`: the search that made it is wrong.
        FloatingPointError: if a reconstruction is not finite.
    """
    outside = perturbations * ~target.operator.mask
    norms = target.operator.kspace_norm(perturbations)
    if not bool(norms.isfinite().all()):
        raise ValueError("attack: the search returned a perturbation with NaN or infinite entries")
    if bool(outside.abs().any()):
        raise ValueError("attack: the search returned a perturbation outside the mask")
    largest = float(norms.max())
    if largest > target.radius * (1.0 + BUDGET_SLACK):
        raise ValueError(
            f"attack: the search returned norm {largest:.9g} above the radius {target.radius:.9g}"
        )

    def solved(part: Tensor) -> Solution:
        return target.reconstructor.solve(target.kspace + perturbations[part], target.operator)

    solutions = Chunks(chunk, perturbations.device).map(solved, perturbations.shape[0])
    images = target.observed(torch.cat([solution.value for solution in solutions]))
    wrong = not_finite(images)
    if wrong:
        raise FloatingPointError(
            f"attack: {Status.NOT_FINITE.value}, {wrong} of {images.numel()} pixels that "
            f"{type(target.reconstructor).__name__} makes of perturbed data"
        )
    artifacts = target.artifacts(images)
    return Judged(perturbations, images, artifacts, severity(artifacts), _stats_of(solutions))


def _stats_of(solutions: list[Solution]) -> dict[str, Tensor]:
    """Stats of the parts of a batch as one; those that do not have one entry an item are left out."""

    def by_item(key: str) -> bool:
        return all(
            isinstance(value := solution.stats[key], Tensor) and value.shape == solution.value.shape[:1]
            for solution in solutions
        )

    return {
        key: torch.cat([solution.stats[key] for solution in solutions])
        for key in solutions[0].stats
        if by_item(key)
    }


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
    image_perturbation = target.operator.to_image(perturbation)
    solved = {key: value[best] for key, value in judged.stats.items() if key in SOLVED}
    return AttackResult(
        perturbation=perturbation,
        image_perturbation=image_perturbation,
        reconstruction=judged.reconstructions[best],
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

"""A check on what a search found: no attack may be weaker than a perturbation that needed no search.

A method can hide its derivative (rounding, saturation, randomness) and look robust to every search that
follows one. Closed-form spikes, noise and the perturbations made for other methods need none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.attacks.judge import AttackResult, Judged, judge
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.searches.base import Clock, gaussian_starts
from mrilib.attacks.target import Start, Target, admitted

# Restarts of a search that was found too weak, unless it had more.
MORE_RESTARTS = 4
# Relative excess of a rival that is no rounding: the accuracy to which methods are judged.
MARGIN = 1e-3
# Counted work, which adds up over searches.
WORK = ("solver_steps", "gradient_evaluations", "judging_steps")

Measure = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Rival:
    """A perturbation that an attack must not be weaker than; it is taken to the mask and into the budget."""

    name: str
    perturbation: Complex[Tensor, "*coil ky kx"]


def baselines(target: Target, spikes: dict[str, tuple[int, int]], seed: list[int]) -> list[Rival]:
    """Rivals of the budget's norm that need no search: a spike at each named place, and Gaussian noise."""
    found = [Rival(name, spike(target.operator, place, target.radius)) for name, place in spikes.items()]
    (noise,) = gaussian_starts(target.operator, 1, target.radius, seed)
    return [*found, Rival("gaussian", noise)]


def strengthened(
    run: Callable[[int, list[Start]], AttackResult],
    target: Target,
    result: AttackResult,
    rivals: Sequence[Rival],
    *,
    measure: Measure,
    restarts: int,
) -> tuple[AttackResult, dict[str, Any]]:
    """Repeat a search that is weaker than a rival, and from there; the best of all is the result.

    A rival beats a search if the measure of its artifact is larger by more than `MARGIN`, relatively. Then
    the search runs again with `MORE_RESTARTS` restarts, or its own number if that is larger, and from the
    rivals that beat it, each with its window at the pixel of its largest artifact. The result is the better
    of both searches; the second is no weaker than the rivals.

    Args:
        run: the attack, called with restarts and starts; its result is no weaker than its starts.
        target: what it attacks.
        result: what it found, of a single item.
        rivals: at least one.
        measure: what the attack maximises, of an artifact: `‖ρ‖∞` or `‖ρ‖₂`.
        restarts: those of the first search.

    Returns:
        The result, whose `stats` sum the work of both searches and of judging the rivals; for the record
        `weaker_than` (the strongest rival that beat the first search, or ""), `first_value`, `rival_value`
        (the measure of the first search and of the strongest rival), and `restarts` of the last search.
    """
    clock = Clock()
    perturbations = [
        admitted(rival.perturbation, target.operator, target.radius).to(target.kspace) for rival in rivals
    ]
    judged = judge(target, torch.stack(perturbations))
    values = [float(measure(artifact)) for artifact in judged.artifacts]
    first, strongest = float(measure(result.artifact)), max(range(len(values)), key=values.__getitem__)
    beating = [item for item, value in enumerate(values) if value > first * (1.0 + MARGIN)]
    weaker_than = rivals[strongest].name if beating else ""
    runs = [result]
    if beating:
        restarts = max(MORE_RESTARTS, restarts)
        print(
            f"{weaker_than} reaches {values[strongest]:.4g}, the search {first:.4g}: "
            f"searching again with {restarts} restarts",
            flush=True,
        )
        starts = [Start(_largest_pixel(judged, item), judged.perturbations[item]) for item in beating]
        runs.append(run(restarts, starts))
    best = max(runs, key=lambda found: float(measure(found.artifact)))
    spent = {key: sum(float(found.stats[key]) for found in runs) for key in WORK}
    spent["judging_steps"] += judged.steps
    # The clock saw the second search, too.
    spent["seconds"] = float(result.stats["seconds"]) + clock.seconds
    return replace(best, stats=best.stats | {key: torch.tensor(value) for key, value in spent.items()}), {
        "weaker_than": weaker_than,
        "first_value": first,
        "rival_value": values[strongest],
        "restarts": restarts,
    }


def _largest_pixel(judged: Judged, item: int) -> tuple[int, int]:
    artifact = judged.artifacts[item]
    row, column = divmod(int(artifact.abs().argmax()), artifact.shape[-1])
    return row, column

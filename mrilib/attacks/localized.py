"""The localized attack, eq. (6): the worst artifact inside a small disk, over a grid of places."""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.base import (
    AttackResult,
    Clock,
    Judged,
    Search,
    Task,
    check_attack,
    clean_solution,
    judge,
    result_of,
    stacked,
    starts_of,
)
from mrilib.attacks.objectives import grid_locations, localized_windows
from mrilib.metrics.artifacts import severity
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import Solution


def localized_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch ky kx"],
    operator: MaskedFourier,
    *,
    radius: float | Float[Tensor, "*batch"],
    grid: int = 8,
    disk_radius: float = 5.0,
    objective: Literal["peak", "disk"] = "peak",
    seed: int,
    search: Search | None = None,
    select: Literal["clean", "truth"] = "clean",
    truth: Tensor | None = None,
    clean: Solution | None = None,
) -> AttackResult:
    """Maximise `‖φ ⊙ (rec(y + e) − rec(y))‖₂` over `‖e‖₂ ≤ η` at every place of a grid; keep the worst.

    `φ` is the indicator of a disk (`disk`, eq. (6)) or of its centre (`peak`, its limit for a small disk,
    which climbs the very number that judges). Centres stand at `(k + ½)·n/grid`. The search drops
    places between its rounds; what it keeps to the end is solved anew to the reconstructor's accuracy, and
    the place with the largest `‖ρ‖∞`, `ρ = rec(y + e) − rec(y)`, is the result.

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`; leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        grid: places along each axis.
        disk_radius: radius `σ` of the disk in pixels (5 holds 81 pixels).
        objective: `peak` or `disk`.
        seed: seed of random starts; the spike, where the searches of this package start, needs none.
        search: how to search; by default a new one of the class that the reconstructor names.
        select: judge places by the change of the reconstruction (`clean`) or, as the reference does, by
            the difference of moduli to `truth`.
        truth: the image itself, shaped as the reconstruction; only for `select="truth"`.
        clean: `reconstructor.solve(kspace, operator)` of a single item, if the caller has it.

    Returns:
        `AttackResult`, batched as `kspace`; `stats`: `solver_steps`, `gradient_evaluations`,
        `judging_steps`, `seconds`, `gap` and `objective` of the judged solve where the method has them.

    Raises:
        ValueError: for arguments out of range.

    Source: [alaifari2023], eq. (6). Deviates: complex difference instead of moduli, clean reconstruction as
    reference, best iterate instead of last.
    """
    radii = check_attack(kspace, operator, radius, "localized_attack")
    height, width = kspace.shape[-2:]
    if not 1 <= grid <= min(height, width):
        raise ValueError(f"localized_attack: expected 1 <= grid <= {min(height, width)}, got {grid}")
    if objective not in ("peak", "disk"):
        raise ValueError(f"localized_attack: expected objective 'peak' or 'disk', got {objective!r}")
    if disk_radius < 0:
        raise ValueError(f"localized_attack: expected disk_radius >= 0, got {disk_radius}")
    if (select == "truth") != (truth is not None):
        raise ValueError("localized_attack: select='truth' goes with truth, and truth with it alone")
    locations = grid_locations(height, width, grid)
    windows = localized_windows(locations, height, width, objective=objective, disk_radius=disk_radius)
    windows = windows.to(kspace.real)
    flat = kspace.reshape(-1, height, width)
    truths = None if truth is None else truth.reshape(-1, height, width)
    results = []
    for item, item_radius in enumerate(radii.tolist()):
        clock = Clock()
        running = load_class(reconstructor.search, Search)() if search is None else search
        task = Task(
            reconstructor=reconstructor,
            operator=operator,
            kspace=flat[item],
            radius=item_radius,
            clean=clean_solution(reconstructor, flat[item], operator, clean),
            windows=windows,
            starts=starts_of(running, operator, locations, item_radius, [seed, item]).to(kspace),
        )
        candidates, severities, first_round = _search(running, task)
        judged = judge(task, running.found())
        ranking = judged.severities if truths is None else _severity_to_truth(judged, truths[item])
        best = int(ranking.argmax())
        severities[candidates] = judged.severities.cpu()
        results.append(
            result_of(
                task,
                judged,
                best,
                location=locations[candidates[best]],
                severities=severities.reshape(grid, grid),
                severities_first_round=first_round.reshape(grid, grid),
                stats={**running.costs, "judging_steps": judged.steps, "seconds": clock.seconds},
            )
        )
    return stacked(results, kspace.shape[:-2])


def _search(search: Search, task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Run the rounds: candidates left at the end, severity last seen of every one, and after round one."""
    search.begin(task)
    candidates = torch.arange(task.windows.shape[0])
    severities = torch.zeros(task.windows.shape[0], dtype=task.windows.dtype)
    first_round = None
    for stage in search.rounds:
        seen = search.run(stage.steps).to(severities)
        severities[candidates] = seen
        first_round = severities.clone() if first_round is None else first_round
        if stage.keep is not None and stage.keep < candidates.numel():
            kept = seen.topk(stage.keep).indices
            search.keep(kept)
            candidates = candidates[kept]
    return candidates, severities, severities if first_round is None else first_round


def _severity_to_truth(judged: Judged, truth: Tensor) -> Tensor:
    return severity(judged.solution.value.abs() - truth.abs())

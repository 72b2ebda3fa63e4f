"""The localized attack, eq. (6): the worst artifact inside a small disk, over a grid of places."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.base import AttackResult, Judged, Search, Start, check_attack, starts_of
from mrilib.attacks.objectives import grid_locations, localized_windows
from mrilib.attacks.rounds import GIVEN, Found, attacked
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
    restarts: int = 1,
    starts: Sequence[Start] = (),
    search: Search | None = None,
    select: Literal["clean", "truth"] = "clean",
    truth: Tensor | None = None,
    clean: Solution | None = None,
) -> AttackResult:
    """Maximise `‖φ ⊙ (rec(y + e) − rec(y))‖₂` over `‖e‖₂ ≤ η` at every place of a grid; keep the worst.

    `φ` is the indicator of a disk (`disk`, eq. (6)) or of its centre (`peak`, its limit for a small disk,
    which climbs the very number that judges). Centres stand at `(k + ½)·n/grid`. The search drops
    places between its rounds, in every restart by itself, so that one more never makes the result worse;
    what it keeps to the end is solved anew to the reconstructor's accuracy, and the place with the largest
    `‖ρ‖∞`, `ρ = rec(y + e) − rec(y)`, is the result.

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`; leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        grid: places along each axis.
        disk_radius: radius `σ` of the disk in pixels (5 holds 81 pixels).
        objective: `peak` or `disk`.
        seed: seed of random starts; the spike, where most searches of this package start, needs none.
        restarts: searches of the whole grid: the first from the search's own kind of start, further ones
            from Gaussian noise.
        starts: further candidates with windows of their own at any pixel, kept to the end; the result is
            no weaker than any of them. Only for a single item.
        search: how to search; by default a new one of the class that the reconstructor names.
        select: judge places by the change of the reconstruction (`clean`) or, as the reference does, by
            the difference of moduli to `truth`.
        truth: the image itself, shaped as the reconstruction; only for `select="truth"`.
        clean: `reconstructor.solve(kspace, operator)` of a single item, if the caller has it.

    Returns:
        `AttackResult`, batched as `kspace`; the location is off the grid where one of `starts` won, and the
        maps hold each place's largest value over the restarts. `stats`: `solver_steps`,
        `gradient_evaluations`, `judging_steps`, `seconds`, `gap` and `objective` of the judged solve where
        the method has them.

    Raises:
        ValueError: for arguments out of range.

    Source: [alaifari2023], eq. (6). Deviates: complex difference instead of moduli, clean reconstruction as
    reference, best iterate instead of last.
    """
    radii = check_attack(kspace, operator, radius, "localized_attack", starts)
    height, width = kspace.shape[-2:]
    if not 1 <= grid <= min(height, width):
        raise ValueError(f"localized_attack: expected 1 <= grid <= {min(height, width)}, got {grid}")
    if objective not in ("peak", "disk"):
        raise ValueError(f"localized_attack: expected objective 'peak' or 'disk', got {objective!r}")
    if disk_radius < 0:
        raise ValueError(f"localized_attack: expected disk_radius >= 0, got {disk_radius}")
    if restarts < 1:
        raise ValueError(f"localized_attack: expected restarts >= 1, got {restarts}")
    if (select == "truth") != (truth is not None):
        raise ValueError("localized_attack: select='truth' goes with truth, and truth with it alone")
    for row, column in (start.location for start in starts):
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(
                f"localized_attack: expected starts inside ({height}, {width}), got ({row}, {column})"
            )
    running = load_class(reconstructor.search, Search)() if search is None else search
    places = grid_locations(height, width, grid)
    elsewhere = torch.tensor([start.location for start in starts], dtype=torch.long).reshape(-1, 2)
    locations = torch.cat([places.repeat(restarts, 1), elsewhere])
    windows = localized_windows(locations, height, width, objective=objective, disk_radius=disk_radius)
    windows = windows.to(kspace.real)
    groups = torch.arange(restarts).repeat_interleave(len(places))
    groups = torch.cat([groups, torch.full((len(starts),), GIVEN)])
    truths = None if truth is None else truth.reshape(-1, height, width)

    def over_restarts(values: Tensor) -> Tensor:
        return values[: restarts * len(places)].reshape(restarts, grid, grid).amax(0)

    def chosen(item: int, found: Found) -> tuple[int, dict[str, Any]]:
        judged = found.judged
        ranking = judged.severities if truths is None else _severity_to_truth(judged, truths[item])
        best = int(ranking.argmax())
        return best, {
            "location": locations[found.candidates[best]],
            "severities": over_restarts(found.seen),
            "severities_first_round": over_restarts(found.first_round),
        }

    return attacked(
        reconstructor,
        kspace,
        operator,
        radii,
        search=running,
        windows=windows,
        groups=groups,
        rounds=running.rounds,
        own=lambda item, radius: starts_of(running, operator, places, radius, [seed, item], restarts),
        given=starts,
        clean=clean,
        chosen=chosen,
    )


def _severity_to_truth(judged: Judged, truth: Tensor) -> Tensor:
    return severity(judged.solution.value.abs() - truth.abs())

"""The global attack, eq. (4): the worst artifact over the whole image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.base import AttackResult, Round, Search, Start, check_attack, gaussian_starts
from mrilib.attacks.rounds import GIVEN, Found, attacked
from mrilib.attacks.spike import spike
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import Solution


def global_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch ky kx"],
    operator: MaskedFourier,
    *,
    radius: float | Float[Tensor, "*batch"],
    steps: int = 100,
    restarts: int = 2,
    seed: int,
    starts: Sequence[Start] = (),
    search: Search | None = None,
    clean: Solution | None = None,
) -> AttackResult:
    """Maximise `‖rec(y + e) − rec(y)‖₂` over `‖e‖₂ ≤ η`, from `restarts` random starts.

    Starts are in turn a spike at a random pixel and Gaussian noise: on total variation neither kind leads to
    what the other finds, and either can be the worse.

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`; leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        steps: steps of the search from every start.
        restarts: number of starts, of norm `η`; from two on both kinds are among them.
        seed: their seed.
        starts: further ones, whose locations do not matter; the result is no weaker than any of them. Only
            for a single item.
        search: how to search; by default a new one of the class that the reconstructor names. Its rounds
            are not used.
        clean: `reconstructor.solve(kspace, operator)` of a single item, if the caller has it.

    Returns:
        `AttackResult`, batched as `kspace`, of the start with the largest `‖ρ‖₂`; `severities` is `None`.

    Raises:
        ValueError: for arguments out of range.

    Source: [alaifari2023], eq. (4).
    """
    radii = check_attack(kspace, operator, radius, "global_attack", starts)
    if steps < 1 or restarts < 1:
        raise ValueError(f"global_attack: expected steps >= 1 and restarts >= 1, got {steps} and {restarts}")
    running = load_class(reconstructor.search, Search)() if search is None else search
    height, width = kspace.shape[-2:]
    count = restarts + len(starts)

    def chosen(_: int, found: Found) -> tuple[int, dict[str, Any]]:
        return int(norm2(found.judged.artifacts).argmax()), {"location": torch.tensor([-1, -1])}

    return attacked(
        reconstructor,
        kspace,
        operator,
        radii,
        search=running,
        windows=torch.ones((count, height, width), device=kspace.device, dtype=kspace.real.dtype),
        groups=torch.tensor([0] * restarts + [GIVEN] * len(starts)),
        rounds=(Round(steps, None),),
        own=lambda item, radius: _starts(operator, restarts, radius, [seed, item]),
        given=starts,
        clean=clean,
        chosen=chosen,
    )


def _starts(
    operator: MaskedFourier, count: int, radius: float, seed: list[int]
) -> Complex[Tensor, "count ky kx"]:
    starts = gaussian_starts(operator, count, radius, seed)
    pixels = np.random.default_rng(seed).integers(operator.mask.shape, size=(count, 2))
    for item in range(0, count, 2):
        starts[item] = spike(operator, torch.from_numpy(pixels[item]), radius)
    return starts

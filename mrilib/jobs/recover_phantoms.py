"""Recovery of phantoms with and without a spike, and attacks; an image is a unit."""

import math
from functools import partial
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.spike import spike
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.sampling.radial import radial_mask
from mrilib.metrics.artifacts import amplification
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.solution import NotConvergedError
from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore, derived_seed
from mrilib.theory.tables import PLANE_KINDS


def recover_phantoms(
    size: int,
    lines: int,
    store: UnitStore,
    *,
    images: int,
    weight: float,
    level: float,
    tolerance: float,
    grid: int,
    ramps: bool = False,
    seed: int,
    code: str,
) -> pd.DataFrame:
    """What total variation with a small weight makes of `x`, of `x + δ`, and of the worst perturbation.

    With `½‖Az − y‖² + λ‖∇z‖₁` and a small `λ` (the data are met to about `λ`), of `x` a phantom and `y = Ax`:

    - `distance` `‖rec(y) − x‖₂/‖x‖₂`, and `artifact_distance` the same of `x + tδ`, whose data are `y + e`,
      `e` the closed-form spike of norm `level·‖y‖₂`; both are of the order of `λ` where the signals are
      recovered. No uniqueness is proved. Their `gap` is certified;
    - `spike_amplification` of that `e`, `least` `n²/m`, which it is where both are recovered;
    - `amplification` and `severity` of the localized attack with the same budget.

    Args:
        size: side of the images.
        lines: of the radial mask.
        store: of the units.
        images: number of phantoms.
        weight: `λ`.
        level: of the budget.
        tolerance: relative gap of the solver.
        grid: places along each axis of the attack.
        ramps: whether phantoms are piecewise linear, as the paper's: these are not recovered, so that
            `distance` is what is lost of them; else they are piecewise constant.
        seed: of the run; the same phantoms at every size.
        code: code hash, a part of the units' keys.

    Returns:
        A row an image: `PLANE_KINDS` of `mrilib.theory.tables`; a solver that gave up has a text in `failed`.

    Source: [alaifari2023], section 5, whose theorems are of one dimension; [candes2006] for radial lines.
    """
    settings: dict[str, Any] = {"weight": weight, "level": level, "tolerance": tolerance, "grid": grid}
    settings |= {"ramps": ramps}
    rows = []
    for position in range(images):
        key = {"stage": "recover-phantoms", "size": size, "lines": lines, "position": position}
        key |= settings | {"seed": seed, "code": code}
        compute = partial(_recovered, size, lines, position, seed=seed, **settings)
        found = store.get(key, compute).attributes
        print(f"image {position}: {found}", flush=True)
        rows.append({"size": size, "lines": lines, "draw": position} | found)
    usual = {name: "" if kind == "text" else math.nan for name, kind in PLANE_KINDS.items()}
    return pd.DataFrame([usual | row for row in rows], columns=[*PLANE_KINDS])


def flat_places(image: Float[Tensor, "y x"]) -> Int[Tensor, "place 2"]:
    """Pixels of the object whose eight neighbours have the same value."""
    same = image > 0
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            same &= image.roll((rows, columns), (0, 1)) == image
    return same.nonzero()


def _recovered(
    size: int,
    lines: int,
    position: int,
    *,
    weight: float,
    level: float,
    tolerance: float,
    grid: int,
    ramps: bool,
    seed: int,
) -> Group:
    drawn = derived_seed(seed, "phantoms")
    # The same ellipses either way, so that the place is the same too.
    constant, image = (
        ellipse_phantoms(1, size=size, seed=drawn, first=position, ramps=each)[0] for each in (False, ramps)
    )
    operator = MaskedFourier(mask=radial_mask(size, lines))
    kspace = operator.forward(image.to(torch.complex64))
    samples, budget = int(operator.mask.sum()), level * float(norm2(kspace))
    places = flat_places(constant)
    chosen = torch.Generator().manual_seed(derived_seed(seed, "place", position))
    place = places[int(torch.randint(len(places), (1,), generator=chosen))]
    perturbation = spike(operator, place, budget)
    found: dict[str, Any] = {"samples": samples, "weight": weight, "level": level, "least": size**2 / samples}
    reconstructor = TotalVariation(weight=weight, tolerance=tolerance)
    try:
        clean = reconstructor.solve(kspace, operator)
        other = reconstructor.solve(kspace + perturbation, operator)
        attack = localized_attack(
            reconstructor,
            kspace,
            operator,
            radius=budget,
            grid=grid,
            seed=derived_seed(seed, "attack", size, lines, position),
            clean=clean,
        )
    except NotConvergedError as error:
        return Group(attributes=found | {"failed": str(error)})
    target = image.to(torch.complex64).clone()
    target[place[0], place[1]] += budget * size / math.sqrt(samples)
    picture = operator.adjoint(perturbation)
    found |= {
        "distance": float(norm2(clean.value - image) / norm2(image)),
        "artifact_distance": float(norm2(other.value - target) / norm2(target)),
        "gap": max(float(clean.stats["gap"]), float(other.stats["gap"])),
        "spike_amplification": float(amplification(other.value - clean.value, picture)),
        "amplification": float(attack.amplification),
        "severity": float(attack.severity),
    }
    return Group(attributes=found)

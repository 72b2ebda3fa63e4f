"""How far a reconstruction may be from what its method means: what an artifact has to stand out of."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.attacks.judge import Judged, judge
from mrilib.attacks.target import Target
from mrilib.solvers.solution import NotConvergedError


def rounding(target: Target, seed: int) -> float:
    """`‖rec(y') − rec(y)‖∞`, where `y'` differs from `y` in the last bit of every entry.

    It is what a method makes of nothing: its rounding, a solver that stops at another step, a fit that goes
    another way, and the difference between this machine and the one that made the clean reconstruction.
    Any method can be asked. It costs one more reconstruction. Of methods with a seed `refitted` says more.

    Args:
        target: the method on clean data; its radius does not count.
        seed: of the signs by which entries differ.

    Returns:
        In the units of the image; infinite if the method gives up on `y'`.
    """
    change = _last_bit(target.kspace, seed)
    # Room for the rounding of the norm itself.
    radius = 2.0 * float(target.operator.kspace_norm(change))
    try:
        judged = judge(replace(target, radius=radius), change[None])
    except (NotConvergedError, FloatingPointError):
        return math.inf
    return float(judged.severities[0])


def refitted(target: Target, seed: int) -> Judged:
    """What a method with a seed makes of clean data with another one: `rec'(y)`, and `ρ = rec'(y) − rec(y)`.

    No perturbation is in it. An attack whose artifact is no larger than that of two fits has shown nothing.

    Args:
        target: the method on clean data; its radius does not count.
        seed: the other one.

    Raises:
        ValueError: if the method draws nothing.
        FloatingPointError: if the fit diverges.

    Source: our choice.
    """
    other = replace(target, reconstructor=target.reconstructor.reseeded(seed))
    return judge(other, torch.zeros_like(target.kspace)[None])


def accuracy(target: Target, *, rounding: float, bounds: Iterable[float | None]) -> float:
    """What of an artifact's largest pixel may be the solver's own: the larger of two numbers.

    - `rounding`, which is measured;
    - `Σᵢ bᵢ/√n` over both reconstructions that make the artifact, with `n` pixels and a solver's bound
      `bᵢ ≥ ‖A(zᵢ − zᵢ*)‖₂` of its distance from the minimiser (`error_bound` of its stats): the root mean
      square of a pixel's error that the certificate allows. Methods without a certificate have none.

    The bound holds for what is measured; of the rest the convex problems here allow no bound, and it is
    taken to be as far. On phantoms of 64² and 128² pixels under total variation, at tolerances from 1e-3 to
    1e-5, the largest error of a pixel was 0.3 to 6.5 times `b/√n`; a result is doubted below ten times
    (`mrilib.experiments.scores.doubtful`).

    Args:
        target: the method on its data.
        rounding: of the method on these data.
        bounds: of the clean and of the perturbed reconstruction; `None` where there is none.

    Returns:
        In the units of the image.

    Source: our choice.
    """
    allowed = sum(bound for bound in bounds if bound is not None) / math.sqrt(target.operator.mask.numel())
    return max(rounding, allowed)


def _last_bit(kspace: Complex[Tensor, "*coil ky kx"], seed: int) -> Complex[Tensor, "*coil ky kx"]:
    """What changes real and imaginary part of every entry by one part in `2²³` (float32), up or down."""
    parts = torch.view_as_real(kspace)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=tuple(parts.shape))
    step = torch.finfo(parts.dtype).eps * torch.from_numpy(signs).to(parts)
    return torch.view_as_complex(parts * step)

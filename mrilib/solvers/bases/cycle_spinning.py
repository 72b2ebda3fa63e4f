"""Proximal gradients whose basis is shifted at random from step to step.

With `R` the periodic shift of an image along both axes, drawn anew for every step, one step is

    `x₊ = RᴴΨᴴS(ΨR(z − (AᴴAz − b)))`,   `z = x₊ + (t − 1)/t₊·(x₊ − x)`,   `t₊ = (1 + √(1 + 4t²))/2`,

`S` the complex soft threshold by λ and `b = Aᴴy`. With all shifts zero these are the steps of [beck2009].
With random ones each step takes away other artifacts of the wavelet's grid, but the steps minimise nothing,
so there is neither a gap to stop at nor a minimiser to differentiate.

Source: averaging over shifts [coifman1995]; shifts drawn at random inside an iteration [figueiredo2003],
which is also what BART's `pics` does unless told otherwise.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.coils.data import CoilData, Images

Shifts = Int64[Tensor, "steps 2"]


def random_shifts(steps: int, largest: int, seed: int) -> Shifts:
    """Shifts along y and x, each uniform on `0, …, largest − 1`; the same for the same arguments.

    The first `n` of `m ≥ n` steps are those of `n` steps.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randint(largest, (1, 2), generator=generator) for _ in range(steps)])


def shifted_threshold(image: Images, basis: Basis, threshold: Tensor, shift: tuple[int, int]) -> Images:
    """`RᴴΨᴴS(ΨRx)`; `threshold` broadcasts against coefficients."""
    rolled = torch.roll(image, shift, (-2, -1))
    kept = basis.adjoint_to(shrink(basis.forward(rolled), threshold), *image.shape[-2:])
    return torch.roll(kept, (-shift[0], -shift[1]), (-2, -1))


def spin(measurement: CoilData, basis: Basis, weight: Tensor, shifts: Shifts) -> Images:
    """Image after one step a shift, from zero, differentiable in `measurement.data`.

    Args:
        measurement: `A` with `‖A‖ ≤ 1`, and `y`.
        basis: `Ψ`; where it zero-pads, the image is shifted before it is padded.
        weight: `λ`, `(batch)`.
        shifts: of every step.
    """
    projected = measurement.adjoint(measurement.data)
    current = ahead = torch.zeros_like(projected)
    momentum = 1.0
    for down, across in shifts.tolist():
        moved = ahead + (projected - measurement.normal(ahead))
        found = shifted_threshold(moved, basis, weight[:, None, None], (down, across))
        following = 0.5 * (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5)
        ahead = found + (momentum - 1.0) / following * (found - current)
        current, momentum = found, following
    return current

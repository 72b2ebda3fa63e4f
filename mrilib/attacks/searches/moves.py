"""How the coupled search moves perturbations: in torch, and fused for one image on one core."""

import numpy as np
from jaxtyping import Complex, Float
from torch import Tensor, where, zeros_like

from mrilib.attacks.searches.coordinates import Ground
from mrilib.solvers.compiled import jit
from mrilib.solvers.kernels import ONE, TWO


def moved(
    ground: Ground,
    position: Complex[Tensor, "items samples"],
    derivative: Complex[Tensor, "items samples"],
    length: float,
) -> tuple[Complex[Tensor, "items samples"], Float[Tensor, "items"]]:
    """`e ← η·(e + tη·g/‖g‖)/‖e + tη·g/‖g‖‖` for `tη = length`, and `‖g‖`; the reference of `move`."""
    norm = ground.norm(derivative)
    # Before the linearised problem has seen its data there is no direction yet.
    direction = where(norm > 0, derivative / norm, zeros_like(derivative))
    return ground.projected(position + length * direction), norm[:, 0]


@jit
def move(spectrum, sampled, mirrored, weights, position, plain, gain, values, length, radius, half):
    """Move a perturbation along the derivative in a paired image's spectrum, and renew the forward data.

    With `g(k) = (X(k) − X(−k)*)/2i`, the transform of the imaginary channel, and `‖·‖` weighted,

        `p ← radius·(p + length·g/‖g‖)/‖p + length·g/‖g‖‖`,   `values ← gain·(plain + weights·p)`.

    Complex numbers come as interleaved floats and numbers in their precision, so that nothing is converted.

    Args:
        spectrum: `X`, flat, on any scale.
        sampled: flat index of every coordinate's frequency.
        mirrored: that of its mirror.
        weights: of the norm, `‖p‖² = Σ weights·|p|²/pixels`.
        position: `p`, in place.
        plain: data without perturbation at the coordinates.
        gain: what `values` hold is data times this.
        values: of the forward problem at the coordinates, in place.
        length: of the move.
        radius: of the sphere.
        half: ½.

    Returns:
        `‖g‖`, on the scale of the spectrum.
    """
    pixels = half * spectrum.size
    direction = np.empty_like(position)
    total = half - half
    for index in range(np.uint64(sampled.size)):
        here, there = TWO * np.uint64(sampled[index]), TWO * np.uint64(mirrored[index])
        real = half * (spectrum[here + ONE] + spectrum[there + ONE])
        imaginary = half * (spectrum[there] - spectrum[here])
        direction[TWO * index], direction[TWO * index + ONE] = real, imaginary
        total += weights[index] * (real * real + imaginary * imaginary)
    # Before the linearised problem has seen its data there is no direction yet.
    norm = np.sqrt(total / pixels)
    scale = length / norm if total > 0 else total
    total = half - half
    for index in range(np.uint64(sampled.size)):
        real = position[TWO * index] + scale * direction[TWO * index]
        imaginary = position[TWO * index + ONE] + scale * direction[TWO * index + ONE]
        position[TWO * index], position[TWO * index + ONE] = real, imaginary
        total += weights[index] * (real * real + imaginary * imaginary)
    scale = radius * np.sqrt(pixels / total)
    for index in range(np.uint64(sampled.size)):
        real, imaginary = scale * position[TWO * index], scale * position[TWO * index + ONE]
        position[TWO * index], position[TWO * index + ONE] = real, imaginary
        weight, factor = weights[index], gain[index]
        values[TWO * index] = factor * (plain[TWO * index] + weight * real)
        values[TWO * index + ONE] = factor * (plain[TWO * index + ONE] + weight * imaginary)
    return norm

"""Fused loops over pixels for one image on one core; `admm` holds the same steps in plain torch.

The image is complex and comes as interleaved floats `(y, 2x)`; the state is kept in planes
`(part, component, y, x)` (part: real, imaginary; component: along x, along y), so that every inner
loop runs over contiguous floats. A sweep reads image and state once and writes them once.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Unwrapped: under pytest jaxtyping wraps every function, and that numba cannot compile.
    return numba.njit(cache=True, fastmath=True, error_model="numpy")(inspect.unwrap(function))


@_jit
def _advance_split(state, ahead, here, threshold, relax, reflected):
    """One row of one part: `s ← s + α(∇x − S(s))`, and `v = 2S(s) − s` into `reflected`."""
    for column in range(state.size):
        value = state[column]
        raised = value if value > -threshold else -threshold
        kept = value - (raised if raised < threshold else threshold)
        value += relax * (ahead[column] - here[column] - kept)
        state[column] = value
        raised = value if value > -threshold else -threshold
        clipped = raised if raised < threshold else threshold
        reflected[column] = value - clipped - clipped


@_jit
def _advance_paired(state, linear, ahead, here, threshold, relax, reflected):
    """The row of the linearised problem: `t ← t + α(∇a − M t)`, `M = 1[|s| > τ]`, before `s` moves on.

    `v = 2Mt − t` needs the new `M`, so `reflected` holds the new `t` until `_reflect_paired`.
    """
    for column in range(state.size):
        value = linear[column]
        kept = value if abs(state[column]) > threshold else value * 0
        value += relax * (ahead[column] - here[column] - kept)
        linear[column] = value
        reflected[column] = value


@_jit
def _reflect_paired(state, threshold, reflected):
    for column in range(state.size):
        value = reflected[column]
        reflected[column] = value if abs(state[column]) > threshold else -value


@_jit
def _advance(state, row, component, ahead, here, threshold, relax, paired, reflected):
    first, second = state[0, component, row], state[1, component, row]
    if paired:
        _advance_paired(first, second, ahead[1], here[1], threshold, relax, reflected[1])
        _advance_split(first, ahead[0], here[0], threshold, relax, reflected[0])
        _reflect_paired(first, threshold, reflected[1])
    else:
        _advance_split(first, ahead[0], here[0], threshold, relax, reflected[0])
        _advance_split(second, ahead[1], here[1], threshold, relax, reflected[1])


@_jit
def _split_parts(row, parts):
    for column in range(parts.shape[1]):
        parts[0, column] = row[2 * column]
        parts[1, column] = row[2 * column + 1]


@_jit
def _combine(along_x, above, below, line):
    """A row of `∇ᵀv`, interleaved."""
    width = along_x.shape[1]
    line[0] = along_x[0, width - 1] - along_x[0, 0] + above[0, 0] - below[0, 0]
    line[1] = along_x[1, width - 1] - along_x[1, 0] + above[1, 0] - below[1, 0]
    for column in range(1, width):
        line[2 * column] = along_x[0, column - 1] - along_x[0, column] + above[0, column] - below[0, column]
        line[2 * column + 1] = (
            along_x[1, column - 1] - along_x[1, column] + above[1, column] - below[1, column]
        )


@_jit
def sweep(image, state, threshold, relax, paired, out):
    """One step of `state` in place, and `∇ᵀv` into `out`, given the image of the step.

    Args:
        image: `(y, 2x)`.
        state: `(2, 2, y, x)`, parts then components.
        threshold: `τ = λ/ρ`.
        relax: over-relaxation `α`.
        paired: the imaginary part carries the linearised problem of the real part (`M = 1[|s| > τ]`)
            instead of a soft threshold of its own.
        out: `(y, 2x)`, overwritten.
    """
    height, width = image.shape[0], image.shape[1] // 2
    rows = np.empty((7, 2, width), image.dtype)
    here, ahead, turned, along_x = rows[0], rows[1], rows[2], rows[3]
    current, previous, last = rows[4], rows[5], rows[6]
    # The last row's y component comes first: ∇ᵀ of the first row needs it.
    _split_parts(image[height - 1], here)
    _split_parts(image[0], ahead)
    _advance(state, height - 1, 1, ahead, here, threshold, relax, paired, last)
    previous[:] = last
    for row in range(height):
        here, ahead = ahead, here
        if row < height - 1:
            _split_parts(image[row + 1], ahead)
            _advance(state, row, 1, ahead, here, threshold, relax, paired, current)
        else:
            current[:] = last
        turned[:, : width - 1] = here[:, 1:]
        turned[:, width - 1] = here[:, 0]
        _advance(state, row, 0, turned, here, threshold, relax, paired, along_x)
        _combine(along_x, previous, current, out[row])
        previous, current = current, previous


@_jit
def filter_spectrum(data, reflected, rho, inverse, out):
    """`(data + ρ·reflected)·inverse` for interleaved spectra `(y, 2x)` and `inverse` `(y, x)`."""
    height, width = inverse.shape
    for row in range(height):
        for column in range(width):
            factor = inverse[row, column]
            out[row, 2 * column] = (data[row, 2 * column] + rho * reflected[row, 2 * column]) * factor
            out[row, 2 * column + 1] = (
                data[row, 2 * column + 1] + rho * reflected[row, 2 * column + 1]
            ) * factor


@_jit
def move(spectrum, sampled, mirrored, weights, position, velocity, plain, data, length, radius):
    """Move a perturbation along the derivative in a paired image's spectrum, and renew the forward data.

    With `d(k) = (X(k) − X(−k)*)/2i`, the transform of the imaginary channel, and `‖·‖` weighted,

        `v ← ½v + d/‖d‖`,   `p ← radius·(p + length·v)/‖p + length·v‖`,   `data ← plain + weights·p`.

    Args:
        spectrum: `X`, flat, unnormalised transform.
        sampled: flat index of every coordinate's frequency.
        mirrored: that of its mirror.
        weights: of the norm, `‖p‖² = Σ weights·|p|²/pixels`.
        position: `p`, in place.
        velocity: `v`, in place.
        plain: data without perturbation at the coordinates.
        data: flat, in place at `sampled`.
        length: of the move.
        radius: of the sphere.
    """
    pixels = spectrum.size
    total = 0.0
    for index in range(sampled.size):
        here, there = spectrum[sampled[index]], spectrum[mirrored[index]]
        first, second = 0.5 * (here.imag + there.imag), 0.5 * (there.real - here.real)
        total += weights[index] * (first * first + second * second)
    # Before the linearised problem has seen its data there is no direction yet.
    scale = 1.0 / np.sqrt(total / pixels) if total > 0 else 0.0
    total = 0.0
    for index in range(sampled.size):
        here, there = spectrum[sampled[index]], spectrum[mirrored[index]]
        first = 0.5 * velocity[index].real + scale * 0.5 * (here.imag + there.imag)
        second = 0.5 * velocity[index].imag + scale * 0.5 * (there.real - here.real)
        velocity[index] = complex(first, second)
        first = position[index].real + length * first
        second = position[index].imag + length * second
        position[index] = complex(first, second)
        total += weights[index] * (first * first + second * second)
    scale = radius / np.sqrt(total / pixels)
    for index in range(sampled.size):
        position[index] = position[index] * scale
        data[sampled[index]] = plain[index] + weights[index] * position[index]

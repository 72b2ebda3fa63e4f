"""Fused loops over pixels for one image on one core; `admm` holds the same steps in plain torch.

Complex arrays come as interleaved floats, images and spectra `(y, 2x)`, states `(component, y, 2x)`, so
that every inner loop runs over contiguous floats. Images turn into `∇ᵀv` and spectra are filtered in
place: what an iteration touches then nearly fits a core's cache.
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
    """A row of one component: `s ← s + α(∇x − S(s))`, and `v = 2S(s) − s` into `reflected`."""
    for column in range(state.size):
        value = state[column]
        kept = value - min(max(value, -threshold), threshold)
        value += relax * (ahead[column] - here[column] - kept)
        state[column] = value
        clipped = min(max(value, -threshold), threshold)
        reflected[column] = value - clipped - clipped


@_jit
def _advance_paired(state, ahead, here, threshold, relax, reflected):
    """The same where the imaginary part carries the problem linearised at the real part:

    `t ← t + α(∇a − M t)` with `M = 1[|s| > τ]` before `s` moves on, `2Mt − t` with the new one.
    """
    for real in range(0, state.size, 2):
        imaginary = real + 1
        value, linear = state[real], state[imaginary]
        kept = linear if abs(value) > threshold else linear * 0
        linear += relax * (ahead[imaginary] - here[imaginary] - kept)
        kept = value - min(max(value, -threshold), threshold)
        value += relax * (ahead[real] - here[real] - kept)
        state[real], state[imaginary] = value, linear
        clipped = min(max(value, -threshold), threshold)
        reflected[real] = value - clipped - clipped
        reflected[imaginary] = linear if abs(value) > threshold else -linear


@_jit
def _advance(state, ahead, here, threshold, relax, paired, reflected):
    if paired:
        _advance_paired(state, ahead, here, threshold, relax, reflected)
    else:
        _advance_split(state, ahead, here, threshold, relax, reflected)


@_jit
def sweep(image, state, threshold, relax, paired):
    """One step of `state` in place, given the image of the step, whose place `∇ᵀv` takes.

    Args:
        image: `(y, 2x)`, overwritten.
        state: `(2, y, 2x)`: components along x and along y.
        threshold: `τ = λ/ρ`.
        relax: over-relaxation `α`.
        paired: the imaginary part carries the linearised problem of the real part (`M = 1[|s| > τ]`)
            instead of a soft threshold of its own.
    """
    height, width = image.shape
    top = image[0].copy()
    rows = np.empty((3, width), image.dtype)
    current, previous, last = rows[0], rows[1], rows[2]
    # With the pixel that follows the row's last, and the difference that precedes its first.
    here, along_x = np.empty(width + 2, image.dtype), np.empty(width + 2, image.dtype)
    # The last row's y component comes first: ∇ᵀ of the first row needs it.
    _advance(state[1, height - 1], top, image[height - 1], threshold, relax, paired, last)
    previous[:] = last
    for row in range(height):
        here[:width] = image[row]
        here[width:] = here[:2]
        if row < height - 1:
            _advance(state[1, row], image[row + 1], here[:width], threshold, relax, paired, current)
        else:
            current[:] = last
        _advance(state[0, row], here[2:], here[:width], threshold, relax, paired, along_x[2:])
        along_x[:2] = along_x[width:]
        line = image[row]
        for column in range(width):
            line[column] = along_x[column] - along_x[column + 2] + previous[column] - current[column]
        previous, current = current, previous


@_jit
def average(state, threshold, share, mean):
    """`v̄ ← v̄ + share·(v − v̄)` for `v = 2S(s) − s`; flat arrays, `mean` in place."""
    for index in range(state.size):
        value = state[index]
        clipped = min(max(value, -threshold), threshold)
        mean[index] += share * (value - clipped - clipped - mean[index])


@_jit
def filter_spectrum(spectrum, data, rho, inverse):
    """`(data + ρ·spectrum)·inverse` in place, for interleaved spectra `(y, 2x)` and `inverse` `(y, x)`."""
    height, width = inverse.shape
    for row in range(height):
        line, given, factors = spectrum[row], data[row], inverse[row]
        for column in range(width):
            factor = factors[column]
            line[2 * column] = (given[2 * column] + rho * line[2 * column]) * factor
            line[2 * column + 1] = (given[2 * column + 1] + rho * line[2 * column + 1]) * factor


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

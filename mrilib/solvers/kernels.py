"""Fused loops over pixels for one image on one core; `problem.step` and `admm` hold the same in plain torch.

Images and spectra come as interleaved floats `(y, 2x)`, as the transforms want them; states keep real and
imaginary parts of a row apart, `(component, y, part, x)`, so that every loop over them runs over contiguous
floats and becomes vector instructions for all couplings. Images turn into `∇ᵀv` and spectra are filtered
in place: what an iteration touches then nearly fits a core's cache.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# How the parts of a difference are coupled: those of `couplings`, and two channels that differ.
SPLIT, COMPLEX, ISOTROPIC, PAIRED = range(4)

# Unsigned: numba guards signed indices that it cannot prove positive, and guarded loops stay scalar.
ONE, TWO = np.uint64(1), np.uint64(2)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Unwrapped: under pytest jaxtyping wraps every function, and that numba cannot compile.
    return numba.njit(cache=True, fastmath=True, error_model="numpy")(inspect.unwrap(function))


@_jit
def _read(line, parts):
    """An interleaved row as `(part, x + 1)`, with the pixel that follows the last."""
    real, imaginary = parts[0], parts[1]
    width = line.size // 2
    for column in range(np.uint64(width)):
        real[column], imaginary[column] = line[TWO * column], line[TWO * column + ONE]
    real[width], imaginary[width] = line[0], line[1]


@_jit
def _advance_split(state, slope, threshold, relax, reflected):
    """A row of one part: `s ← s + α(∇x − S(s))`, and `v = 2S(s) − s` into `reflected`."""
    for column in range(state.size):
        value = state[column]
        kept = value - min(max(value, -threshold), threshold)
        value += relax * (slope[column] - kept)
        state[column] = value
        clipped = min(max(value, -threshold), threshold)
        reflected[column] = value - clipped - clipped


@_jit
def _advance_paired(state, slope, threshold, relax, reflected):
    """Both parts of a row, the second carrying the problem linearised at the first:

    `t ← t + α(∇a − M t)` with `M = 1[|s| > τ]` before `s` moves on, `2Mt − t` with the new one.
    """
    values, linears = state[0], state[1]
    along, aside = slope[0], slope[1]
    first, second = reflected[0], reflected[1]
    for column in range(values.size):
        value, linear = values[column], linears[column]
        kept = value - min(max(value, -threshold), threshold)
        linear += relax * (aside[column] - (linear if abs(value) > threshold else linear - linear))
        value += relax * (along[column] - kept)
        values[column], linears[column] = value, linear
        clipped = min(max(value, -threshold), threshold)
        first[column] = value - clipped - clipped
        second[column] = linear if abs(value) > threshold else -linear


@_jit
def _advance_complex(state, slope, threshold, relax, reflected):
    """Both parts of a row with the modulus of every difference: `S(s) = s·(1 − τ/max(|s|, τ))`."""
    a, b, limit = state[0], state[1], threshold * threshold
    along, aside = slope[0], slope[1]
    first, second = reflected[0], reflected[1]
    for column in range(a.size):
        real, imaginary = a[column], b[column]
        cut = threshold / np.sqrt(max(real * real + imaginary * imaginary, limit))
        real += relax * (along[column] - (real - cut * real))
        imaginary += relax * (aside[column] - (imaginary - cut * imaginary))
        a[column], b[column] = real, imaginary
        cut = threshold / np.sqrt(max(real * real + imaginary * imaginary, limit))
        first[column] = real - cut * real - cut * real
        second[column] = imaginary - cut * imaginary - cut * imaginary


@_jit
def _advance_isotropic(x, y, slope_x, slope_y, threshold, relax, reflected_x, reflected_y):
    """Both components of a row with the modulus of a pixel's differences, along x and y together."""
    limit = threshold * threshold
    x0, x1, y0, y1 = x[0], x[1], y[0], y[1]
    for column in range(x0.size):
        a, b, c, d = x0[column], x1[column], y0[column], y1[column]
        cut = threshold / np.sqrt(max(a * a + b * b + c * c + d * d, limit))
        a += relax * (slope_x[0, column] - (a - cut * a))
        b += relax * (slope_x[1, column] - (b - cut * b))
        c += relax * (slope_y[0, column] - (c - cut * c))
        d += relax * (slope_y[1, column] - (d - cut * d))
        x0[column], x1[column], y0[column], y1[column] = a, b, c, d
        cut = threshold / np.sqrt(max(a * a + b * b + c * c + d * d, limit))
        cut += cut
        reflected_x[0, column], reflected_x[1, column] = a - cut * a, b - cut * b
        reflected_y[0, column], reflected_y[1, column] = c - cut * c, d - cut * d


@_jit
def _advance(x, y, here, below, threshold, relax, rule, slope, reflected):
    """A row of both components, given the image's row and the one below; `v` into `reflected`."""
    width = x.shape[1]
    for part in range(2):
        row, under, along, down = here[part], below[part], slope[0, part], slope[1, part]
        following = row[1:]
        for column in range(width):
            along[column] = following[column] - row[column]
            down[column] = under[column] - row[column]
    if rule == ISOTROPIC:
        _advance_isotropic(x, y, slope[0], slope[1], threshold, relax, reflected[0], reflected[1])
    elif rule == COMPLEX:
        _advance_complex(x, slope[0], threshold, relax, reflected[0])
        _advance_complex(y, slope[1], threshold, relax, reflected[1])
    elif rule == PAIRED:
        _advance_paired(x, slope[0], threshold, relax, reflected[0])
        _advance_paired(y, slope[1], threshold, relax, reflected[1])
    else:
        for part in range(2):
            _advance_split(x[part], slope[0, part], threshold, relax, reflected[0, part])
            _advance_split(y[part], slope[1, part], threshold, relax, reflected[1, part])


@_jit
def _write(line, reflected, above):
    """`∇ᵀv` of a row, interleaved, from its `v` and the y component of the row above."""
    width = np.uint64(line.size // 2)
    a, b, c, d = reflected[0, 0], reflected[0, 1], reflected[1, 0], reflected[1, 1]
    real, imaginary = above[0], above[1]
    line[0] = a[width - ONE] - a[0] + real[0] - c[0]
    line[1] = b[width - ONE] - b[0] + imaginary[0] - d[0]
    for column in range(ONE, width):
        line[TWO * column] = a[column - ONE] - a[column] + real[column] - c[column]
        line[TWO * column + ONE] = b[column - ONE] - b[column] + imaginary[column] - d[column]


@_jit
def sweep(image, state, threshold, relax, rule):
    """One step of `state` in place, given the image of the step, whose place `∇ᵀv` takes.

    Args:
        image: `(y, 2x)`, overwritten.
        state: `(component, y, part, x)`: components along x and along y.
        threshold: `τ = λ/ρ`.
        relax: over-relaxation `α`.
        rule: `SPLIT`, `COMPLEX` or `ISOTROPIC`, or `PAIRED`: the imaginary part carries the linearised
            problem of the real part (`M = 1[|s| > τ]`) instead of a soft threshold of its own.
    """
    height, width = image.shape[0], image.shape[1] // 2
    pixels = np.empty((2, 2, width + 1), image.dtype)
    here, below = pixels[0], pixels[1]
    slope = np.empty((2, 2, width), image.dtype)
    fields = np.empty((3, 2, 2, width), image.dtype)
    last, previous, current = fields[0], fields[1], fields[2]
    # The last row comes first: ∇ᵀ of the first row needs its y component.
    _read(image[height - 1], here)
    _read(image[0], below)
    _advance(state[0, height - 1], state[1, height - 1], here, below, threshold, relax, rule, slope, last)
    above = last[1]
    for row in range(height - 1):
        here, below = below, here
        _read(image[row + 1], below)
        _advance(state[0, row], state[1, row], here, below, threshold, relax, rule, slope, current)
        _write(image[row], current, above)
        above = current[1]
        current, previous = previous, current
    _write(image[height - 1], last, above)


@_jit
def _blend_split(state, threshold, share, mean):
    for column in range(state.size):
        value = state[column]
        clipped = min(max(value, -threshold), threshold)
        mean[column] += share * (value - clipped - clipped - mean[column])


@_jit
def _blend(real, imaginary, square, threshold, share, mean_real, mean_imaginary):
    """The same for one component, given the square of the modulus that shrinks it."""
    limit = threshold * threshold
    for column in range(real.size):
        cut = threshold / np.sqrt(max(square[column], limit))
        cut += cut
        mean_real[column] += share * (real[column] - cut * real[column] - mean_real[column])
        mean_imaginary[column] += share * (
            imaginary[column] - cut * imaginary[column] - mean_imaginary[column]
        )


@_jit
def average(state, threshold, rule, share, mean):
    """`v̄ ← v̄ + share·(v − v̄)` for `v = 2S(s) − s`; `mean` like `state`, in place. `rule` is not `PAIRED`."""
    components, height, _, width = state.shape
    squares = np.empty((components, width), state.dtype)
    for row in range(height):
        if rule == SPLIT:
            for component in range(components):
                for part in range(2):
                    _blend_split(state[component, row, part], threshold, share, mean[component, row, part])
            continue
        for component in range(components):
            real, imaginary, square = state[component, row, 0], state[component, row, 1], squares[component]
            for column in range(width):
                square[column] = real[column] * real[column] + imaginary[column] * imaginary[column]
        if rule == ISOTROPIC:
            first, second = squares[0], squares[1]
            for column in range(width):
                first[column] += second[column]
                second[column] = first[column]
        for component in range(components):
            here, there = state[component, row], mean[component, row]
            _blend(here[0], here[1], squares[component], threshold, share, there[0], there[1])


@_jit
def filter_spectrum(spectrum, data, rho, inverse):
    """`(data + ρ·spectrum)·inverse` in place, for interleaved spectra `(y, 2x)` and `inverse` `(y, x)`."""
    height, width = inverse.shape
    for row in range(height):
        line, given, factors = spectrum[row], data[row], inverse[row]
        for column in range(np.uint64(width)):
            real, imaginary = TWO * column, TWO * column + ONE
            factor = factors[column]
            line[real] = (given[real] + rho * line[real]) * factor
            line[imaginary] = (given[imaginary] + rho * line[imaginary]) * factor


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

"""Fused loops over pixels for one image on one core; `problem.step` and `admm` hold the same in plain torch.

Images and spectra come as interleaved floats `(y, 2x)`, as the transforms want them. States are
`(component, y, part, x)` with real and imaginary parts of a row apart; only with `SPLIT`, where they never
meet, rows stay interleaved, `(component, y, 1, 2x)`. So every loop over them runs over contiguous floats and
becomes vector instructions. Images turn into `∇ᵀv` and spectra are filtered in place: what an iteration
touches then nearly fits a core's cache.

Loops index whole arrays: a view costs numba two atomic counts of references, and views of rows took a
quarter of the sweep.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mrilib.solvers.compiled import jit

# How the parts of a difference are coupled: those of `couplings`, and two channels that differ.
SPLIT, COMPLEX, ISOTROPIC, PAIRED = range(4)

# Unsigned: numba guards signed indices that it cannot prove positive, and guarded loops stay scalar.
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)


def _inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    return jit(function, inlined=True)


@_inlined
def _read_row(image, row, pixels, slot):
    """A row in parts as the state has them, with the pixel that follows the last."""
    if pixels.shape[1] == 1:
        size = np.uint64(pixels.shape[2]) - TWO
        for column in range(size):
            pixels[slot, 0, column] = image[row, column]
        pixels[slot, 0, size], pixels[slot, 0, size + ONE] = image[row, 0], image[row, 1]
    else:
        size = np.uint64(pixels.shape[2]) - ONE
        for column in range(size):
            pixels[slot, 0, column] = image[row, TWO * column]
            pixels[slot, 1, column] = image[row, TWO * column + ONE]
        pixels[slot, 0, size], pixels[slot, 1, size] = image[row, 0], image[row, 1]


@_inlined
def _clipped(value, threshold):
    return min(max(value, -threshold), threshold)


@_inlined
def _advance_split(state, row, pixels, here, below, threshold, relax, fields, slot):
    """`s ← s + α(∇x − S(s))` of a row, and `v = 2S(s) − s` into `fields`."""
    for column in range(np.uint64(state.shape[3])):
        pixel = pixels[here, 0, column]
        x, y = state[0, row, 0, column], state[1, row, 0, column]
        x += relax * (pixels[here, 0, column + TWO] - pixel - x + _clipped(x, threshold))
        y += relax * (pixels[below, 0, column] - pixel - y + _clipped(y, threshold))
        state[0, row, 0, column], state[1, row, 0, column] = x, y
        clipped = _clipped(x, threshold)
        fields[slot, 0, 0, column + TWO] = x - clipped - clipped
        clipped = _clipped(y, threshold)
        fields[slot, 1, 0, column + TWO] = y - clipped - clipped


@_inlined
def _advance_paired(state, row, pixels, here, below, threshold, relax, fields, slot):
    """The same of the first part, while the second carries the problem linearised at it:

    `t ← t + α(∇a − M t)` with `M = 1[|s| > τ]` before `s` moves on, `2Mt − t` with the new one.
    """
    for component in range(2):
        ahead, shift = (here, ONE) if component == 0 else (below, ZERO)
        for column in range(np.uint64(state.shape[3])):
            value, linear = state[component, row, 0, column], state[component, row, 1, column]
            slope = pixels[ahead, 1, column + shift] - pixels[here, 1, column]
            linear += relax * (slope - (linear if abs(value) > threshold else linear - linear))
            slope = pixels[ahead, 0, column + shift] - pixels[here, 0, column]
            value += relax * (slope - value + _clipped(value, threshold))
            state[component, row, 0, column], state[component, row, 1, column] = value, linear
            clipped = _clipped(value, threshold)
            fields[slot, component, 0, column + ONE] = value - clipped - clipped
            fields[slot, component, 1, column + ONE] = linear if abs(value) > threshold else -linear


@_inlined
def _advance_complex(state, row, pixels, here, below, threshold, relax, fields, slot):
    """The same with the modulus of every difference: `S(s) = s·(1 − τ/max(|s|, τ))`."""
    limit = threshold * threshold
    for component in range(2):
        ahead, shift = (here, ONE) if component == 0 else (below, ZERO)
        for column in range(np.uint64(state.shape[3])):
            a, b = state[component, row, 0, column], state[component, row, 1, column]
            cut = threshold / np.sqrt(max(a * a + b * b, limit))
            a += relax * (pixels[ahead, 0, column + shift] - pixels[here, 0, column] - (a - cut * a))
            b += relax * (pixels[ahead, 1, column + shift] - pixels[here, 1, column] - (b - cut * b))
            state[component, row, 0, column], state[component, row, 1, column] = a, b
        # A loop of its own: behind one root the next would wait, and a processor looks only so far ahead.
        for column in range(np.uint64(state.shape[3])):
            a, b = state[component, row, 0, column], state[component, row, 1, column]
            cut = threshold / np.sqrt(max(a * a + b * b, limit))
            cut += cut
            fields[slot, component, 0, column + ONE] = a - cut * a
            fields[slot, component, 1, column + ONE] = b - cut * b


@_inlined
def _advance_isotropic(state, row, pixels, here, below, threshold, relax, fields, slot):
    """The same with the modulus of a pixel's differences, along x and y together."""
    limit = threshold * threshold
    for column in range(np.uint64(state.shape[3])):
        a, b = state[0, row, 0, column], state[0, row, 1, column]
        c, d = state[1, row, 0, column], state[1, row, 1, column]
        real, imaginary = pixels[here, 0, column], pixels[here, 1, column]
        cut = threshold / np.sqrt(max(a * a + b * b + c * c + d * d, limit))
        a += relax * (pixels[here, 0, column + ONE] - real - (a - cut * a))
        b += relax * (pixels[here, 1, column + ONE] - imaginary - (b - cut * b))
        c += relax * (pixels[below, 0, column] - real - (c - cut * c))
        d += relax * (pixels[below, 1, column] - imaginary - (d - cut * d))
        state[0, row, 0, column], state[0, row, 1, column] = a, b
        state[1, row, 0, column], state[1, row, 1, column] = c, d
    for column in range(np.uint64(state.shape[3])):  # of its own, likewise
        a, b = state[0, row, 0, column], state[0, row, 1, column]
        c, d = state[1, row, 0, column], state[1, row, 1, column]
        cut = threshold / np.sqrt(max(a * a + b * b + c * c + d * d, limit))
        cut += cut
        fields[slot, 0, 0, column + ONE], fields[slot, 0, 1, column + ONE] = a - cut * a, b - cut * b
        fields[slot, 1, 0, column + ONE], fields[slot, 1, 1, column + ONE] = c - cut * c, d - cut * d


@_inlined
def _advance(state, row, pixels, here, below, threshold, relax, rule, fields, slot):
    """A row of the state, given the image's row and the one below; `v`, what precedes it too, in `fields`."""
    if rule == ISOTROPIC:
        _advance_isotropic(state, row, pixels, here, below, threshold, relax, fields, slot)
    elif rule == COMPLEX:
        _advance_complex(state, row, pixels, here, below, threshold, relax, fields, slot)
    elif rule == PAIRED:
        _advance_paired(state, row, pixels, here, below, threshold, relax, fields, slot)
    else:
        _advance_split(state, row, pixels, here, below, threshold, relax, fields, slot)
    width = state.shape[3]
    for part in range(state.shape[2]):
        for column in range(fields.shape[3] - width):
            fields[slot, 0, part, column] = fields[slot, 0, part, width + column]


@_inlined
def _write_row(image, row, fields, slot, above):
    """`∇ᵀv` of a row, interleaved, from its `v` and the y component of the row above."""
    if fields.shape[2] == 1:
        for column in range(np.uint64(image.shape[1])):
            own = column + TWO
            along = fields[slot, 0, 0, column] - fields[slot, 0, 0, own]
            image[row, column] = along + (fields[above, 1, 0, own] - fields[slot, 1, 0, own])
    else:
        for column in range(np.uint64(image.shape[1] // 2)):
            own = column + ONE
            along = fields[slot, 0, 0, column] - fields[slot, 0, 0, own]
            aside = fields[slot, 0, 1, column] - fields[slot, 0, 1, own]
            image[row, TWO * column] = along + (fields[above, 1, 0, own] - fields[slot, 1, 0, own])
            image[row, TWO * column + ONE] = aside + (fields[above, 1, 1, own] - fields[slot, 1, 1, own])


@jit
def sweep(image, state, threshold, relax, rule):
    """One step of `state` in place, given the image of the step, whose place `∇ᵀv` takes.

    Args:
        image: `(y, 2x)`, overwritten.
        state: `(component, y, part, x)`, with `SPLIT` `(component, y, 1, 2x)`: components along x and y.
        threshold: `τ = λ/ρ`.
        relax: over-relaxation `α`; with 0 the state stays, and the image need only be finite.
        rule: `SPLIT`, `COMPLEX` or `ISOTROPIC`, or `PAIRED`: the imaginary part carries the linearised
            problem of the real part (`M = 1[|s| > τ]`) instead of a soft threshold of its own.
    """
    height, parts, width = state.shape[1], state.shape[2], state.shape[3]
    pixel = 2 // parts
    pixels = np.empty((2, parts, width + pixel), image.dtype)
    fields = np.empty((3, 2, parts, width + pixel), image.dtype)
    here, below, above, slot = 0, 1, 0, 2
    _read_row(image, height - 1, pixels, here)
    # The last row comes first: ∇ᵀ of the first row needs its y component. It is written last.
    for step in range(height):
        row = step - 1 if step > 0 else height - 1
        _read_row(image, step, pixels, below)
        _advance(state, row, pixels, here, below, threshold, relax, rule, fields, slot)
        if step > 0:
            _write_row(image, row, fields, slot, above)
        here, below = below, here
        above, slot = slot, step % 2
    _write_row(image, height - 1, fields, 2, above)


@_inlined
def _towards(mean, value, share):
    return mean + share * (value - mean)


@_inlined
def _average_split(state, row, threshold, share, mean):
    for component in range(2):
        for column in range(np.uint64(state.shape[3])):
            value = state[component, row, 0, column]
            clipped = _clipped(value, threshold)
            value -= clipped + clipped
            mean[component, row, 0, column] = _towards(mean[component, row, 0, column], value, share)


@_inlined
def _average_complex(state, row, threshold, share, mean):
    limit = threshold * threshold
    for component in range(2):
        for column in range(np.uint64(state.shape[3])):
            a, b = state[component, row, 0, column], state[component, row, 1, column]
            cut = threshold / np.sqrt(max(a * a + b * b, limit))
            cut += cut
            mean[component, row, 0, column] = _towards(mean[component, row, 0, column], a - cut * a, share)
            mean[component, row, 1, column] = _towards(mean[component, row, 1, column], b - cut * b, share)


@_inlined
def _average_isotropic(state, row, threshold, share, mean):
    limit = threshold * threshold
    for column in range(np.uint64(state.shape[3])):
        a, b = state[0, row, 0, column], state[0, row, 1, column]
        c, d = state[1, row, 0, column], state[1, row, 1, column]
        cut = threshold / np.sqrt(max(a * a + b * b + c * c + d * d, limit))
        cut += cut
        mean[0, row, 0, column] = _towards(mean[0, row, 0, column], a - cut * a, share)
        mean[0, row, 1, column] = _towards(mean[0, row, 1, column], b - cut * b, share)
        mean[1, row, 0, column] = _towards(mean[1, row, 0, column], c - cut * c, share)
        mean[1, row, 1, column] = _towards(mean[1, row, 1, column], d - cut * d, share)


@jit
def average(state, threshold, rule, share, mean):
    """`v̄ ← v̄ + share·(v − v̄)` for `v = 2S(s) − s`; `mean` like `state`, in place. `rule` is not `PAIRED`."""
    for row in range(state.shape[1]):
        if rule == ISOTROPIC:
            _average_isotropic(state, row, threshold, share, mean)
        elif rule == COMPLEX:
            _average_complex(state, row, threshold, share, mean)
        else:
            _average_split(state, row, threshold, share, mean)


@jit
def filter_spectrum(spectrum, factors, starts, sampled, values):
    """`spectrum·factors` in place, and `values` added at `sampled`.

    Args:
        spectrum: interleaved `(y, 2x)`.
        factors: `(y, x)`.
        starts: where the rows start in `sampled`, and its size.
        sampled: flat indices of frequencies, ascending.
        values: complex, one for each of them.
    """
    height, width = factors.shape
    for row in range(height):
        for column in range(np.uint64(width)):
            factor = factors[row, column]
            spectrum[row, TWO * column] *= factor
            spectrum[row, TWO * column + ONE] *= factor
        # While the row is in the nearest cache.
        for index in range(starts[row], starts[row + 1]):
            real = TWO * np.uint64(sampled[index] - row * width)
            spectrum[row, real] += values[index].real
            spectrum[row, real + ONE] += values[index].imag

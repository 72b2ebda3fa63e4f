"""Fused loops of `certify` for one image on a core, in double precision; `certify_batch` has them in torch.

Images and spectra are interleaved floats `(y, 2x)`, fields `(component, y, 2x)`.
"""

import numpy as np

from mrilib.solvers.compiled import jit
from mrilib.solvers.kernels import ISOTROPIC, ONE, SPLIT, TWO


@jit
def divergence(field, image):
    """`∇ᵀp` of `field` into `image`."""
    height, size = image.shape
    size = np.uint64(size)
    for row in range(height):
        above = row - 1 if row > 0 else height - 1
        for column in range(TWO):
            along = np.float64(field[0, row, size - TWO + column]) - np.float64(field[0, row, column])
            image[row, column] = (
                along + np.float64(field[1, above, column]) - np.float64(field[1, row, column])
            )
        for column in range(TWO, size):
            along = np.float64(field[0, row, column - TWO]) - np.float64(field[0, row, column])
            image[row, column] = (
                along + np.float64(field[1, above, column]) - np.float64(field[1, row, column])
            )


@jit
def _differences(image, row, field, place):
    """A row of `∇x` into row `place` of `field`."""
    height, size = image.shape
    size = np.uint64(size)
    below = row + 1 if row + 1 < height else 0
    for column in range(size - TWO):
        field[0, place, column] = image[row, column + TWO] - image[row, column]
    for column in range(TWO):
        field[0, place, size - TWO + column] = image[row, column] - image[row, size - TWO + column]
    for column in range(size):
        field[1, place, column] = image[below, column] - image[row, column]


@jit
def _norm(field, row, rule):
    """Sum over the groups of a row."""
    total, pixels = 0.0, np.uint64(field.shape[2] // 2)
    if rule == SPLIT:
        for column in range(np.uint64(field.shape[2])):
            total += abs(field[0, row, column]) + abs(field[1, row, column])
    else:
        for pixel in range(pixels):
            real, imaginary = TWO * pixel, TWO * pixel + ONE
            along = field[0, row, real] ** 2 + field[0, row, imaginary] ** 2
            down = field[1, row, real] ** 2 + field[1, row, imaginary] ** 2
            total += np.sqrt(along + down) if rule == ISOTROPIC else np.sqrt(along) + np.sqrt(down)
    return total


@jit
def _largest(field, row, rule):
    """Square of the largest group of a row."""
    found, pixels = 0.0, np.uint64(field.shape[2] // 2)
    if rule == SPLIT:
        for column in range(np.uint64(field.shape[2])):
            found = max(found, max(abs(field[0, row, column]), abs(field[1, row, column])))
        return found * found
    for pixel in range(pixels):
        real, imaginary = TWO * pixel, TWO * pixel + ONE
        along = field[0, row, real] ** 2 + field[0, row, imaginary] ** 2
        down = field[1, row, real] ** 2 + field[1, row, imaginary] ** 2
        found = max(found, along + down if rule == ISOTROPIC else max(along, down))
    return found


@jit
def subtract(image, reflected, rule, field):
    """`∇x − v` into `field`.

    Returns:
        `‖∇x‖`, the sum over groups.
    """
    total = 0.0
    for row in range(image.shape[0]):
        _differences(image, row, field, row)
        total += _norm(field, row, rule)
        for component in range(2):
            for column in range(np.uint64(image.shape[1])):
                field[component, row, column] -= reflected[component, row, column]
    return total


@jit
def largest(field, image, rule):
    """Dual norm of `p − ∇x`."""
    line = np.empty((2, 1, image.shape[1]), image.dtype)
    square = 0.0
    for row in range(image.shape[0]):
        _differences(image, row, line, 0)
        for component in range(2):
            for column in range(np.uint64(image.shape[1])):
                line[component, 0, column] = field[component, row, column] - line[component, 0, column]
        square = max(square, _largest(line, 0, rule))
    return np.sqrt(square)


@jit
def solve(spectrum, data, weights, laplacian, rho):
    """The image's spectrum `X = (data + ρV)/(w + ρL)` in the place of `V`.

    Returns:
        `Re⟨Ax, y⟩` and `‖Ax‖²`.
    """
    measured, square = 0.0, 0.0
    height, width = weights.shape
    for row in range(height):
        for column in range(np.uint64(width)):
            real, imaginary = TWO * column, TWO * column + ONE
            factor = weights[row, column]
            scale = 1.0 / (factor + rho * laplacian[row, column])
            given, also = data[row, real], data[row, imaginary]
            first = (given + rho * spectrum[row, real]) * scale
            second = (also + rho * spectrum[row, imaginary]) * scale
            spectrum[row, real], spectrum[row, imaginary] = first, second
            measured += first * given + second * also
            square += factor * (first * first + second * second)
    pixels = height * width
    return measured / pixels, square / pixels


@jit
def project(spectrum, data, weights, laplacian):
    """`F∇ᵀp` to that of `(∇ᵀ∇)⁺` of the part which no measurement holds, in place.

    The other part is `F Aᴴq`.

    Returns:
        `Re⟨q, y⟩`, `‖q‖²`, and the square of `y` within the range of `A`.
    """
    correlation, square, within = 0.0, 0.0, 0.0
    height, width = weights.shape
    for row in range(height):
        for column in range(np.uint64(width)):
            real, imaginary = TWO * column, TWO * column + ONE
            first, second = spectrum[row, real], spectrum[row, imaginary]
            given, also = data[row, real], data[row, imaginary]
            factor, curvature = weights[row, column], laplacian[row, column]
            scale = 1.0 / factor if factor > 0 else 0.0
            correlation += scale * (first * given + second * also)
            square += scale * (first * first + second * second)
            within += scale * (given * given + also * also)
            back = 0.0 if factor > 0 or curvature == 0 else 1.0 / curvature
            spectrum[row, real], spectrum[row, imaginary] = first * back, second * back
    pixels = height * width
    return correlation / pixels, square / pixels, within / pixels

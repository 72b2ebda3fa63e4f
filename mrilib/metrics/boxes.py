"""A box around a finding, in an image and in its reference: error, contrast to noise, sharpness of edges."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Inexact

# Our choice: width of the ring around a box over the box's shorter side, and its least width in pixels.
RING_SHARE, RING_LEAST = 0.5, 2
# Our choice: share of a box's pixels, those with the largest gradient, that are its edges.
EDGE_SHARE = 0.1
# Sd over the largest modulus, below which values are equal up to rounding.
EQUAL = 1e-12

# Sizes that differ are told in words.
Image = Inexact[np.ndarray, "rows columns"]
Reference = Inexact[np.ndarray, "y x"]


class Box(NamedTuple):
    """First row and column of a box, and its size, in whole pixels of the image."""

    row: int
    column: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)

    def inside(self, shape: tuple[int, ...]) -> bool:
        """Whether it has a pixel, and all of them within an image of this shape."""
        rows, columns = shape
        begun = min(self.row, self.column) >= 0 and min(self.height, self.width) >= 1
        return begun and self.row + self.height <= rows and self.column + self.width <= columns


def normalised(image: Image) -> Float64[np.ndarray, "rows columns"]:
    """`z(x) = (|x| − μ)/σ` with mean `μ` and standard deviation `σ` of all pixels; NaN of a constant image.

    Source: [darestani2021], section 5.3, which normalises whole images and says no more. Our choice: every
    image by its own `μ` and `σ`, so that a factor on the intensities or an offset is no error.
    """
    moduli = np.abs(image).astype(np.float64)
    sd = float(moduli.std())
    if not sd > EQUAL * float(moduli.max(initial=0.0)):
        return np.full(moduli.shape, math.nan)
    found: np.ndarray = (moduli - moduli.mean()) / sd
    return found


def box_error(image: Image, reference: Reference, box: Box) -> float:
    """`1/|B| Σ_{j∈B} (z(rec)_j − z(x*)_j)²` over the pixels `B` of a box, with `z` of `normalised`.

    0 for a copy, whatever the scale; 2 is what an unrelated image has on average over all pixels. NaN where
    an image is constant.

    Args:
        image: reconstruction, as large as the reference; moduli count.
        reference: `x*`.
        box: inside of both.

    Raises:
        ValueError: if shapes differ, an image is not finite, or the box is not inside.

    Source: [darestani2021], Figs. 8 and 18; see `normalised` for what is our choice.
    """
    _check(image, reference, box, "box_error")
    return float(_squares(image, reference)[box.slices].mean())


def relative_box_error(image: Image, reference: Reference, box: Box) -> float:
    """`box_error` over the same mean of the whole image: above 1 where the box is worse than the rest.

    NaN for a copy, whose errors are both 0, and where an image is constant. Source: our choice. Raises
    `ValueError` as `box_error`.
    """
    _check(image, reference, box, "relative_box_error")
    squares = _squares(image, reference)
    whole = float(squares.mean())
    return float(squares[box.slices].mean()) / whole if whole > 0 else math.nan


def ring(shape: tuple[int, ...], box: Box) -> Bool[np.ndarray, "y x"]:
    """The pixels around a box, as far as the image goes: at most `w` rows or columns away from it.

    `w` is half the box's shorter side, rounded up, and at least 2 pixels: our choice.
    """
    width = max(RING_LEAST, math.ceil(RING_SHARE * min(box.height, box.width)))
    around = np.zeros(shape, dtype=bool)
    around[
        max(box.row - width, 0) : box.row + box.height + width,
        max(box.column - width, 0) : box.column + box.width + width,
    ] = True
    around[box.slices] = False
    return around


def box_contrast(image: Image, box: Box) -> float:
    """Contrast to noise `|m_B − m_R|/s_R`: means of the box and of its `ring`, and the ring's sd.

    What varies in the ring is structure as well as noise. A factor on the intensities changes nothing. NaN
    where the box fills the image, or the ring is constant up to rounding.

    Raises:
        ValueError: if the image is not finite, or the box is not inside.

    Source: our choice.
    """
    _check(image, image, box, "box_contrast")
    moduli = np.abs(image).astype(np.float64)
    outside = moduli[ring(moduli.shape, box)]
    if not outside.size:
        return math.nan
    sd = float(outside.std())
    if not sd > EQUAL * float(moduli.max()):
        return math.nan
    return abs(float(moduli[box.slices].mean()) - float(outside.mean())) / sd


def box_sharpness(image: Image, reference: Reference, box: Box) -> tuple[float, float]:
    """Mean gradient along the edges in a box: of the reference (before), and of the image (after).

    The gradient `|∇z|` is of central differences of `z` of `normalised`. Edges are the tenth of the box's
    pixels, one at least, where it is largest in the reference; the same pixels count in the image. In a
    noisy reference these are partly noise, so that an image without that noise has less there as well: a
    ratio below 1 is not blur alone.

    Args:
        image: reconstruction, as large as the reference.
        reference: `x*`, with at least two rows and columns.
        box: inside of both.

    Returns:
        Before and after, in sds of the whole image a pixel; NaN where an image is constant.

    Raises:
        ValueError: as `box_error`.

    Source: our choice.
    """
    _check(image, reference, box, "box_sharpness")
    before, after = (_gradient(each)[box.slices].ravel() for each in (reference, image))
    count = max(1, math.ceil(EDGE_SHARE * before.size))
    edges = np.argsort(-before, kind="stable")[:count]
    return float(before[edges].mean()), float(after[edges].mean())


def _squares(image: Image, reference: Reference) -> np.ndarray:
    found: np.ndarray = np.square(normalised(image) - normalised(reference))
    return found


def _gradient(image: Image) -> np.ndarray:
    rows, columns = np.gradient(normalised(image))
    found: np.ndarray = np.hypot(rows, columns)
    return found


def _check(image: np.ndarray, reference: np.ndarray, box: Box, where: str) -> None:
    if image.shape != reference.shape:
        raise ValueError(f"{where}: expected images of one size, got {image.shape} and {reference.shape}")
    if not (np.isfinite(image).all() and np.isfinite(reference).all()):
        raise ValueError(f"{where}: expected finite images; count a failed reconstruction as missing")
    if not box.inside(image.shape):
        raise ValueError(
            f"{where}: expected a box inside of {image.shape[0]}×{image.shape[1]}, got {tuple(box)}"
        )

"""Golden-angle radial masks."""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool
from pydantic import Field
from skimage.transform import rotate
from torch import Tensor

from mrilib.data.sampling.base import Sampling, Seed

GOLDEN_ANGLE = 180.0 * (math.sqrt(5.0) - 1.0) / 2.0


class Radial(Sampling):
    """Lines through the centre of k-space: see `radial_mask`. Nothing of it is random.

    Of k-space that is not square the mask is the middle of that of a square: lines are straight in samples,
    and their angles are those of the grid.

    Args:
        lines: number of lines.
        size: side of the images that the mask is meant for, if the config is to say so; others are refused.
    """

    word: ClassVar[str] = "radial"
    random = False
    usual_for: ClassVar[Literal["one coil", "several coils", "both"]] = "one coil"
    whole_columns: ClassVar[bool | None] = False

    def __init__(
        self, *, lines: Annotated[int, Field(ge=1)], size: Annotated[int, Field(ge=2)] | None = None
    ) -> None:
        if lines < 1:
            raise ValueError(f"Radial: expected lines >= 1, got {lines}")
        self.lines, self.size = lines, size

    def check(self, shape: tuple[int, int]) -> None:
        if self.size is not None and shape != (self.size, self.size):
            comparison = "larger" if self.size > min(shape) else "smaller"
            raise ValueError(
                f"the mask ({self.size}) is {comparison} than the images ({shape[0]} × {shape[1]}); leave "
                "size out or make both equal"
            )

    def draw(self, shape: tuple[int, int], seed: Seed) -> Bool[Tensor, "ky kx"]:
        self.check(shape)
        return lines_through_centre(shape, self.lines)


def radial_mask(size: int, lines: int) -> Bool[Tensor, "size size"]:
    """Golden-angle radial mask of `lines` lines through the centre of k-space.

    Line `k` stands at the angle `180°·((√5 − 1)/2)·k`, `k = 0 … lines − 1`, so that masks of fewer
    lines lie inside those of more. One horizontal line of one pixel is drawn in a square of side
    `⌈√2·size⌉`, rotated by nearest neighbour, and the union is cropped at the centre.

    Args:
        size: side of the square k-space, in samples.
        lines: number of lines.

    Returns:
        `True` where k-space is sampled; zero frequency at `size // 2`, as in `fft2c`. At `size=256`,
        25, 40 and 80 lines keep 6990, 10941 and 20908 samples.

    Raises:
        ValueError: if `size` is below 2 or `lines` below 1.

    Source: the mask of [alaifari2023]; the drawing follows the authors' public code and gives the
    masks which they stored. The angle is exact: a rounded 0.618034 loses two samples.
    """
    return lines_through_centre((size, size), lines)


def lines_through_centre(shape: tuple[int, int], lines: int) -> Bool[Tensor, "ky kx"]:
    """`radial_mask` of k-space of `(rows, columns)`; the square has the side `⌈√(rows² + columns²)⌉`."""
    if min(shape) < 2 or lines < 1:
        raise ValueError(
            f"radial_mask: expected size >= 2 and lines >= 1, got {shape[0]} × {shape[1]} and lines={lines}"
        )
    padded = math.ceil(math.hypot(*shape))
    line = np.zeros((padded, padded))
    line[padded // 2] = 1.0
    union = np.zeros((padded, padded), dtype=bool)
    for index in range(lines):
        union |= rotate(line, GOLDEN_ANGLE * index, order=0) > 0
    top, left = ((padded - side) // 2 for side in shape)
    return torch.from_numpy(union[top : top + shape[0], left : left + shape[1]].copy())

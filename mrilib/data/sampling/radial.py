"""Golden-angle radial masks."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from skimage.transform import rotate
from torch import Tensor

from mrilib.data.sampling.base import Sampling, Seed

GOLDEN_ANGLE = 180.0 * (math.sqrt(5.0) - 1.0) / 2.0


class Radial(Sampling):
    """Lines through the centre of square k-space: see `radial_mask`. Nothing of it is random."""

    random = False

    def __init__(self, *, lines: int) -> None:
        if lines < 1:
            raise ValueError(f"Radial: expected lines >= 1, got {lines}")
        self.lines = lines

    def draw(self, shape: tuple[int, int], seed: Seed) -> Bool[Tensor, "ky kx"]:
        if shape[0] != shape[1]:
            raise ValueError(
                f"Radial: expected square k-space, got {shape[0]}×{shape[1]}; take a mask of columns"
            )
        return radial_mask(shape[0], self.lines)

    @property
    def about(self) -> dict[str, Any]:
        return {"kind": "radial", "lines": self.lines}


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
    if size < 2 or lines < 1:
        raise ValueError(f"radial_mask: expected size >= 2 and lines >= 1, got size={size}, lines={lines}")
    padded = math.ceil(math.sqrt(2.0) * size)
    line = np.zeros((padded, padded))
    line[padded // 2] = 1.0
    union = np.zeros((padded, padded), dtype=bool)
    for index in range(lines):
        union |= rotate(line, GOLDEN_ANGLE * index, order=0) > 0
    start = (padded - size) // 2
    return torch.from_numpy(union[start : start + size, start : start + size].copy())

"""Windows of a few pixels: where they stand, and sums over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Of the reference's maximum: windows whose mean is above belong to the object. Our choice, as of attacks.
OBJECT_THRESHOLD = 0.05


@dataclass(frozen=True, eq=False)
class Windows:
    """Square windows in an image.

    Args:
        rows, columns: of their first pixels, those with the least indices.
        sizes: pixels along each side.
    """

    rows: Int[Tensor, "windows"]
    columns: Int[Tensor, "windows"]
    sizes: Int[Tensor, "windows"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Tensor | slice) -> "Windows":
        return Windows(self.rows[chosen], self.columns[chosen], self.sizes[chosen])

    def image(self, shape: tuple[int, int], amplitude: float = 1.0) -> Float[Tensor, "y x"]:
        """`amplitude` inside of the windows, else 0.

        Raises:
            ValueError: for a window that leaves the image.
        """
        found = torch.zeros(shape)
        for row, column, size in zip(*self._lists(), strict=True):
            if min(row, column) < 0 or row + size > shape[0] or column + size > shape[1]:
                raise ValueError(
                    f"Windows: expected {size}×{size} pixels from ({row}, {column}) inside of "
                    f"{shape[0]}×{shape[1]}; move the window, or make it smaller"
                )
            found[row : row + size, column : column + size] = amplitude
        return found

    def sums(self, image: Float[Tensor, "y x"]) -> Float[Tensor, "windows"]:
        """Sum over the pixels of every window, in double precision."""
        table = image.new_zeros(image.shape[0] + 1, image.shape[1] + 1, dtype=torch.float64)
        table[1:, 1:] = image.double().cumsum(0).cumsum(1)
        top, left = self.rows.to(image.device), self.columns.to(image.device)
        size = self.sizes.to(image.device)
        return (
            table[top + size, left + size]
            - table[top, left + size]
            - table[top + size, left]
            + table[top, left]
        )

    def on_object(self, reference: Float[Tensor, "y x"], amplitude: float) -> Bool[Tensor, "windows"]:
        """Where the reference's mean is above `OBJECT_THRESHOLD` of its maximum.

        And for dark features above what they take away: elsewhere there is nothing to take.
        """
        means = self.sums(reference) / self.sizes.to(reference.device) ** 2
        return means > max(OBJECT_THRESHOLD * float(reference.max()), -amplitude)

    def _lists(self) -> tuple[list[int], list[int], list[int]]:
        return self.rows.tolist(), self.columns.tolist(), self.sizes.tolist()


def everywhere(shape: tuple[int, int], size: int, stride: int = 1) -> Windows:
    """Windows of one size at every location, or at every `stride`-th row and column, in reading order."""
    rows, columns = (torch.arange(0, side - size + 1, stride) for side in shape)
    grid = torch.cartesian_prod(rows, columns)
    return Windows(grid[:, 0], grid[:, 1], torch.full((len(grid),), size))


def lattice(
    shape: tuple[int, int], sizes: Sequence[int], spacing: int, generator: np.random.Generator
) -> Windows:
    """Windows whose first pixels stand `spacing` pixels apart, from a random row and column on.

    Every window has one of the sizes, as many of each as the number of windows allows, in random order: so
    that one reconstruction serves all sizes. Windows that would leave the image are left out.

    Args:
        shape: rows and columns of the image.
        sizes: pixels along a side.
        spacing: of the lattice, in pixels; more than the largest size.
        generator: of all that is random.

    Raises:
        ValueError: for windows that touch, and if none fits.
    """
    if not sizes or min(sizes) < 1 or spacing <= max(sizes):
        raise ValueError(
            f"lattice: expected sizes from 1 on and spacing above the largest of them, got {list(sizes)} and "
            f"{spacing}"
        )
    first = generator.integers(spacing, size=2)
    rows, columns = (np.arange(start, side, spacing) for start, side in zip(first, shape, strict=True))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    order = generator.permutation(len(grid))
    drawn = np.empty(len(grid), dtype=np.int64)
    drawn[order] = np.resize(np.asarray(sizes), len(grid))
    fits = (grid[:, 0] + drawn <= shape[0]) & (grid[:, 1] + drawn <= shape[1])
    if not fits.any():
        raise ValueError(
            f"lattice: expected room for windows of {list(sizes)} pixels in an image of {shape[0]}×{shape[1]}"
        )
    rows, columns, drawn = grid[fits, 0], grid[fits, 1], drawn[fits]
    return Windows(*(torch.from_numpy(np.ascontiguousarray(each)) for each in (rows, columns, drawn)))

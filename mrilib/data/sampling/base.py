"""What every way of drawing masks offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from mrilib.store.classes import load_class

Seed = int | tuple[int, ...]


class Sampling(ABC):
    """Draws masks of k-space, `True` where it is sampled; zero frequency at `size // 2`.

    A config names a subclass by its `word`, or by `class: package.module:Name`; what else stands in the entry
    are the arguments of its constructor. Every mask may measure every source.

    Attributes:
        random: whether masks depend on the seed. If not, one mask of a shape serves all its images.
        usual_for: sources that are measured under the mask where they name none: those of a single coil
            (phantoms and image files), of several (scans), or both.
        whole_columns: whether every mask is of whole columns, with some in the centre; `None` if nobody has
            said.
    """

    random: ClassVar[bool] = True
    usual_for: ClassVar[Literal["one coil", "several coils", "both"]] = "both"
    whole_columns: ClassVar[bool | None] = None

    @abstractmethod
    def draw(self, shape: tuple[int, int], seed: Seed) -> Bool[Tensor, "*ky kx"]:
        """A mask for k-space of `(rows, columns)`: `(ky, kx)`, or `(kx,)` for whole columns.

        The same arguments give the same mask. Masks that are not random ignore the seed.

        Raises:
            ValueError: if there is no such mask for this shape.
        """

    def drawn(
        self, shape: tuple[int, int], seed: Seed, acquired: Bool[Tensor, "*row kx"] | None = None
    ) -> Bool[Tensor, "*ky kx"]:
        """The mask that `draw` gives, empty where nothing was acquired: what measurements are made with.

        Scanners leave rows and columns of k-space out and fill them with zeros. As fastMRI's `apply_mask`
        with `padding`, the mask is drawn for all of k-space and emptied there.

        Args:
            shape: rows and columns of k-space.
            seed: as `draw` takes it.
            acquired: `True` where k-space was acquired, `(ky, kx)`, or `(kx,)` for whole columns; everything
                by default.

        Returns:
            As `draw`; columns of which not all rows were acquired are `(ky, kx)`.

        Raises:
            ValueError: as `draw`; if `acquired` has another shape; or if the mask samples nothing of it.

        Source: `apply_mask` of fastMRI [zbontar2018], version 0.3.0.
        """
        return acquired_part(self.draw(shape, seed), shape, acquired)

    def check(self, shape: tuple[int, int]) -> None:  # noqa: B027
        """Raise `ValueError` if there is no such mask for k-space of `(rows, columns)`; draws nothing."""

    def centre(self, shape: tuple[int, int]) -> tuple[int, int] | None:
        """Rows and columns of the centre that every mask samples fully; `None` where only a mask tells."""
        return None


def sampling_from(described: Mapping[str, Any]) -> Sampling:
    """How masks are drawn, from `class`, an import path, and the `arguments` of its constructor."""
    found: Sampling = load_class(described["class"], Sampling)(**described["arguments"])
    return found


def true_acceleration(
    mask: Bool[Tensor, "*shape"], acquired: Bool[Tensor, "*acquired_shape"] | None = None
) -> float:
    """Entries that were acquired, divided by those of them that the mask samples.

    Args:
        mask: `True` where k-space is sampled, `(ky, kx)`, or `(kx,)` for whole columns.
        acquired: `True` where k-space was acquired, of either shape; everything by default.

    Raises:
        ValueError: if nothing is sampled.
    """
    if acquired is None:
        acquired = torch.ones_like(mask)
    # Not by torch.broadcast_shapes, which imports sympy: half a second of every job.
    mask, acquired = torch.broadcast_tensors(mask, acquired)
    samples = int((mask & acquired).sum())
    if not samples:
        raise ValueError("true_acceleration: the mask samples nothing")
    return int(acquired.sum()) / samples


def acquired_region(
    shape: tuple[int, int], *, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
) -> Bool[Tensor, "*ky kx"] | None:
    """`True` in the rows and columns that were acquired, of k-space of `(rows, columns)`.

    Args:
        shape: rows and columns of k-space.
        rows: the first that was acquired and the one after the last; all by default.
        columns: the same.

    Returns:
        `(ky, kx)`, or `(kx,)` where all rows were acquired; `None` where everything was.

    Raises:
        ValueError: for rows or columns outside k-space, or none of them.
    """
    sides = []
    for name, size, given in zip(("rows", "columns"), shape, (rows, columns), strict=True):
        first, end = (0, size) if given is None else given
        if not 0 <= first < end <= size:
            raise ValueError(
                f"acquired_region: expected the first of {size} {name} that was acquired and the one after "
                f"the last, got ({first}, {end})"
            )
        places = torch.arange(size)
        sides.append((places >= first) & (places < end))
    if not sides[0].all():
        return sides[0][:, None] & sides[1]
    return None if sides[1].all() else sides[1]


def acquired_part(
    mask: Bool[Tensor, "*ky kx"], shape: tuple[int, int], acquired: Bool[Tensor, "*row kx"] | None
) -> Bool[Tensor, "*any kx"]:
    """A mask without what was not acquired: see `Sampling.drawn`."""
    if acquired is None:
        return mask
    if acquired.dtype != torch.bool or tuple(acquired.shape) not in ((shape[1],), shape):
        raise ValueError(
            f"drawn: expected acquired as a boolean tensor ({shape[1]},) or {shape}, "
            f"got {acquired.dtype} of shape {tuple(acquired.shape)}"
        )
    if acquired.ndim == 2 and bool((acquired == acquired[0]).all()):
        acquired = acquired[0]
    found = mask & acquired
    if not found.any():
        raise ValueError(
            f"drawn: the mask samples {int(mask.sum())} entries of {tuple(mask.shape)}, and none of them was "
            "acquired; take a mask that samples more, or leave this volume out"
        )
    return found


def name_seed(name: str) -> tuple[int, ...]:
    """`tuple(map(ord, name))`: the seed of fastMRI's mask of a file, from its name with ending."""
    if not name:
        raise ValueError("name_seed: expected the name of a file, got an empty one")
    return tuple(map(ord, name))

"""What every way of drawing masks offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

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

    def check(self, shape: tuple[int, int]) -> None:  # noqa: B027
        """Raise `ValueError` if there is no such mask for k-space of `(rows, columns)`; draws nothing."""

    def centre(self, shape: tuple[int, int]) -> tuple[int, int] | None:
        """Rows and columns of the centre that every mask samples fully; `None` where only a mask tells."""
        return None


def sampling_from(described: Mapping[str, Any]) -> Sampling:
    """How masks are drawn, from `class`, an import path, and the `arguments` of its constructor."""
    found: Sampling = load_class(described["class"], Sampling)(**described["arguments"])
    return found


def true_acceleration(mask: Bool[Tensor, "*shape"]) -> float:
    """Entries of the mask divided by sampled ones. Raises `ValueError` if nothing is sampled."""
    samples = int(mask.sum())
    if not samples:
        raise ValueError("true_acceleration: the mask samples nothing")
    return mask.numel() / samples


def name_seed(name: str) -> tuple[int, ...]:
    """`tuple(map(ord, name))`: the seed of fastMRI's mask of a file, from its name with ending."""
    if not name:
        raise ValueError("name_seed: expected the name of a file, got an empty one")
    return tuple(map(ord, name))

"""K-space of one slice as measurements take it: centred, without coils that are zero, or of virtual ones."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex64
from torch import Tensor

from mrilib.data.coil_compression import compress_coils


@dataclass(frozen=True)
class Preparation:
    """What is done to every slice of a volume. It is found from k-space and stands in the catalogue.

    Args:
        moved: rows and columns by which k-space is rolled, so that its centre comes to `size // 2`.
        coil_share: share of the energy that virtual coils keep; `None` for the coils themselves.
    """

    moved: tuple[int, int]
    coil_share: float | None = None

    def apply(self, kspace: Complex64[np.ndarray, "coil ky kx"]) -> Complex64[Tensor, "used_coil ky kx"]:
        """Centred k-space of the coils that are not zero in this slice, compressed where that is wanted."""
        live = kspace[kspace.any(axis=(1, 2))]
        moved = torch.from_numpy(np.ascontiguousarray(np.roll(live, self.moved, (1, 2))))
        return moved if self.coil_share is None else compress_coils(moved, share=self.coil_share)[0]

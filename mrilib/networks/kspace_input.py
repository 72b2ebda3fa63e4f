"""What networks on multi-coil k-space check of their input and arguments."""

import torch
from torch import Tensor


def masked(kspace: Tensor, mask: Tensor, where: str) -> Tensor:
    if mask.dtype != torch.bool or mask.ndim != 3 or kspace.ndim != 4:
        raise ValueError(
            f"{where}: expected kspace (batch, coil, ky, kx) and a boolean mask (batch or 1, ky or 1, kx), "
            f"got {tuple(kspace.shape)} and {mask.dtype} of shape {tuple(mask.shape)}"
        )
    return kspace * mask.unsqueeze(1)


def check_counts(where: str, **counts: int) -> None:
    if min(counts.values()) < 1:
        found = ", ".join(f"{name}={value}" for name, value in counts.items())
        raise ValueError(f"{where}: expected numbers of at least 1, got {found}")


def check_size(where: str, shape: tuple[int, ...], pools: int) -> None:
    """Raise `ValueError` unless two pixels remain at the lowest level, which is normalised by their sd."""
    height, width = (size >> pools for size in shape)
    if height * width < 2:
        raise ValueError(
            f"{where}: an image of {shape[0]}×{shape[1]} has {height}×{width} pixels after {pools} poolings, "
            "expected at least 2; take larger images or fewer poolings"
        )

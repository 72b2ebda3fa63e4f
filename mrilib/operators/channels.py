"""Complex images as two real channels, real part first: what networks see."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def to_channels(image: Complex[Tensor, "batch y x"]) -> Float[Tensor, "batch 2 y x"]:
    """`x ↦ (Re x, Im x)`, for exactly one batch axis.

    Raises:
        ValueError: if the image is not complex or has not three axes.
    """
    if not image.is_complex() or image.ndim != 3:
        raise ValueError(
            f"to_channels: expected a complex image (batch, y, x), got {image.dtype} of shape "
            f"{tuple(image.shape)}; make complex with .to(torch.complex64), one batch axis with .reshape"
        )
    return torch.stack([image.real, image.imag], dim=1)


def to_complex(channels: Float[Tensor, "batch 2 y x"]) -> Complex[Tensor, "batch y x"]:
    """`(a, b) ↦ a + ib`, the inverse of `to_channels`.

    16-bit channels, as autocast makes them, become complex64: there are no usable complex numbers below.

    Raises:
        ValueError: if the channels are not real of shape `(batch, 2, y, x)`.
    """
    check_channels(channels, "to_complex", count=2)
    if channels.dtype in (torch.float16, torch.bfloat16):
        channels = channels.float()
    return torch.complex(channels[:, 0], channels[:, 1])


def check_channels(channels: Tensor, where: str, *, count: int, smallest: int = 1) -> None:
    """Raise `ValueError` unless `channels` is real `(batch, count, y, x)`, both sides at least `smallest`."""
    shape = tuple(channels.shape)
    if not channels.is_floating_point() or channels.ndim != 4 or shape[1] != count:
        raise ValueError(
            f"{where}: expected real channels (batch, {count}, y, x), got {channels.dtype} of shape {shape}; "
            "make two of a complex image (batch, y, x) with to_channels"
        )
    if min(shape[2:]) < smallest:
        raise ValueError(
            f"{where}: expected at least {smallest}×{smallest} pixels, got {shape[2]}×{shape[3]}; "
            "take a larger image or a network of fewer levels"
        )

"""Decoders that are fitted to one slice and never trained: ConvDecoder and Deep Decoder."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

# Rows and columns.
Size = Annotated[Sequence[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]


class ConvDecoder(nn.Module):
    """From a fixed input to `(1, out_channels, y, x)`: what a slice looks like is in the parameters alone.

    1. `layers − 1` blocks: nearest upsampling to the next of `sizes`, 3×3 convolution, ReLU, BN.
    2. 3×3 convolution, ReLU, BN.
    3. 1×1 convolution to `out_channels`.

    All convolutions have a bias: `layers·(9·channels² + 3·channels) + (channels + 1)·out_channels` parameters
    in all, 4,732,446 with the defaults. BN normalises by mean and variance over the pixels of this one
    image, also in evaluation mode. Channel `2c` is the real part of coil c, `2c + 1` its imaginary part.

    The input, `(1, channels, *in_size)`, is uniform on [0, 1) and a buffer. It and the parameters are drawn
    from torch's global generator; whoever fits seeds that.

    Args:
        output_shape: rows and columns of the image.
        out_channels: two a coil.
        channels: of the input and of every layer.
        layers: 3×3 convolutions.
        in_size: rows and columns of the input.

    Attributes:
        sizes: rows and columns after each upsampling, `⌈in·(out/in)^(k/(layers − 1))⌉`.

    Raises:
        ValueError: if a number is out of range, or the image smaller than the input; at the call for an input
            of another number of channels.

    Source: [darestani2021], after [darestani2021a]; its code computes the sizes in floating point, where an
    exact power may round up; here they are exact.
    """

    word: ClassVar[str] = "conv-decoder"
    takes: ClassVar[str] = "nothing"
    input: Tensor

    def __init__(
        self,
        output_shape: Sequence[int] = (640, 368),
        out_channels: int = 30,
        *,
        channels: Annotated[int, Field(ge=1)] = 256,
        layers: Annotated[int, Field(ge=2)] = 8,
        in_size: Size = (10, 5),
    ) -> None:
        super().__init__()
        _check("ConvDecoder", output_shape, out_channels, channels, layers, in_size)
        self.sizes = sizes(in_size, output_shape, layers - 1)
        body: list[nn.Module] = []
        for size in self.sizes:
            body += [nn.Upsample(size=size, mode="nearest"), nn.Conv2d(channels, channels, 3, padding=1)]
            body += _activated(channels)
        body += [nn.Conv2d(channels, channels, 3, padding=1), *_activated(channels)]
        self.body = nn.Sequential(*body, nn.Conv2d(channels, out_channels, 1))
        self.register_buffer("input", torch.rand(1, channels, *in_size))

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, in_size: Sequence[int], **others: Any) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are smaller than the input."""
        _check_output(cls.__name__, shape, in_size)

    def forward(
        self, given: Float[Tensor, "1 channels u v"] | None = None
    ) -> Float[Tensor, "1 out_channels y x"]:
        """The image; `given` takes the place of the fixed input."""
        return self.body(_start(self.input, given, "ConvDecoder"))


class DeepDecoder(nn.Module):
    """From a fixed input to `(1, out_channels, y, x)`, without any convolution wider than a pixel.

    1. `layers − 1` blocks: 1×1 convolution, bilinear upsampling to the next of `sizes` (corners not aligned),
       ReLU, BN.
    2. 1×1 convolution, ReLU, BN.
    3. 1×1 convolution to `out_channels`.

    No convolution has a bias: `layers·(channels² + 2·channels) + channels·out_channels` parameters, 1,372,640
    with the defaults. Input, BN and the order of channels are `ConvDecoder`'s.

    Args:
        output_shape: rows and columns of the image.
        out_channels: two a coil.
        channels: of the input and of every layer.
        layers: 1×1 convolutions before the last.
        in_size: rows and columns of the input.

    Attributes:
        sizes: rows and columns after each upsampling, `⌈in·(out/in)^(k/(layers − 1))⌉`.

    Raises:
        ValueError: as `ConvDecoder`.

    Source: [darestani2021], after [heckel2019].
    """

    word: ClassVar[str] = "deep-decoder"
    takes: ClassVar[str] = "nothing"
    input: Tensor

    def __init__(
        self,
        output_shape: Sequence[int] = (640, 368),
        out_channels: int = 30,
        *,
        channels: Annotated[int, Field(ge=1)] = 368,
        layers: Annotated[int, Field(ge=2)] = 10,
        in_size: Size = (16, 16),
    ) -> None:
        super().__init__()
        _check("DeepDecoder", output_shape, out_channels, channels, layers, in_size)
        self.sizes = sizes(in_size, output_shape, layers - 1)
        body: list[nn.Module] = []
        for size in self.sizes:
            body += [
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.Upsample(size=size, mode="bilinear", align_corners=False),
                *_activated(channels),
            ]
        body += [nn.Conv2d(channels, channels, 1, bias=False), *_activated(channels)]
        self.body = nn.Sequential(*body, nn.Conv2d(channels, out_channels, 1, bias=False))
        self.register_buffer("input", torch.rand(1, channels, *in_size))

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, in_size: Sequence[int], **others: Any) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are smaller than the input."""
        _check_output(cls.__name__, shape, in_size)

    def forward(
        self, given: Float[Tensor, "1 channels u v"] | None = None
    ) -> Float[Tensor, "1 out_channels y x"]:
        """The image; `given` takes the place of the fixed input."""
        return self.body(_start(self.input, given, "DeepDecoder"))


def sizes(first: Sequence[int], last: Sequence[int], count: int) -> list[tuple[int, int]]:
    """`⌈first·(last/first)^(k/count)⌉` along both axes, k = 1 … `count`, without rounding errors."""
    return [
        (_size(first[0], last[0], k, count), _size(first[1], last[1], k, count)) for k in range(1, count + 1)
    ]


def _size(first: int, last: int, k: int, count: int) -> int:
    # the smallest whole m with m^count >= first^(count − k)·last^k, both sides whole numbers
    bound = first ** (count - k) * last**k
    size = max(1, int(first * (last / first) ** (k / count)) - 1)
    while size**count < bound:
        size += 1
    return size


def _activated(channels: int) -> list[nn.Module]:
    # Without running statistics: they would enter nothing, and torch.vmap cannot write them.
    return [nn.ReLU(), nn.BatchNorm2d(channels, track_running_stats=False)]


def _start(fixed: Tensor, given: Tensor | None, where: str) -> Tensor:
    if given is None:
        return fixed
    if given.ndim != 4 or given.shape[:2] != fixed.shape[:2]:
        raise ValueError(
            f"{where}: expected an input (1, {fixed.shape[1]}, rows, columns), got {tuple(given.shape)}; "
            "leave it out for the fixed one"
        )
    return given


def _check(
    where: str,
    output_shape: Sequence[int],
    out_channels: int,
    channels: int,
    layers: int,
    in_size: Sequence[int],
) -> None:
    if len(output_shape) != 2 or len(in_size) != 2:
        raise ValueError(
            f"{where}: expected output_shape and in_size as rows and columns, got {tuple(output_shape)} "
            f"and {tuple(in_size)}"
        )
    if min(out_channels, channels, *in_size) < 1 or layers < 2:
        raise ValueError(
            f"{where}: expected layers of at least 2 and other numbers of at least 1, got "
            f"out_channels={out_channels}, channels={channels}, layers={layers}, in_size={tuple(in_size)}"
        )
    _check_output(where, output_shape, in_size)


def _check_output(where: str, output_shape: Sequence[int], in_size: Sequence[int]) -> None:
    if output_shape[0] < in_size[0] or output_shape[1] < in_size[1]:
        raise ValueError(
            f"{where}: expected an image of at least in_size={tuple(in_size)}, got "
            f"output_shape={tuple(output_shape)}; take a smaller in_size"
        )

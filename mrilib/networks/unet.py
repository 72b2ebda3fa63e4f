"""The U-Net."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from mrilib.operators.channels import check_channels


class UNet(nn.Module):
    """`(batch, channels, y, x) → (batch, 2, y, x)`.

    A block is twice [3×3 convolution, BN, ReLU], to `base·2^level` features; between the `levels` levels
    and the lowest: max-pool 2 down, 2×2 transposed convolution with stride 2 up, then the skip is appended.
    A last 1×1 convolution makes two channels. All convolutions have a bias.

    Sides that `2^levels` does not divide are padded by zeros, as the convolutions pad, half before and half
    after (an odd one after), and the result is cropped back: our choice, the reference takes no such sizes.
    Weights start as torch draws them by default, from its global generator; whoever trains seeds that.

    Args:
        channels: of the input.
        base: features of the first level.
        levels: number of poolings.

    Raises:
        ValueError: if an argument is below 1, or at the call if the input has another number of channels
            or a side shorter than `2^levels`.

    Source: [genzel2022], its code with base 32 and 4 levels, after [ronneberger2015]. Deviates: any size,
    any number of levels, no dropout (there 0).
    """

    word: ClassVar[str] = "unet"

    def __init__(
        self,
        *,
        channels: Annotated[int, Field(ge=1)] = 2,
        base: Annotated[int, Field(ge=1)] = 32,
        levels: Annotated[int, Field(ge=1)] = 4,
    ) -> None:
        super().__init__()
        if min(channels, base, levels) < 1:
            raise ValueError(
                "UNet: expected channels, base and levels of at least 1, "
                f"got {channels}, {base} and {levels}; the defaults are 2, 32 and 4"
            )
        self._channels = channels
        self._factor = 2**levels
        features = [base * 2**level for level in range(levels + 1)]
        climb = list(reversed(list(pairwise(features))))
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(_block(before, after) for before, after in pairwise([channels, *features]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, stride=2) for high, low in climb)
        self.merge = nn.ModuleList(_block(2 * high, high) for high, _ in climb)
        self.last = nn.Conv2d(base, 2, 1)

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, levels: int, **others: Any) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are too small for such a network."""
        if min(shape) < 2**levels:
            raise ValueError(
                f"{cls.__name__}: expected images of at least {2**levels}×{2**levels} for {levels} levels, "
                f"got {shape[0]}×{shape[1]}; take larger images or fewer levels"
            )

    def forward(self, image: Float[Tensor, "batch channels y x"]) -> Float[Tensor, "batch 2 y x"]:
        check_channels(image, "UNet", count=self._channels, smallest=self._factor)
        height, width = image.shape[-2:]
        below, right = -height % self._factor, -width % self._factor
        top, left = below // 2, right // 2
        x = nn.functional.pad(image, (left, right - left, top, below - top))

        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], dim=1))
        return self.last(x)[..., top : top + height, left : left + width]


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )

"""fastMRI's U-net on the zero-filled magnitude image.

It is called as `network(kspace, mask)` and returns magnitude images. Sizes of [darestani2021], Table 2, as
arguments, with their parameters:

| | chans | num_pool_layers | parameters |
|---|---|---|---|
| U-net | 32 | 4 | 7,756,097 |
| U-net2 | 16 | 4 | 1,939,105 |
| U-net3 | 16 | 2 | 116,385 |
| U-net4 | 8 | 4 | 484,817 |
| U-net5 | 8 | 2 | 29,137 |

Table 2 has 8 and 4 "layers" and 4 "pools" throughout; a U-net of 4 pools has 8 layers, so we read 4 layers as
2 pools. Smaller sizes, such as the demo's, are none of the paper's, and are to be named as reduced.
"""

from typing import Annotated, Any, ClassVar

from fastmri import models
from jaxtyping import Bool, Complex, Float
from pydantic import Field
from torch import Tensor, nn

from mrilib.networks.kspace_input import check_counts, check_size, masked
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import center_crop, rss

# That of fastMRI's normalisation.
EPS = 1e-11


class MagnitudeUnet(nn.Module):
    """`x̂ = s·U((x₀ − μ)/(s + 10⁻¹¹)) + μ`, `x₀ = RSS(Fᴴ P_Ω y)`; `μ, s` mean and sd of the pixels of `x₀`.

    `U` is fastMRI's U-net with one channel in and out: it sees the zero-filled magnitude image and no coil.
    Its output is not made positive. `μ` and `s` depend on k-space and are differentiated as all else.

    Args:
        chans: channels of the first level.
        num_pool_layers: poolings.
        crop: rows and columns at the centre that `U` sees, and `μ` and `s` are of (all, if the image is
            smaller); around them `x̂ = x₀`. `None`: the whole grid, which is what an attack and a location map
            need. fastMRI trains on the crop to its target, 320×320, and its published weights want that.
        limit: clamp `U`'s input to ±`limit`, fastMRI: 6. `None`: no clamp, our choice, because a clamped
            pixel has no gradient, which hides it from an attack.

    Attributes:
        published: name of the module that published weights belong to.
        takes: k-space of coils, with the mask.

    Raises:
        ValueError: if an argument is out of range; at the call for a mask that is not boolean, or an image
            too small for the poolings.

    Source: `Unet` and `UnetDataTransform` of fastMRI [zbontar2018], version 0.3.0.
    """

    word: ClassVar[str] = "magnitude-unet"
    published: ClassVar[str] = "unet"
    takes: ClassVar[str] = "coils"

    def __init__(
        self,
        *,
        chans: Annotated[int, Field(ge=1)] = 32,
        num_pool_layers: Annotated[int, Field(ge=1)] = 4,
        crop: tuple[int, int] | list[int] | None = None,
        limit: float | None = None,
    ) -> None:
        super().__init__()
        check_counts("MagnitudeUnet", chans=chans, num_pool_layers=num_pool_layers)
        if (crop is not None and (len(crop) != 2 or min(crop) < 1)) or (limit is not None and not limit > 0):
            raise ValueError(
                "MagnitudeUnet: expected crop as rows and columns of at least 1, and limit > 0, or neither, "
                f"got {crop} and {limit}; fastMRI has [320, 320] and 6"
            )
        self._crop, self._limit, self._pools = crop, limit, num_pool_layers
        self.unet = models.Unet(in_chans=1, out_chans=1, chans=chans, num_pool_layers=num_pool_layers)

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, num_pool_layers: int, crop: Any, **others: Any) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are too small for such a network."""
        rows, columns = crop or shape
        check_size("MagnitudeUnet", (min(rows, shape[0]), min(columns, shape[1])), num_pool_layers)

    def forward(
        self, kspace: Complex[Tensor, "batch coil ky kx"], mask: Bool[Tensor, "#batch #ky kx"]
    ) -> Float[Tensor, "batch ky kx"]:
        """Magnitude images; `mask` one for all items or one an item, `ky` of length 1 for whole columns."""
        zero_filled = rss(ifft2c(masked(kspace, mask, "MagnitudeUnet")))
        height, width = zero_filled.shape[-2:]
        rows, columns = self._crop or (height, width)
        shape = min(rows, height), min(columns, width)
        check_size("MagnitudeUnet", shape, self._pools)
        image = center_crop(zero_filled, shape)
        mean = image.mean(dim=(-2, -1), keepdim=True)
        sd = image.std(dim=(-2, -1), keepdim=True)
        given = (image - mean) / (sd + EPS)
        if self._limit is not None:
            given = given.clamp(-self._limit, self._limit)
        output = self.unet(given.unsqueeze(1)).squeeze(1) * sd + mean
        if shape == (height, width):
            return output
        whole = zero_filled.clone()
        center_crop(whole, shape).copy_(output)
        return whole

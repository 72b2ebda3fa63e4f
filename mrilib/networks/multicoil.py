"""Networks on multi-coil k-space: fastMRI's U-net on magnitude images, and its VarNet.

Both are called as `network(kspace, mask)` and return magnitude images. Sizes of [darestani2021], Tables 1 and
2, as arguments, with their parameters:

| | chans | num_pool_layers | parameters | | chans | sens_chans | num_cascades | parameters |
|---|---|---|---|---|---|---|---|---|
| U-net | 32 | 4 | 7,756,097 | VarNet | 18 | 8 | 12 | 29,936,966 |
| U-net2 | 16 | 4 | 1,939,105 | VarNet2 | 9 | 4 | 12 | 7,485,390 |
| U-net3 | 16 | 2 | 116,385 | VarNet3 | 9 | 4 | 6 | 3,803,328 |
| U-net4 | 8 | 4 | 484,817 | VarNet4 | 4 | 2 | 12 | 1,485,542 |
| U-net5 | 8 | 2 | 29,137 | VarNet5 | 4 | 2 | 6 | 757,940 |

Table 2 has 8 and 4 "layers" and 4 "pools" throughout; a U-net of 4 pools has 8 layers, so we read 4 layers as
2 pools. Smaller sizes, such as the demo's, are none of the paper's, and are to be named as reduced.
"""

from typing import ClassVar

import torch
from fastmri import models
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from mrilib.data.measurement import center_crop, rss
from mrilib.operators.base import ifft2c

# That of fastMRI's normalisation.
EPS = 1e-11
# `fastmri.models.VarNet` pads its images to multiples of it.
VARNET_MULTIPLE = 16


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

    Raises:
        ValueError: if an argument is out of range; at the call for a mask that is not boolean, or an image
            too small for the poolings.

    Source: `Unet` and `UnetDataTransform` of fastMRI [zbontar2018], version 0.3.0.
    """

    published: ClassVar[str] = "unet"

    def __init__(
        self,
        *,
        chans: int = 32,
        num_pool_layers: int = 4,
        crop: tuple[int, int] | list[int] | None = None,
        limit: float | None = None,
    ) -> None:
        super().__init__()
        _check_counts("MagnitudeUnet", chans=chans, num_pool_layers=num_pool_layers)
        if (crop is not None and (len(crop) != 2 or min(crop) < 1)) or (limit is not None and not limit > 0):
            raise ValueError(
                "MagnitudeUnet: expected crop as rows and columns of at least 1, and limit > 0, or neither, "
                f"got {crop} and {limit}; fastMRI has [320, 320] and 6"
            )
        self._crop, self._limit, self._pools = crop, limit, num_pool_layers
        self.unet = models.Unet(in_chans=1, out_chans=1, chans=chans, num_pool_layers=num_pool_layers)

    def forward(
        self, kspace: Complex[Tensor, "batch coil ky kx"], mask: Bool[Tensor, "#batch #ky kx"]
    ) -> Float[Tensor, "batch ky kx"]:
        """Magnitude images; `mask` one for all items or one an item, `ky` of length 1 for whole columns."""
        zero_filled = rss(ifft2c(_masked(kspace, mask, "MagnitudeUnet")))
        height, width = zero_filled.shape[-2:]
        rows, columns = self._crop or (height, width)
        shape = min(rows, height), min(columns, width)
        _check_size("MagnitudeUnet", shape, self._pools)
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


class VarNet(nn.Module):
    """fastMRI's end-to-end variational network: `RSS(Fᴴ k_T)`, from `k₀ = P_Ω y` by `num_cascades` steps

        k_{t+1} = k_t − η_t P_Ω (k_t − y) − F S N_t(Sᴴ Fᴴ k_t)

    with a learned `η_t` and a U-net `N_t` each. `S`, estimated by another U-net from the images of the fully
    sampled centre columns, is part of the network; coil maps from elsewhere are not used. Mean and sd are
    taken out of the input of every U-net, so `c·y` gives `c·x̂` for `c > 0`.

    Args:
        num_cascades: steps.
        chans: channels of the first level of each `N_t`.
        pools: poolings of each.
        sens_chans: channels of the first level of the U-net for `S`. `None`: no U-net, `S` is what it would
            be given, the images of the centre columns, divided by their RSS. For short trainings: maps of a
            U-net at random start are none of the coils', and cascades cannot tell aliasing by them.
        sens_pools: its poolings; without effect if it is left out.
        center_fraction: the centre is `round(width·center_fraction)` columns, as in `column_mask` and in
            fastMRI's training. `None`: what is sampled without a gap on both sides of the zero frequency,
            as fastMRI's inference has it. A random mask may make that some columns wider, and of an odd width
            it is two narrower, 2 instead of 4 of 37 columns.

    Attributes:
        published: name of the module that published weights belong to.

    Raises:
        ValueError: if an argument is out of range; at the call for a mask that is not boolean, an image too
            small for the poolings, or a centre that is not sampled.

    Source: [sriram2020]; `VarNet` of fastMRI, version 0.3.0. Defaults are the reference size of
    [darestani2021]. Deviates: a mask that reaches an edge without a gap has its whole width as centre, where
    fastMRI's count gives one column. `sens_chans=None` is our choice, and none of fastMRI's.
    """

    published: ClassVar[str] = "varnet"

    def __init__(
        self,
        *,
        num_cascades: int = 12,
        chans: int = 18,
        pools: int = 4,
        sens_chans: int | None = 8,
        sens_pools: int = 4,
        center_fraction: float | None = None,
    ) -> None:
        super().__init__()
        counts = {"num_cascades": num_cascades, "chans": chans, "pools": pools}
        if sens_chans is not None:
            counts |= {"sens_chans": sens_chans, "sens_pools": sens_pools}
        _check_counts("VarNet", **counts)
        if center_fraction is not None and not 0.0 < center_fraction <= 1.0:
            raise ValueError(
                f"VarNet: expected 0 < center_fraction <= 1, the mask's, or None, got {center_fraction}"
            )
        self._pools, self._fraction = max(pools, counts.get("sens_pools", 1)), center_fraction
        self.varnet = models.VarNet(**counts)
        if sens_chans is None:
            self.varnet.sens_net = _CenterMaps()

    def forward(
        self, kspace: Complex[Tensor, "batch coil ky kx"], mask: Bool[Tensor, "#batch #ky kx"]
    ) -> Float[Tensor, "batch ky kx"]:
        """Magnitude images; `mask` one for all items or one an item, `ky` of length 1 for whole columns."""
        masked = torch.view_as_real(_masked(kspace, mask, "VarNet"))
        padded = tuple(-(-size // VARNET_MULTIPLE) * VARNET_MULTIPLE for size in kspace.shape[-2:])
        _check_size("VarNet", padded, self._pools)
        masks = mask.expand(len(kspace), -1, -1)[:, None, :, :, None]
        widths = self.center_columns(mask).expand(len(kspace)).tolist()
        if len(set(widths)) == 1:
            return self.varnet(masked, masks, widths[0])
        return torch.cat(
            [
                self.varnet(masked[index : index + 1], masks[index : index + 1], width)
                for index, width in enumerate(widths)
            ]
        )

    def center_columns(self, mask: Bool[Tensor, "#batch #ky kx"]) -> Tensor:
        """Number of centre columns that the coil maps are estimated from, one an item of the mask."""
        columns = mask.all(dim=-2)
        width = columns.shape[-1]
        if self._fraction is None:
            left, right = columns[:, : width // 2].flip(-1), columns[:, width // 2 :]
            runs = [side.long().cumprod(dim=-1).sum(dim=-1) for side in (left, right)]
            counts = torch.where(columns.all(dim=-1), width, 2 * torch.minimum(*runs)).clamp_min(1)
            sampled, mend = runs[1] > 0, "fastMRI's VarNet needs a fully sampled centre"
        else:
            count = max(1, round(width * self._fraction))
            first = (width - count + 1) // 2
            counts = torch.full((len(columns),), count)
            sampled, mend = columns[:, first : first + count].all(dim=-1), "give center_fraction of the mask"
        if not bool(sampled.all()):
            raise ValueError(
                f"VarNet: expected whole sampled columns in the centre of the mask, {int(counts.max())} of "
                f"{width}, got one that is not; {mend}"
            )
        return counts


class _CenterMaps(nn.Module):
    """`S_c = x_c / √Σ_c|x_c|²`, `x` the images of the centre columns; 0 where all coils are 0.

    Called as fastMRI's `SensitivityModel`, and like it without the U-net.
    """

    def forward(
        self,
        masked_kspace: Float[Tensor, "batch coil ky kx 2"],
        mask: Bool[Tensor, "batch 1 #ky kx 1"],
        num_low_frequencies: int,
    ) -> Float[Tensor, "batch coil ky kx 2"]:
        width = masked_kspace.shape[-2]
        first = (width - num_low_frequencies + 1) // 2
        center = torch.zeros_like(masked_kspace)
        chosen = slice(first, first + num_low_frequencies)
        center[..., chosen, :] = masked_kspace[..., chosen, :]
        images = ifft2c(torch.view_as_complex(center))
        norm = rss(images).unsqueeze(1)
        return torch.view_as_real(images / torch.where(norm > 0, norm, 1.0))


def _masked(kspace: Tensor, mask: Tensor, where: str) -> Tensor:
    if mask.dtype != torch.bool or mask.ndim != 3 or kspace.ndim != 4:
        raise ValueError(
            f"{where}: expected kspace (batch, coil, ky, kx) and a boolean mask (batch or 1, ky or 1, kx), "
            f"got {tuple(kspace.shape)} and {mask.dtype} of shape {tuple(mask.shape)}"
        )
    return kspace * mask.unsqueeze(1)


def _check_counts(where: str, **counts: int) -> None:
    if min(counts.values()) < 1:
        found = ", ".join(f"{name}={value}" for name, value in counts.items())
        raise ValueError(f"{where}: expected numbers of at least 1, got {found}")


def _check_size(where: str, shape: tuple[int, ...], pools: int) -> None:
    """Raise `ValueError` unless two pixels remain at the lowest level, which is normalised by their sd."""
    height, width = (size >> pools for size in shape)
    if height * width < 2:
        raise ValueError(
            f"{where}: an image of {shape[0]}×{shape[1]} has {height}×{width} pixels after {pools} poolings, "
            "expected at least 2; take larger images or fewer poolings"
        )

"""fastMRI's VarNet on multi-coil k-space.

It is called as `network(kspace, mask)` and returns magnitude images. Sizes of [darestani2021], Table 1, as
arguments, with their parameters:

| | chans | sens_chans | num_cascades | parameters |
|---|---|---|---|---|
| VarNet | 18 | 8 | 12 | 29,936,966 |
| VarNet2 | 9 | 4 | 12 | 7,485,390 |
| VarNet3 | 9 | 4 | 6 | 3,803,328 |
| VarNet4 | 4 | 2 | 12 | 1,485,542 |
| VarNet5 | 4 | 2 | 6 | 757,940 |
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

import fastmri
import torch
from fastmri import models
from fastmri.models.varnet import NormUnet, SensitivityModel
from jaxtyping import Bool, Complex, Float
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mrilib.networks.kspace_input import check_counts, check_size, masked
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import rss
from mrilib.solvers.gradient_memory import gradient_room, saved_bytes

# `fastmri.models.VarNet` pads its images to multiples of it.
VARNET_MULTIPLE = 16


class VarNet(nn.Module):
    """fastMRI's end-to-end variational network: `RSS(Fᴴ k_T)`, from `k₀ = P_Ω y` by `num_cascades` steps

        k_{t+1} = k_t − η_t P_Ω (k_t − y) − F S N_t(Sᴴ Fᴴ k_t)

    with a learned `η_t` and a U-net `N_t` each. `S`, estimated by another U-net from the images of the fully
    sampled centre columns, is part of the network; coil maps from elsewhere are not used. Mean and sd are
    taken out of the input of every U-net, so `c·y` gives `c·x̂` for `c > 0`. An input of sd 0 becomes zeros: a
    coil whose k-space is zero gets a map of zeros and changes nothing of the image.

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
        checkpointing: keep of each cascade, and of the U-net for `S`, only what it begins with, and compute
            it again for its gradient, one item at a time. At 15 coils of 640×368 that is 0.5 GB an item, and
            2.9 GB for the one that is computed again, in place of 8.4 GB, for a third more work. Results of
            one item are the same to the last bit, those of several to the rounding of a batch. `None`: where
            a gradient would keep more than the device's `gradient_room`.
        zero_output: start from the zero-filled image: every `N_t` begins as 0 and, of its input with mean `μ`
            and sd `σ`, gives `σ·U((x − μ)/σ)`. fastMRI adds `μ`, which `U` then has to take away again, but
            is not told. For short trainings.

    Attributes:
        published: name of the module that published weights belong to.
        takes: k-space of coils, with the mask.
        whole_columns: whether masks have to be of whole columns.

    Raises:
        ValueError: if an argument is out of range; at the call for a mask that is not boolean, an image too
            small for the poolings, or a centre that is not sampled, which that of a radial mask is not.

    Source: [sriram2020]; `VarNet` of fastMRI, version 0.3.0. Defaults are the reference size of
    [darestani2021]. Deviates: a mask that reaches an edge without a gap has its whole width as centre, where
    fastMRI's count gives one column. Zeros are borne, where fastMRI divides by an sd of 0. `sens_chans=None`
    and `zero_output` are our choices, and none of fastMRI's.
    """

    word: ClassVar[str] = "varnet"
    published: ClassVar[str] = "varnet"
    takes: ClassVar[str] = "coils"
    whole_columns: ClassVar[bool] = True

    def __init__(
        self,
        *,
        num_cascades: Annotated[int, Field(ge=1)] = 12,
        chans: Annotated[int, Field(ge=1)] = 18,
        pools: Annotated[int, Field(ge=1)] = 4,
        sens_chans: Annotated[int, Field(ge=1)] | None = 8,
        sens_pools: Annotated[int, Field(ge=1)] = 4,
        center_fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
        checkpointing: bool | None = None,
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        counts = {"num_cascades": num_cascades, "chans": chans, "pools": pools}
        if sens_chans is not None:
            counts |= {"sens_chans": sens_chans, "sens_pools": sens_pools}
        check_counts("VarNet", **counts)
        if center_fraction is not None and not 0.0 < center_fraction <= 1.0:
            raise ValueError(
                f"VarNet: expected 0 < center_fraction <= 1, the mask's, or None, got {center_fraction}"
            )
        self._pools, self._fraction = max(pools, counts.get("sens_pools", 1)), center_fraction
        self._checkpointing = checkpointing
        self._kept: dict[tuple[Any, ...], int] = {}
        self.varnet = models.VarNet(**counts)
        self.varnet.sens_net = _CenterMaps() if sens_chans is None else _UnetMaps(self.varnet.sens_net)
        for cascade in self.varnet.cascades:
            cascade.model = (
                _ZeroRefinement(NormUnet(chans, pools)) if zero_output else _Refinement(cascade.model)
            )

    @classmethod
    def check_shape(
        cls, shape: tuple[int, int], *, pools: int, sens_chans: int | None, sens_pools: int, **others: Any
    ) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are too small for such a network."""
        check_size("VarNet", _padded(shape), pools if sens_chans is None else max(pools, sens_pools))

    def forward(
        self, kspace: Complex[Tensor, "batch coil ky kx"], mask: Bool[Tensor, "#batch #ky kx"]
    ) -> Float[Tensor, "batch ky kx"]:
        """Magnitude images; `mask` one for all items or one an item, `ky` of length 1 for whole columns.

        Rows of the mask may be empty, as those of a partial readout are.
        """
        sampled = torch.view_as_real(masked(kspace, mask, "VarNet"))
        check_size("VarNet", _padded(kspace.shape[-2:]), self._pools)
        masks = mask.expand(len(kspace), -1, -1)[:, None, :, :, None]
        widths = self.center_columns(mask).expand(len(kspace)).tolist()
        again = self._computed_again(sampled, masks, widths[0])
        if len(set(widths)) == 1 and not again:
            return self._image(sampled, masks, widths[0])
        # Gradients are taken in the reverse order of the items, and hold what is computed again of one.
        return torch.cat(
            [
                self._image(sampled[index : index + 1], masks[index : index + 1], width, again=again)
                for index, width in enumerate(widths)
            ]
        )

    def _image(
        self,
        sampled: Float[Tensor, "batch coil ky kx 2"],
        masks: Bool[Tensor, "batch 1 #ky kx 1"],
        width: int,
        *,
        again: bool = False,
    ) -> Float[Tensor, "batch ky kx"]:
        """What fastMRI's module returns, with a derivative where a coil is zero."""
        run = partial(checkpoint, use_reentrant=False) if again else _called
        maps = run(self.varnet.sens_net, sampled, masks, width)
        kspace = sampled.clone()
        for cascade in self.varnet.cascades:
            kspace = run(cascade, kspace, sampled, masks, maps)
        moduli = _root(fastmri.complex_abs_sq(fastmri.ifft2c(kspace)))
        return _root((moduli**2).sum(1))

    def _computed_again(
        self,
        sampled: Float[Tensor, "batch coil ky kx 2"],
        masks: Bool[Tensor, "batch 1 #ky kx 1"],
        width: int,
    ) -> bool:
        """Whether a gradient is wanted, and its cascades are to be computed again.

        What it would keep is counted once for a size of k-space: by one more pass.
        """
        learns = any(parameter.requires_grad for parameter in self.parameters())
        if not torch.is_grad_enabled() or not (sampled.requires_grad or learns):
            return False
        if self._checkpointing is not None:
            return self._checkpointing
        size = (*sampled.shape[1:], sampled.dtype, sampled.requires_grad, learns)
        if size not in self._kept:
            item = sampled[:1].detach().requires_grad_(sampled.requires_grad)
            self._kept[size] = saved_bytes(
                lambda: self._image(item, masks[:1], width), but=[item, *self.parameters()]
            )
        return len(sampled) * self._kept[size] > gradient_room(sampled.device)

    def center_columns(self, mask: Bool[Tensor, "#batch #ky kx"]) -> Tensor:
        """Number of centre columns that the coil maps are estimated from, one an item of the mask.

        A column counts as sampled if it is in every row that has a sample.
        """
        rows = mask.any(dim=-1, keepdim=True)
        columns = (mask | ~rows).all(dim=-2) & rows.any(dim=-2)
        width = columns.shape[-1]
        if self._fraction is None:
            left, right = columns[:, : width // 2].flip(-1), columns[:, width // 2 :]
            runs = [side.long().cumprod(dim=-1).sum(dim=-1) for side in (left, right)]
            counts = torch.where(columns.all(dim=-1), width, 2 * torch.minimum(*runs)).clamp_min(1)
            sampled, mend = runs[1] > 0, "raise the mask's center_fraction"
        else:
            count = max(1, round(width * self._fraction))
            first = (width - count + 1) // 2
            counts = torch.full((len(columns),), count, device=mask.device)
            sampled = columns[:, first : first + count].all(dim=-1)
            mend = (
                f"give the network the mask's center_fraction instead of {self._fraction}, or raise that one"
            )
        # One whole column amid rows that differ is a spoke and no centre.
        alike = (mask == (columns[:, None] & rows)).flatten(1).all(dim=-1)
        sampled = sampled & (alike | (counts > 1))
        if not bool(sampled.all()):
            first_bad = int((~sampled).nonzero()[0, 0])
            if not bool(alike[first_bad]):
                mend = (
                    "a mask whose rows differ, such as a radial one, has no such centre: take one of columns"
                )
            raise ValueError(
                f"VarNet: expected whole sampled columns in the centre of the mask, {int(counts[first_bad])} "
                f"of {width}, got one that is not; {mend}"
            )
        return counts


def _called(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    return function(*arguments)


def _padded(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(-(-size // VARNET_MULTIPLE) * VARNET_MULTIPLE for size in shape)


class _Refinement(NormUnet):
    """fastMRI's `σ·U((x − μ)/σ) + μ` of real and imaginary part each; `U` is given zeros where `σ = 0`.

    Args:
        made: fastMRI's module, whose U-net it takes over.
    """

    def __init__(self, made: NormUnet) -> None:
        nn.Module.__init__(self)
        self.unet = made.unet

    def norm(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2 * height * width)
        mean, sd = x.mean(dim=2).view(batch, 2, 1, 1), x.std(dim=2).view(batch, 2, 1, 1)
        # Divided by infinity all is 0, and so is its derivative.
        divisor = torch.where(sd > 0, sd, torch.inf)
        return (x.view(batch, channels, height, width) - mean) / divisor, mean, sd


class _ZeroRefinement(_Refinement):
    """`σ·U((x − μ)/σ)` of real and imaginary part each, with `U = 0` at the start."""

    def __init__(self, made: NormUnet) -> None:
        super().__init__(made)
        for parameter in self.unet.up_conv[-1][-1].parameters():
            nn.init.zeros_(parameter)

    def unnorm(self, x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return x * std


class _UnetMaps(SensitivityModel):
    """fastMRI's coil maps of a U-net, `S_c = u_c/√Σ_c|u_c|²`; 0 where all coils are 0.

    Args:
        made: fastMRI's module, whose U-net it takes over.
    """

    def __init__(self, made: SensitivityModel) -> None:
        nn.Module.__init__(self)
        self.mask_center, self.norm_unet = made.mask_center, _Refinement(made.norm_unet)

    def divide_root_sum_of_squares(self, x: Tensor) -> Tensor:
        norm = _root(fastmri.complex_abs_sq(x).sum(1))[:, None, ..., None]
        return x / torch.where(norm > 0, norm, 1.0)


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


def _root(squares: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`√s`, with the derivative 0 at 0."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)

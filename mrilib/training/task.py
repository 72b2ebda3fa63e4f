"""What a network learns from, and how it is measured: samples, loss, validation error."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.measurement import measure_image
from mrilib.data.sampling.base import Sampling, name_seed
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import LinearOperator, fft2c, ifft2c
from mrilib.operators.fourier import MaskedFourier

Sample = tuple[Tensor, ...]
# A network, or what stands in for one: k-space, and what measured it, to images.
Model = Callable[[Tensor, Any], Tensor]


class TrainingTask(ABC):
    """Samples that are measured when they are drawn, and what is made of a batch of them.

    Images are measured as those of every later stage are, by `mrilib.data.measurement`, under masks that a
    `Sampling` draws. A random mask of a training sample depends on seed, epoch and index alone, that of a
    validation sample on its name, so that it is the same in every epoch.

    Attributes:
        count: training samples an epoch.
        validation: validation samples.
        uniform: whether all samples have one size; if not, every device takes one at once.
    """

    count: int
    validation: int
    uniform: bool = True

    @abstractmethod
    def sample(self, epoch: int, index: int) -> Sample:
        """Training sample `index` of an epoch, on the CPU; depends on its arguments alone."""

    @abstractmethod
    def validation_sample(self, index: int) -> Sample:
        """Validation sample `index`."""

    @abstractmethod
    def sample_name(self, index: int) -> str:
        """What training sample `index` is, for messages."""

    @abstractmethod
    def validation_name(self, index: int) -> str:
        """What validation sample `index` is, for messages."""

    def faults(self, sample: Sample) -> str:
        """What of a sample's data cannot be right, for messages; empty for nothing."""
        finite = all(bool(part.abs().isfinite().all()) for part in sample)
        return "" if finite else "its data are not finite"

    def to(self, device: torch.device) -> "TrainingTask":
        """The same task with what belongs there on a device."""
        return self

    def loss(self, model: Model, batch: Sample) -> Float[Tensor, ""]:
        """Mean loss of the items of a batch; by default that of their errors."""
        return self.errors(model, batch).mean()

    @abstractmethod
    def errors(self, model: Model, batch: Sample) -> Float[Tensor, "batch"]:
        """Error of every item of a batch of validation samples."""

    @abstractmethod
    def zero_filled(self, kspace: Tensor, measured_by: Any) -> Tensor:
        """The zero-filled image, called as the network is."""

    @torch.no_grad()
    def zero_filled_error(self) -> float:
        """Mean error of the zero-filled images of the validation samples."""
        batches = (
            tuple(part[None] for part in self.validation_sample(index)) for index in range(self.validation)
        )
        return float(torch.cat([self.errors(self.zero_filled, batch) for batch in batches]).mean())


def mask_seed(seed: int, epoch: int, index: int) -> tuple[int, ...]:
    """Seed of the mask of a training sample: both halves of `seed`, epoch, index.

    Raises `ValueError` unless `seed` has at most 64 bits.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"mask_seed: expected a seed from 0 to 2**64 - 1, got {seed}")
    return seed & 0xFFFFFFFF, seed >> 32, epoch, index


class PhantomTask(TrainingTask):
    """Ellipse phantoms drawn on the fly, measured by a single coil.

    The model is called as `model(kspace, operator)` on `y = Ax + ε` and returns the complex image `x̂`. The
    loss of an item is `Σ (|x̂| − |x|)²` over its pixels; its error, on `y = Ax`, is the relative ℓ2 error.
    Jitter `ε`, on the samples, has independent real and imaginary parts of sd `jitter·s/√m`, `s` uniform on
    [0, 1) and drawn for every sample anew, `m` the number of samples.

    A mask that is not random is drawn once. Random ones are drawn for every sample and epoch; then the
    operator has a mask for every item of the batch.

    Args:
        sampling: how masks are drawn.
        size: side of the phantoms, in pixels.
        count: training images.
        validation: validation images.
        seeds: of the training images, with their masks and jitter, and of the validation images.
        jitter: level of the jitter; 0 for none.

    Raises:
        ValueError: for numbers out of range; and as `sampling.draw`.

    Source: [alaifari2023], section 4; the loss and the numbers of the jitter from the authors' public code.
    """

    def __init__(
        self,
        sampling: Sampling,
        *,
        size: int,
        count: int,
        validation: int,
        seeds: tuple[int, int],
        jitter: float = 0.0,
    ) -> None:
        if count < 1 or validation < 1 or jitter < 0:
            raise ValueError(
                "PhantomTask: expected count >= 1, validation >= 1 and jitter >= 0, "
                f"got {count}, {validation} and {jitter}"
            )
        mask_seed(seeds[0], 0, 0)
        self.count, self.validation, self._size = count, validation, size
        self._sampling, self._seeds, self._jitter = sampling, seeds, jitter
        self._operator: MaskedFourier | None = None
        if not sampling.random:
            mask = sampling.draw((size, size), 0)
            self._operator = MaskedFourier(mask=mask.expand(size, size))

    def sample(self, epoch: int, index: int) -> Sample:
        seed = self._seeds[0]
        kspace, image, *masks = self._measured(seed, index, mask_seed(seed, epoch, index))
        if self._jitter:
            sampled = masks[0] if masks else self._fixed.mask
            samples = int(sampled.sum())
            generator = np.random.default_rng([seed, epoch, index])
            scale = self._jitter * generator.uniform() / samples**0.5
            noise = generator.standard_normal((samples, 2), dtype=np.float32) * np.float32(scale)
            kspace[sampled] += torch.view_as_complex(torch.from_numpy(noise))
        return kspace, image, *masks

    def validation_sample(self, index: int) -> Sample:
        return self._measured(self._seeds[1], index, name_seed(self.validation_name(index)))

    def sample_name(self, index: int) -> str:
        return f"training phantom {index}"

    def validation_name(self, index: int) -> str:
        return f"phantom {index}"

    def to(self, device: torch.device) -> "PhantomTask":
        moved = copy.copy(self)
        moved._operator = None if self._operator is None else self._operator.to(device)
        return moved

    def loss(self, model: Model, batch: Sample) -> Float[Tensor, ""]:
        kspace, image, *masks = batch
        output = model(kspace, self._measured_by(masks))
        return (output.abs() - image.abs()).square().sum() / image.shape[0]

    def errors(self, model: Model, batch: Sample) -> Float[Tensor, "batch"]:
        kspace, image, *masks = batch
        return relative_error(model(kspace, self._measured_by(masks)), image)

    def zero_filled(self, kspace: Tensor, measured_by: Any) -> Tensor:
        return measured_by.pinv(kspace)

    @property
    def _fixed(self) -> MaskedFourier:
        if self._operator is None:
            raise ValueError("PhantomTask: masks are random, there is none for all samples")
        return self._operator

    def _measured(self, seed: int, index: int, masks: tuple[int, ...]) -> Sample:
        """K-space and image, and the mask if it is this sample's own."""
        image = ellipse_phantoms(1, size=self._size, seed=seed, first=index)[0]
        if self._operator is not None:
            return measure_image(image, self._operator.mask).kspace, image
        mask = self._sampling.draw((self._size, self._size), masks).expand(image.shape)
        return measure_image(image, mask).kspace, image, mask

    def _measured_by(self, masks: list[Tensor]) -> LinearOperator:
        return _OwnMasks(masks[0]) if masks else self._fixed


class _OwnMasks(LinearOperator):
    """`P_Ω F` with a mask of its own for every item of the batch."""

    def __init__(self, masks: Bool[Tensor, "batch ky kx"]) -> None:
        self._masks = masks

    def forward(
        self, image: Complex[Tensor, "batch y x"] | Float[Tensor, "batch y x"]
    ) -> Complex[Tensor, "batch ky kx"]:
        return fft2c(image) * self._masks

    def adjoint(self, kspace: Complex[Tensor, "batch ky kx"]) -> Complex[Tensor, "batch y x"]:
        return ifft2c(kspace * self._masks)

    def pinv(self, kspace: Complex[Tensor, "batch ky kx"]) -> Complex[Tensor, "batch y x"]:
        """`A† y`, equal to `Aᴴ y`."""
        return self.adjoint(kspace)

    def to(self, device: torch.device | str) -> "_OwnMasks":
        return _OwnMasks(self._masks.to(device))

"""What a network learns from, and how it is measured: samples, loss, validation error."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mrilib.data.ellipses import ellipse_phantoms
from mrilib.metrics.quality import relative_error
from mrilib.operators.fourier import MaskedFourier

Sample = tuple[Tensor, ...]


class TrainingTask(ABC):
    """Samples that are drawn by index, and what is made of a batch of them.

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
    def to(self, device: torch.device) -> "TrainingTask":
        """The same task with what belongs there on a device."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Sample) -> Float[Tensor, ""]:
        """Mean loss of the items of a batch."""

    @abstractmethod
    def errors(self, model: nn.Module, batch: Sample) -> Float[Tensor, "batch"]:
        """Error of every item of a batch of validation samples."""

    @abstractmethod
    def zero_filled_error(self) -> float:
        """Mean error of the zero-filled images of the validation samples."""


class PhantomTask(TrainingTask):
    """Ellipse phantoms drawn on the fly, measured by one single-coil operator.

    The model is called as `model(kspace, operator)` on `y = Ax + ε` and returns the complex image `x̂`. The
    loss of an item is `Σ (|x̂| − |x|)²` over its pixels; its error, on `y = Ax`, is the relative ℓ2 error.
    Jitter `ε` has independent real and imaginary parts of sd `jitter·s/√m`, `s` uniform on [0, 1) and drawn
    for every sample anew.

    Args:
        operator: the measurement, on the CPU; its mask gives the size of the phantoms.
        count: training images.
        validation: validation images.
        seeds: of the training and of the validation images.
        jitter: level of the jitter; 0 for none.

    Source: [alaifari2023], section 4; the loss and the numbers of the jitter from the authors' public code.
    """

    def __init__(
        self,
        operator: MaskedFourier,
        *,
        count: int,
        validation: int,
        seeds: tuple[int, int],
        jitter: float = 0.0,
    ) -> None:
        height, width = operator.mask.shape
        if height != width:
            raise ValueError(f"PhantomTask: phantoms are square, the mask is {height}×{width}")
        if count < 1 or validation < 1 or jitter < 0:
            raise ValueError(
                "PhantomTask: expected count >= 1, validation >= 1 and jitter >= 0, "
                f"got {count}, {validation} and {jitter}"
            )
        self.count, self.validation, self.shape = count, validation, (height, width)
        self._operator, self._seeds, self._jitter = operator, seeds, jitter
        self._samples = operator.samples
        self._sampled = operator.mask.flatten().nonzero().flatten()

    def sample(self, epoch: int, index: int) -> Sample:
        image = ellipse_phantoms(1, size=self.shape[0], seed=self._seeds[0], first=index)[0]
        if self._jitter == 0:
            return (image,)
        generator = np.random.default_rng([self._seeds[0], epoch, index])
        scale = self._jitter * generator.uniform() / self._samples**0.5
        noise = generator.standard_normal((self._samples, 2), dtype=np.float32) * np.float32(scale)
        return image, torch.from_numpy(noise)

    def validation_sample(self, index: int) -> Sample:
        return (ellipse_phantoms(1, size=self.shape[0], seed=self._seeds[1], first=index)[0],)

    def to(self, device: torch.device) -> "PhantomTask":
        return PhantomTask(
            self._operator.to(device),
            count=self.count,
            validation=self.validation,
            seeds=self._seeds,
            jitter=self._jitter,
        )

    def loss(self, model: nn.Module, batch: Sample) -> Float[Tensor, ""]:
        image, *noise = batch
        kspace = self._operator.forward(image)
        if noise:
            flat = kspace.flatten(-2)
            flat[:, self._sampled] += torch.view_as_complex(noise[0])
        output = model(kspace, self._operator)
        return (output.abs() - image.abs()).square().sum() / image.shape[0]

    def errors(self, model: nn.Module, batch: Sample) -> Float[Tensor, "batch"]:
        (image,) = batch
        return relative_error(model(self._operator.forward(image), self._operator), image)

    def zero_filled_error(self) -> float:
        """Mean relative ℓ2 error of `A†y` on the validation images."""
        images = ellipse_phantoms(self.validation, size=self.shape[0], seed=self._seeds[1])
        operator = self._operator.to("cpu")
        found = operator.pinv(operator.forward(images))
        return float(relative_error(found, images).mean())

"""What `splitting` asks of a regulariser `‖Kx‖`; rooms of their own hold differences and coefficients."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.coils.data import Images

Parts = Complex[Tensor, "batch groups ky kx"]
Threshold = Float[Tensor, "batch 1 1 1"]


class Loop:
    """`s ← s + α(Kx − S(s))` from step to step.

    Args:
        prior: `K` and `S`.
        parts: `s`.
        threshold: `τ` of the shrinkage.
        relaxation: `α`.

    Attributes:
        reflected: `Kᴴ(2S(s) − s)`.
    """

    reflected: Images

    def __init__(self, prior: "Prior", parts: Parts, threshold: Threshold, relaxation: float) -> None:
        self._prior, self._parts, self._threshold = prior, parts, threshold
        self._relaxation = relaxation
        self._reflect()

    def move(self, image: Images) -> None:
        """One step, given its image."""
        self._parts = self._parts + self._relaxation * (self._prior.forward(image) - self._kept)
        self._reflect()

    def parts(self) -> Parts:
        """`s`."""
        return self._parts

    def _reflect(self) -> None:
        self._kept = self._prior.shrink(self._parts, self._threshold)
        self.reflected = self._prior.adjoint(2.0 * self._kept - self._parts)


class Prior(ABC):
    """A norm of a linear map `K` of images; fields `Kx` are `(batch, groups, rows, columns)`.

    Attributes:
        name: of the model, for messages.
        free_mean: whether constants have `Kx = 0`.
    """

    name: ClassVar[str]
    free_mean: ClassVar[bool]

    @abstractmethod
    def forward(self, image: Images) -> Parts:
        """`Kx`."""

    @abstractmethod
    def adjoint(self, field: Parts) -> Images:
        """`Kᴴp`."""

    @abstractmethod
    def solve(self, right: Images, mu: float, rho: Float[Tensor, "batch"]) -> Images:
        """`(μ + ρKᴴK)⁻¹ b`."""

    @abstractmethod
    def lift(self, image: Images) -> Parts:
        """The smallest field with `Kᴴp = image`; an image without mean where constants have `Kx = 0`."""

    @abstractmethod
    def norm(self, field: Parts) -> Float[Tensor, "batch"]:
        """`‖p‖`."""

    @abstractmethod
    def dual_norm(self, field: Parts) -> Float[Tensor, "batch"]:
        """Its dual."""

    @abstractmethod
    def shrink(self, field: Parts, threshold: Threshold) -> Parts:
        """`argmin_z ½‖z − s‖² + τ‖z‖`."""

    @abstractmethod
    def jacobian(self, field: Parts, direction: Parts, threshold: Threshold) -> Parts:
        """Derivative of `shrink` at `field`, applied to `direction`."""

    def loop(self, parts: Parts, threshold: Threshold, relaxation: float) -> Loop:
        """The steps of a field; a prior may have faster ones."""
        return Loop(self, parts, threshold, relaxation)

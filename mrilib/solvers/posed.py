"""A convex problem as a measurement poses it: scaled, flat, and the way back to the image."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.solution import Solution


class Posed(ABC):
    """The problem of one batch of k-space, scaled to images of maximum about 1, on a flat batch.

    A method names such classes by their import paths, one for a single coil and one for several. They are
    made of `(kspace, operator)` and, by keyword, of what the method minimises.

    Attributes:
        scale: `s`; objectives are `s²` times those of the scaled problem.
    """

    scale: Float[Tensor, "*batch"]

    @abstractmethod
    def data(self, kspace: Tensor) -> Tensor:
        """Data of the scaled problem, differentiably."""

    @abstractmethod
    def image(self, value: Complex[Tensor, "items y x"]) -> Complex[Tensor, "*batch y x"]:
        """Image of the scaled problem's."""

    @abstractmethod
    def minimise(self, *, tolerance: float, max_steps: int, start: Any, throw: bool) -> Solution:
        """The scaled problem's minimiser: see `certified.minimise`."""

    @abstractmethod
    def unroll(self, data: Tensor, steps: int) -> Tensor:
        """The scaled problem's image after plain steps from zero, differentiable in `data`."""

    @abstractmethod
    def derivative(self, start: Any, cotangent: Tensor, *, tolerance: float, max_steps: int) -> Tensor:
        """Derivative of `Re⟨cotangent, minimiser⟩` with respect to `data`, at the state of a solution."""

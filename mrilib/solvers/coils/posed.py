"""Problems of scaled measurements, as a method poses them."""

from abc import abstractmethod
from typing import Any

from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.certified import SteppedProblem
from mrilib.solvers.coils.data import CoilData, Coils, Images, Scaled
from mrilib.solvers.posed import Posed
from mrilib.solvers.solution import Solution


class MeasuredProblem(SteppedProblem):
    """A problem of coil data, differentiable.

    Attributes:
        measurement: `A` and `y`.
    """

    measurement: CoilData

    @property
    def measured(self) -> Coils:
        return self.measurement.data

    @abstractmethod
    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after plain steps from zero, differentiable in `y`."""

    @abstractmethod
    def derivative(self, start: Any, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d`, `P` the symmetric derivative of the minimiser with respect to `Aᴴy`, at a solution's."""


class ScaledProblem(Posed):
    """A problem of `Scaled` data: `y → argmin` has the derivative `P Aᴴ`.

    Args:
        operator: what measured.
        scaled: its measurement.
        problem: of that measurement.
    """

    def __init__(
        self, operator: MaskedFourier | CoilFourier, scaled: Scaled, problem: MeasuredProblem
    ) -> None:
        self._operator, self._scaled, self._problem = operator, scaled, problem
        self.scale = scaled.scale.reshape(scaled.batch)

    def data(self, kspace: Tensor) -> Coils:
        return self._scaled.data(kspace, self._operator)

    def image(self, value: Images) -> Complex[Tensor, "*batch y x"]:
        return self._scaled.image(value)

    def minimise(self, *, tolerance: float, max_steps: int, start: Any, throw: bool) -> Solution:
        return self._problem.minimise(tolerance=tolerance, max_steps=max_steps, start=start, throw=throw)

    def unroll(self, data: Coils, steps: int) -> Images:
        return self._problem.unroll(data, steps)

    def derivative(self, start: Any, cotangent: Images, *, tolerance: float, max_steps: int) -> Coils:
        image = self._problem.derivative(start, cotangent, tolerance=tolerance, max_steps=max_steps)
        return self._problem.measurement.forward(image)

"""Problems of scaled measurements, as a method poses them."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.certified import BegunProblem, Run, SteppedProblem, SteppedRun, extrapolated
from mrilib.solvers.coils.data import CoilData, Coils, Images, Scaled
from mrilib.solvers.posed import Posed
from mrilib.solvers.solution import Solution
from mrilib.store.classes import load_class

# Steps from check to check, within bounds; more steps before the first one for every decade below 1e-2.
FIRST_CHECK, FIRST_A_DECADE, CHECKS, STEPS_A_DECADE = 20, 20, (10, 100), 40.0


class MeasuredProblem(BegunProblem):
    """A problem of coil data, differentiable.

    Attributes:
        measurement: `A` and `y`.
        coupled: import path of the `Coupled` that takes steps of it and of its linearisation side by side.
    """

    coupled: ClassVar[str]
    measurement: CoilData

    @property
    def first_check(self) -> int:
        """Steps before the first certificate at a tolerance of 1e-2."""
        return FIRST_CHECK

    @property
    def measured(self) -> Coils:
        return self.measurement.data

    @abstractmethod
    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after plain steps from zero, differentiable in `y`."""

    @abstractmethod
    def split(self) -> Any:
        """The same as a `SplitProblem`."""

    @abstractmethod
    def derivative(self, start: Any, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d`, `P` the symmetric derivative of the minimiser with respect to `Aᴴy`, at a solution's."""


class MeasuredRun(Run):
    """An iteration on coil data, whose certificate costs about as much as 20 steps.

    Attributes:
        problem: of the items that are not done.
    """

    problem: Any

    def first_interval(self, tolerance: float) -> int:
        """Fewer steps from zero have rarely been seen to reach the tolerance."""
        first: int = self.problem.first_check
        return first + int(max(0.0, FIRST_A_DECADE * math.log10(1e-2 / tolerance)))

    def next_interval(self, gap: Tensor, previous: Tensor, last: int, tolerance: float) -> int:
        return extrapolated(gap, previous, last, tolerance, CHECKS, STEPS_A_DECADE)


class SteppedMeasuredRun(MeasuredRun, SteppedRun):
    """The iteration of a `SteppedMeasuredProblem`."""


class SteppedMeasuredProblem(SteppedProblem, MeasuredProblem):
    """A problem of coil data that keeps a state between steps."""

    def begun(self, start: Any) -> SteppedMeasuredRun:
        return SteppedMeasuredRun(self, self.zero() if start is None else start.state_for(self))


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

    def coupled(self, start: Any, count: int) -> Any:
        """The `Coupled` of `count` candidates on this single item, from the state that a solution left."""
        return load_class(self._problem.coupled, object)(self._problem, start, count)

    @property
    def measurement(self) -> CoilData:
        """Of the scaled problem."""
        return self._problem.measurement

    def split(self) -> Any:
        """The scaled problem as a `SplitProblem`, whatever solves it."""
        return self._problem.split()

    def slope(self, image: Images) -> Images:
        """`d'` of a linear term `Re⟨d, x⟩`, of the scaled problem."""
        return self._scaled.slope(image)

    def images(self, value: Images) -> Images:
        """Images of the scaled problem's, of candidates of a single item."""
        return self._scaled.images(value)

    def kspace(self, data: Coils) -> Tensor:
        """K-space of scaled data, `(items, coil, ky, kx)` or of a single coil `(items, ky, kx)`."""
        return self._scaled.kspace(data)

    def derivative(self, start: Any, cotangent: Images, *, tolerance: float, max_steps: int) -> Coils:
        image = self._problem.derivative(start, cotangent, tolerance=tolerance, max_steps=max_steps)
        return self._problem.measurement.forward(image)

"""ℓ1 in a basis, as a measurement poses it."""

from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.bases.fista import BasisProblem
from mrilib.solvers.bases.problem import split_problem
from mrilib.solvers.coils.data import CoilData, Scaled, scaled_data
from mrilib.solvers.coils.posed import MeasuredProblem, ScaledProblem


class AnyCoils(ScaledProblem):
    """The problem of `fista`, or that of `splitting` where the basis zero-pads the image.

    Args:
        kspace: `(*batch, ky, kx)`, of several coils `(*batch, coil, ky, kx)`.
        operator: what measured it.
        weight: `λ`.
        basis: `Ψ`.

    Raises:
        ValueError: for coil maps that are zero everywhere.
    """

    def __init__(
        self, kspace: Tensor, operator: MaskedFourier | CoilFourier, *, weight: float, basis: Basis
    ) -> None:
        scaled = scaled_data(kspace, operator, "L1")
        super().__init__(operator, scaled, self.posed(scaled, basis, weight))

    def posed(self, scaled: Scaled, basis: Basis, weight: float) -> MeasuredProblem:
        """The problem of a scaled measurement."""
        return general_problem(scaled.measurement, basis, scaled.weight(weight))


def general_problem(measurement: CoilData, basis: Basis, weight: Tensor) -> MeasuredProblem:
    """The problem for any mask, that of `fista` or of `splitting`."""
    if basis.coefficient_shape(*measurement.shape) == measurement.shape:
        return BasisProblem.of(measurement, basis, weight)
    return split_problem(measurement, basis, weight)

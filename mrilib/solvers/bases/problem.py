"""ℓ1 in a basis, whatever solves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases.analysis import Analysis
from mrilib.solvers.coils.data import CoilData, Images
from mrilib.solvers.coils.posed import MeasuredProblem
from mrilib.solvers.coils.splitting import SplitProblem

Coefficients = Complex[Tensor, "batch cy cx"]
Own = TypeVar("Own", bound="L1Problem")


@dataclass(frozen=True)
class L1Problem(MeasuredProblem):
    """`½‖Ax − y‖² + λ‖Ψx‖₁`, moduli of all coefficients, on a flat batch.

    Args:
        measurement: `A` and `y`.
        basis: `Ψ`.
        weight: `λ > 0`, `(batch)`.
        projected: `Aᴴy`.
    """

    axes: ClassVar[Mapping[str, int]] = {"measurement": 0, "weight": 0, "projected": 2}
    name = "ℓ1"

    measurement: CoilData
    basis: Basis
    weight: Float[Tensor, "batch"]
    projected: Images

    @classmethod
    def of(cls: type[Own], measurement: CoilData, basis: Basis, weight: Tensor) -> Own:
        return cls(measurement, basis, weight, measurement.adjoint(measurement.data))

    def split(self) -> SplitProblem:
        return split_problem(self.measurement, self.basis, self.weight)

    def to(self: Own, dtype: torch.dtype) -> Own:
        found = super().to(dtype)
        return replace(found, projected=found.measurement.adjoint(found.measurement.data))


def split_problem(measurement: CoilData, basis: Basis, weight: Tensor) -> SplitProblem:
    """The problem for any mask and any basis."""
    return SplitProblem.of(measurement, Analysis(basis, *measurement.shape), weight)

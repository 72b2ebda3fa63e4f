"""ADMM for ℓ1 in an orthonormal basis where the mask samples whole lines of k-space: certified.

A mask of whole columns couples no two rows of the image: `AᴴA` is one matrix a row,

    `G_ij = T_(i−j) Σ_c conj(S_ci) S_cj`,   `T` the inverse transform of the mask's line,

and `(AᴴA + ρ)⁻¹` is as many small inverses, taken once. With them ADMM for `z = Ψx` needs no inner solver:

    `x = (AᴴA + ρ)⁻¹(Aᴴy + ρΨᴴ(2S(s) − s))`,   `s ← s + α(Ψx − S(s))`,

`S` the complex soft threshold by `λ/ρ`. Proximal gradients (`fista`) are slow along images that the coils
hardly tell apart, where `AᴴA` is small; the inverse is not. A mask of whole rows is the same, transposed.

Source: [boyd2011], section 6.4, over-relaxed [eckstein1992]. One matrix a row is our choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases.fista import BasisProblem, Coefficients, MomentumState, solve_linearised
from mrilib.solvers.bases.posed import AnyCoils
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.certificate import Certificate
from mrilib.solvers.certified import Run
from mrilib.solvers.coils.data import CoilData, Images, Scaled
from mrilib.solvers.coils.posed import MeasuredProblem
from mrilib.solvers.items import Items

# Our choice. A simulated head of 6 coils, at four times, images of maximum 1, λ = 4e-3, is certified to 1e-2
# after 40 steps (wavelets) and 60 (cosines). ρ/√λ = 0.2 takes 40 and 100, and 0.08 certifies 1e-3 of wavelets
# a quarter later.
RHO_OVER_ROOT_WEIGHT, OVER_RELAXATION = 0.12, 1.8
CUTS = 2
# Our choice: they cost two to three steps, and the objective's true error falls to a tenth of that of `S(s)`.
POLISH = 5
# Our choice: 1 GB in complex64. Inverses take 66 MB at 224×192 and 0.7 GB at 640×368.
LARGEST_INVERSE = 1 << 27
LINES_AT_ONCE = 32  # bounds the memory of the factorisation


def applies(measurement: CoilData, basis: Basis) -> bool:
    """Whether this solver takes a problem: lines, coil maps, a basis of the image's grid, enough memory."""
    if len(measurement.transformed) != 1 or measurement.maps is None:
        return False
    if basis.coefficient_shape(*measurement.shape) != measurement.shape:
        return False
    # On a CPU items run one at a time.
    together = 1 if measurement.data.device.type == "cpu" else max(1, measurement.data.shape[0])
    entries = measurement.shape[0] * measurement.shape[1] * measurement.shape[measurement.transformed[0]]
    return together * entries <= LARGEST_INVERSE


@dataclass(frozen=True)
class LineStart(Items):
    """Where a solve ended: its `s` and its `λ/ρ`."""

    axes: ClassVar[Mapping[str, int]] = {"field": 2, "threshold": 0}

    field: Complex[Tensor, "*batch cy cx"]
    threshold: Float[Tensor, "*batch"]

    def field_for(self, problem: BasisProblem) -> Coefficients:
        """`s` for `problem`: its coefficients kept, the dual variable scaled with `λ`."""
        old = self.threshold[:, None, None]
        kept = shrink(self.field, old)
        return (kept + (self.field - kept) * (threshold_of(problem) / old)).to(problem.dtype)


@dataclass(frozen=True)
class LineProblem(BasisProblem):
    """The problem of `fista`, if `applies` is true of it: solved with the inverses of its lines."""

    def begun(self, start: LineStart | None) -> "LineRun":
        return LineRun(self, torch.zeros_like(self.projected) if start is None else start.field_for(self))

    def derivative(self, start: LineStart, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d` at the solution that `start` describes: see `fista.solve_linearised`."""
        coefficients = shrink(start.field, start.threshold[:, None, None]).to(self.dtype)
        return solve_linearised(self, coefficients, direction, tolerance=tolerance, max_steps=max_steps).value


class LineRun(Run):
    """The iteration from `s`.

    Args:
        problem: what to solve.
        field: `s`.

    Attributes:
        inverse: `(AᴴA + ρ)⁻¹`, one matrix a line of every item.
    """

    def __init__(self, problem: LineProblem, field: Coefficients) -> None:
        self._original = self.problem = problem
        self._items = torch.arange(problem.count, device=problem.device)
        self.field, self.inverse = field, inverse_of(problem)

    @property
    def dtype(self) -> torch.dtype:
        return self.problem.dtype

    def keep(self, items: Tensor) -> None:
        self.problem, self.field, self._items = self.problem[items], self.field[items], self._items[items]
        self.inverse = self.inverse[items]

    def to(self, dtype: torch.dtype) -> None:
        self.problem, self.field = self.problem.to(dtype), self.field.to(dtype)
        self.inverse = inverse_of(self.problem)

    def left(self, items: Tensor) -> LineStart:
        original = self._original[self._items[items]]
        return LineStart(self.field[items].to(original.dtype), threshold_of(original)[:, 0, 0])

    def solve(self, image: Images) -> Images:
        """`(AᴴA + ρ)⁻¹ b`."""
        if self.problem.measurement.transformed == (-1,):
            return (self.inverse @ image[..., None])[..., 0]
        return (self.inverse @ image.mT[..., None])[..., 0].mT

    def kept(self) -> Coefficients:
        """`S(s)`, the sparse coefficients."""
        return shrink(self.field, threshold_of(self.problem))

    def fitted(self, kept: Coefficients) -> Images:
        """`x`."""
        reflected = self.problem.basis.adjoint(2.0 * kept - self.field)
        return self.solve(self.problem.projected + rho_of(self.problem) * reflected)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            kept = self.kept()
            mismatch = self.problem.basis.forward(self.fitted(kept)) - kept
            self.field = self.field + OVER_RELAXATION * mismatch
        self.taken += steps

    def image(self) -> Images:
        """Image of the sparse coefficients after a few steps of `fista`, which lower the objective faster."""
        kept = self.kept()
        start = MomentumState(kept, kept, torch.ones_like(self.problem.weight))
        return self.problem.image(self.problem.advance(start, POLISH))

    def certify(self) -> Certificate:
        """Objective at the image, and a lower bound of the minimum: see `BasisProblem.certify`.

        Any image gives a bound. That of `x` is better than that of the sparse image, once one refinement has
        removed what single precision left of its normal equations; and better still after a few times
        `x ← x + (AᴴA + ρ)⁻¹Ψᴴe`, `e` what of `ΨAᴴ(y − Ax)` exceeds λ. The best one counts.
        """
        double, image = self.problem.to(torch.complex128), self.image().to(torch.complex128)
        objective = double.objective(image, double.residual(image))
        rho, weight = rho_of(self.problem).double(), double.weight[:, None, None]
        field = self.field.to(torch.complex128)
        reflected = double.basis.adjoint(2.0 * shrink(field, weight / rho) - field)
        fitted = self.fitted(self.kept()).to(torch.complex128)
        dual, slopes = double.dual(double.residual(fitted))
        for cut in range(CUTS + 1):
            if cut:
                step = double.basis.adjoint(shrink(slopes, weight))
            else:
                step = double.basis.adjoint(slopes) + rho * (reflected - fitted)
            fitted = fitted + self.solve(step.to(self.dtype))
            found, slopes = double.dual(double.residual(fitted))
            dual = torch.fmax(dual, found)
        return Certificate(image, objective, dual)


class SeveralCoils(AnyCoils):
    """The problem of several coils: that of lines where they are sampled."""

    def posed(self, scaled: Scaled, basis: Basis, weight: float) -> MeasuredProblem:
        if applies(scaled.measurement, basis):
            return LineProblem.of(scaled.measurement, basis, scaled.weight(weight))
        return super().posed(scaled, basis, weight)


def rho_of(problem: BasisProblem) -> Float[Tensor, "batch 1 1"]:
    """The penalty `ρ`."""
    return (RHO_OVER_ROOT_WEIGHT * problem.weight.sqrt())[:, None, None]


def threshold_of(problem: BasisProblem) -> Float[Tensor, "batch 1 1"]:
    """`λ/ρ`."""
    return problem.weight[:, None, None] / rho_of(problem)


def inverse_of(problem: BasisProblem) -> Complex[Tensor, "batch line n n"]:
    """`(AᴴA + ρ)⁻¹`, one matrix a line of every item."""
    measurement, dtype = problem.measurement, problem.dtype
    across = measurement.transformed == (-1,)
    maps = measurement.maps if across else measurement.maps.mT  # type: ignore[union-attr]
    line = measurement.mask[0] if across else measurement.mask[:, 0]
    size, lines = line.shape[0], maps.shape[-2]  # type: ignore[union-attr]
    places = torch.arange(size, device=line.device)
    kernel = torch.fft.ifft(line.to(dtype))[(places[:, None] - places) % size]
    columns = maps.movedim(-2, -3)  # type: ignore[union-attr]  # (items, line, coil, n)
    found = torch.empty((problem.count, lines, size, size), dtype=dtype, device=line.device)
    penalty = rho_of(problem)[..., None] * torch.eye(size, dtype=dtype, device=line.device)
    for first in range(0, lines, LINES_AT_ONCE):
        part = columns[:, first : first + LINES_AT_ONCE]
        factor = torch.linalg.cholesky(kernel * (part.mH @ part) + penalty)
        found[:, first : first + LINES_AT_ONCE] = torch.cholesky_inverse(factor)
    return found

"""ADMM for ℓ1 in an orthonormal basis where the mask samples whole lines of k-space: certified.

A mask of whole columns couples no two rows of the image: `AᴴA` is one matrix a row,

    `G_ij = T_(i−j) Σ_c conj(S_ci) S_cj`,   `T` the inverse transform of the mask's line,

and `(AᴴA + ρ)⁻¹` is as many small inverses, taken once. With them ADMM for `z = Ψx` needs no inner solver:

    `x = (AᴴA + ρ)⁻¹(Aᴴy + ρΨᴴ(2S(s) − s))`,   `s ← s + α(Ψx − S(s))`,

`S` the complex soft threshold by `λ/ρ`. Proximal gradients (`fista`) are slow along images that the coils
hardly tell apart, where `AᴴA` is small; the inverse is not. A mask of whole rows is the same, transposed.

Source: [boyd2011], section 6.4, over-relaxed [eckstein1992]. One matrix a row is our choice.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases import fista
from mrilib.solvers.bases.fista import Coefficients, shrink
from mrilib.solvers.certified import joined, minimise
from mrilib.solvers.coils.data import CoilData, Coils, Images
from mrilib.solvers.solution import Solution
from mrilib.solvers.total_variation.certificate import Certificate

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
    if len(measurement.axes) != 1 or measurement.maps is None:
        return False
    if basis.coefficient_shape(*measurement.shape) != measurement.shape:
        return False
    # On a CPU items run one at a time.
    together = 1 if measurement.data.device.type == "cpu" else max(1, measurement.data.shape[0])
    entries = measurement.shape[0] * measurement.shape[1] * measurement.shape[measurement.axes[0]]
    return together * entries <= LARGEST_INVERSE


@dataclass(frozen=True)
class State:
    """`s`."""

    field: Complex[Tensor, "*batch cy cx"]

    def __getitem__(self, items: Tensor) -> "State":
        return State(self.field[items])

    def to(self, dtype: torch.dtype) -> "State":
        return State(self.field.to(dtype))


@dataclass(frozen=True)
class WarmStart:
    """Where a solve ended: its state and its `λ/ρ`."""

    field: Complex[Tensor, "*batch cy cx"]
    threshold: Float[Tensor, "*batch"]

    def reshape(self, *batch: int) -> "WarmStart":
        """The same with another batch shape."""
        return WarmStart(self.field.reshape(*batch, *self.field.shape[-2:]), self.threshold.reshape(batch))

    def state_for(self, problem: "Problem") -> State:
        """State for `problem`: its coefficients kept, the dual variable scaled with `λ`."""
        old = self.threshold[:, None, None]
        kept = shrink(self.field, old)
        return State(kept + (self.field - kept) * (problem.threshold / old)).to(problem.dtype)


@dataclass(frozen=True)
class Problem:
    """`½‖Ax − y‖² + λ‖Ψx‖₁` on a flat batch, of which `applies` is true.

    Args:
        plain: the problem as `fista` takes it.
    """

    plain: fista.Problem

    @staticmethod
    def of(measurement: CoilData, basis: Basis, weight: Tensor) -> "Problem":
        return Problem(fista.Problem.of(measurement, basis, weight))

    @property
    def measurement(self) -> CoilData:
        return self.plain.measurement

    @property
    def dtype(self) -> torch.dtype:
        return self.plain.dtype

    @property
    def rho(self) -> Float[Tensor, "batch 1 1"]:
        return (RHO_OVER_ROOT_WEIGHT * self.plain.weight.sqrt())[:, None, None]

    @property
    def threshold(self) -> Float[Tensor, "batch 1 1"]:
        return self.plain.weight[:, None, None] / self.rho

    @cached_property
    def inverse(self) -> Complex[Tensor, "batch line n n"]:
        """`(AᴴA + ρ)⁻¹`, one matrix a line of every item."""
        measurement = self.measurement
        across = measurement.axes == (-1,)
        maps = measurement.maps if across else measurement.maps.mT  # type: ignore[union-attr]
        line = measurement.mask[0] if across else measurement.mask[:, 0]
        size, lines = line.shape[0], maps.shape[-2]  # type: ignore[union-attr]
        places = torch.arange(size, device=line.device)
        kernel = torch.fft.ifft(line.to(self.dtype))[(places[:, None] - places) % size]
        columns = maps.movedim(-2, -3)  # type: ignore[union-attr]  # (items, line, coil, n)
        found = torch.empty((len(self.plain.weight), lines, size, size), dtype=self.dtype, device=line.device)
        penalty = self.rho[..., None] * torch.eye(size, dtype=self.dtype, device=line.device)
        for first in range(0, lines, LINES_AT_ONCE):
            part = columns[:, first : first + LINES_AT_ONCE]
            factor = torch.linalg.cholesky(kernel * (part.mH @ part) + penalty)
            found[:, first : first + LINES_AT_ONCE] = torch.cholesky_inverse(factor)
        return found

    def solve(self, image: Images) -> Images:
        """`(AᴴA + ρ)⁻¹ b`."""
        if self.measurement.axes == (-1,):
            return (self.inverse @ image[..., None])[..., 0]
        return (self.inverse @ image.mT[..., None])[..., 0].mT

    def to(self, dtype: torch.dtype) -> "Problem":
        return Problem(self.plain.to(dtype))

    def __getitem__(self, items: Tensor) -> "Problem":
        if items.dtype == torch.bool and bool(items.all()):
            return self
        made = Problem(self.plain[items])
        if "inverse" in self.__dict__:
            made.__dict__["inverse"] = self.inverse[items]
        return made

    def zero(self) -> State:
        """State of the zero image."""
        return State(torch.zeros_like(self.plain.projected))

    def kept(self, state: State) -> Coefficients:
        """`S(s)`, the sparse coefficients."""
        return shrink(state.field, self.threshold)

    def fitted(self, state: State, kept: Coefficients) -> Images:
        """`x`."""
        reflected = self.plain.basis.adjoint(2.0 * kept - state.field)
        return self.solve(self.plain.projected + self.rho * reflected)

    def advance(self, state: State, steps: int) -> State:
        for _ in range(steps):
            kept = self.kept(state)
            mismatch = self.plain.basis.forward(self.fitted(state, kept)) - kept
            state = State(state.field + OVER_RELAXATION * mismatch)
        return state

    def image(self, state: State) -> Images:
        """Image of the sparse coefficients after a few steps of `fista`, which lower the objective faster."""
        kept = self.kept(state)
        start = fista.State(kept, kept, torch.ones_like(self.plain.weight))
        return self.plain.image(self.plain.advance(start, POLISH))

    def certify(self, state: State, image: Images) -> Certificate:
        """Objective at `image`, and a lower bound of the minimum: see `fista.Problem.certify`.

        Any image gives a bound. That of `x` is better than that of the sparse image, once one refinement has
        removed what single precision left of its normal equations; and better still after a few times
        `x ← x + (AᴴA + ρ)⁻¹Ψᴴe`, `e` what of `ΨAᴴ(y − Ax)` exceeds λ. The best one counts.
        """
        double, image = self.plain.to(torch.complex128), image.to(torch.complex128)
        objective = double.objective(image, double.residual(image))
        rho, weight = self.rho.double(), double.weight[:, None, None]
        field = state.field.to(torch.complex128)
        reflected = double.basis.adjoint(2.0 * shrink(field, weight / rho) - field)
        fitted = self.fitted(state, self.kept(state)).to(torch.complex128)
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

    def minimise(
        self, *, tolerance: float, max_steps: int, start: WarmStart | None = None, throw: bool = True
    ) -> Solution:
        """To a certified relative duality gap: see `certified.minimise`; `state` is a `WarmStart`."""
        state = self.zero() if start is None else start.state_for(self)
        solution = minimise(self, state, tolerance=tolerance, max_steps=max_steps, name="ℓ1", throw=throw)
        last = joined(solution.state) if solution.state else state
        return replace(solution, state=WarmStart(last.field, self.threshold[:, 0, 0]))

    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after `steps` plain proximal gradient steps from zero, differentiable in `y`."""
        return self.plain.unroll(data, steps)

    def derivative(self, start: WarmStart, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d` at the solution that `start` describes: see `fista.solve_linearised`."""
        coefficients = shrink(start.field, start.threshold[:, None, None]).to(self.dtype)
        return fista.solve_linearised(
            self.plain, coefficients, direction, tolerance=tolerance, max_steps=max_steps
        ).value

"""ADMM for ℓ1 in a basis where the mask samples whole lines of k-space: certified, and linearised.

With the inverses of `line_inverses`, ADMM for `z = Ψx` needs no inner solver. Also where `Ψ` zero-pads the
image, `ΨᴴΨ = 1`, and so

    `x = (AᴴA + ρ)⁻¹(Aᴴy + ρΨᴴ(2S(s) − s))`,   `s ← s + α(Ψx − S(s))`,

`S` the complex soft threshold by `λ/ρ`. Proximal gradients (`fista`) are slow along images that the coils
hardly tell apart, where `AᴴA` is small; the inverse is not.

Source: [boyd2011], section 6.4, over-relaxed [eckstein1992]. One matrix a line, and how the dual point is
found, are our choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases.posed import AnyCoils, general_problem
from mrilib.solvers.bases.problem import Coefficients, L1Problem
from mrilib.solvers.bases.shrinkage import shrink, shrink_derivative
from mrilib.solvers.certificate import Certificate, bound
from mrilib.solvers.coils.data import Coils, Images, Scaled
from mrilib.solvers.coils.exact_normal import ExactNormal
from mrilib.solvers.coils.line_inverses import LineInverses, applies
from mrilib.solvers.coils.posed import MeasuredProblem, MeasuredRun
from mrilib.solvers.items import Items
from mrilib.solvers.linearised import settled
from mrilib.solvers.solution import Solution

# λ/ρ, for images of maximum 1. Our choice: of 0.1, 0.17 and 0.3, and of fixed ρ/√λ, it certifies 1e-3 after
# the fewest steps over λ = 5e-4 … 3e-2 on a brain (wavelets, cosines) and a simulated object.
THRESHOLD, OVER_RELAXATION = 1.0 / 6.0, 1.7
# Of the latest steps, whose mean the dual point starts from: over-relaxed steps swing about it.
AVERAGED = 2
# Steps that bring the dual point within λ; they cost what the iteration's do. 2 leave a gap twice as large.
CUTS = 8
# Of a dual point, for what single precision left of the equation that ties it to an image.
REFINEMENTS, WORTHWHILE = 2, 0.2


@dataclass(frozen=True)
class LineStart(Items):
    """Where a solve ended: its `s`."""

    axes: ClassVar[Mapping[str, int]] = {"field": 2}

    field: Complex[Tensor, "*batch cy cx"]


@dataclass(frozen=True)
class LineProblem(L1Problem):
    """The problem if `applies` is true of `A`; the basis may zero-pad."""

    coupled = "mrilib.solvers.bases.coupled:CoupledLines"

    @property
    def rho(self) -> Float[Tensor, "batch 1 1"]:
        return self.weight[:, None, None] / THRESHOLD

    def image_of(self, coefficients: Coefficients) -> Images:
        """`Ψᴴc`."""
        return self.basis.adjoint_to(coefficients, *self.shape)

    def begun(self, start: LineStart | None) -> "LineRun":
        zero = torch.zeros_like(self.basis.forward(self.projected))
        return LineRun(self, zero if start is None else start.field.to(self.dtype))

    def unroll(self, data: Coils, steps: int) -> Images:
        """That of `fista` or `coils.splitting`: the inverses here are none of autograd's."""
        return general_problem(self.measurement, self.basis, self.weight).unroll(data, steps)

    def derivative(self, start: LineStart, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d` at the solution that `start` describes: see `solve_linearised`."""
        field = start.field.to(self.dtype)
        return solve_linearised(self, field, direction, tolerance=tolerance, max_steps=max_steps).value


class LineRun(MeasuredRun):
    """The iteration from `s`.

    Args:
        problem: what to solve.
        field: `s`.

    Attributes:
        inverses: `(AᴴA + ρ)⁻¹` of every item.
    """

    def __init__(self, problem: LineProblem, field: Coefficients) -> None:
        self._original = self.problem = problem
        self._items = torch.arange(problem.count, device=problem.device)
        self._latest: list[tuple[Images, Coefficients]] = []
        self.field, self.inverses = field, inverses_of(problem)

    @property
    def dtype(self) -> torch.dtype:
        return self.problem.dtype

    def keep(self, items: Tensor) -> None:
        self.problem, self.field, self._items = self.problem[items], self.field[items], self._items[items]
        self._latest = [(image[items], reflected[items]) for image, reflected in self._latest]
        self.inverses = self.inverses[items]

    def to(self, dtype: torch.dtype) -> None:
        self.problem, self.field, self._latest = self.problem.to(dtype), self.field.to(dtype), []
        self.inverses = inverses_of(self.problem)

    def left(self, items: Tensor) -> LineStart:
        return LineStart(self.field[items].to(self._original.dtype))

    def fitted(self, reflected: Coefficients) -> Images:
        """`x` of `2S(s) − s`."""
        right = self.problem.projected + self.problem.rho * self.problem.image_of(reflected)
        return self.inverses.solve(right)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            kept = shrink(self.field, THRESHOLD)
            reflected = 2.0 * kept - self.field
            image = self.fitted(reflected)
            self.field = self.field + OVER_RELAXATION * (self.problem.basis.forward(image) - kept)
            self._latest = [*self._latest, (image, reflected)][-AVERAGED:]
        self.taken += steps

    def certify(self) -> Certificate:
        """Objective at `Ψᴴ S(s)`, and a lower bound of the minimum.

        `q` and `p` with `Aᴴq = Ψᴴp` bound it by `D = t·Re⟨q, y⟩ − ½t²‖q‖²` for `t‖p‖∞ ≤ λ`. A step's image
        gives such a pair, `q = y − Ax` and `p = ρ(Ψx − 2S(s) + s)`, and so does the mean of several. From it

            `x ← x + (AᴴA + ρ)⁻¹Ψᴴe`,   `p ← p − e + ρΨ(AᴴA + ρ)⁻¹Ψᴴe`,   `e` what of `p` exceeds λ,

        make others that exceed λ less. In float64 `p ← p + Ψ(Aᴴq − Ψᴴp)` makes the pair exact, whatever the
        precision of what came before.
        """
        problem, weight = self.problem, self.problem.weight[:, None, None]
        image, slopes = self._pair()
        for _ in range(CUTS):
            excess = shrink(slopes, weight)
            step = self.inverses.solve(problem.image_of(excess))
            image = image + step
            slopes = slopes - excess + problem.rho * problem.basis.forward(step)
        normal = ExactNormal(problem.measurement)
        dual = self._bound(normal, image, slopes.to(torch.complex128))
        sparse = normal.fit(problem.image_of(shrink(self.field, THRESHOLD)))
        size = problem.basis.forward(sparse.image).abs().sum((-2, -1))
        return Certificate(sparse.image, 0.5 * sparse.square + problem.weight.double() * size, dual)

    def _pair(self) -> tuple[Images, Coefficients]:
        """`x` and `p`, means over the latest steps."""
        latest = self._latest
        if not latest:
            reflected = 2.0 * shrink(self.field, THRESHOLD) - self.field
            latest = [(self.fitted(reflected), reflected)]
        image, reflected = (sum(values) / len(latest) for values in zip(*latest, strict=True))
        return image, self.problem.rho * (self.problem.basis.forward(image) - reflected)

    def _bound(self, normal: ExactNormal, image: Images, aimed: Coefficients) -> Float[Tensor, "batch"]:
        """The best `D` of `image` and of what comes closer to `Aᴴ(y − Ax) = Ψᴴp` for the `p` aimed at."""
        problem, weight = self.problem, self.problem.weight.double()
        dual = torch.full_like(weight, -torch.inf)
        for _ in range(1 + REFINEMENTS):
            fit = normal.fit(image)
            error = fit.slope - problem.image_of(aimed)
            size, hoped = (_largest(field) for field in (aimed + problem.basis.forward(error), aimed))
            dual = torch.fmax(dual, bound(weight, size, fit.correlation, fit.square))
            if bool((size - hoped <= WORTHWHILE * (size - weight)).all()):
                break
            image = fit.image + self.inverses.solve(error.to(self.dtype))
        return dual


class SeveralCoils(AnyCoils):
    """The problem of several coils: that of lines where they are sampled."""

    def posed(self, scaled: Scaled, basis: Basis, weight: float) -> MeasuredProblem:
        if applies(scaled.measurement):
            return LineProblem.of(scaled.measurement, basis, scaled.weight(weight))
        return super().posed(scaled, basis, weight)


def inverses_of(problem: LineProblem) -> LineInverses:
    """`(AᴴA + ρ)⁻¹` of every item."""
    return LineInverses(problem.measurement, problem.rho[:, 0, 0])


def solve_linearised(
    problem: LineProblem,
    field: Coefficients,
    direction: Images,
    *,
    tolerance: float,
    max_steps: int,
    throw: bool = True,
) -> Solution:
    """`a = P d`, `P` the symmetric derivative of the minimiser with respect to `Aᴴy` at the solution's `s`.

    The iteration of the forward problem with `d` as its data and the threshold's derivative `J` at `s` in the
    threshold's place: `a = (AᴴA + ρ)⁻¹(d + ρΨᴴ(2Jt − t))`, `t ← t + α(Ψa − Jt)`.

    Args, returns and raises: as `coils.splitting.solve_linearised`.
    """
    inverses, tangent = inverses_of(problem), torch.zeros_like(field)

    def step() -> tuple[Images, Coefficients, Coefficients]:
        nonlocal tangent
        kept = shrink_derivative(field, tangent, THRESHOLD)
        image = inverses.solve(direction + problem.rho * problem.image_of(2.0 * kept - tangent))
        slopes = problem.basis.forward(image)
        tangent = tangent + OVER_RELAXATION * (slopes - kept)
        return image, slopes, slopes - kept

    return settled(step, name=problem.name, tolerance=tolerance, max_steps=max_steps, throw=throw)


def _largest(field: Coefficients) -> Float[Tensor, "batch"]:
    return field.abs().amax((-2, -1))

"""ADMM for total variation with coil maps, and for ℓ1 in a basis of a larger grid: certified, and linearised.

`AᴴA` is not diagonal in Fourier space, but each of its factors is diagonal somewhere. The image `x` is split
into `z = Kx` (its differences, or its coefficients) and the spectra `w_c = F S_c x` of its coils. One coil
more, which nothing measures, `S_0 = √(1 − Σ|S_c|²)`, makes `Σ|S|² = 1` at every pixel; so with penalties `ρ`
and `μ`

    `x = (μ + ρKᴴK)⁻¹(ρKᴴ(2S(s) − s) + μ Sᴴ Fᴴ(2T(r) − r))`,
    `s ← s + α(Kx − S(s))`,   `r ← r + α(F S x − T(r))`,

where `S` is the shrinkage by `λ/ρ`, and `T(r) = (y + μr)/(1 + μ)` where k-space is sampled, `r` elsewhere:
for any mask the cost of one `AᴴA` and, for differences, of one FFT pair of the image.

Source: [boyd2011], over-relaxed [eckstein1992]; the splitting of [ramani2011], where one more variable takes
the place of our additional coil.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.certificate import Certificate, bound
from mrilib.solvers.coils.data import CoilData, Coils, Images
from mrilib.solvers.coils.posed import MeasuredProblem
from mrilib.solvers.coils.priors import Parts, Prior
from mrilib.solvers.items import Items
from mrilib.solvers.solution import Solution, linearised_solution

# On a brain at four times, images of maximum 1, λ = 3e-3: certified 1e-4 after 200 steps with ρ = μ = 0.1,
# after 320 to 440 with three times either.
RHO_OVER_ROOT_WEIGHT, MU = 1.8, 0.1
# There 1.95 takes 140 to 160 steps to a certified 1e-3, and 1.8 takes 100.
OVER_RELAXATION = 1.8
# Steps towards a dual field that is feasible. On the same brain 12 lower the gap threefold.
DUAL_STEPS, DUAL_RELAXATION = 12, 1.4
LINEAR_CHECK = 20


@dataclass(frozen=True)
class SplitState(Items):
    """`s`, `r` of the coils, `r` of the additional coil (as an image)."""

    axes: ClassVar[Mapping[str, int]] = {"parts": 3, "spectra": 3, "rest": 2}

    parts: Complex[Tensor, "*batch groups ky kx"]
    spectra: Complex[Tensor, "*batch coil y x"]
    rest: Complex[Tensor, "*batch y x"]


@dataclass(frozen=True)
class SplitStart(Items):
    """Where a solve ended: its state and its `λ/ρ`."""

    axes: ClassVar[Mapping[str, int]] = {"state": 0, "threshold": 0}

    state: SplitState
    threshold: Float[Tensor, "*batch"]

    def state_for(self, problem: "SplitProblem") -> SplitState:
        """SplitState for `problem`: its field kept, the dual variable scaled with `λ`."""
        old, new = self.threshold[:, None, None, None], problem.threshold
        kept = problem.prior.shrink(self.state.parts, old)
        field = kept + (self.state.parts - kept) * (new / old)
        return SplitState(field, self.state.spectra, self.state.rest).to(problem.dtype)


@dataclass(frozen=True)
class SplitProblem(MeasuredProblem):
    """`½‖Ax − y‖² + λ‖Kx‖` on a flat batch.

    Args:
        measurement: `A` and `y`.
        prior: `K` and its norm.
        weight: `λ > 0`, `(batch)`.
        rest: `S_0`, `(items, y, x)`.
        slope: of a linear term, `−Re⟨d, x⟩`; zero but in the linearised problem.
    """

    axes: ClassVar[Mapping[str, int]] = {"measurement": 0, "weight": 0, "slope": 2}

    measurement: CoilData
    prior: Prior
    weight: Float[Tensor, "batch"]
    rest: Float[Tensor, "items y x"]
    slope: Images | None = None

    @staticmethod
    def of(measurement: CoilData, prior: Prior, weight: Tensor) -> "SplitProblem":
        return SplitProblem(measurement, prior, weight, _rest(measurement, weight))

    @property
    def name(self) -> str:
        return self.prior.name

    @property
    def rho(self) -> Float[Tensor, "batch"]:
        return RHO_OVER_ROOT_WEIGHT * self.weight.sqrt()

    @property
    def threshold(self) -> Float[Tensor, "batch 1 1 1"]:
        return (self.weight / self.rho)[:, None, None, None]

    def to(self, dtype: torch.dtype) -> "SplitProblem":
        found = super().to(dtype)
        return replace(found, rest=_rest(found.measurement, found.weight))

    def __getitem__(self, items: Tensor | int) -> "SplitProblem":
        found = super().__getitem__(items)
        return found if self.rest.shape[0] == 1 else replace(found, rest=self.rest[items])

    def zero(self) -> SplitState:
        """State of the zero image."""
        coils = torch.zeros_like(self.measurement.data)
        rest = coils[:, 0].clone()
        return SplitState(self.prior.forward(rest), coils, rest)

    def fitted(self, spectra: Coils) -> Coils:
        """`T(r)`."""
        closer = (self.measurement.data + MU * spectra) / (1.0 + MU)
        return torch.where(self.measurement.mask, closer, spectra)

    def image_of(self, parts: Parts, spectra: Coils, rest: Images) -> Images:
        """`x` of the reflected fields `2S(s) − s`, `2T(r) − r` and `r_0`."""
        penalty = self.rho[:, None, None] * self.prior.adjoint(parts)
        right = penalty + MU * (self.measurement.gather(spectra) + self.rest * rest)
        return self.prior.solve(right if self.slope is None else right + self.slope, MU, self.rho)

    def image(self, state: SplitState) -> Images:
        kept, fitted = self.prior.shrink(state.parts, self.threshold), self.fitted(state.spectra)
        return self.image_of(2.0 * kept - state.parts, 2.0 * fitted - state.spectra, state.rest)

    def step(self, state: SplitState, kept: Parts, relaxation: float) -> tuple[SplitState, Images, Parts]:
        """New state, image and `∇x − S(s)`, for the shrunken field `S(s)`, or its derivative."""
        fitted = self.fitted(state.spectra)
        image = self.image_of(2.0 * kept - state.parts, 2.0 * fitted - state.spectra, state.rest)
        mismatch = self.prior.forward(image) - kept
        moved = SplitState(
            state.parts + relaxation * mismatch,
            state.spectra + relaxation * (self.measurement.spread(image) - fitted),
            state.rest + relaxation * (self.rest * image - state.rest),
        )
        return moved, image, mismatch

    def advance(self, state: SplitState, steps: int) -> SplitState:
        for _ in range(steps):
            kept = self.prior.shrink(state.parts, self.threshold)
            state, _, _ = self.step(state, kept, OVER_RELAXATION)
        return state

    def certify(self, state: SplitState, image: Images) -> Certificate:
        """Objective at `image`, and a lower bound of the minimum.

        `t·q` is dual feasible for `t‖ŵ‖ ≤ λ` (dual norm) if `Aᴴq = Kᴴŵ`. For differences `q = y − Ax − κA1`,
        with `κ` such that the mean of `Aᴴq` is zero, without which there is no `ŵ`; else `q = y − Ax`. From
        the state's dual variable `ρ(s − S(s))` steps of Douglas and Rachford go towards the fields which are
        that and within λ, `ŵ + L(Aᴴq − Kᴴŵ)` with `L = ∇(∇ᵀ∇)⁺` or `Ψ` being the nearest of the former; the
        last of them is one, exactly. `D` as in `certificate.certify`; rigorous for any state.
        """
        double, field = self.to(torch.complex128), state.parts.to(torch.complex128)
        image, measured, prior = image.to(torch.complex128), double.measurement, double.prior
        residual = measured.data - measured.forward(image)
        square = torch.view_as_real(residual).square().sum((-4, -3, -2, -1))
        objective = 0.5 * square + double.weight * prior.norm(prior.forward(image))
        if prior.free_mean:
            constant = measured.forward(torch.ones_like(image))
            size = torch.view_as_real(constant).square().sum((-4, -3, -2, -1))
            tiny = torch.finfo(torch.float64).tiny
            mean = (constant.conj() * residual).sum((-3, -2, -1)) / size.clamp(min=tiny)
            residual = residual - mean[:, None, None, None] * constant
            square = torch.view_as_real(residual).square().sum((-4, -3, -2, -1))
        correlation = (residual.conj() * measured.data).real.sum((-3, -2, -1))
        slope = measured.adjoint(residual)
        rho, weight = double.rho[:, None, None, None], double.weight[:, None, None, None]
        dual = rho * (field - prior.shrink(field, double.threshold))
        for _ in range(DUAL_STEPS):
            within = dual - prior.shrink(dual, weight)
            turned = 2.0 * within - dual
            turned = turned + prior.lift(slope - prior.adjoint(turned))
            dual = dual + DUAL_RELAXATION * (turned - within)
        dual = dual - prior.shrink(dual, weight)
        dual = dual + prior.lift(slope - prior.adjoint(dual))
        size = prior.dual_norm(dual)
        return Certificate(image, objective, bound(double.weight, size, correlation, square))

    def left(self, state: SplitState) -> SplitStart:
        return SplitStart(state, self.threshold[:, 0, 0, 0])

    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after `steps` plain steps (`α = 1`) from zero, differentiable in `y`."""
        problem = replace(self, measurement=replace(self.measurement, data=data))
        state = problem.zero()
        image = state.rest
        for _ in range(steps):
            kept = problem.prior.shrink(state.parts, problem.threshold)
            state, image, _ = problem.step(state, kept, 1.0)
        return image

    def derivative(self, start: SplitStart, direction: Images, *, tolerance: float, max_steps: int) -> Images:
        """`P d` at the solution that `start` describes: see `solve_linearised`."""
        state = start.state.to(self.dtype)
        return solve_linearised(self, state, direction, tolerance=tolerance, max_steps=max_steps).value


def solve_linearised(
    problem: SplitProblem,
    state: SplitState,
    direction: Images,
    *,
    tolerance: float,
    max_steps: int,
    throw: bool = True,
) -> Solution:
    """`a = P d`, `P` the symmetric derivative of the minimiser with respect to `Aᴴy` at `state`.

    The iteration of the forward problem with the shrinkage's derivative in its place, no data, and `d` as
    a linear term.

    Args:
        problem: the forward problem.
        state: its state at the solution.
        direction: `d`.
        tolerance: largest `‖Ka − Mt‖/‖Ka‖` and largest relative change of `a` in a step, over all items.
        max_steps: steps after which it gives up.
        throw: raise if it gives up.

    Returns:
        `a`; `stats`: `steps`, `residual`.

    Raises:
        NotConvergedError: if it gives up, and `throw`.
    """
    measurement = replace(problem.measurement, data=torch.zeros_like(problem.measurement.data))
    linear = replace(problem, measurement=measurement, slope=direction)
    tangent, image = linear.zero(), torch.zeros_like(direction)
    tiny = torch.finfo(problem.weight.dtype).tiny
    residual = torch.tensor(torch.inf)
    for taken in range(1, max_steps + 1):
        kept = problem.prior.jacobian(state.parts, tangent.parts, problem.threshold)
        previous = image
        tangent, image, mismatch = linear.step(tangent, kept, OVER_RELAXATION)
        if taken == 1:
            least = _norm(problem.prior.forward(image)), _norm(image)
        if taken % LINEAR_CHECK == 0 or taken == max_steps:
            slopes, size = (
                _norm(value).maximum(floor).clamp(min=tiny)
                for value, floor in zip((problem.prior.forward(image), image), least, strict=True)
            )
            residual = torch.maximum(_norm(mismatch) / slopes, _norm(image - previous) / size).max()
            if not bool(residual.isfinite()) or residual <= tolerance:
                break
    return linearised_solution(
        problem.name, image, residual=residual, steps=taken, tolerance=tolerance, throw=throw
    )


def _rest(measurement: CoilData, weight: Tensor) -> Float[Tensor, "items y x"]:
    """`S_0`, in the precision of the maps."""
    if measurement.maps is None:
        return torch.zeros((1, *measurement.shape), dtype=weight.dtype, device=weight.device)
    return (1.0 - measurement.maps.abs().square().sum(-3)).clamp(min=0.0).sqrt()


def _norm(value: Tensor) -> Float[Tensor, "batch"]:
    return torch.linalg.vector_norm(value.flatten(1), dim=1)

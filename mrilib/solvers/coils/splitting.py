"""ADMM for a norm of differences or coefficients and what coils measured: certified, and linearised.

`AᴴA` is not diagonal in Fourier space. The image `x` is split into `z = Kx` (its differences, or its
coefficients) and copies `w = Bx` by which the data enter (`fidelity`), `BᴴB = 1`. With penalties `ρ` and `μ`

    `x = (μ + ρKᴴK)⁻¹(ρKᴴ(2S(s) − s) + μ Bᴴ(2T(r) − r))`,
    `s ← s + α(Kx − S(s))`,   `r ← r + α(Bx − T(r))`,

where `S` is the shrinkage by `λ/ρ`, and `T` fits the copies to the data: a step costs what `T` and `B` do
and, for differences, an FFT pair of the image.

Source: [boyd2011], over-relaxed [eckstein1992]; the splitting of [ramani2011], where one more variable takes
the place of our additional coil. Copies on lines are our choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.certificate import Certificate, bound
from mrilib.solvers.coils.data import CoilData, Coils, Images
from mrilib.solvers.coils.exact_normal import ExactNormal
from mrilib.solvers.coils.fidelity import Fidelity, SpectraFidelity, fidelity_of
from mrilib.solvers.coils.posed import SteppedMeasuredProblem
from mrilib.solvers.coils.priors import Parts, Prior
from mrilib.solvers.items import Items
from mrilib.solvers.linearised import settled
from mrilib.solvers.solution import Solution

# On a brain at four times, images of maximum 1, λ = 3e-3, with the spectra of coils: certified 1e-4 after 200
# steps, after 320 to 440 with three times that penalty. 1.95 takes 140 to 160 steps to a certified 1e-3, and
# 1.8 takes 100.
RHO_OVER_ROOT_WEIGHT, OVER_RELAXATION = 1.8, 1.8
# Steps towards a dual field that is feasible. On the same brain 12 lower the gap threefold.
DUAL_STEPS, DUAL_RELAXATION = 12, 1.4
# Of `q`. On a simulated object one lowers the gap by a third and, at small λ, to half; a second by little.
REFINEMENTS = 1


@dataclass(frozen=True)
class SplitState(Items):
    """`s`, and the copies `r`, which are a tensor or a dataclass of items."""

    axes: ClassVar[Mapping[str, int]] = {"parts": 3, "copies": 2}

    parts: Complex[Tensor, "*batch groups ky kx"]
    copies: Complex[Tensor, "*batch y x"] | Items


@dataclass(frozen=True)
class SplitStart(Items):
    """Where a solve ended: its state and its `λ/ρ`."""

    axes: ClassVar[Mapping[str, int]] = {"state": 0, "threshold": 0}

    state: SplitState
    threshold: Float[Tensor, "*batch"]

    def state_for(self, problem: "SplitProblem") -> SplitState:
        """State for `problem`: its field kept, the dual variable scaled with `λ`."""
        old, new = self.threshold[:, None, None, None], problem.threshold
        kept = problem.prior.shrink(self.state.parts, old)
        field = kept + (self.state.parts - kept) * (new / old)
        return SplitState(field, self.state.copies).to(problem.dtype)


@dataclass(frozen=True)
class SplitProblem(SteppedMeasuredProblem):
    """`½‖Ax − y‖² + λ‖Kx‖` on a flat batch.

    Args:
        fidelity: `½‖Ax − y‖²`.
        prior: `K` and its norm.
        weight: `λ > 0`, `(batch)`.
        slope: of a linear term, `−Re⟨d, x⟩`; zero but in the linearised problem.
    """

    axes: ClassVar[Mapping[str, int]] = {"fidelity": 0, "weight": 0, "slope": 2}
    coupled = "mrilib.solvers.coils.coupled:CoupledSplit"

    fidelity: Fidelity
    prior: Prior
    weight: Float[Tensor, "batch"]
    slope: Images | None = None

    @staticmethod
    def of(measurement: CoilData, prior: Prior, weight: Tensor) -> "SplitProblem":
        return SplitProblem(fidelity_of(measurement), prior, weight)

    def split(self) -> "SplitProblem":
        return self

    @property
    def measurement(self) -> CoilData:  # type: ignore[override]  # nobody writes it
        return self.fidelity.measurement

    @property
    def name(self) -> str:
        return self.prior.name

    @property
    def first_check(self) -> int:
        return self.fidelity.first_check

    @property
    def rho(self) -> Float[Tensor, "batch"]:
        return RHO_OVER_ROOT_WEIGHT * self.weight.sqrt()

    @property
    def threshold(self) -> Float[Tensor, "batch 1 1 1"]:
        return (self.weight / self.rho)[:, None, None, None]

    def zero(self) -> SplitState:
        """State of the zero image."""
        image = torch.zeros_like(self.measurement.data[:, 0])
        return SplitState(self.prior.forward(image), self.fidelity.zero())

    def image_of(self, reflected: Images, copies: Images) -> Images:
        """`x` of `Kᴴ(2S(s) − s)` and `Bᴴ(2T(r) − r)`."""
        penalty = self.fidelity.penalty
        right = self.rho[:, None, None] * reflected + penalty * copies
        return self.prior.solve(right if self.slope is None else right + self.slope, penalty, self.rho)

    def image(self, state: SplitState) -> Images:
        kept, fitted = self.prior.shrink(state.parts, self.threshold), self.fidelity.fitted(state.copies)
        reflected = self.prior.adjoint(2.0 * kept - state.parts)
        return self.image_of(reflected, self.fidelity.gathered(state.copies, fitted))

    def step(
        self, state: SplitState, kept: Parts, relaxation: float, fitted: Any = None
    ) -> tuple[SplitState, Images, Parts]:
        """New state, image and `Kx`, for the shrunken field `S(s)` or its derivative; `T(r)` may be given."""
        if fitted is None:
            fitted = self.fidelity.fitted(state.copies)
        reflected = self.prior.adjoint(2.0 * kept - state.parts)
        image = self.image_of(reflected, self.fidelity.gathered(state.copies, fitted))
        slopes = self.prior.forward(image)
        moved = SplitState(
            state.parts + relaxation * (slopes - kept),
            self.fidelity.moved(state.copies, fitted, image, relaxation),
        )
        return moved, image, slopes

    def advance(self, state: SplitState, steps: int) -> SplitState:
        loop, copies = self.prior.loop(state.parts, self.threshold, OVER_RELAXATION), state.copies
        for _ in range(steps):
            fitted = self.fidelity.fitted(copies)
            image = self.image_of(loop.reflected, self.fidelity.gathered(copies, fitted))
            copies = self.fidelity.moved(copies, fitted, image, OVER_RELAXATION)
            loop.move(image)
        return SplitState(loop.parts(), copies)

    def certify(self, state: SplitState, image: Images) -> Certificate:
        """Objective at `image`, and a lower bound of the minimum.

        `t·q` is dual feasible for `t‖ŵ‖ ≤ λ` (dual norm) if `Aᴴq = Kᴴŵ`. `q` is the residual of the image
        that the copies fit, less what makes the mean of `Aᴴq` zero where constants have `Kx = 0`, without
        which there is no `ŵ`. From the state's dual variable `ρ(s − S(s))` steps of Douglas and Rachford go
        towards the fields which are that and within λ, `ŵ + L(Aᴴq − Kᴴŵ)` with `L = ∇(∇ᵀ∇)⁺` or `Ψ` being the
        nearest of the former; in float64 the last of them is one, exactly. Where that leads out of λ again,
        `q` comes closer to the field instead, if the copies allow it. `D` as in `certificate.bound`; rigorous
        for any state.
        """
        prior, weight, normal = self.prior, self.weight.double(), ExactNormal(self.measurement)
        fit = normal.fit(image)
        objective = 0.5 * fit.square + weight * prior.norm(prior.forward(fit.image))
        explained = self.fidelity.explained(self.fidelity.fitted(state.copies), image)
        dual = torch.full_like(weight, -torch.inf)
        aimed: Parts | None = None
        for _ in range(1 + REFINEMENTS):
            found = fit if explained is image else normal.fit(explained)
            if prior.free_mean:
                found = normal.without_mean(found)
            if aimed is None:
                aimed = self._towards(found.slope.to(self.dtype), state).to(torch.complex128)
            error = found.slope - prior.adjoint(aimed)
            size = prior.dual_norm(aimed + prior.lift(error))
            dual = torch.fmax(dual, bound(weight, size, found.correlation, found.square))
            closer = self.fidelity.closer(explained, error)
            if closer is None:
                break
            explained = closer
        return Certificate(fit.image, objective, dual)

    def _towards(self, slope: Images, state: SplitState) -> Parts:
        """A field within λ, close to those with `Kᴴŵ = slope`."""
        prior, weight = self.prior, self.weight[:, None, None, None]
        rho = self.rho[:, None, None, None]
        dual = rho * (state.parts - prior.shrink(state.parts, self.threshold))
        for _ in range(DUAL_STEPS):
            within = dual - prior.shrink(dual, weight)
            turned = 2.0 * within - dual
            turned = turned + prior.lift(slope - prior.adjoint(turned))
            dual = dual + DUAL_RELAXATION * (turned - within)
        return dual - prior.shrink(dual, weight)

    def left(self, state: SplitState) -> SplitStart:
        return SplitStart(state, self.threshold[:, 0, 0, 0])

    def unroll(self, data: Coils, steps: int) -> Images:
        """Image after `steps` plain steps (`α = 1`) of spectra from zero, differentiable in `y`."""
        fidelity = SpectraFidelity.of(replace(self.measurement, data=data))
        problem = replace(self, fidelity=fidelity)
        state = problem.zero()
        image = torch.zeros_like(data[:, 0])
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
    linear = replace(problem, fidelity=problem.fidelity.without_data(), slope=direction)
    tangent = linear.zero()

    def step() -> tuple[Images, Parts, Parts]:
        nonlocal tangent
        kept = problem.prior.jacobian(state.parts, tangent.parts, problem.threshold)
        tangent, image, slopes = linear.step(tangent, kept, OVER_RELAXATION)
        return image, slopes, slopes - kept

    return settled(step, name=problem.name, tolerance=tolerance, max_steps=max_steps, throw=throw)

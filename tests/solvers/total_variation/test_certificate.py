from dataclasses import replace

import pytest
import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.fourier import MaskedFourier
from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.certificate import bound
from mrilib.solvers.total_variation import admm
from mrilib.solvers.total_variation.certificate import (
    DUAL_RELAXATION,
    DUAL_STEPS,
    certify,
    certify_batch,
)
from mrilib.solvers.total_variation.loops import STIFFEST, Iteration
from mrilib.solvers.total_variation.problem import problem_of as posed
from mrilib.solvers.total_variation.problem import reflect


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("route", [certify, certify_batch])
def test_certificate_encloses_the_minimum(route, coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    minimum = float(admm.minimise(problem, tolerance=1e-12, max_steps=20_000).stats["objective"])
    iteration, gaps = Iteration(problem), []
    for _ in range(12):
        iteration.advance(20)
        now = iteration.problem
        for field in (reflect(now, iteration.state_for(now))[1], iteration.mean()):
            found = route(now, field)
            # the objective is the problem's own, from the definition
            residual = (
                problem.spectrum * torch.fft.fft2(found.image) - problem.data
            ).abs().square().sum() / 120
            norm = problem.rule.norm(gradient(found.image))
            assert float(found.objective) == pytest.approx(
                float(0.5 * residual + problem.weight * norm), rel=1e-12
            )
            # minimum is itself known to 1e-12
            assert float(found.dual) <= minimum * (1 + 1e-12)
            assert float(found.objective) >= minimum * (1 - 1e-12)
            gaps.append(float(found.objective - found.dual) / minimum)
    assert min(gaps) >= 0
    assert gaps[-1] < 1e-2 * gaps[0]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_fused_certificate_equals_the_plain_one(coupling, dtype, problem_of, draw):
    for shape in ((12, 10), (7, 13)):
        problem = problem_of(*shape, coupling=coupling, real=shape == (7, 13)).to(dtype)
        field = 0.3 * draw(2, *shape).to(dtype)
        fused, plain = certify(problem, field), certify_batch(problem, field)
        atol = 1e-12 if dtype == torch.complex128 else 1e-5
        torch.testing.assert_close(fused.image, plain.image, rtol=0, atol=1e-12)
        torch.testing.assert_close(fused.objective, plain.objective, rtol=1e-12, atol=0)
        torch.testing.assert_close(fused.dual, plain.dual, rtol=atol, atol=atol)


def test_the_bound_is_that_of_a_feasible_dual_field(coupling, problem_of, draw):
    # data with a part that no image explains, which counts half its square
    problem = problem_of(12, 10, coupling=coupling)
    problem = replace(problem, energy=problem.energy + 3.0)
    found = certify(problem, 0.3 * draw(2, 12, 10))
    field = (gradient(found.image) - 0.3 * draw(2, 12, 10)).to(torch.complex128)
    measured = problem.spectrum > 0
    laplacian = laplacian_spectrum(12, 10, dtype=torch.float64).clamp(min=1e-300)

    def outside(field):
        """The part of `field` that `V` does not hold."""
        spectrum = torch.where(measured, 0.0, torch.fft.fft2(divergence(field)) / laplacian)
        return gradient(torch.fft.ifft2(spectrum))

    def within(field):
        return field - problem.rule.shrink(field, problem.threshold)

    for _ in range(DUAL_STEPS):  # [eckstein1992], projections onto V and onto the fields within λ
        closer = 2.0 * within(field) - field
        field = field + DUAL_RELAXATION * (closer - outside(closer) - within(field))
    dual = problem.rho * (within(field) - outside(within(field)))
    residual = torch.where(measured, torch.fft.fft2(divergence(dual)), 0.0)  # F Aᴴq, A a mask
    torch.testing.assert_close(torch.fft.ifft2(residual), divergence(dual), rtol=0, atol=1e-10)
    correlation = (residual.conj() * problem.data).real.sum() / 120
    expected = bound(
        problem.weight, problem.rule.dual_norm(dual), correlation, residual.abs().square().sum() / 120
    )
    torch.testing.assert_close(found.dual, expected + 1.5, rtol=1e-10, atol=1e-10)


def test_steps_towards_feasibility_tighten_the_bound(coupling, monkeypatch):
    operator = MaskedFourier(mask=radial_mask(64, 16))
    kspace = operator.forward(ellipse_phantoms(1, size=64, seed=0)[0])
    problem, _ = posed(kspace, operator, weight=1e-3, coupling=coupling)
    iteration = Iteration(problem)
    iteration.advance(80)
    gaps = []
    for steps in (0, DUAL_STEPS):
        monkeypatch.setattr("mrilib.solvers.total_variation.certificate.DUAL_STEPS", steps)
        found = certify(iteration.problem, iteration.mean())
        gaps.append(float(found.objective - found.dual))
    assert gaps[1] < 0.5 * gaps[0]


def test_certificate_of_one_item_does_not_depend_on_the_batch(coupling, problem_of, stacked):
    problems = [problem_of(8, 8, coupling=coupling, seed=seed) for seed in (0, 0)]
    problems[1] = replace(problems[1], data=2 * problems[0].data, energy=4 * problems[0].energy)
    fields = []
    for problem in problems:
        iteration = Iteration(problem)
        iteration.advance(15)
        fields.append(iteration.mean())
    together = certify(
        replace(stacked(problems), stiffness=iteration.problem.stiffness, stiffest=STIFFEST),
        torch.stack(fields),
    )
    for item in range(2):
        problem = replace(problems[item], stiffness=iteration.problem.stiffness, stiffest=STIFFEST)
        alone = certify(problem, fields[item])
        assert float(together.objective[item]) == pytest.approx(float(alone.objective), rel=1e-12)
        assert float(together.dual[item]) == pytest.approx(float(alone.dual), rel=1e-12)

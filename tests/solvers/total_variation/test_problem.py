from dataclasses import replace

import torch

from mrilib.operators.gradient import divergence, gradient
from mrilib.solvers.total_variation import admm
from mrilib.solvers.total_variation.problem import image_of, step


def test_image_solves_the_normal_equations(coupling, problem_of, draw):
    problem, field = problem_of(12, 10, coupling=coupling), draw(2, 12, 10)
    image = image_of(problem, problem.inverse(), field)
    normal = torch.fft.ifft2(problem.spectrum * torch.fft.fft2(image)) + problem.rho * divergence(
        gradient(image)
    )
    expected = torch.fft.ifft2(problem.data) + problem.rho * divergence(field)
    torch.testing.assert_close(normal, expected, rtol=0, atol=1e-10)


def test_a_minimiser_is_a_fixed_point_of_the_step(coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    state = admm.minimise(problem, tolerance=1e-12, max_steps=20_000).state.field
    for relaxation in (1.0, 1.8):
        moved, _ = step(problem, problem.inverse(), state, relaxation)
        # a gap of 1e-12 leaves the state free by its square root
        torch.testing.assert_close(moved, state, rtol=0, atol=1e-6)


def test_items_and_precision(problem_of, stacked):
    first, second = problem_of(12, 10), problem_of(12, 10, seed=1)
    both = stacked([first, replace(second, spectrum=first.spectrum)])
    torch.testing.assert_close(both[1].data, second.data, rtol=0, atol=0)
    torch.testing.assert_close(both.rho, 7 * both.weight.sqrt())
    single = both.to(torch.complex64)
    assert (single.data.dtype, single.spectrum.dtype, single.weight.dtype, single.energy.dtype) == (
        torch.complex64,
        torch.float32,
        torch.float32,
        torch.float64,
    )


def test_warm_start_carries_over_to_another_weight(coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    other = replace(problem, weight=1.5 * problem.weight)
    start = admm.minimise(problem, tolerance=1e-8, max_steps=20_000).state
    state = start.state_for(other)
    kept = problem.rule.shrink(state, other.threshold)
    before = problem.rule.shrink(start.field, problem.threshold)
    torch.testing.assert_close(kept, before, rtol=0, atol=1e-12)
    # ρ(s − S(s)), the dual variable, grows with λ
    dual, dual_before = other.rho * (state - kept), problem.rho * (start.field - before)
    torch.testing.assert_close(dual, 1.5 * dual_before, rtol=0, atol=1e-12)


def test_warm_start_takes_another_batch_shape(problem_of, stacked):
    problem = stacked([problem_of(12, 10), problem_of(12, 10)])
    start = admm.minimise(problem, tolerance=1e-2, max_steps=20_000).state
    reshaped = start.reshape(2, 1)
    assert reshaped.field.shape == (2, 1, 2, 12, 10)
    assert torch.equal(reshaped.reshape(-1).state_for(problem), start.state_for(problem))
    assert torch.equal(start.state_for(problem), start.field)

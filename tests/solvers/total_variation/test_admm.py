from dataclasses import replace

import pytest
import torch

from mrilib.operators.gradient import gradient
from mrilib.solvers import certified
from mrilib.solvers.solution import NotConvergedError, Status
from mrilib.solvers.total_variation import admm
from mrilib.solvers.total_variation.certificate import certify
from mrilib.solvers.total_variation.problem import reflect


def in_batch(problem, tolerance, max_steps):
    """As a GPU takes it; it works anywhere."""
    return certified.run(problem, admm.BatchRun(problem, None), tolerance=tolerance, max_steps=max_steps)


def test_no_direction_leads_below_the_minimiser(coupling, problem_of, draw):
    problem = problem_of(12, 10, coupling=coupling)
    solution = admm.minimise(problem, tolerance=1e-10, max_steps=20_000)
    assert solution.status is Status.CONVERGED
    assert 0 <= float(solution.stats["gap"]) <= 1e-10
    objective = certify(problem, reflect(problem, solution.state.field)[1]).objective
    for seed in range(5):
        moved = solution.value + 1e-3 * draw(12, 10, seed=seed)
        residual = (problem.spectrum * torch.fft.fft2(moved) - problem.data).abs().square().sum() / 120
        assert 0.5 * residual + problem.weight * problem.rule.norm(gradient(moved)) > objective


def test_giving_up_is_said(problem_of):
    problem = problem_of(12, 10)
    with pytest.raises(
        NotConvergedError, match=r"max_steps at relative duality gap .* after 30 steps"
    ) as caught:
        admm.minimise(problem, tolerance=1e-10, max_steps=30)
    assert caught.value.solution.status is Status.MAX_STEPS
    solution = admm.minimise(problem, tolerance=1e-10, max_steps=30, throw=False)
    assert solution.status is Status.MAX_STEPS
    assert int(solution.stats["steps"]) == 30
    assert float(solution.stats["gap"]) > 1e-10


def test_a_solve_that_is_not_finite_says_so(coupling, problem_of, stacked):
    problem = problem_of(12, 10, coupling=coupling)
    broken = replace(problem, data=problem.data * float("nan"))
    with pytest.raises(NotConvergedError, match="not_finite"):
        admm.minimise(broken, tolerance=1e-4, max_steps=1000)
    both = admm.minimise(stacked([problem, broken]), tolerance=1e-4, max_steps=1000, throw=False)
    assert both.status is Status.NOT_FINITE
    assert both.value[0].isfinite().all()


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_batch_route_of_devices_equals_one_by_one(coupling, dtype, problem_of, stacked):
    problem = stacked([problem_of(12, 10, coupling=coupling)] * 3)
    factors = torch.tensor([1.0, 1.5, 0.0], dtype=torch.float64)
    problem = replace(
        problem, data=problem.data * factors[:, None, None], energy=problem.energy * factors.square()
    ).to(dtype)
    solution = in_batch(problem, 1e-9, 20_000)
    assert solution.status is Status.CONVERGED
    assert float(solution.stats["gap"].max()) <= 1e-9
    one_by_one = admm.minimise(problem, tolerance=1e-9, max_steps=20_000)
    torch.testing.assert_close(solution.stats["objective"], one_by_one.stats["objective"], rtol=1e-8, atol=0)
    torch.testing.assert_close(solution.value, one_by_one.value, rtol=0, atol=1e-5)


def test_batch_route_says_what_did_not_converge(problem_of, stacked):
    good = problem_of(12, 10)
    broken = replace(good, data=good.data * float("nan"))
    solution = in_batch(stacked([good, broken]), 1e-9, 20_000)
    assert solution.status is Status.NOT_FINITE
    assert float(solution.stats["gap"][0]) <= 1e-9
    short = in_batch(stacked([good, good]), 1e-9, 50)
    assert short.status is Status.MAX_STEPS
    assert short.stats["steps"].tolist() == [50, 50]


def test_warm_start_at_the_solution_needs_one_check(coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    cold = admm.minimise(problem, tolerance=1e-8, max_steps=20_000)
    warm = admm.minimise(problem, tolerance=1e-8, max_steps=20_000, start=cold.state)
    assert int(warm.stats["steps"]) <= admm.FIRST_CHECK < int(cold.stats["steps"])


def linearised(problem, data):
    """The problem linearised for image-space data, with the batch axis that it expects."""
    return replace(
        problem, data=torch.fft.fft2(data), energy=problem.energy[None], weight=problem.weight[None]
    )


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_linearised_map_is_symmetric(coupling, problem_of, draw):
    problem = problem_of(12, 10, coupling=coupling)
    state = admm.minimise(problem, tolerance=1e-8, max_steps=20_000).state.field[None]
    first, second = draw(1, 12, 10), draw(1, 12, 10, seed=1)
    mapped = [
        admm.solve_linearised(linearised(problem, data), state, tolerance=1e-10, max_steps=20_000).value
        for data in (first, second)
    ]
    left = torch.vdot(second.flatten(), mapped[0].flatten()).real
    right = torch.vdot(mapped[1].flatten(), first.flatten()).real
    assert float((left - right).abs()) <= 1e-8 * float(second.norm() * mapped[0].norm())


def test_linearised_problem_at_a_flat_minimiser_sees_the_mean_alone(coupling, problem_of, draw):
    problem = problem_of(12, 10, coupling=coupling)
    flat = replace(problem, weight=torch.tensor(50.0, dtype=torch.float64))
    solution = admm.minimise(flat, tolerance=1e-10, max_steps=20_000)
    torch.testing.assert_close(solution.value, solution.value.mean().expand(12, 10), rtol=0, atol=1e-8)
    data = draw(1, 12, 10)
    image = admm.solve_linearised(
        linearised(flat, data), solution.state.field[None], tolerance=1e-10, max_steps=20_000
    ).value
    torch.testing.assert_close(image, data.mean().expand(1, 12, 10), rtol=0, atol=1e-8)
    nothing = admm.solve_linearised(
        linearised(flat, 0 * data), solution.state.field[None], tolerance=1e-10, max_steps=100
    )
    assert not nothing.value.any()


@pytest.mark.parametrize("max_steps", [20, 60])
def test_linearised_problem_says_that_it_gave_up(max_steps, problem_of, draw):
    problem = problem_of(12, 10)
    state = admm.minimise(problem, tolerance=1e-10, max_steps=20_000).state.field[None]
    linear = linearised(problem, draw(1, 12, 10))
    with pytest.raises(NotConvergedError, match=rf"max_steps at residual .* after {max_steps} steps"):
        admm.solve_linearised(linear, state, tolerance=1e-12, max_steps=max_steps)
    solution = admm.solve_linearised(linear, state, tolerance=1e-12, max_steps=max_steps, throw=False)
    assert solution.status is Status.MAX_STEPS
    assert solution.stats["residual"] > 1e-12
    broken = replace(linear, data=linear.data * float("nan"))
    assert admm.solve_linearised(broken, state, tolerance=1e-4, max_steps=100, throw=False).status is (
        Status.NOT_FINITE
    )

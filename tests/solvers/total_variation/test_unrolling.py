import pytest
import torch

from mrilib.solvers.total_variation.problem import initial_state, step
from mrilib.solvers.total_variation.unrolling import state_after, unroll


def test_unroll_repeats_the_step_without_over_relaxation(coupling, problem_of, stacked, draw):
    problem, state = problem_of(6, 9, coupling=coupling), 0.1 * draw(2, 6, 9)
    image, batch = unroll(problem, state, 4), unroll(stacked([problem] * 2), torch.stack([state] * 2), 4)
    last = state_after(problem, state, 4)
    for _ in range(4):
        state, expected = step(problem, problem.inverse(), state, relaxation=1.0)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(batch, torch.stack([expected] * 2), rtol=0, atol=1e-10)
    assert torch.equal(last, state)


@pytest.mark.parametrize("shape", [(12, 10), (7, 9)])
def test_fused_derivative_is_that_of_autograd(problem_of, stacked, draw, shape):
    problem, cotangent = problem_of(*shape), draw(*shape)
    state = state_after(problem, initial_state(problem), 5)
    problem.data.requires_grad_(True)
    (fused,) = torch.autograd.grad(unroll(problem, state, 30), problem.data, cotangent)
    # a batch of one takes the plain route
    (plain,) = torch.autograd.grad(unroll(stacked([problem]), state[None], 30)[0], problem.data, cotangent)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-10)
    assert fused.abs().max() > 1e-3

from dataclasses import replace

import pytest
import torch

from mrilib.solvers.total_variation.loops import (
    AVERAGE_EVERY,
    AVERAGE_SHARE,
    STIFFEST,
    STIFFNESS,
    WARM_STEPS,
    Iteration,
    loop_from,
)
from mrilib.solvers.total_variation.problem import VariationStart, initial_state, reflect, step


def plainly(problem, state, steps, stages):
    """State and average after `steps` plain steps, with the penalties of `stages`."""
    problem = replace(problem, stiffness=stages[0], stiffest=STIFFEST)
    mean = reflect(problem, state)[1]
    for taken in range(1, steps + 1):
        state, _ = step(problem, problem.inverse(), state)
        kept, reflected = reflect(problem, state)
        if taken % AVERAGE_EVERY == 0:
            mean = torch.lerp(mean, reflected, AVERAGE_SHARE)
        if taken in stages:
            changed = replace(problem, stiffness=stages[taken])
            # the differences and the dual variable ρ(s − S(s)) stay
            state = kept + problem.rho * (state - kept) / changed.rho
            problem = changed
            mean = reflect(problem, state)[1]
    return problem, state, mean


@pytest.mark.parametrize("weight", [None, 1e-3])  # the second so small that ρ/λ is bounded at last
@pytest.mark.parametrize("batch", [False, True])
def test_iteration_repeats_the_plain_step_while_the_penalty_rises(
    coupling, batch, weight, problem_of, stacked
):
    problem = problem_of(6, 9, coupling=coupling)
    if batch:
        problem = stacked([problem, problem_of(6, 9, coupling=coupling)])
        problem = replace(problem, weight=problem.weight * torch.tensor([1.0, 2.0], dtype=torch.float64))
    steps = max(STIFFNESS) + 7
    if weight is not None:
        problem = replace(problem, weight=weight * problem.weight)
    iteration = Iteration(problem)
    iteration.advance(11)
    iteration.advance(steps - 11)
    assert iteration.taken == steps
    if batch:
        expected = [plainly(problem[item], initial_state(problem[item]), steps, STIFFNESS) for item in (0, 1)]
        state, mean = (torch.stack([item[place] for item in expected]) for place in (1, 2))
        last = replace(problem, stiffness=STIFFNESS[max(STIFFNESS)], stiffest=STIFFEST)
    else:
        last, state, mean = plainly(problem, initial_state(problem), steps, STIFFNESS)
    torch.testing.assert_close(iteration.problem.rho, last.rho)
    bounded = iteration.problem.rho == STIFFEST * problem.weight
    assert bool((bounded if weight is not None else ~bounded).all())
    torch.testing.assert_close(iteration.state_for(iteration.problem), state, rtol=0, atol=1e-10)
    torch.testing.assert_close(iteration.mean(), mean, rtol=0, atol=1e-10)


def test_a_start_is_taken_as_if_steps_had_led_to_it(coupling, problem_of, draw):
    problem, state = problem_of(6, 9, coupling=coupling), 0.1 * draw(2, 6, 9)
    start = VariationStart(state, problem.threshold)
    later = {step - WARM_STEPS: value for step, value in STIFFNESS.items() if step >= WARM_STEPS}
    iteration = Iteration(problem, start)
    iteration.advance(max(later) + 3)
    begin = start.state_for(replace(problem, stiffness=later[0], stiffest=STIFFEST))
    last, state, _ = plainly(problem, begin, max(later) + 3, later)
    torch.testing.assert_close(iteration.state_for(last), state, rtol=0, atol=1e-10)
    # and the terms of a problem are those of its own penalty
    kept, dual = reflect(last, state)[0], state - reflect(last, state)[0]
    torch.testing.assert_close(
        iteration.state_for(problem), kept + dual * (last.rho / problem.rho), rtol=0, atol=1e-10
    )


def test_the_precision_changes_on_the_way(problem_of):
    problem = problem_of(6, 9)
    mixed, double = Iteration(problem.to(torch.complex64)), Iteration(problem)
    for iteration in (mixed, double):
        iteration.advance(30)
    mixed.to(torch.complex128)
    for iteration in (mixed, double):
        iteration.advance(30)
    assert mixed.mean().dtype == torch.complex128
    assert mixed.problem.data.dtype == torch.complex128
    assert mixed.taken == 60
    torch.testing.assert_close(mixed.mean(), double.mean(), rtol=0, atol=1e-5)


def test_items_leave_a_batch(coupling, problem_of, stacked):
    problem = problem_of(6, 9, coupling=coupling)
    batch = stacked([problem, replace(problem, data=0.5 * problem.data, energy=0.25 * problem.energy)])
    iteration, alone = Iteration(batch), Iteration(batch[1])
    for one in (iteration, alone):
        one.advance(30)
    iteration.keep(torch.tensor([False, True]))
    for one in (iteration, alone):
        one.advance(40)
    torch.testing.assert_close(iteration.mean()[0], alone.mean(), rtol=0, atol=1e-10)
    torch.testing.assert_close(
        iteration.state_for(batch[torch.tensor([1])])[0], alone.state_for(batch[1]), rtol=0, atol=1e-10
    )


def test_a_loop_takes_another_inverse_and_relaxation(coupling, problem_of, draw):
    problem, state = problem_of(6, 9, coupling=coupling), 0.1 * draw(2, 6, 9)
    inverse = problem.inverse() * (problem.spectrum == 0)
    loop = loop_from(problem, state, inverse=inverse, relaxation=1.2)
    for _ in range(3):
        loop.step()
        state, _ = step(problem, inverse, state, 1.2)
    torch.testing.assert_close(loop.state(), state, rtol=0, atol=1e-10)

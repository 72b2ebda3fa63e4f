from dataclasses import replace

import pytest
import torch

from mrilib.operators.gradient import gradient
from mrilib.solvers import admm
from mrilib.solvers.certificate import certify
from mrilib.solvers.problem import initial_state


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_certificate_encloses_the_minimum(coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    minimum = float(admm.minimise(problem, tolerance=1e-12, max_steps=20_000).stats["objective"])
    state, found, gaps = initial_state(problem), None, []
    for _ in range(12):
        state = admm.advance(problem, state, 20)
        for earlier in (None, found):
            found = certify(problem, state, earlier)
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


def test_certificate_of_one_item_does_not_depend_on_the_batch(coupling, problem_of, stacked):
    problems = [problem_of(8, 8, coupling=coupling, seed=seed) for seed in (0, 0)]
    problems[1] = replace(problems[1], data=2 * problems[0].data, energy=4 * problems[0].energy)
    states = [admm.advance(problem, initial_state(problem), 30) for problem in problems]
    together = certify(stacked(problems), torch.stack(states))
    for item in range(2):
        alone = certify(problems[item], states[item])
        assert float(together.objective[item]) == pytest.approx(float(alone.objective), rel=1e-12)
        assert float(together.dual[item]) == pytest.approx(float(alone.dual), rel=1e-12)

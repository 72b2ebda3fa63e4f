from dataclasses import replace

import pytest
import torch

from mrilib.operators.gradient import gradient
from mrilib.solvers import admm
from mrilib.solvers.certificate import certify
from mrilib.solvers.problem import initial_state, reflect


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_certificate_encloses_the_minimum(coupling, problem_of):
    problem = problem_of(12, 10, coupling=coupling)
    minimum = float(admm.minimise(problem, tolerance=1e-12, max_steps=20_000).stats["objective"])
    state, gaps = initial_state(problem), []
    _, mean = reflect(problem, state)
    for _ in range(12):
        state, mean = admm.advance(problem, state, 20, mean)
        for field in (reflect(problem, state)[1], mean):
            found = certify(problem, field)
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
    fields = []
    for problem in problems:
        state = initial_state(problem)
        fields.append(admm.advance(problem, state, 30, state)[1])
    together = certify(stacked(problems), torch.stack(fields))
    for item in range(2):
        alone = certify(problems[item], fields[item])
        assert float(together.objective[item]) == pytest.approx(float(alone.objective), rel=1e-12)
        assert float(together.dual[item]) == pytest.approx(float(alone.dual), rel=1e-12)

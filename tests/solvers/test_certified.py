from dataclasses import replace

import pytest
import torch

from mrilib.operators.bases import Cosine
from mrilib.solvers import certified
from mrilib.solvers.bases.fista import BasisProblem
from mrilib.solvers.bases.line_splitting import LineProblem
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.coils.splitting import SplitProblem
from mrilib.solvers.coils.variation import Variation
from mrilib.solvers.solution import Status
from tests.reconstructors.scenes import multicoil


def variation(measurement, weight):
    return SplitProblem.of(measurement, Variation("split"), weight)


def plain(measurement, weight):
    return BasisProblem.of(measurement, Cosine(), weight)


def lines(measurement, weight):
    return LineProblem.of(measurement, Cosine(), weight)


@pytest.fixture(params=[variation, plain, lines])
def problem(request):
    """Three items, of which the first ends first and the last one last."""
    kspace, operator = multicoil((16, 16), dtype=torch.complex64)
    measurement = scaled_data(torch.stack([kspace] * 3), operator, "test").measurement
    return request.param(measurement, torch.tensor([0.3, 0.05, 0.005]))


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_a_batch_as_a_gpu_takes_it_is_solved_as_one_by_one(problem):
    one_by_one = problem.minimise(tolerance=1e-4, max_steps=5000)
    found = certified.run(problem, problem.begun(None), tolerance=1e-4, max_steps=5000)
    assert found.status is Status.CONVERGED
    assert len(set(found.stats["steps"].tolist())) > 1
    torch.testing.assert_close(found.stats["objective"], one_by_one.stats["objective"], rtol=2e-4, atol=0)
    # What each item left starts a solve that is done at once.
    again = problem.minimise(tolerance=1e-4, max_steps=5000, start=found.state)
    assert (again.stats["steps"] <= found.stats["steps"]).all()
    assert float(again.stats["gap"].max()) <= 1e-4


def test_items_that_are_not_finite_say_so_and_leave_the_others(problem):
    measurement = problem.measurement
    data = measurement.data.clone()
    data[1] = float("nan")
    broken = replace(measurement, data=data)
    given = problem.prior if isinstance(problem, SplitProblem) else problem.basis
    posed = type(problem).of(broken, given, problem.weight)
    solution = posed.minimise(tolerance=1e-2, max_steps=500, throw=False)
    assert solution.status is Status.NOT_FINITE
    assert solution.stats["gap"].isnan().tolist() == [False, True, False]
    assert solution.value[[0, 2]].isfinite().all()

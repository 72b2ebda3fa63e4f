from dataclasses import replace

import pytest
import torch

from mrilib.operators.bases import Wavelet
from mrilib.solvers.bases.analysis import Analysis
from mrilib.solvers.coils import splitting
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.coils.fidelity import LineFidelity, SpectraFidelity
from mrilib.solvers.coils.splitting import SplitProblem
from mrilib.solvers.coils.variation import Variation
from mrilib.solvers.solution import Status
from tests.reconstructors.scenes import multicoil

# Checks take most of a long loop's time.
pytestmark = pytest.mark.usefixtures("unchecked")
PRIORS = {
    "split": Variation("split"),
    "complex": Variation("complex"),
    "isotropic": Variation("isotropic"),
    "padded wavelet": Analysis(Wavelet("db2", 3), 12, 16),
}
WEIGHT = torch.tensor([0.03], dtype=torch.float64)


@pytest.fixture(params=PRIORS.values(), ids=PRIORS)
def prior(request):
    return request.param


def problems(prior, *, dtype=torch.complex128, weight=WEIGHT):
    """The same problem by way of spectra, and of lines."""
    kspace, operator = multicoil((12, 16), dtype=dtype)
    measurement = scaled_data(kspace, operator, "test").measurement
    return [
        SplitProblem(kind.of(measurement), prior, weight.to(dtype.to_real()))
        for kind in (SpectraFidelity, LineFidelity)
    ]


def test_lines_and_spectra_have_one_minimiser(prior):
    spectra, lines = (problem.minimise(tolerance=1e-6, max_steps=5000) for problem in problems(prior))
    assert spectra.status is lines.status is Status.CONVERGED
    assert float(lines.stats["objective"]) == pytest.approx(float(spectra.stats["objective"]), rel=2e-6)
    # Where no coil sees anything the minimiser is not unique; it is in what coils measure.
    seen = [problems(prior)[0].measurement.forward(found.value) for found in (spectra, lines)]
    torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=5e-3)


def test_bounds_are_below_the_minimum_at_any_state(prior, draw):
    for problem in problems(prior):
        minimum = float(problem.minimise(tolerance=1e-6, max_steps=5000).stats["objective"])
        state = problem.zero()
        states = [state, problem.advance(state, 5), problem.advance(state, 60)]
        states.append(replace(states[1], parts=draw(*state.parts.shape)))
        for one in states:
            found = problem.certify(one, problem.image(one))
            assert float(found.dual) <= minimum * (1 + 1e-12)
            assert float(found.objective) >= minimum * (1 - 1e-6)


def test_steps_in_loops_are_those_written_out(prior):
    for problem in problems(prior):
        state = problem.zero()
        for _ in range(4):
            kept = problem.prior.shrink(state.parts, problem.threshold)
            state, _, _ = problem.step(state, kept, splitting.OVER_RELAXATION)
        found = problem.advance(problem.advance(problem.zero(), 3), 1)
        torch.testing.assert_close(found.parts, state.parts, rtol=0, atol=1e-12)
        torch.testing.assert_close(problem.image(found), problem.image(state), rtol=0, atol=1e-12)


def test_unrolled_steps_are_those_of_spectra():
    spectra, lines = problems(Variation("complex"))
    data = spectra.measurement.data
    torch.testing.assert_close(lines.unroll(data, 7), spectra.unroll(data, 7), rtol=0, atol=0)


def test_data_come_closer_to_a_field_within_the_bound(monkeypatch):
    _, problem = problems(Variation("isotropic"), dtype=torch.complex64)
    state = problem.advance(problem.zero(), 10)
    refined = problem.certify(state, problem.image(state))
    monkeypatch.setattr(splitting, "REFINEMENTS", 0)
    plain = problem.certify(state, problem.image(state))
    assert bool(plain.dual < refined.dual)
    assert bool(refined.dual <= refined.objective)

from dataclasses import replace

import pytest
import torch

from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.solvers.bases import fista, line_splitting
from mrilib.solvers.bases.line_splitting import THRESHOLD, LineProblem
from mrilib.solvers.bases.posed import general_problem
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.solution import NotConvergedError, Status

# The third of its levels pads 12×16 pixels to 16×16.
BASES = {
    "wavelet": Wavelet("db2", 2),
    "padded": Wavelet("db2", 3),
    "cosine": Cosine(),
    "fourier": FourierBasis(),
}


@pytest.fixture(params=["columns", "rows"])
def axis(request):
    return request.param


def measurement_of(axis, shape=(12, 16), *, items=1, sets=False, dtype=torch.complex128):
    """Noise seen by three coils, empty in a corner, through lines of which half are sampled."""
    generator = torch.Generator().manual_seed(3)
    batch = (items,) if sets else ()
    maps = torch.randn(*batch, 3, *shape, generator=generator, dtype=torch.complex128)
    maps[..., :3, :4] = 0.0
    size = shape[1] if axis == "columns" else shape[0]
    line = torch.rand(size, generator=generator) < 0.5
    line[size // 2] = True
    mask = line.expand(shape) if axis == "columns" else line[:, None].expand(shape)
    operator = CoilFourier(mask=mask, coil_maps=maps.to(dtype))
    image = torch.randn(items, *shape, generator=generator, dtype=torch.complex128).to(dtype)
    return scaled_data(operator.forward(image), operator, "test").measurement


def problems(measurement, basis, weight=0.05):
    weights = weight * torch.arange(1, len(measurement.data) + 1, dtype=measurement.dtype.to_real())
    return LineProblem.of(measurement, basis, weights)


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES)
def test_steps_solve_the_same_problem_as_the_solver_for_any_mask(axis, basis, monkeypatch):
    problem = problems(measurement_of(axis), basis)
    found = problem.minimise(tolerance=1e-9, max_steps=20_000)
    # Neither does the slow one know of lines.
    monkeypatch.setattr("mrilib.solvers.coils.fidelity.applies", lambda measurement: False)
    slow = general_problem(problem.measurement, basis, problem.weight)
    expected = slow.minimise(tolerance=1e-9, max_steps=20_000)
    assert found.status is Status.CONVERGED
    assert float(found.stats["objective"]) == pytest.approx(float(expected.stats["objective"]), rel=2e-9)
    torch.testing.assert_close(
        found.value, expected.value, rtol=0, atol=1e-3 * float(expected.value.abs().max())
    )


@pytest.mark.parametrize("levels", [2, 3])
def test_bound_is_below_the_minimum_at_any_state(axis, levels, draw):
    problem = problems(measurement_of(axis), Wavelet("db2", levels))
    minimum = float(problem.minimise(tolerance=1e-9, max_steps=20_000).stats["objective"])
    zero, early, anything = (problem.begun(None) for _ in range(3))
    early.advance(5)
    anything.field = draw(*anything.field.shape)
    for run in (zero, early, anything):
        found = run.certify()
        assert float(found.dual) <= minimum * (1 + 1e-12)
        assert float(found.objective) >= minimum * (1 - 1e-8)


def test_cuts_never_loosen_the_bound(axis, monkeypatch):
    run = problems(measurement_of(axis), Cosine()).begun(None)
    run.advance(10)
    cut = run.certify().dual
    monkeypatch.setattr(line_splitting, "CUTS", 0)
    assert bool(cut >= run.certify().dual)


def test_a_pair_that_single_precision_left_apart_is_brought_together(axis, monkeypatch):
    problem = problems(measurement_of(axis, dtype=torch.complex64), Wavelet("db2", 3), weight=1e-5)
    run = problem.begun(None)
    run.advance(200)
    refined = run.certify()
    monkeypatch.setattr(line_splitting, "REFINEMENTS", 0)
    assert bool(run.certify().dual < refined.dual)
    assert bool(refined.dual <= refined.objective)


def test_items_that_leave_take_their_inverses_along(axis):
    run = problems(measurement_of(axis, items=3, dtype=torch.complex64), Cosine()).begun(None)
    run.advance(3)
    whole = run.inverses
    before = run.certify()
    run.keep(torch.tensor([True, False, True]))
    for part, given in zip(run.inverses.parts, whole.parts, strict=True):
        torch.testing.assert_close(part, given[[0, 2]], rtol=0, atol=0)
    torch.testing.assert_close(run.certify().dual, before.dual[[0, 2]], rtol=1e-6, atol=0)
    run.to(torch.complex128)
    for part, given in zip(run.inverses.parts, whole.parts, strict=True):
        torch.testing.assert_close(part, given[[0, 2]].double(), rtol=1e-3, atol=1e-3)


def test_warm_start_at_another_weight_saves_steps(axis):
    problem = problems(measurement_of(axis), Cosine())
    start = problem.minimise(tolerance=1e-6, max_steps=20_000).state.reshape(1, 1).reshape(1)
    nearby = replace(problem, weight=0.99 * problem.weight)
    cold = nearby.minimise(tolerance=1e-6, max_steps=20_000)
    warm = nearby.minimise(tolerance=1e-6, max_steps=20_000, start=start)
    assert int(warm.stats["steps"]) <= int(cold.stats["steps"])
    assert float(warm.stats["objective"]) == pytest.approx(float(cold.stats["objective"]), rel=1e-6)


def test_giving_up_is_said():
    with pytest.raises(NotConvergedError, match="ℓ1: max_steps at relative duality gap"):
        problems(measurement_of("columns"), Cosine(), 1e-3).minimise(tolerance=1e-9, max_steps=5)


def test_image_is_sparse_in_the_basis_and_derivative_is_that_of_fista(axis, draw):
    problem = problems(measurement_of(axis), Cosine())
    solution = problem.minimise(tolerance=1e-10, max_steps=20_000)
    coefficients = shrink(solution.state.field, THRESHOLD)
    assert bool((coefficients == 0).any())
    torch.testing.assert_close(Cosine().adjoint(coefficients), solution.value, rtol=0, atol=1e-3)
    direction = draw(1, 12, 16)
    found = problem.derivative(solution.state, direction, tolerance=1e-9, max_steps=20_000)
    plain = fista.BasisProblem.of(problem.measurement, Cosine(), problem.weight)
    expected = fista.solve_linearised(plain, coefficients, direction, tolerance=1e-9, max_steps=2000).value
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_derivative_where_the_basis_pads_is_that_of_differences_of_minimisers(axis, draw):
    problem = problems(measurement_of(axis), Wavelet("db2", 3))
    solution = problem.minimise(tolerance=1e-12, max_steps=50_000)
    direction, cotangent = draw(1, 3, 12, 16) * problem.measurement.mask, draw(1, 12, 16)
    moved = []
    for length in (1e-5, -1e-5):
        data = problem.measurement.data + length * direction
        nearby = LineProblem.of(replace(problem.measurement, data=data), problem.basis, problem.weight)
        moved.append(nearby.minimise(tolerance=1e-12, max_steps=50_000, start=solution.state).value)
    expected = float(((moved[0] - moved[1]) / 2e-5 * cotangent.conj()).real.sum())
    derivative = problem.derivative(solution.state, cotangent, tolerance=1e-9, max_steps=50_000)
    found = float((problem.measurement.forward(derivative).conj() * direction).real.sum())
    assert found == pytest.approx(expected, rel=2e-3)

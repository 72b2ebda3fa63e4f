import math
from dataclasses import replace

import pytest
import torch

from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.bases import fista, line_splitting
from mrilib.solvers.bases.line_splitting import LineProblem, inverse_of, rho_of
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.solution import NotConvergedError, Status

BASES = {"wavelet": Wavelet("db2", 2), "cosine": Cosine(), "fourier": FourierBasis()}


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


@pytest.mark.parametrize("sets", [False, True])
def test_inverse_is_that_of_the_normal_operator(axis, sets, draw):
    problem = problems(measurement_of(axis, items=2, sets=sets), Cosine())
    image = draw(2, 12, 16)
    applied = problem.measurement.normal(image) + rho_of(problem) * image
    torch.testing.assert_close(problem.begun(None).solve(applied), image, rtol=0, atol=1e-11)


def test_lines_are_factorised_in_parts(axis, monkeypatch):
    measurement = measurement_of(axis)
    whole = inverse_of(problems(measurement, Cosine()))
    monkeypatch.setattr(line_splitting, "LINES_AT_ONCE", 5)
    torch.testing.assert_close(inverse_of(problems(measurement, Cosine())), whole, rtol=0, atol=0)


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES)
def test_steps_solve_the_same_problem_as_fista(axis, basis):
    problem = problems(measurement_of(axis), basis)
    found = problem.minimise(tolerance=1e-9, max_steps=20_000)
    plain = fista.BasisProblem.of(problem.measurement, basis, problem.weight)
    slow = plain.minimise(tolerance=1e-9, max_steps=20_000)
    assert found.status is Status.CONVERGED
    assert float(found.stats["objective"]) == pytest.approx(float(slow.stats["objective"]), rel=2e-9)
    torch.testing.assert_close(found.value, slow.value, rtol=0, atol=1e-3 * float(slow.value.abs().max()))


def test_bound_is_below_the_minimum_at_any_state(axis, draw):
    problem = problems(measurement_of(axis), Wavelet("db2", 2))
    minimum = float(problem.minimise(tolerance=1e-9, max_steps=20_000).stats["objective"])
    zero, early, anything = (problem.begun(None) for _ in range(3))
    early.advance(5)
    anything.field = draw(1, 12, 16)
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


def test_items_that_leave_take_their_inverse_along(axis):
    run = problems(measurement_of(axis, items=3, dtype=torch.complex64), Cosine()).begun(None)
    inverse = run.inverse
    run.keep(torch.tensor([True, False, True]))
    torch.testing.assert_close(run.inverse, inverse[[0, 2]], rtol=0, atol=0)
    run.to(torch.complex128)
    assert run.inverse.dtype == torch.complex128
    torch.testing.assert_close(run.inverse.to(torch.complex64), inverse[[0, 2]], rtol=1e-3, atol=1e-3)


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


def test_applies_to_coils_on_lines_and_a_basis_of_the_grid(axis, monkeypatch):
    measurement = measurement_of(axis, items=2)
    assert line_splitting.applies(measurement, Cosine())
    assert not line_splitting.applies(measurement, Wavelet("db2", 3))
    mask = torch.zeros(12, 16, dtype=torch.bool)
    mask[6, 8] = True
    for operator in (
        MaskedFourier(mask=mask),
        CoilFourier(mask=mask, coil_maps=torch.ones(2, 12, 16, dtype=torch.complex128)),
    ):
        kspace = operator.forward(torch.ones(12, 16, dtype=torch.complex128))
        assert not line_splitting.applies(scaled_data(kspace, operator, "test").measurement, Cosine())
    length = 16 if axis == "columns" else 12
    monkeypatch.setattr(line_splitting, "LARGEST_INVERSE", math.prod((12, 16, length)))
    assert line_splitting.applies(measurement, Cosine())
    monkeypatch.setattr(line_splitting, "LARGEST_INVERSE", math.prod((12, 16, length)) - 1)
    assert not line_splitting.applies(measurement, Cosine())


def test_image_is_sparse_in_the_basis_and_derivative_is_that_of_fista(axis, draw):
    problem = problems(measurement_of(axis), Cosine())
    solution = problem.minimise(tolerance=1e-10, max_steps=20_000)
    coefficients = shrink(solution.state.field, solution.state.threshold[:, None, None])
    assert bool((coefficients == 0).any())
    torch.testing.assert_close(Cosine().adjoint(coefficients), solution.value, rtol=0, atol=1e-3)
    direction = draw(1, 12, 16)
    found = problem.derivative(solution.state, direction, tolerance=1e-8, max_steps=2000)
    expected = fista.solve_linearised(problem, coefficients, direction, tolerance=1e-8, max_steps=2000).value
    torch.testing.assert_close(found, expected, rtol=0, atol=0)

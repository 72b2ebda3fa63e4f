import math

import numpy as np
import pytest
import torch

from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import NotConvergedError, Status
from tests.reconstructors.cvxpy_tv import minimum_by_cvxpy
from tests.reconstructors.scenes import multicoil

WEIGHT = 0.05
COUPLINGS = ("split", "complex", "isotropic")


@pytest.fixture(params=COUPLINGS)
def coupling(request):
    return request.param


def objective_of(image, kspace, operator, coupling):
    residual = operator.forward(image) - kspace * operator.mask
    along_x, along_y = image.roll(-1, -1) - image, image.roll(-1, -2) - image
    norm = {
        "split": sum(part.abs() for field in (along_x, along_y) for part in (field.real, field.imag)),
        "complex": along_x.abs() + along_y.abs(),
        "isotropic": (along_x.abs().square() + along_y.abs().square()).sqrt(),
    }[coupling]
    return float(0.5 * residual.abs().square().sum() + WEIGHT * norm.sum())


def minimise_with_cvxpy(kspace, operator, coupling):
    """Minimiser and minimum with `A` and `∇` written out as matrices."""
    shape = tuple(operator.mask.shape)
    eye = torch.eye(math.prod(shape), dtype=torch.complex128).reshape(-1, *shape)
    matrix = operator.forward(eye).flatten(1).mT.numpy()
    kept = np.abs(matrix).sum(1) > 0
    matrix, data = matrix[kept], kspace.flatten().numpy()[kept]
    along_x = (eye.roll(-1, -1) - eye).flatten(1).mT.real.numpy()
    along_y = (eye.roll(-1, -2) - eye).flatten(1).mT.real.numpy()
    found, minimum = minimum_by_cvxpy(matrix, data, along_x, along_y, weight=WEIGHT, coupling=coupling)
    return found.reshape(shape), minimum


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_minimiser_is_that_of_cvxpy(coupling):
    kspace, operator = multicoil((16, 16))
    expected, minimum = minimise_with_cvxpy(kspace, operator, coupling)
    solution = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-7).solve(kspace, operator)
    found = float(solution.stats["objective"])
    assert found == pytest.approx(minimum, rel=1e-7)
    assert found == pytest.approx(objective_of(solution.value, kspace, operator, coupling), rel=1e-12)
    # The image is free, up to its variation, where the maps are zero.
    inside = operator.coil_maps.abs().sum(0) > 0
    np.testing.assert_allclose(solution.value[inside], expected[inside.numpy()], rtol=0, atol=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_one_coil_of_ones_gives_the_single_coil_minimum(coupling, measured):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    method = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-7)
    coil = CoilFourier(mask=operator.mask, coil_maps=torch.ones(1, 16, 16, dtype=torch.complex128))
    single, multi = method.solve(kspace, operator), method.solve(kspace[None], coil)
    assert float(multi.stats["objective"]) == pytest.approx(float(single.stats["objective"]), rel=1e-7)
    torch.testing.assert_close(multi.value, single.value, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_tolerance_is_kept(coupling, dtype):
    kspace, operator = multicoil((14, 17))
    exact = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-7).solve(kspace, operator)
    minimum = float(exact.stats["objective"])
    rounded = CoilFourier(mask=operator.mask, coil_maps=operator.coil_maps.to(dtype))
    for tolerance in (1e-3, 1e-5):
        method = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=tolerance)
        solution = method.solve(kspace.to(dtype), rounded)
        assert solution.status is Status.CONVERGED
        assert solution.value.dtype == dtype
        gap = float(solution.stats["gap"])
        # Rounding the data and maps to single precision moves the minimum by 1e-7.
        assert -1e-6 <= float(solution.stats["objective"]) / minimum - 1 <= gap + 1e-6
        assert 0 <= gap <= tolerance


@pytest.mark.usefixtures("unchecked")
def test_batch_equals_one_by_one_and_warm_start_saves_steps(coupling):
    kspace, operator = multicoil((14, 17))
    method = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-4)
    batch = torch.stack([kspace, 10 * kspace.flip(-3)])[:, None]
    together = method.solve(batch, operator)
    assert together.value.shape == (2, 1, 14, 17)
    for item in range(2):
        alone = method.solve(batch[item, 0], operator)
        torch.testing.assert_close(together.value[item, 0], alone.value, rtol=0, atol=1e-12)
    nearby = TotalVariation(weight=0.99 * WEIGHT, coupling=coupling, tolerance=1e-4)
    cold, warm = nearby.solve(batch, operator), nearby.solve(batch, operator, start=together.state)
    assert bool((warm.stats["steps"] <= cold.stats["steps"]).all())


def test_zero_kspace_gives_the_zero_image(coupling):
    _, operator = multicoil((14, 17))
    solution = TotalVariation(weight=WEIGHT, coupling=coupling).solve(
        torch.zeros(3, 14, 17, dtype=torch.complex128), operator
    )
    assert solution.status is Status.CONVERGED
    assert not solution.value.any()


def derivative(method, kspace, operator, cotangent):
    """Gradient of `Re⟨cotangent, rec(y)⟩`."""
    kspace = kspace.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(method(kspace, operator), kspace, cotangent)
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_implicit_derivative_equals_unrolled_and_finite_differences(coupling, draw):
    kspace, operator = multicoil((14, 15))
    # Where the maps are zero the minimiser is not unique, and neither is its derivative.
    inside = operator.coil_maps.abs().sum(0) > 0
    cotangent, direction = draw(14, 15) * inside, draw(3, 14, 15, seed=1) * operator.mask
    method = TotalVariation(
        weight=WEIGHT,
        coupling=coupling,
        tolerance=1e-10,
        max_steps=40_000,
        differentiation=Implicit(tolerance=1e-7),
    )
    implicit = derivative(method, kspace, operator, cotangent)
    assert not (implicit * ~operator.mask).any()
    unrolled = TotalVariation(weight=WEIGHT, coupling=coupling, differentiation=Unrolled(steps=6000))
    found = derivative(unrolled, kspace, operator, cotangent)
    assert (implicit - found).norm() <= 1e-4 * implicit.norm()
    step = 1e-4 * direction / direction.norm()
    change = method(kspace + step, operator) - method(kspace - step, operator)
    numerical = float(torch.vdot(cotangent.flatten(), change.flatten()).real / 2e-4)
    along = float(torch.vdot(implicit.flatten(), direction.flatten()).real / direction.norm())
    assert along == pytest.approx(numerical, rel=1e-3)


def test_giving_up_is_said(coupling, draw):
    kspace, operator = multicoil((14, 17))
    with pytest.raises(NotConvergedError, match="total variation: max_steps at relative duality gap"):
        TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-9, max_steps=20)(kspace, operator)
    method = TotalVariation(
        weight=WEIGHT,
        coupling=coupling,
        tolerance=1e-2,
        differentiation=Implicit(tolerance=1e-9, max_steps=5),
    )
    with pytest.raises(NotConvergedError, match="linearised total variation: max_steps at residual"):
        derivative(method, kspace, operator, draw(14, 17))

import math

import numpy as np
import pytest
import torch

from mrilib.data.masks import column_mask
from mrilib.data.volumes.simulated import simulated_coil_maps
from mrilib.operators.bases import Cosine, Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.l1 import L1
from mrilib.solvers.bases.cycle_spinning import random_shifts, shifted_threshold, spin
from mrilib.solvers.bases.shrinkage import shrink
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import Status

BASIS = Wavelet("db2", 2)


def head(shape, *, noise, coils=4, dtype=torch.complex128):
    """Discs of several heights seen by simulated coils, 4× random columns, white noise."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    image = 1.0 * (rows**2 + 1.3 * columns**2 < 0.8) - 0.4 * (rows**2 + 2 * columns**2 < 0.5)
    for place, (y, x) in enumerate([(-0.4, 0.0), (0.1, 0.25), (0.3, -0.2), (-0.1, -0.35)]):
        image += 0.15 * (place + 1) * ((rows - y) ** 2 + (columns - x) ** 2 < 0.02)
    generator = np.random.default_rng(0)
    maps = torch.from_numpy(simulated_coil_maps(coils, *shape, generator)).to(dtype)
    mask = column_mask(shape[1], acceleration=3, center_fraction=0.1, kind="random", seed=1)
    operator = CoilFourier(mask=mask, coil_maps=maps)
    image = torch.from_numpy(image).to(dtype)
    drawn = generator.standard_normal((2, coils, *shape))
    errors = torch.from_numpy(drawn[0] + 1j * drawn[1]).to(dtype) * operator.mask
    return image, operator.forward(image) + noise * errors, operator


def test_shifts_zero_give_accelerated_gradients():
    _, kspace, operator = head((16, 16), noise=0.02)
    scaled = scaled_data(kspace, operator, "test")
    measurement, weight = scaled.measurement, scaled.weight(0.02)
    found = spin(measurement, BASIS, weight, torch.zeros(30, 2, dtype=torch.int64))
    current = ahead = torch.zeros_like(found)
    t = 1.0
    for _ in range(30):
        slope = measurement.adjoint(measurement.data) - measurement.normal(ahead)
        moved = BASIS.adjoint(shrink(BASIS.forward(ahead + slope), weight[:, None, None]))
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead, current, t = moved + (t - 1) / following * (moved - current), moved, following
    torch.testing.assert_close(found, current, rtol=0, atol=1e-13)


def test_mean_over_all_shifts_is_the_threshold_of_all_shifted_bases(draw):
    image, threshold = draw(1, 8, 8), torch.tensor(0.7, dtype=torch.float64)
    basis = Wavelet("db1", 1)
    eye = torch.eye(64, dtype=torch.complex128).reshape(64, 8, 8)
    found, expected = torch.zeros_like(image), torch.zeros(64, dtype=torch.complex128)
    for down in range(2):
        for across in range(2):
            found += shifted_threshold(image, basis, threshold, (down, across)) / 4
            matrix = basis.forward(eye.roll((down, across), (-2, -1))).reshape(64, 64).mT
            coefficients = matrix @ image.flatten()
            size = coefficients.abs()
            kept = coefficients * torch.clamp(1 - threshold / size, min=0)
            expected += matrix.mH @ kept / 4
    torch.testing.assert_close(found.flatten(), expected, rtol=0, atol=1e-13)
    everything = shifted_threshold(image, basis, 0 * threshold, (1, 1))
    torch.testing.assert_close(everything, image, rtol=0, atol=1e-13)


def test_shifts_are_reproducible_and_begin_alike():
    shifts = random_shifts(50, 8, seed=3)
    assert shifts.shape == (50, 2)
    assert sorted(set(shifts.flatten().tolist())) == list(range(8))
    assert torch.equal(shifts[:20], random_shifts(20, 8, seed=3))
    assert not torch.equal(shifts, random_shifts(50, 8, seed=4))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(64, 48), (62, 45)], ids=["divisible", "padded"])
def test_denoises_better_than_the_minimiser(shape):
    # Both at their best of the same weights.
    image, kspace, operator = head(shape, noise=0.05)

    def error(weight, **changed):
        method = L1(basis=Wavelet("db2", 3), weight=weight, tolerance=1e-3, **changed)
        return float((method.solve(kspace, operator).value - image).norm() / image.norm())

    weights = (0.02, 0.04, 0.08)
    minimiser = min(error(weight) for weight in weights)
    spun = min(error(weight, cycle_spinning=True, steps=60) for weight in weights)
    assert spun < 0.95 * minimiser


@pytest.mark.usefixtures("unchecked")
def test_it_claims_no_convergence_and_no_certificate():
    _, kspace, operator = head((16, 16), noise=0.02, dtype=torch.complex64)
    method = L1(basis=BASIS, weight=0.02, cycle_spinning=True, steps=7)
    solution = method.solve(torch.stack([kspace, 2 * kspace]), operator)
    assert solution.status is Status.FIXED_STEPS
    assert solution.value.shape == (2, 16, 16)
    assert solution.value.dtype == torch.complex64
    assert {name: values.tolist() for name, values in solution.stats.items()} == {"steps": [7, 7]}
    torch.testing.assert_close(method(kspace, operator), solution.value[0], rtol=0, atol=1e-6)
    other = L1(basis=BASIS, weight=0.02, cycle_spinning=True, steps=7, seed=1)
    assert not torch.equal(other(kspace, operator), method(kspace, operator))


@pytest.mark.usefixtures("unchecked")
def test_derivative_is_that_of_the_steps(draw):
    _, kspace, operator = head((16, 16), noise=0.02)
    cotangent, direction = draw(16, 16), draw(4, 16, 16, seed=1) * operator.mask
    method = L1(basis=BASIS, weight=0.02, cycle_spinning=True, steps=7)
    given = kspace.clone().requires_grad_(True)
    image = method(given, operator)
    torch.testing.assert_close(image.detach(), method(kspace, operator), rtol=0, atol=1e-13)
    (slope,) = torch.autograd.grad(image, given, cotangent)
    # At seven steps no coefficient crosses its threshold within this change, so that it is exact to 1e-6.
    step = 1e-6 * direction / direction.norm()
    change = method(kspace + step, operator) - method(kspace - step, operator)
    numerical = float(torch.vdot(cotangent.flatten(), change.flatten()).real / 2e-6)
    along = float(torch.vdot(slope.flatten(), direction.flatten()).real / direction.norm())
    assert along == pytest.approx(numerical, rel=1e-5)
    fewer = L1(basis=BASIS, weight=0.02, cycle_spinning=True, steps=7, differentiation=Unrolled(steps=3))
    three = L1(basis=BASIS, weight=0.02, cycle_spinning=True, steps=3)
    torch.testing.assert_close(fewer(given, operator).detach(), three(kspace, operator), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "L1: expected steps >= 1, got 0"),
        ({"basis": Cosine()}, "L1: expected a wavelet for cycle_spinning, got Cosine"),
        ({"differentiation": Implicit()}, "L1: expected differentiation Unrolled with cycle_spinning"),
    ],
)
def test_refuses_settings_that_mean_nothing(changed, message):
    with pytest.raises(ValueError, match=message):
        L1(**{"basis": BASIS, "weight": 0.1, "cycle_spinning": True} | changed)


@pytest.mark.usefixtures("unchecked")
def test_refuses_bad_input():
    _, kspace, operator = head((16, 16), noise=0.02)
    method = L1(basis=BASIS, weight=0.02, cycle_spinning=True)
    with pytest.raises(ValueError, match="L1: expected complex kspace"):
        method.solve(kspace.real, operator)

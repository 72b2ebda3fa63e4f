import math

import pytest
import torch

from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.null_space import WEIGHT, null_space_share

SHAPE = (12, 10)


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.complex(*(torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(2)))


def columns(seed=1):
    return torch.rand(SHAPE[1], generator=torch.Generator().manual_seed(seed)) < 0.5


def coils(count=3):
    maps = drawn(count, *SHAPE, seed=2)
    return CoilFourier(mask=columns(), coil_maps=maps / torch.linalg.vector_norm(maps, dim=0))


def dense(operator):
    """`AᴴA` as a matrix."""
    unit = torch.eye(math.prod(SHAPE), dtype=torch.complex128).reshape(-1, *SHAPE)
    return operator.adjoint(operator.forward(unit)).reshape(len(unit), -1).T


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_known_component_in_the_kernel_of_one_coil(share):
    operator = MaskedFourier(mask=columns().expand(SHAPE))
    seen = operator.adjoint(operator.forward(drawn(*SHAPE)))
    other = drawn(*SHAPE, seed=3)
    hidden = other - operator.adjoint(operator.forward(other))
    error = math.sqrt(share) * hidden / hidden.norm() + math.sqrt(1 - share) * seen / seen.norm()
    assert null_space_share(error, operator) == pytest.approx(share, abs=1e-12)
    assert null_space_share(1e-3j * error, operator) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("weight", [1e-3, WEIGHT, 0.3])
def test_coils_are_as_the_dense_solve(weight):
    operator, error = coils(), drawn(*SHAPE, seed=4)
    matrix = dense(operator)
    left = weight * torch.linalg.solve(matrix + weight * torch.eye(len(matrix)), error.reshape(-1))
    expected = float(left.norm() ** 2 / error.norm() ** 2)
    assert null_space_share(error, operator, weight=weight) == pytest.approx(expected, abs=3e-4)


def test_a_direction_counts_by_how_weakly_it_is_measured():
    operator = coils()
    squares, directions = torch.linalg.eigh(dense(operator))
    for index in (0, 40, -1):
        found = null_space_share(directions[:, index].reshape(SHAPE), operator)
        expected = (WEIGHT / (float(squares[index]) + WEIGHT)) ** 2
        assert found == pytest.approx(expected, abs=1e-6)


def test_where_no_coil_sees_anything_all_is_hidden():
    maps = torch.ones(2, *SHAPE, dtype=torch.complex64) / math.sqrt(2)
    maps[:, :6] = 0
    error = torch.zeros(SHAPE, dtype=torch.complex64)
    error[2, 3] = 1j
    operator = CoilFourier(mask=torch.ones(SHAPE[1], dtype=torch.bool), coil_maps=maps)
    assert null_space_share(error, operator) == pytest.approx(1)
    assert null_space_share(error.flip(0), operator) == pytest.approx((WEIGHT / (1 + WEIGHT)) ** 2)


def test_no_error_has_no_share_and_what_is_not_finite_is_refused():
    operator = MaskedFourier(mask=columns().expand(SHAPE))
    zero = torch.zeros(SHAPE, dtype=torch.complex64)
    assert math.isnan(null_space_share(zero, operator))
    with pytest.raises(ValueError, match="expected a finite error"):
        null_space_share(zero + math.inf, operator)
    with pytest.raises(ValueError, match="expected a positive weight"):
        null_space_share(zero, operator, weight=0.0)


def test_steps_that_do_not_suffice_are_told(monkeypatch):
    monkeypatch.setattr("mrilib.solvers.null_space.MAX_STEPS", 1)
    with pytest.raises(RuntimeError, match=r"come to 0\.0001 in 1 steps"):
        null_space_share(drawn(*SHAPE), coils())

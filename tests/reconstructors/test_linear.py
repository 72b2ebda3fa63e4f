import pytest
import torch

from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.solvers.solution import NotConvergedError, Status


def test_zero_filled_is_the_adjoint(measured):
    _, kspace, operator = measured(16, 5, phase=True)
    batch = torch.stack([kspace, 2j * kspace])
    assert torch.equal(ZeroFilled()(batch, operator), operator.adjoint(batch))


def test_derivative_is_the_forward_operator(measured):
    image, kspace, operator = measured(16, 5, phase=True)
    kspace.requires_grad_(True)
    (derivative,) = torch.autograd.grad(ZeroFilled()(kspace, operator), kspace, image)
    torch.testing.assert_close(derivative, operator.forward(image), rtol=0, atol=1e-12)


def test_refuses_kspace_with_nan(measured):
    _, kspace, operator = measured(16, 5)
    kspace[0, 0] = float("nan")
    with pytest.raises(ValueError, match="ZeroFilled: kspace holds NaN"):
        ZeroFilled()(kspace, operator)


@pytest.fixture(params=["one coil", "coils"])
def problem(request):
    """Operator on 12×10 pixels, and k-space of three items, in double precision."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(12, 10, generator=generator) < 0.5
    mask[6, 5] = True
    shape, operator = (3, 12, 10), MaskedFourier(mask=mask)
    if request.param == "coils":
        maps = torch.randn(4, 12, 10, dtype=torch.complex128, generator=generator)
        maps = maps / maps.abs().square().sum(dim=0).sqrt()
        shape, operator = (3, 4, 12, 10), CoilFourier(mask=mask, coil_maps=maps)
    kspace = torch.randn(shape, dtype=torch.complex128, generator=generator) * mask
    return operator, kspace


def test_tikhonov_solves_the_normal_equations(problem):
    operator, kspace = problem
    pixels = torch.eye(120, dtype=torch.complex128).reshape(120, 12, 10)
    normal = operator.adjoint(operator.forward(pixels)).reshape(120, 120).T
    right = operator.adjoint(kspace).reshape(3, 120).T
    expected = torch.linalg.solve(normal + 0.05 * torch.eye(120, dtype=torch.float64), right).T.reshape(
        3, 12, 10
    )
    method = Tikhonov(weight=0.05, tolerance=1e-12)
    found = method.solve(kspace, operator)
    torch.testing.assert_close(found.value, expected, rtol=1e-9, atol=1e-10)
    # Items do not depend on their company, and a start at the solution has nothing to do.
    torch.testing.assert_close(method(kspace[1], operator), expected[1], rtol=1e-9, atol=1e-10)
    again = Tikhonov(weight=0.05, tolerance=1e-10).solve(kspace, operator, start=found.state)
    assert again.stats["steps"].tolist() == [0, 0, 0]
    assert (found.stats["steps"] > 0).all()
    assert found.stats["residual"].shape == (3,)
    # without batch axes there are none in the numbers
    assert method.solve(kspace[1], operator).stats["steps"].shape == ()


def test_tikhonov_differentiates(problem):
    operator, kspace = problem
    method = Tikhonov(weight=0.05, tolerance=1e-12)
    kspace = kspace.requires_grad_(True)
    weights = torch.linspace(0, 1, 120, dtype=torch.float64).reshape(12, 10)
    (weights * method(kspace, operator).abs().square()).sum().backward()
    direction = operator.forward(torch.ones(3, 12, 10, dtype=torch.complex128))
    step = 1e-6

    def value(at):
        return (weights * method(at.detach(), operator).abs().square()).sum()

    difference = (value(kspace + step * direction) - value(kspace - step * direction)) / (2 * step)
    slope = (kspace.grad.conj() * direction).real.sum()
    torch.testing.assert_close(slope, difference, rtol=1e-6, atol=0.0)


def test_tikhonov_says_when_it_gives_up(problem):
    operator, kspace = problem
    method = Tikhonov(weight=1e-6, tolerance=1e-12, max_steps=1)
    if isinstance(operator, CoilFourier):
        with pytest.raises(NotConvergedError, match=r"after 1 steps, expected at most 1\.0e-12"):
            method(kspace, operator)
        assert method.solve(kspace, operator, throw=False).status is Status.MAX_STEPS
    vast = method.solve(1e200 * kspace, operator, throw=False)
    assert vast.status is Status.NOT_FINITE
    with pytest.raises(NotConvergedError, match="Tikhonov: not_finite, relative residual"):
        method.solve(1e200 * kspace, operator)
    zero = method.solve(0 * kspace, operator)
    assert zero.status is Status.CONVERGED
    assert not zero.value.any()


@pytest.mark.parametrize("changes", [{"weight": 0.0}, {"weight": float("nan")}, {"tolerance": 1.0}])
def test_tikhonov_refuses(changes):
    with pytest.raises(ValueError, match="Tikhonov: expected weight > 0"):
        Tikhonov(**({"weight": 0.1} | changes))

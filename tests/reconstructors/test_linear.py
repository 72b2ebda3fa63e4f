import pytest
import torch

from mrilib.reconstructors.linear import ZeroFilled


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

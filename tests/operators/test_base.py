import fastmri
import pytest
import torch

from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.fourier import MaskedFourier


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 7, 10), (5, 5)])
def test_fft2c_equals_fastmri(shape):
    image = torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    theirs = torch.view_as_complex(fastmri.fft2c(torch.view_as_real(image)))
    torch.testing.assert_close(fft2c(image), theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(ifft2c(theirs), image, rtol=0, atol=1e-6)


def test_adjoint_and_matmul():
    mask = torch.tensor([[True, False], [False, True]])
    operator = MaskedFourier(mask=mask)
    x = torch.tensor([[1 + 2j, 3], [0, 1j]])
    y = operator.forward(x)
    assert torch.equal(operator @ x, y)
    assert torch.equal(operator.H @ y, operator.adjoint(y))
    assert torch.equal(operator.H.forward(y), operator.adjoint(y))
    assert torch.equal(operator.H.adjoint(x), y)
    assert operator.H.H is operator
    assert torch.equal(operator.H.to("cpu") @ y, operator.adjoint(y))

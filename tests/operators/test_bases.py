import warnings

import pytest
import pywt
import scipy.fft
import torch

from mrilib.operators.base import fft2c
from mrilib.operators.bases import Cosine, FourierBasis, Wavelet, analyse, level_matrix, synthesise

BASES = [Wavelet(), Wavelet("db2", 2), Wavelet("db3", 1), Cosine(), FourierBasis()]
SHAPES = [(16, 24), (15, 22), (9, 8)]


@pytest.mark.parametrize("basis", BASES, ids=lambda basis: type(basis).__name__)
@pytest.mark.parametrize("shape", SHAPES)
def test_adjoint_is_the_inverse_and_keeps_inner_products(basis, shape, draw):
    image = draw(2, *shape)
    size = basis.coefficient_shape(*shape)
    coefficients = basis.forward(image)
    assert tuple(coefficients.shape) == (2, *size)
    torch.testing.assert_close(basis.adjoint_to(coefficients, *shape), image, rtol=0, atol=1e-12)
    other = draw(2, *size, seed=1)
    left = torch.vdot(coefficients.flatten(), other.flatten())
    right = torch.vdot(image.flatten(), basis.adjoint_to(other, *shape).flatten())
    assert abs(left - right) <= 1e-10 * coefficients.norm() * other.norm()
    # orthonormal on the grid of the coefficients
    torch.testing.assert_close(basis.forward(basis.adjoint(other)), other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["db1", "db2", "db4", "db8"])
@pytest.mark.parametrize("shape", [(16, 24), (8, 32)])
def test_wavelet_is_that_of_pywavelets(name, shape, draw):
    image = draw(*shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Level value of 3 is too high", category=UserWarning)
        levels = pywt.wavedec2(image.numpy(), name, mode="periodization", level=3)
    expected = torch.from_numpy(pywt.coeffs_to_array(levels)[0])
    torch.testing.assert_close(Wavelet(name, 3).forward(image), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["db1", "db4", "db8"])
@pytest.mark.parametrize("size", [2, 6, 32])
def test_shifts_and_the_matrix_of_a_level_agree(name, size, draw):
    rows, columns = draw(3, size, 4), draw(3, 4, size)
    matrix = level_matrix(name, size, rows.real).to(torch.complex128)
    torch.testing.assert_close(analyse(rows, name, -2), matrix @ rows, rtol=0, atol=1e-12)
    torch.testing.assert_close(analyse(columns, name, -1), columns @ matrix.mT, rtol=0, atol=1e-12)
    torch.testing.assert_close(synthesise(rows, name, -2), matrix.mT @ rows, rtol=0, atol=1e-12)
    torch.testing.assert_close(synthesise(columns, name, -1), columns @ matrix, rtol=0, atol=1e-12)


def test_padding_is_below_and_on_the_right(draw):
    image = draw(13, 10)
    padded = torch.zeros(16, 16, dtype=image.dtype)
    padded[:13, :10] = image
    assert torch.equal(Wavelet(levels=3).forward(image), Wavelet(levels=3).forward(padded))


def test_levels_follow_the_shorter_side():
    basis = Wavelet()
    found = {
        side: basis.levels_of(side, 2000)
        for side in (8, 30, 31, 60, 61, 120, 121, 180, 240, 241, 368, 480, 481)
    }
    assert found == {
        8: 1,
        30: 1,
        31: 2,
        60: 2,
        61: 3,
        120: 3,
        121: 4,
        180: 4,
        240: 4,
        241: 5,
        368: 5,
        480: 5,
        481: 6,
    }
    for side in range(16, 1000):
        levels = basis.levels_of(700, side)
        assert 8 <= -(-min(side, 700) // 2**levels) <= 15
        # the grid of the coefficients has the same, so that the inverse knows them
        assert basis.levels_of(*basis.coefficient_shape(700, side)) == levels
    assert Wavelet(levels=2).levels_of(700, 700) == 2


@pytest.mark.parametrize("shape", [(70, 130), (127, 61)])
def test_default_levels_invert_what_they_made(shape, draw):
    image, basis = draw(*shape), Wavelet()
    assert torch.equal(basis.forward(image), Wavelet(levels=3).forward(image))
    torch.testing.assert_close(basis.adjoint_to(basis.forward(image), *shape), image, rtol=0, atol=1e-12)


def test_cosine_is_that_of_scipy(draw):
    image = draw(3, 9, 12)
    expected = torch.from_numpy(scipy.fft.dctn(image.numpy(), axes=(-2, -1), norm="ortho"))
    torch.testing.assert_close(Cosine().forward(image), expected, rtol=0, atol=1e-12)


def test_fourier_is_the_centred_transform(draw):
    image = draw(5, 6)
    assert torch.equal(FourierBasis().forward(image), fft2c(image))


@pytest.mark.parametrize("basis", BASES, ids=lambda basis: type(basis).__name__)
def test_derivative_is_the_adjoint(basis, draw):
    image = draw(7, 10).requires_grad_(True)
    cotangent = draw(*basis.coefficient_shape(7, 10), seed=1)
    (found,) = torch.autograd.grad(basis.forward(image), image, cotangent)
    torch.testing.assert_close(found, basis.adjoint_to(cotangent, 7, 10), rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("basis", BASES, ids=lambda basis: type(basis).__name__)
def test_devices_agree(basis, draw):
    image = draw(2, 20, 18)
    coefficients = basis.forward(image.cuda())
    torch.testing.assert_close(coefficients.cpu(), basis.forward(image), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        basis.adjoint(coefficients).cpu(), basis.adjoint(coefficients.cpu()), rtol=0, atol=1e-12
    )


def test_refuses_what_is_no_orthogonal_wavelet(draw):
    for name in ("bior2.2", "mexh", "db0"):
        with pytest.raises(
            ValueError, match=f"Wavelet: expected an orthogonal wavelet such as db4, got '{name}'"
        ):
            Wavelet(name)
    with pytest.raises(ValueError, match="Wavelet: expected levels >= 1, got 0"):
        Wavelet(levels=0)
    with pytest.raises(ValueError, match=r"Wavelet\.adjoint: expected sides divisible by 8"):
        Wavelet(levels=3).adjoint(draw(12, 16))
    with pytest.raises(ValueError, match=r"Wavelet.adjoint_to: expected coefficients \(\.\.\., 16, 16\)"):
        Wavelet(levels=3).adjoint_to(draw(16, 24), 12, 16)

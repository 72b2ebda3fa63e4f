import numpy as np
import pytest
import torch

from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum


def draw(*shape, seed=0):
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def test_gradient_is_the_periodic_forward_difference_along_x_then_y():
    image = torch.tensor([[0.0, 1.0, 3.0], [10.0, 20.0, 40.0]])
    expected = torch.tensor(
        [[[1.0, 2.0, -3.0], [10.0, 20.0, -30.0]], [[10.0, 19.0, 37.0], [-10.0, -19.0, -37.0]]]
    )
    assert torch.equal(gradient(image), expected)


@pytest.mark.parametrize("shape", [(8, 8), (3, 5, 12)])
def test_dot_product(shape):
    x, p = draw(*shape), draw(*shape[:-2], 2, *shape[-2:], seed=1)
    difference = torch.vdot(p.flatten(), gradient(x).flatten()) - torch.vdot(
        divergence(p).flatten(), x.flatten()
    )
    assert difference.abs() <= 1e-10 * gradient(x).norm() * p.norm()


def test_equal_the_dense_matrix():
    size = 8
    forward = np.roll(np.eye(size), 1, axis=1) - np.eye(size)
    matrix = torch.from_numpy(np.vstack([np.kron(np.eye(size), forward), np.kron(forward, np.eye(size))]))
    x, p = draw(size, size).real, draw(2, size, size, seed=1).real
    torch.testing.assert_close(gradient(x).flatten(), matrix @ x.flatten(), rtol=0, atol=1e-12)
    torch.testing.assert_close(divergence(p).flatten(), matrix.mT @ p.flatten(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (5, 12)])
def test_spectrum_diagonalises_the_laplacian(shape):
    image = draw(*shape)
    spectrum = laplacian_spectrum(*shape, dtype=torch.float64)
    transformed = torch.fft.fft2(divergence(gradient(image)))
    torch.testing.assert_close(spectrum * torch.fft.fft2(image), transformed, rtol=0, atol=1e-12)
    assert laplacian_spectrum(*shape, dtype=torch.float32).dtype == torch.float32

import numpy as np
import pytest
import torch

from mrilib.operators.fourier import MaskedFourier


@pytest.fixture
def mask():
    return torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.4


def draw(*shape, seed=1):
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def dense(mask):
    """`P_Ω F` as a matrix on row-major pixels, from the definition of the centred transform."""
    size = mask.shape[0]
    centred = np.arange(size) - size // 2
    transform = np.exp(-2j * np.pi * np.outer(centred, centred) / size) / np.sqrt(size)
    return torch.from_numpy(np.kron(transform, transform)) * mask.flatten()[:, None]


@pytest.mark.parametrize("shape", [(8, 8), (9, 12)])
def test_dot_product(shape):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.4
    operator = MaskedFourier(mask=mask)
    x, y = draw(3, *shape), draw(3, *shape, seed=2)
    ax = operator @ x
    difference = torch.vdot(y.flatten(), ax.flatten()) - torch.vdot((operator.H @ y).flatten(), x.flatten())
    assert difference.abs() <= 1e-10 * ax.norm() * y.norm()


def test_equals_the_dense_matrix(mask):
    operator, matrix = MaskedFourier(mask=mask), dense(mask)
    x = draw(8, 8)
    torch.testing.assert_close((operator @ x).flatten(), matrix @ x.flatten(), rtol=0, atol=1e-12)
    adjoint = matrix.mH @ x.flatten()
    torch.testing.assert_close((operator.H @ x).flatten(), adjoint, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        operator.pinv(x).flatten(), torch.linalg.pinv(matrix) @ x.flatten(), rtol=0, atol=1e-12
    )


def test_forward_after_adjoint_projects_onto_the_mask(mask):
    operator, y = MaskedFourier(mask=mask), draw(8, 8)
    torch.testing.assert_close(operator @ (operator.H @ y), y * mask, rtol=0, atol=1e-12)
    assert operator.samples == int(mask.sum())
    assert not (operator @ y)[~mask].any()


def test_real_images_count_as_complex(mask):
    operator, x = MaskedFourier(mask=mask), draw(8, 8).real
    assert torch.equal(operator @ x, operator @ x.to(torch.complex128))


def test_later_changes_of_the_mask_change_nothing(mask):
    operator, x = MaskedFourier(mask=mask), draw(8, 8)
    before, samples = operator @ x, operator.samples
    mask.fill_(True)
    assert torch.equal(operator @ x, before)
    assert operator.samples == samples


def test_moving_keeps_the_mask(mask):
    assert torch.equal(MaskedFourier(mask=mask).to("cpu").mask, mask)


@pytest.mark.gpu
def test_refuses_another_device(mask):
    operator = MaskedFourier(mask=mask)
    with pytest.raises(ValueError, match=r"MaskedFourier.forward: image is on cuda:0, the mask on cpu"):
        operator.forward(draw(8, 8).to("cuda"))


@pytest.mark.parametrize(
    ("method", "name"), [("forward", "image"), ("adjoint", "kspace"), ("pinv", "kspace")]
)
def test_refuses_another_shape(mask, method, name):
    expected = rf"expected {name} \(\.\.\., 8, 8\) from the mask, got \(3, 8, 9\); crop the {name}"
    with pytest.raises(ValueError, match=expected):
        getattr(MaskedFourier(mask=mask), method)(draw(3, 8, 9))


@pytest.mark.usefixtures("unchecked")
def test_refuses_a_mask_that_is_not_boolean(mask):
    with pytest.raises(ValueError, match=r"got torch.float32 of shape \(8, 8\); convert with mask > 0"):
        MaskedFourier(mask=mask.float())


@pytest.mark.usefixtures("unchecked")
def test_refuses_a_mask_of_one_axis(mask):
    with pytest.raises(
        ValueError, match=r"expected a boolean mask \(ky, kx\), got torch.bool of shape \(8,\)"
    ):
        MaskedFourier(mask=mask[0])


def test_refuses_an_empty_mask(mask):
    with pytest.raises(ValueError, match="the mask samples nothing"):
        MaskedFourier(mask=torch.zeros_like(mask))

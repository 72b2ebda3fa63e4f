import pytest
import torch

from mrilib.operators.channels import check_channels, to_channels, to_complex


def test_real_part_first(draw):
    image = draw(3, 4, 5)
    channels = to_channels(image)
    assert channels.shape == (3, 2, 4, 5)
    assert torch.equal(channels[:, 0], image.real)
    assert torch.equal(channels[:, 1], image.imag)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_there_and_back(draw, dtype):
    image = draw(3, 4, 5).to(dtype)
    assert torch.equal(to_complex(to_channels(image)), image)
    assert torch.equal(to_complex(to_channels(image.conj())), image.conj())


def test_the_adjoint_of_one_is_the_other(draw):
    image, channels = draw(3, 4, 5), to_channels(draw(3, 4, 5, seed=1))
    image.requires_grad_()
    (to_channels(image) * channels).sum().backward()
    assert torch.equal(image.grad, to_complex(channels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_become_complex64(dtype):
    channels = torch.tensor([[[[1.5]], [[-2.0]]]], dtype=dtype)
    assert torch.equal(to_complex(channels), torch.tensor([[[1.5 - 2.0j]]]))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "image", [torch.zeros(3, 4, 5), torch.zeros(4, 5) + 0j, torch.zeros(1, 2, 4, 5) + 0j]
)
def test_refuses_what_is_no_batch_of_complex_images(image):
    with pytest.raises(
        ValueError, match=r"to_channels: expected a complex image \(batch, y, x\), got torch\."
    ):
        to_channels(image)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "channels", [torch.zeros(1, 2, 4, 5) + 0j, torch.zeros(2, 4, 5), torch.zeros(1, 3, 4, 5)]
)
def test_refuses_what_is_not_two_real_channels(channels):
    with pytest.raises(
        ValueError, match=r"to_complex: expected real channels \(batch, 2, y, x\), got torch\."
    ):
        to_complex(channels)


def test_refuses_small_images():
    check_channels(torch.zeros(1, 3, 4, 5), "Net", count=3, smallest=4)
    with pytest.raises(ValueError, match="Net: expected at least 5×5 pixels, got 4×5; take a larger image"):
        check_channels(torch.zeros(1, 3, 4, 5), "Net", count=3, smallest=5)

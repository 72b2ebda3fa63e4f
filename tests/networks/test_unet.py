import pytest
import torch
from torch import nn

from mrilib.networks.unet import UNet


def real(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet(base=4, levels=2)


def test_count_of_parameters():
    def block(before, after):
        return 9 * before * after + 9 * after * after + 6 * after

    down = block(2, 32) + block(32, 64) + block(64, 128) + block(128, 256) + block(256, 512)
    up = sum(4 * 2 * high * high + high + block(2 * high, high) for high in (256, 128, 64, 32))
    assert sum(parameter.numel() for parameter in UNet().parameters()) == down + up + 32 * 2 + 2 == 7_765_730


@pytest.mark.parametrize("shape", [(16, 16), (13, 22), (4, 5), (7, 4)])
def test_keeps_the_size(network, shape):
    assert network(real(3, 2, *shape)).shape == (3, 2, *shape)


def test_other_channels_and_levels():
    assert UNet(channels=5, base=2, levels=3)(real(2, 5, 9, 8)).shape == (2, 2, 9, 8)


def test_pads_by_zeros_on_both_sides(network):
    network.eval()
    image = real(1, 2, 13, 10)
    padded = torch.zeros(1, 2, 16, 12)
    padded[..., 1:14, 1:11] = image
    assert torch.equal(network(image), network(padded)[..., 1:14, 1:11])


def test_is_what_the_docstring_says():
    network = UNet(base=3, levels=1).eval()
    (first, low), up, merge = network.down, network.up[0], network.merge[0]
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
    assert [[type(layer) for layer in block] for block in (first, low, merge)] == [kinds] * 3
    image = real(2, 2, 6, 8)
    skip = first(image)
    below = low(nn.functional.max_pool2d(skip, 2))
    expected = network.last(merge(torch.cat([up(below), skip], dim=1)))
    assert torch.equal(network(image), expected)
    assert not hasattr(network, "takes")


def test_every_parameter_gets_a_gradient(network):
    # eval: in training BN takes away what the bias of the convolution before it adds
    network.eval()(real(2, 2, 13, 10)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_in_eval_mode_the_batch_does_not_matter(network):
    network(real(4, 2, 12, 12, seed=1))
    network.eval()
    images = real(3, 2, 12, 12)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=0, atol=1e-6)


def test_state_is_all_there_is(network):
    network(real(4, 2, 12, 12, seed=1))
    other = UNet(base=4, levels=2)
    other.load_state_dict(network.state_dict())
    image = real(1, 2, 12, 12)
    assert torch.equal(other.eval()(image), network.eval()(image))


@pytest.mark.parametrize("arguments", [{"channels": 0}, {"base": 0}, {"levels": 0}])
def test_refuses_numbers_below_one(arguments):
    with pytest.raises(ValueError, match="UNet: expected channels, base and levels of at least 1, got"):
        UNet(**arguments)


def test_refuses_small_images(network):
    with pytest.raises(ValueError, match="UNet: expected at least 4×4 pixels, got 3×8"):
        network(real(1, 2, 3, 8))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 8, 8)])
def test_refuses_other_channels(network, shape):
    with pytest.raises(
        ValueError, match=r"UNet: expected real channels \(batch, 2, y, x\), got torch.float32"
    ):
        network(real(*shape))

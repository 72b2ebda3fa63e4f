import math

import pytest
import torch
from torch import nn

from mrilib.networks.tiramisu import LearnedInverse, Tiramisu
from mrilib.operators.base import ifft2c


def real(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(**arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {"first": 4, "growth": 3, "down": (1, 2), "bottleneck": 2, "up": (2, 1)}
        return Tiramisu(**(settings | arguments))


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_network_of_the_paper():
    network = Tiramisu().eval()
    assert count(network) == 14_221_954
    assert not hasattr(network, "takes")
    with torch.no_grad():
        assert network(real(1, 2, 33, 40)).shape == (1, 2, 33, 40)


@pytest.mark.parametrize("shape", [(8, 8), (33, 40), (13, 22), (4, 7)])
def test_keeps_the_size(shape):
    assert small()(real(3, 2, *shape)).shape == (3, 2, *shape)


def test_other_channels():
    assert small(channels=5)(real(2, 5, 9, 8)).shape == (2, 2, 9, 8)


def test_is_what_the_docstring_says():
    network = small(down=[2], bottleneck=2, up=[1]).eval()
    (down,), (up,) = network.down_blocks, network.up_blocks
    layer = [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    for block in (down, network.bottleneck, up):
        assert [[type(part) for part in parts] for parts in block.layers] == [layer] * len(block.layers)
    assert [type(part) for part in network.first] == [nn.Conv2d, nn.BatchNorm2d]
    assert [type(part) for part in network.transitions_down[0]] == [*layer, nn.MaxPool2d]

    image = real(2, 2, 7, 10)
    x = network.first(image)
    a = down.layers[0](x)
    b = down.layers[1](torch.cat([x, a], dim=1))
    skip = torch.cat([x, a, b], dim=1)
    low = network.transitions_down[0](skip)
    assert low.shape == (2, 10, 3, 5)
    c = network.bottleneck.layers[0](low)
    d = network.bottleneck.layers[1](torch.cat([low, c], dim=1))
    raised = network.transitions_up[0](torch.cat([c, d], dim=1))
    assert raised.shape == (2, 6, 7, 11)
    merged = torch.cat([raised[..., :10], skip], dim=1)
    expected = network.last(torch.cat([merged, up.layers[0](merged)], dim=1))
    assert torch.equal(network(image), expected)


def test_blocks_on_the_way_up_hand_on_only_what_is_new():
    network = small()
    assert [up.in_channels for up in network.transitions_up] == [6, 6]
    assert network.last.in_channels == 6 + 7 + 3


def test_dropout_is_there_only_when_asked_for():
    def drops(network):
        return [module.p for module in network.modules() if isinstance(module, nn.Dropout2d)]

    assert drops(small()) == []
    assert drops(small(dropout=0.25)) == [0.25] * (1 + 2 + 2 + 2 + 2 + 1)


def test_every_parameter_gets_a_gradient():
    network = small()
    # eval: in training BN takes away what the bias of the convolution before it adds
    network.eval()(real(2, 2, 13, 10)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_in_eval_mode_the_batch_does_not_matter():
    network = small()
    network(real(4, 2, 12, 12, seed=1))
    network.eval()
    images = real(3, 2, 12, 12)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=0, atol=1e-6)


def test_state_is_all_there_is():
    network, other = small(), small(dropout=0.5)
    network(real(4, 2, 12, 12, seed=1))
    other.load_state_dict(network.state_dict())
    image = real(1, 2, 12, 12)
    assert torch.equal(other.eval()(image), network.eval()(image))


@pytest.mark.parametrize("lengths", [{"down": (1, 2, 3)}, {"down": (), "up": ()}])
def test_refuses_levels_that_do_not_match(lengths):
    with pytest.raises(ValueError, match=r"Tiramisu: expected as many blocks up as down, got down=\("):
        small(**lengths)


@pytest.mark.parametrize(
    "arguments", [{"growth": 0}, {"down": (0, 2)}, {"up": (2, 0)}, {"bottleneck": 0}, {"channels": 0}]
)
def test_refuses_numbers_below_one(arguments):
    with pytest.raises(ValueError, match="Tiramisu: expected numbers of at least 1, got channels="):
        small(**arguments)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_refuses_a_dropout_that_is_no_probability(dropout):
    with pytest.raises(ValueError, match=r"Tiramisu: expected dropout in \[0, 1\), got"):
        small(dropout=dropout)


def test_refuses_small_images():
    with pytest.raises(ValueError, match="Tiramisu: expected at least 4×4 pixels, got 8×3"):
        small()(real(1, 2, 8, 3))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 8, 8)])
def test_refuses_other_channels(shape):
    with pytest.raises(ValueError, match=r"Tiramisu: expected real channels \(batch, 2, y, x\), got torch"):
        small()(real(*shape))


def test_the_inverse_of_the_paper(draw):
    inverse = LearnedInverse()
    assert count(inverse) == 524_288
    exact = LearnedInverse(noise=0.0)
    for noisy, clean in ((inverse.along_y, exact.along_y), (inverse.along_x, exact.along_x)):
        noise = (noisy - clean).detach() * (16 * math.sqrt(256))
        # sd of the mean and of the sd of 512² normal numbers: 0.002 and 0.0014; five of them
        assert noise.mean().abs() < 0.01
        assert (noise.std() - 1).abs() < 0.007
    kspace = draw(2, 256, 256).to(torch.complex64)
    torch.testing.assert_close(exact(kspace), ifft2c(kspace), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (3, 9, 9), (2, 3, 16, 16), (1, 1)])
def test_without_noise_it_is_the_inverse_fourier_transform(draw, shape):
    kspace = draw(*shape).to(torch.complex64)
    inverse = LearnedInverse(size=shape[-1], noise=0.0)
    torch.testing.assert_close(inverse(kspace), ifft2c(kspace), rtol=0, atol=2e-6)


def apply(matrix, vector):
    stacked = matrix @ torch.cat([vector.real, vector.imag])
    return torch.complex(*stacked.chunk(2))


def test_maps_every_row_then_every_column(draw):
    inverse = LearnedInverse(size=6, noise=0.3).double()
    kspace = draw(6, 6)
    rows = torch.stack([apply(inverse.along_x, row) for row in kspace])
    expected = torch.stack([apply(inverse.along_y, column) for column in rows.T], dim=1)
    torch.testing.assert_close(inverse(kspace), expected, rtol=0, atol=1e-12)


def test_is_linear_over_the_reals_only(draw):
    inverse = LearnedInverse(size=6, noise=0.3).double()
    a, b = draw(6, 6), draw(6, 6, seed=1)
    torch.testing.assert_close(inverse(2.0 * a - b), 2.0 * inverse(a) - inverse(b), rtol=0, atol=1e-12)
    assert (inverse(1j * a) - 1j * inverse(a)).abs().max() > 0.1


def test_noise_acts_to_first_order_through_each_map_apart(draw):
    kspace, scale = draw(8, 8), 1e-4
    exact = LearnedInverse(size=8, noise=0.0).double()
    noisy = LearnedInverse(size=8, noise=scale).double()
    first = torch.zeros(8, 8, dtype=torch.complex128)
    for name in ("along_y", "along_x"):
        alone = LearnedInverse(size=8, noise=0.0).double()
        getattr(alone, name).data.copy_(getattr(noisy, name))
        first += (alone(kspace) - exact(kspace)).detach()
    second = noisy(kspace) - exact(kspace) - first
    # 10: rows of the noise have norm scale·√16, those of the data about √16
    assert 0 < second.abs().max() < 10 * 16 * scale**2
    assert first.abs().max() > scale


def test_the_seed_fixes_the_maps():
    first, again, other = (LearnedInverse(size=8, seed=seed).state_dict() for seed in (1, 1, 2))
    assert set(first) == {"along_y", "along_x"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert not torch.equal(first["along_x"], first["along_y"])


def test_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    LearnedInverse(size=8)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_state_of_the_inverse_is_all_there_is(draw):
    inverse, other = LearnedInverse(size=8, seed=1), LearnedInverse(size=8, seed=2)
    other.load_state_dict(inverse.state_dict())
    kspace = draw(8, 8).to(torch.complex64)
    assert torch.equal(other(kspace), inverse(kspace))


def test_both_maps_get_gradients(draw):
    inverse = LearnedInverse(size=6).double()
    inverse(draw(2, 6, 6)).abs().square().sum().backward()
    assert all(p.grad.all() for p in inverse.parameters())


def test_gradient_in_kspace(draw):
    kspace = draw(2, 6, 6).requires_grad_()
    # without noise the map is unitary
    LearnedInverse(size=6, noise=0.0).double()(kspace).abs().square().sum().backward()
    torch.testing.assert_close(kspace.grad, 2 * kspace.detach(), rtol=0, atol=1e-5)


def test_autocast_does_not_round(draw):
    inverse = LearnedInverse(size=16)
    kspace = draw(2, 16, 16).to(torch.complex64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = inverse(kspace)
    assert torch.equal(under, inverse(kspace))


def test_refuses_another_size(draw):
    expected = (
        r"LearnedInverse: expected kspace \(\.\.\., 8, 8\) from the learned maps, got \(3, 8, 9\); "
        "crop the k-space, or build and train the maps for its size"
    )
    with pytest.raises(ValueError, match=expected):
        LearnedInverse(size=8)(draw(3, 8, 9).to(torch.complex64))


def test_refuses_another_precision(draw):
    with pytest.raises(ValueError, match=r"expected torch.complex64 kspace from maps in torch.float32, got"):
        LearnedInverse(size=8)(draw(8, 8))


@pytest.mark.parametrize("noise", [-0.1, math.inf, math.nan])
def test_refuses_noise_that_is_no_deviation(noise):
    with pytest.raises(ValueError, match="LearnedInverse: expected a finite noise of at least 0, got"):
        LearnedInverse(size=8, noise=noise)


def test_refuses_no_size():
    with pytest.raises(ValueError, match="LearnedInverse: expected a size of at least 1, got 0"):
        LearnedInverse(size=0)

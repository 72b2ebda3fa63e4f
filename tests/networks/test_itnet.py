import pytest
import torch
from torch import nn

from mrilib.networks.itnet import ItNet
from mrilib.networks.unet import UNet


@pytest.fixture
def measurement(measured):
    """Two items of k-space of 22×22 pixels, and the operator."""
    _, first, operator = measured(22, 7, phase=True, noise=0.1, dtype=torch.complex64)
    _, second, _ = measured(22, 7, index=1, phase=True, dtype=torch.complex64)
    return torch.stack([first, second]), operator


def small(**arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ItNet(**({"steps": 3, "base": 4, "levels": 2} | arguments))


class Zero(nn.Module):
    def forward(self, channels):
        return torch.zeros_like(channels)


def test_counts_and_defaults():
    network = ItNet()
    assert isinstance(network.network, UNet)
    assert torch.equal(network.weights, torch.ones(8))
    assert sum(p.numel() for p in network.parameters()) == 7_765_730 + 8
    assert ItNet.takes == "kspace"


def test_takes_kspace_and_operator(measurement):
    kspace, operator = measurement
    image = small()(kspace, operator)
    assert image.shape == kspace.shape
    assert image.dtype == torch.complex64


def test_without_a_network_it_only_steps_towards_the_data(measurement):
    _, operator = measurement
    kspace = torch.randn(2, 22, 22, generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    network = small(network=Zero())
    weights = torch.tensor([0.5, 1.5, -0.25])
    network.weights.data.copy_(weights)

    class Twice:
        """`2A`, whose adjoint is no pseudo-inverse."""

        def forward(self, image):
            return 2 * operator.forward(image)

        def adjoint(self, kspace):
            return 2 * operator.adjoint(kspace)

        def pinv(self, kspace):
            return operator.adjoint(kspace)

    x = operator.adjoint(kspace)
    for weight in weights:
        x = x - weight * 2 * operator.adjoint(2 * operator.forward(x) - kspace)
    torch.testing.assert_close(network(kspace, Twice()), x, rtol=0, atol=1e-5)


def test_the_last_layer_at_zero_is_no_network(measurement):
    kspace, operator = measurement
    network = small()
    nn.init.zeros_(network.network.last.weight)
    nn.init.zeros_(network.network.last.bias)
    torch.testing.assert_close(network(kspace, operator), operator.pinv(kspace), rtol=0, atol=1e-6)


def test_every_step_has_the_same_network(measurement):
    kspace, operator = measurement
    network = small().eval()
    network.weights.data.copy_(torch.tensor([0.5, 1.5, -0.25]))
    x = operator.pinv(kspace)
    for weight in network.weights:
        change = network.network(torch.stack([x.real, x.imag], dim=1))
        x = x + torch.complex(change[:, 0], change[:, 1])
        x = x - weight * operator.adjoint(operator.forward(x) - kspace)
    assert torch.equal(network(kspace, operator), x)


def test_starts_by_meeting_the_data(measurement):
    kspace, operator = measurement
    again = operator.forward(small()(kspace, operator))
    torch.testing.assert_close(again, kspace, rtol=0, atol=1e-5)


def test_every_parameter_and_the_data_get_gradients(measurement):
    kspace, operator = measurement
    # eval: in training BN takes away what the bias of the convolution before it adds
    network = small().eval()
    kspace = kspace.clone().requires_grad_()
    network(kspace, operator).abs().square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert network.weights.grad.all()
    assert kspace.grad[:, operator.mask].all()


def test_in_eval_mode_the_batch_does_not_matter(measurement):
    kspace, operator = measurement
    network = small()
    network(kspace, operator)
    network.eval()
    both, one = network(kspace, operator), network(kspace[1:], operator)
    torch.testing.assert_close(both[1:], one, rtol=0, atol=1e-5)


def test_state_is_all_there_is(measurement):
    network, other = small(), small()
    network(*measurement)
    network.weights.data.mul_(0.5)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.eval()(*measurement), network.eval()(*measurement))


def test_autocast_rounds_only_the_network(measurement):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert small()(*measurement).dtype == torch.complex64


def test_refuses_no_steps():
    with pytest.raises(ValueError, match="ItNet: expected at least 1 step, got 0"):
        ItNet(steps=0)


@pytest.mark.usefixtures("unchecked")
def test_refuses_what_is_no_batch_of_kspace(measurement):
    kspace, operator = measurement
    for wrong in (kspace[0], kspace.real, kspace[None]):
        with pytest.raises(
            ValueError, match=r"ItNet: expected complex kspace \(batch, ky, kx\), got torch\."
        ):
            small()(wrong, operator)


def test_passes_on_what_the_operator_refuses(measurement):
    kspace, operator = measurement
    with pytest.raises(ValueError, match=r"MaskedFourier.adjoint: expected kspace \(\.\.\., 22, 22\)"):
        small()(kspace[..., 1:], operator)

import math

import numpy as np
import pytest
import torch
from torch import nn

from mrilib.networks.decoders import ConvDecoder, DeepDecoder, sizes


def made(kind, *arguments, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(*arguments, **options)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("layers", "channels", "expected"),
    [(8, 256, 4_732_446), (7, 200, 2_530_230), (8, 128, 1_186_590), (9, 256, 5_323_038)],
)
def test_parameters_of_conv_decoders(layers, channels, expected):
    """The paper's, and those of its notebooks, at 15 coils."""
    by_hand = layers * (9 * channels**2 + channels) + layers * 2 * channels + channels * 30 + 30
    assert count(ConvDecoder(layers=layers, channels=channels)) == by_hand == expected


@pytest.mark.parametrize(
    ("layers", "channels", "coils", "expected"), [(10, 368, 15, 1_372_640), (10, 368, 8, 1_367_488)]
)
def test_parameters_of_deep_decoders(layers, channels, coils, expected):
    by_hand = layers * channels**2 + layers * 2 * channels + channels * 2 * coils
    found = count(DeepDecoder(out_channels=2 * coils, layers=layers, channels=channels))
    assert found == by_hand == expected


def test_sizes_are_the_papers():
    expected = [(19, 10), (33, 18), (60, 32), (108, 59), (196, 108), (354, 200), (640, 368)]
    network = ConvDecoder(channels=1)
    assert network.sizes == expected
    assert [tuple(layer.size) for layer in network.body if isinstance(layer, nn.Upsample)] == expected
    deep = DeepDecoder(channels=1)
    assert [tuple(layer.size) for layer in deep.body if isinstance(layer, nn.Upsample)] == deep.sizes
    assert len(deep.sizes) == 9
    assert deep.sizes[-1] == (640, 368)


def test_sizes_are_exact_where_floating_point_is_not():
    assert math.ceil(3125 ** (1 / 5)) == 6
    assert [size for size, _ in sizes((1, 1), (3125, 1), 5)] == [5, 25, 125, 625, 3125]
    assert sizes((10, 5), (640, 320), 6) == [(20, 10), (40, 20), (80, 40), (160, 80), (320, 160), (640, 320)]
    for first, last, steps in [(7, 500, 4), (16, 368, 9), (3, 4, 6), (5, 5, 3)]:
        scale = (last / first) ** (1 / steps)
        assert [size for size, _ in sizes((first, 1), (last, 1), steps)] == [
            math.ceil(round(first * scale**k, 9)) for k in range(1, steps + 1)
        ]


def nearest(x, size):
    rows, columns = x.shape[1:]
    return np.array(
        [
            [
                [plane[i * rows // size[0], j * columns // size[1]] for j in range(size[1])]
                for i in range(size[0])
            ]
            for plane in x
        ]
    )


def bilinear(x, size):
    def weights(before, after):
        matrix = np.zeros((after, before))
        for index in range(after):
            position = max(0.0, (index + 0.5) * before / after - 0.5)
            low = min(int(position), before - 1)
            high = min(low + 1, before - 1)
            matrix[index, low] += 1.0 - (position - low)
            matrix[index, high] += position - low
        return matrix

    return np.stack([weights(x.shape[1], size[0]) @ plane @ weights(x.shape[2], size[1]).T for plane in x])


def convolved(x, weight, bias):
    width = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (width // 2,) * 2, (width // 2,) * 2))
    out = np.zeros((len(weight), *x.shape[1:]))
    for channel in range(len(weight)):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                out[channel, i, j] = (weight[channel] * padded[:, i : i + width, j : j + width]).sum() + bias[
                    channel
                ]
    return out


def normalised(x, weight, bias):
    mean, variance = x.mean(axis=(1, 2)), x.var(axis=(1, 2))
    return (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None] * weight[:, None, None] + bias[
        :, None, None
    ]


@pytest.mark.parametrize("shape", [(9, 13), (6, 5)])
@pytest.mark.parametrize("kind", [ConvDecoder, DeepDecoder])
def test_forward_equals_explicit_loops(kind, shape):
    network = made(kind, shape, 4, channels=3, layers=4, in_size=(3, 2)).double()
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            # else BN's weights are all 1 and its biases 0
            generator = torch.Generator().manual_seed(index)
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        found = network()[0].numpy()
    state = [value.detach().numpy() for value in network.parameters()]
    x = network.input[0].numpy()

    def take():
        weight = state.pop(0)
        return weight, state.pop(0) if kind is ConvDecoder else np.zeros(len(weight))

    for size in network.sizes:
        if kind is ConvDecoder:
            x = convolved(nearest(x, size), *take())
        else:
            x = bilinear(convolved(x, *take()), size)
        x = normalised(np.maximum(x, 0.0), state.pop(0), state.pop(0))
    x = normalised(np.maximum(convolved(x, *take()), 0.0), state.pop(0), state.pop(0))
    x = convolved(x, *take())
    assert state == []
    np.testing.assert_allclose(found, x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", [ConvDecoder, DeepDecoder])
def test_everything_comes_from_the_generator(kind):
    arguments = {"channels": 4, "layers": 3, "in_size": (4, 4)}
    first, again, other = (made(kind, (12, 10), 6, seed=seed, **arguments) for seed in (0, 0, 1))
    assert torch.equal(first(), again())
    assert not torch.equal(first.input, other.input)
    assert first().shape == (1, 6, 12, 10)
    assert 0.0 <= float(first.input.min()) < float(first.input.max()) < 1.0
    other.load_state_dict(first.state_dict())
    assert torch.equal(other.eval()(), first())
    assert torch.equal(first(first.input), first())
    assert not torch.equal(first(0.5 * first.input), first())
    with pytest.raises(ValueError, match=r"expected an input \(1, 4, rows, columns\), got \(1, 3, 4, 4\)"):
        first(first.input[:, :3])


@pytest.mark.parametrize("kind", [ConvDecoder, DeepDecoder])
def test_every_parameter_gets_a_gradient(kind):
    network = made(kind, (12, 10), 6, channels=4, layers=3, in_size=(4, 4))
    network().square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 1}, "expected layers of at least 2 and other numbers of at least 1, got out_channels=2"),
        ({"channels": 0}, "got out_channels=2, channels=0"),
        ({"in_size": (0, 4)}, "in_size="),
        (
            {"in_size": (13, 4)},
            r"expected an image of at least in_size=\(13, 4\), got output_shape=\(12, 10\)",
        ),
        ({"in_size": (4, 4, 4)}, "expected output_shape and in_size as rows and columns"),
    ],
)
@pytest.mark.parametrize("kind", [ConvDecoder, DeepDecoder])
def test_refuses_sizes_that_make_no_network(kind, options, message):
    with pytest.raises(ValueError, match=f"{kind.__name__}: .*{message}|{kind.__name__}: {message}"):
        kind((12, 10), 2, **options)

"""Fitting decoders: time of a step, slices one after another and at once, and what the papers' size costs.

The three ways are one after another, `torch.vmap` over networks, and one network of grouped convolutions; all
fit the same slices. The costs at 640×368 and 15 coils are counted on torch's meta device, where nothing is
computed. Seconds on an H100 are an estimate from these counts and were not measured.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.problems import SEED, save
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask
from mrilib.networks.decoders import ConvDecoder, DeepDecoder
from mrilib.operators.base import fft2c
from mrilib.solvers.decoder import DecoderProblem, Parameters

KINDS = {"ConvDecoder": ConvDecoder, "DeepDecoder": DeepDecoder}
RUNS, STEPS = 5, 25_000
# A gradient costs three passes forward. Of a layer's output every byte is moved about six times a step:
# written and read forward, read again for the gradient, and the same for the gradient of the output.
GRADIENT, MOVES = 3, 6
# An H100 in float32 without TF32: operations a second, the part of them that we assume convolutions reach,
# and bytes a second.
PEAK, REACHED, BANDWIDTH = 67e12, 0.6, 3.35e12


def problem(kind: str, options: argparse.Namespace) -> DecoderProblem:
    """Phantoms under coils of constant maps: only sizes matter here."""
    size = (options.size, options.size)
    images = ellipse_phantoms(options.slices, size=options.size, seed=SEED)
    phases = torch.exp(1j * torch.arange(options.coils))[:, None, None]
    mask = column_mask(options.size, acceleration=4, center_fraction=0.08, kind="random", seed=SEED)
    torch.manual_seed(SEED)
    network = KINDS[kind](
        size, 2 * options.coils, channels=options.channels, layers=options.layers, in_size=(8, 8)
    )
    kspace = fft2c((images[:, None] * phases).to(torch.complex64)) * mask
    return DecoderProblem.of(network, kspace, mask.expand(size))


def grouped(body: nn.Module, start: Tensor, parameters: Parameters) -> Tensor:
    """Outputs of all networks, as one of `item` groups of channels."""
    functional = nn.functional
    items = len(next(iter(parameters.values())))
    x = start.repeat(1, items, 1, 1)
    for name, layer in body.named_children():
        own = {part: parameters[f"body.{name}.{part}"].flatten(0, 1) for part, _ in layer.named_parameters()}
        if isinstance(layer, nn.Conv2d):
            padding = layer.kernel_size[0] // 2
            x = functional.conv2d(x, own["weight"], own.get("bias"), padding=padding, groups=items)
        elif isinstance(layer, nn.BatchNorm2d):
            x = functional.batch_norm(x, None, None, own["weight"], own["bias"], training=True)
        else:
            x = layer(x)
    return x.unflatten(1, (items, -1))[0]


def loss_grouped(given: DecoderProblem, parameters: Parameters) -> Tensor:
    channels = grouped(given.network.body, given.network.input, parameters)  # type: ignore[arg-type]
    data = given.kspace / given.scale[:, None, None, None]
    residual = (fft2c(torch.complex(channels[:, 0::2], channels[:, 1::2])) - data) * given.mask
    return 0.5 * torch.view_as_real(residual).square().mean(dim=(1, 2, 3)).sum()


def milliseconds(losses: Callable[[Parameters], Tensor], start: Parameters) -> float:
    """Median time of a step of Adam."""
    parameters = {name: value.clone().requires_grad_() for name, value in start.items()}
    adam = torch.optim.Adam(list(parameters.values()), lr=8e-3, fused=True)
    times = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        adam.zero_grad()
        losses(parameters).sum().backward()
        adam.step()
        times.append(time.perf_counter() - begun)
    return 1e3 * sorted(times[1:])[RUNS // 2]


def compare(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step and slice, three ways."""
    given = problem(kind, options)
    start = given.start()
    together = given.losses(start).sum()
    torch.testing.assert_close(loss_grouped(given, start), together, rtol=1e-4, atol=1e-5)
    alone = given.take(torch.tensor([0]))
    return {
        "network": kind,
        "pixels": f"{options.size}×{options.size}",
        "channels": options.channels,
        "layers": options.layers,
        "coils": options.coils,
        "slices": options.slices,
        "one after another (ms)": milliseconds(alone.losses, alone.start()),
        "vmap (ms)": milliseconds(given.losses, start) / options.slices,
        "grouped (ms)": milliseconds(functools.partial(loss_grouped, given), start) / options.slices,
    }


def cost(kind: str) -> dict[str, Any]:
    """Counted operations and bytes of one slice at the papers' size."""
    kept: dict[int, int] = {}
    moved = 0

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    def move(_: nn.Module, __: Any, output: Tensor) -> None:
        nonlocal moved
        moved += MOVES * output.numel() * output.element_size()

    with torch.device("meta"):
        network = KINDS[kind]()
    for layer in network.body:
        layer.register_forward_hook(move)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        FlopCounterMode(display=False) as counter,
    ):
        network()
    operations = GRADIENT * counter.get_total_flops()
    seconds = operations / (REACHED * PEAK) + moved / BANDWIDTH
    return {
        "network": kind,
        "parameters": sum(value.numel() for value in network.parameters()),
        "TFLOP a step": operations / 1e12,
        "GB moved a step (estimate)": moved / 1e9,
        "GB kept for the gradient": sum(kept.values()) / 1e9,
        "ms a step on an H100 (estimate)": 1e3 * seconds,
        f"seconds of {STEPS} steps on an H100 (estimate)": STEPS * seconds,
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks untrained", description=__doc__)
    for name, value in {"size": 96, "channels": 64, "layers": 5, "coils": 8, "slices": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args(arguments)
    save("untrained", [compare(kind, options) for kind in KINDS])
    save("untrained_cost", [cost(kind) for kind in KINDS])

"""Whether a search of networks in bfloat16 finds what it finds in float32: severities, judged in float32.

A small VarNet and a small U-net are trained on phantoms of 4 coils × 96×80 for a minute or two. Test phantoms
are attacked by the gradient search as it is, with the network under autocast to bfloat16, and in float32 once
more with candidates one by one: what that changes is rounding. Columns are the severity (localized) or `‖ρ‖₂`
(whole image) of each over that of the first, less 1.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.clock import processor_seconds
from benchmarks.problems import SEED, save
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.searches.base import Round
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask
from mrilib.metrics.quality import ssim
from mrilib.operators.base import norm2
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.multicoil import TrainedMultiCoil
from mrilib.store.classes import load_class

ROWS, COLUMNS, COILS = 96, 80, 4
ROUNDS = (Round(10, 4), Round(20, 1))
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "VarNet": (
        "mrilib.networks.varnet:VarNet",
        {"num_cascades": 4, "chans": 8, "pools": 3, "sens_chans": 4, "sens_pools": 3, "center_fraction": 0.1},
    ),
    "U-net": ("mrilib.networks.magnitude_unet:MagnitudeUnet", {"chans": 16, "num_pool_layers": 3}),
}


class Autocast(GradientAscent):
    """The gradient search with convolutions and their derivatives in bfloat16."""

    def _artifact(self, position: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(position.device.type, dtype=torch.bfloat16):
            return super()._artifact(position, windows)


def images(count: int, first: int) -> Tensor:
    """Phantoms with a margin of air."""
    whole = ellipse_phantoms(count, size=ROWS, seed=SEED, first=first)
    cut = (ROWS - COLUMNS) // 2
    return whole[:, :, cut : ROWS - cut]


def measured_by() -> CoilFourier:
    """Four smooth coils around the image, columns four-fold."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, ROWS), torch.linspace(-1, 1, COLUMNS), indexing="ij")
    angles = torch.arange(COILS)[:, None, None] * (2 * torch.pi / COILS)
    maps = torch.polar(
        torch.exp(-((y - torch.cos(angles)).square()) - (x - torch.sin(angles)).square()), angles * x
    )
    mask = column_mask(COLUMNS, acceleration=4, center_fraction=0.1, kind="random", seed=SEED)
    return CoilFourier(mask=mask, coil_maps=maps / maps.abs().square().sum(0).sqrt())


def trained(name: str, operator: CoilFourier, steps: int) -> tuple[TrainedMultiCoil, float]:
    """A network after some steps of Adam, and its SSIM on the last batches."""
    path, arguments = NETWORKS[name]
    torch.manual_seed(SEED)
    network: nn.Module = load_class(path, nn.Module)(**arguments)
    adam, scores = torch.optim.Adam(network.parameters(), lr=1e-3), []
    generator = torch.Generator().manual_seed(SEED)
    for step in range(steps):
        image = images(1, 1000 + step)
        kspace = operator.forward(image.to(torch.complex64))
        noise = torch.randn(kspace.shape, dtype=torch.complex64, generator=generator)
        found = network(kspace + 0.01 * noise * operator.mask, operator.mask[None])
        score = ssim(found, image, data_range=image.max()[None]).mean()
        adam.zero_grad()
        (1.0 - score).backward()
        adam.step()
        scores.append(float(score.detach()))
    return TrainedMultiCoil(network=network), sum(scores[-50:]) / 50


def attacks(
    method: TrainedMultiCoil, operator: CoilFourier, kspace: Tensor, level: float
) -> Iterator[tuple[str, Callable[[GradientAscent], float]]]:
    """Name of an attack, and what it finds by a search."""
    radius = level * float(operator.kspace_norm(kspace))

    def localized(search: GradientAscent) -> float:
        found = localized_attack(method, kspace, operator, radius=radius, grid=4, search=search, seed=0)
        return float(found.severity)

    def whole(search: GradientAscent) -> float:
        found = global_attack(method, kspace, operator, radius=radius, steps=100, search=search, seed=0)
        return float(norm2(found.artifact))

    yield "localized", localized
    yield "whole image", whole


def rows(steps: int, count: int) -> Iterator[dict[str, Any]]:
    operator = measured_by()
    for name in NETWORKS:
        method, score = trained(name, operator, steps)
        print(f"{name}: SSIM {score:.3f} after {steps} steps", flush=True)
        for number in range(count):
            kspace = operator.forward(images(1, number)[0].to(torch.complex64))
            for level in (0.02, 0.08):
                for attack, found in attacks(method, operator, kspace, level):
                    started = processor_seconds()
                    usual = found(GradientAscent(rounds=ROUNDS))
                    seconds = processor_seconds() - started
                    halved = found(Autocast(rounds=ROUNDS))
                    alone = found(GradientAscent(rounds=ROUNDS, chunk=1))
                    row = {
                        "network": name,
                        "image": number,
                        "level": level,
                        "attack": attack,
                        "float32": usual,
                        "bfloat16 − 1": halved / usual - 1,
                        "one by one − 1": alone / usual - 1,
                        "seconds, float32": seconds,
                    }
                    print(row, flush=True)
                    yield row


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks precision", description=__doc__)
    parser.add_argument("--steps", type=int, default=800, help="of each training")
    parser.add_argument("--images", type=int, default=3)
    options = parser.parse_args(arguments)
    save("precision", list(rows(options.steps, options.images)))

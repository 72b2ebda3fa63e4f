"""Multi-coil reconstruction: quality and speed beside BART and SigPy, cost at full size, sizes, attacks.

`python -m benchmarks multicoil [FOLDER] [--parts quality speed scale sizes attack attack-scale]`: brain
data are in FOLDER, by default ../shared/data. Each part writes its own table, `multicoil-quality` and so on;
on one core they take about half an hour, a quarter, half an hour, ten minutes, half an hour and half an hour.
"""

import argparse
import importlib
from pathlib import Path

import numpy as np
import torch

from mrilib.data.masks import column_mask
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coils import CoilFourier, estimate_coil_maps

PARTS = ("quality", "speed", "scale", "sizes", "attack", "attack-scale")


def raw_brain(folder: Path) -> torch.Tensor:
    """Fully sampled k-space, 8 coils × 180×230."""
    path = folder / "brain_noise.cfl"
    if not path.is_file():
        raise SystemExit(f"multicoil: no brain_noise.cfl in {folder}; name its folder")
    return torch.from_numpy(np.fromfile(path, "complex64").reshape(8, 180, 230))


def undersampled(
    kspace: torch.Tensor, redraw_within: float
) -> tuple[torch.Tensor, torch.Tensor, CoilFourier]:
    """Reference image, k-space of four times fewer columns, and the operator with maps of their centre.

    The reference combines the fully sampled coil images by the maps. Everything is divided by the maximum
    of the zero-filled RSS image.
    """
    mask = column_mask(
        kspace.shape[-1],
        acceleration=4,
        center_fraction=0.08,
        kind="random",
        seed=0,
        redraw_within=redraw_within,
    )
    operator = CoilFourier(mask=mask, coil_maps=estimate_coil_maps(kspace * mask))
    scale = torch.linalg.vector_norm(ifft2c(kspace * mask), dim=0).max()
    image = (operator.coil_maps.conj() * ifft2c(kspace)).sum(0) / scale
    return image, kspace * mask / scale, operator


def simulated(width: int = 368) -> tuple[torch.Tensor, CoilFourier]:
    """15 coils × 640×`width` of a smooth object with edges, maps of unit sum of squares, 1 % noise."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 640), torch.linspace(-1, 1, width), indexing="ij")
    image = (rows.square() + columns.square() < 0.7) * (
        1.0 + 0.5 * torch.cos(9 * rows) * (columns.abs() < 0.3)
    )
    angles = torch.arange(15)[:, None, None] * (2 * torch.pi / 15)
    distance = (rows - torch.cos(angles)).square() + (columns - torch.sin(angles)).square()
    maps = torch.polar(torch.exp(-0.5 * distance), angles * columns)
    maps = maps / maps.abs().square().sum(0).sqrt()
    mask = column_mask(width, acceleration=4, center_fraction=0.08, kind="random", seed=0)
    operator = CoilFourier(mask=mask, coil_maps=maps)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(maps.shape, dtype=torch.complex64, generator=generator)
    return (fft2c(image * maps) + 0.01 * noise) * mask, operator


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks multicoil", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args(arguments)
    for part in options.parts:
        importlib.import_module(f"benchmarks.multicoil_{part.replace('-', '_')}").measure(options.folder)

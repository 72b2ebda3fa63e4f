"""ℓ1 in wavelets on sizes that these divide and on their neighbours: steps, seconds, certified and true gaps.

The raw brain of 8 coils, whole and cropped, by four times columns; and 15 simulated coils. The true gap is
that of the objective over one certified to 3e-5. Seconds are processor time of one solve, inverses included.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.clock import pin, processor_seconds
from benchmarks.multicoil import raw_brain, simulated, undersampled
from benchmarks.problems import save
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.bases import Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.l1 import L1

WEIGHTS, GAPS, OPTIMUM = (8e-3, 2e-3, 5e-4), (1e-2, 1e-3), 3e-5
BRAIN = ((176, 224), (180, 230))
SIMULATED, SIMULATED_WEIGHT, SIMULATED_LEVELS = (368, 372), 4e-3, 3


def brain(folder: Path, height: int, width: int) -> tuple[torch.Tensor, CoilFourier]:
    """The middle of the image, undersampled."""
    image = ifft2c(raw_brain(folder))
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    _, kspace, operator = undersampled(fft2c(image[:, top : top + height, left : left + width]), 0.1)
    return kspace, operator


def problems(folder: Path) -> Iterator[tuple[str, torch.Tensor, CoilFourier, Wavelet, float]]:
    for size in BRAIN:
        kspace, operator = brain(folder, *size)
        for weight in WEIGHTS:
            yield "brain", kspace, operator, Wavelet("db2", 3), weight
    for width in SIMULATED:
        yield "simulated", *simulated(width), Wavelet(levels=SIMULATED_LEVELS), SIMULATED_WEIGHT


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    for name, kspace, operator, basis, weight in problems(folder):
        optimum = float(
            L1(basis=basis, weight=weight, tolerance=OPTIMUM).solve(kspace, operator).stats["objective"]
        )
        for gap in GAPS:
            start = processor_seconds()
            stats = L1(basis=basis, weight=weight, tolerance=gap).solve(kspace, operator).stats
            yield {
                "data": name,
                "size": f"{kspace.shape[-2]}×{kspace.shape[-1]}",
                "basis": f"{basis.name}, {basis.levels} levels",
                "λ": weight,
                "certified to": gap,
                "steps": int(stats["steps"]),
                "seconds": processor_seconds() - start,
                "certified gap": float(stats["gap"]),
                "true gap": float(stats["objective"]) / optimum - 1.0,
            }


def measure(folder: Path) -> None:
    torch.set_num_threads(1)
    pin()
    save("multicoil-sizes", list(rows(folder)))

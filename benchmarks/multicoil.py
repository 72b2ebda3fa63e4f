"""Seconds of certified multi-coil reconstructions: ℓ1 in three bases and TV, one run each.

`python -m benchmarks multicoil [FOLDER]`: the brain data in FOLDER (default ../shared/data), four times
random columns, 8 % centre, ESPIRiT maps of the sampled centre, λ by the lowest NRMSE of a short grid; then
one simulated slice of 15 coils × 640×368, with peak memory. The true gap is against an optimum certified to
1e-6 in float64, so that it may be slightly negative.
"""

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.problems import save
from mrilib.data.masks import column_mask
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.operators.coils import CoilFourier, estimate_coil_maps
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.sparse import L1, TotalVariation

BASES = {"wavelet db4": Wavelet(), "cosine": Cosine(), "fourier": FourierBasis()}
WEIGHTS = (2e-3, 4e-3, 8e-3, 1.6e-2)
TOLERANCES = (1e-3, 1e-4, 1e-5)


def method_of(name: str, weight: float, tolerance: float) -> Reconstructor:
    if name == "tv complex":
        return TotalVariation(weight=weight, coupling="complex", tolerance=tolerance)
    return L1(basis=BASES[name], weight=weight, tolerance=tolerance)


def brain(folder: Path) -> tuple[torch.Tensor, torch.Tensor, CoilFourier]:
    """Reference image, its undersampled k-space with a zero-filled maximum of 1, and the operator."""
    raw = np.fromfile(folder / "brain_noise.cfl", "complex64").reshape(8, 180, 230)
    kspace = torch.from_numpy(raw)
    mask = column_mask(230, acceleration=4, center_fraction=0.08, kind="random", seed=0, redraw_within=0.1)
    operator = CoilFourier(mask=mask, coil_maps=estimate_coil_maps(kspace * mask))
    scale = operator.adjoint(kspace * mask).abs().max()
    image = (operator.coil_maps.conj() * ifft2c(kspace)).sum(0) / scale
    return image, kspace * mask / scale, operator


def simulated() -> tuple[torch.Tensor, CoilFourier]:
    """15 coils × 640×368 of a smooth object with edges, maps of unit sum of squares, 1 % noise."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 640), torch.linspace(-1, 1, 368), indexing="ij")
    image = (rows.square() + columns.square() < 0.7) * (
        1.0 + 0.5 * torch.cos(9 * rows) * (columns.abs() < 0.3)
    )
    angles = torch.arange(15)[:, None, None] * (2 * torch.pi / 15)
    distance = (rows - torch.cos(angles)).square() + (columns - torch.sin(angles)).square()
    maps = torch.polar(torch.exp(-0.5 * distance), angles * columns)
    maps = maps / maps.abs().square().sum(0).sqrt()
    mask = column_mask(368, acceleration=4, center_fraction=0.08, kind="random", seed=0)
    operator = CoilFourier(mask=mask, coil_maps=maps)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(maps.shape, dtype=torch.complex64, generator=generator)
    return (fft2c(image * maps) + 0.01 * noise) * mask, operator


def tuned(name: str, image: torch.Tensor, kspace: torch.Tensor, operator: CoilFourier) -> tuple[float, float]:
    """Weight with the lowest NRMSE, and that error."""
    errors = {}
    for weight in WEIGHTS:
        found = method_of(name, weight, 1e-2).solve(kspace, operator).value
        errors[weight] = float((found - image).norm() / image.norm())
    best = min(errors, key=errors.__getitem__)
    return best, errors[best]


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0] if arguments else "../shared/data")
    if not (folder / "brain_noise.cfl").is_file():
        raise SystemExit(f"multicoil: no brain_noise.cfl in {folder}; name its folder")
    image, kspace, operator = brain(folder)
    rows: list[dict[str, Any]] = []
    for name in (*BASES, "tv complex"):
        weight, error = tuned(name, image, kspace, operator)
        exact = method_of(name, weight, 1e-6).solve(kspace.to(torch.complex128), operator)
        optimum = float(exact.stats["objective"])
        for tolerance in TOLERANCES:
            rows.append(
                {"data": "brain", "method": name, "weight": weight, "NRMSE": error}
                | timed(name, weight, tolerance, kspace, operator, optimum)
            )
            print(rows[-1], flush=True)
    kspace, operator = simulated()
    for name in (*BASES, "tv complex"):
        rows.append(
            {"data": "15×640×368", "method": name, "weight": 4e-3, "NRMSE": ""}
            | timed(name, 4e-3, 1e-3, kspace, operator, None)
        )
        print(rows[-1], flush=True)
    save("multicoil", rows)


def timed(
    name: str,
    weight: float,
    tolerance: float,
    kspace: torch.Tensor,
    operator: CoilFourier,
    optimum: float | None,
) -> dict[str, Any]:
    method, start = method_of(name, weight, tolerance), time.perf_counter()
    stats = method.solve(kspace, operator).stats
    return {
        "certified to": tolerance,
        "seconds": time.perf_counter() - start,
        "steps": int(stats["steps"]),
        "gap": float(stats["gap"]),
        "true gap": "" if optimum is None else float(stats["objective"]) / optimum - 1.0,
        "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }

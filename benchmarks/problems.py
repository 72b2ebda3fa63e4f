"""The problems that benchmarks share."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numba
import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.fourier import MaskedFourier

RESULTS = Path("results/benchmarks")
SIZE, LINES = 256, 40
SEED = 7
# λ tuned on validation phantoms (½ convention, split coupling, 40 lines), by relative noise level.
TUNED = {0.01: 1.3e-3, 0.04: 5.6e-3, 0.08: 1.5e-2}


def measured_phantom(index: int) -> tuple[torch.Tensor, torch.Tensor, MaskedFourier]:
    """Phantom, its clean k-space, and the operator of 40 radial lines."""
    operator = MaskedFourier(mask=radial_mask(SIZE, LINES))
    image = ellipse_phantoms(1, size=SIZE, seed=SEED, first=index)[0]
    return image, operator.forward(image), operator


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "pyfftw": _version("pyfftw"),
        "sigpy": _version("sigpy"),
        "bart": _bart(),
        "commit": commit.stdout.strip(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _bart() -> str:
    if shutil.which("bart") is None:
        return "not installed"
    return subprocess.run(["bart", "version"], capture_output=True, text=True, check=True).stdout.strip()


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write `results/benchmarks/{name}.json` and its Markdown table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(markdown(rows))
    print((RESULTS / f"{name}.md").read_text(), flush=True)


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table; what a row does not have is left empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_shown(row.get(column, "")) for column in columns) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

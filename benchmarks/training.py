"""What training and attacking networks costs: counted operations, and samples per second here.

Operations are counted by torch on one image of 256² pixels, a multiplication with its addition as two; a
gradient counts as three passes forward, with respect to parameters as to the image.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.problems import LINES, SEED, SIZE, save
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.sampling.radial import Radial, radial_mask
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.trained import Trained
from mrilib.training.fit import fit, seeded
from mrilib.training.schedule import Phase
from mrilib.training.task import PhantomTask
from workflow_scripts.config.config import load
from workflow_scripts.config.methods import Method

PHANTOMS, SAMPLES = 200, 24
# Passes forward that a gradient costs.
GRADIENT = 3


def networks(path: str) -> dict[str, Method]:
    """Trained methods of a config."""
    methods = load(yaml.safe_load(Path(path).read_text())).methods
    return {name: method for name, method in methods.items() if method.training is not None}


def operations(method: Method, operator: MaskedFourier) -> tuple[int, float]:
    """Parameters, and operations of one reconstruction."""
    reconstructor = Trained(**method.arguments)
    kspace = operator.forward(ellipse_phantoms(1, size=SIZE, seed=SEED))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        reconstructor(kspace, operator)
    return sum(value.numel() for value in reconstructor.model.parameters()), counter.get_total_flops()


def samples_per_second(method: Method) -> float:
    """Training samples per second, batches of the method's first phase."""
    assert method.training is not None
    phase = method.training.phases[0]
    seeds = (SEED, SEED + 1)
    task = PhantomTask(Radial(lines=LINES), size=SIZE, count=SAMPLES, validation=1, seeds=seeds, jitter=10.0)
    model = seeded(lambda: Trained(**method.arguments).model.train().requires_grad_(True), SEED)
    with TemporaryDirectory() as folder:
        phases = [Phase(epochs=2, batch=phase.batch, learning_rate=phase.learning_rate)]
        fitted = fit(model, task, phases=phases, seed=SEED, state=Path(folder) / "state.pt")
    return float(fitted.history[-1]["samples_per_second"])


def main(arguments: list[str]) -> None:
    operator = MaskedFourier(mask=radial_mask(SIZE, LINES))
    ellipse_phantoms(20, size=SIZE, seed=SEED)  # warms up
    start = time.perf_counter()
    ellipse_phantoms(PHANTOMS, size=SIZE, seed=SEED)
    rate = PHANTOMS / (time.perf_counter() - start)
    rows: list[dict[str, Any]] = [{"what": "phantoms drawn", "samples/s": rate}]
    for path in ("config.yaml", "config.paper.yaml"):
        for name, method in networks(path).items():
            parameters, count = operations(method, operator)
            assert method.training is not None
            passes = method.training.epochs * (method.training.images or 0)
            row = {
                "what": f"{path}: {name}",
                "parameters": parameters,
                "GFLOP an image": count / 1e9,
                "PFLOP of the training": GRADIENT * passes * count / 1e15,
            }
            if path == "config.yaml":
                row["samples/s"] = samples_per_second(method)
            rows.append(row)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    save("training", [{name: row.get(name, "") for name in columns} for row in rows])

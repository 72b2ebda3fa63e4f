"""Processor seconds and peak memory of every method on one slice of 15 coils × 640×368, simulated.

Every row is measured in a fresh process, so that its peak memory is its own; what the process holds when the
method begins (libraries, k-space, maps, networks) stands beside it. Networks have the paper's largest size
and random parameters: their time does not depend on them. Of a decoder one step is timed, after one that
warms up; seconds of its 25,000 steps are an estimate from that. λ is 4e-3 for all.

`python -m benchmarks.multicoil_scale ROW` measures one row and prints it as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.clock import memory, pin, processor_seconds
from benchmarks.multicoil import simulated
from benchmarks.problems import save
from benchmarks.untrained import STEPS, cost
from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.operators.coils import CoilFourier, estimate_coil_maps
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.multicoil import TrainedMultiCoil
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained

WEIGHT = 4e-3
CERTIFIED = (1e-2, 1e-3)
CONVEX: dict[str, Callable[..., Any]] = {
    "ℓ1 wavelet db4": partial(L1, basis=Wavelet()),
    "ℓ1 wavelet db2": partial(L1, basis=Wavelet("db2", 4)),
    "ℓ1 DCT": partial(L1, basis=Cosine()),
    "ℓ1 Fourier": partial(L1, basis=FourierBasis()),
    "TV isotropic": partial(TotalVariation, coupling="isotropic"),
    "TV complex": partial(TotalVariation, coupling="complex"),
}
NETWORKS = {
    "U-net": "mrilib.networks.magnitude_unet:MagnitudeUnet",
    "VarNet": "mrilib.networks.varnet:VarNet",
}
DECODERS = {"ConvDecoder": "ConvDecoder", "Deep Decoder": "DeepDecoder"}
ROWS = (
    "coil maps",
    "zero-filled",
    "Tikhonov",
    *NETWORKS,
    *(f"{name}, certified to {gap:g}" for gap in CERTIFIED for name in CONVEX),
    *DECODERS,
)


def job(name: str, kspace: Tensor, operator: CoilFourier) -> Callable[[], dict[str, Any]]:
    """What a row does, ready to begin; it returns what else there is to say."""
    if name == "coil maps":
        return lambda: {} if estimate_coil_maps(kspace).isfinite().all() else {"note": "not finite"}
    if name == "zero-filled":
        return lambda: {} if ZeroFilled()(kspace, operator).any() else {"note": "zero"}
    if name == "Tikhonov":
        return lambda: {"steps": int(Tikhonov(weight=WEIGHT).solve(kspace, operator).stats["steps"])}
    if name in NETWORKS:
        network = TrainedMultiCoil(network={"class": NETWORKS[name]})

        def infer() -> dict[str, Any]:
            with torch.no_grad():
                network(kspace, operator)
            return {"note": "inference"}

        return infer
    if name in DECODERS:
        return partial(step, DECODERS[name], kspace, operator)
    method, gap = name.split(", certified to ")
    solver = CONVEX[method](weight=WEIGHT, tolerance=float(gap))

    def solve() -> dict[str, Any]:
        stats = solver.solve(kspace, operator).stats
        return {"steps": int(stats["steps"]), "note": f"gap {float(stats['gap']):.1e}"}

    return solve


def step(kind: str, kspace: Tensor, operator: CoilFourier) -> dict[str, Any]:
    """Seconds of a gradient of one fit; the second of two. Adam's own arithmetic is a thousandth of it."""
    problem = Untrained(network={"class": f"mrilib.networks.decoders:{kind}"}).problem(kspace, operator)
    parameters = {name: value.requires_grad_() for name, value in problem.start().items()}
    seconds = 0.0
    for _ in range(2):
        start = processor_seconds()
        torch.autograd.grad(problem.losses(parameters).sum(), list(parameters.values()))
        seconds = processor_seconds() - start
    operations = cost(kind)["TFLOP a step"]
    note = f"estimate: {seconds:.3g} s a step × {STEPS}; {operations:.3g} TFLOP a step"
    return {"seconds": STEPS * seconds, "steps": STEPS, "note": note}


def measured(name: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    pin()
    kspace, operator = simulated()
    begin = job(name, kspace, operator)
    # forget the peak of what came before: loading, simulation
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), processor_seconds()
    found = begin()
    seconds = processor_seconds() - start
    return {
        "method": name,
        "seconds": found.get("seconds", seconds),
        "steps": found.get("steps", ""),
        "peak memory (MB)": memory("VmHWM"),
        "before (MB)": before,
        "note": found.get("note", ""),
    }


def apart(module: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """What `python -m module NAME` prints last, as JSON, for each name in a process of its own."""
    rows = []
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", module, name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"multicoil: row {name!r} failed with {done.returncode}:\n{done.stderr}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    return rows


def measure(_: Path) -> None:
    save("multicoil-scale", apart("benchmarks.multicoil_scale", ROWS))


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))

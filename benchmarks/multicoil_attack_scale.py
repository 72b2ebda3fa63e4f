"""Steps of every search on one slice of 15 coils × 640×368, simulated: processor seconds and peak memory.

A few steps of one candidate are timed, each row in a process of its own, after what is done once: the clean
reconstruction (certified to 1e-3; none of decoders, whose fits take days), inverses, the count of bytes. What
whole attacks take is their number of steps times that, an extrapolation; reconstructions that judge come on
top. Networks have the paper's largest size and random parameters. λ is 4e-3.

`python -m benchmarks.multicoil_attack_scale "METHOD, ROUTE"` measures one row and prints it as JSON.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.clock import memory, pin, processor_seconds
from benchmarks.multicoil import simulated
from benchmarks.multicoil_scale import CONVEX, DECODERS, NETWORKS, WEIGHT, apart
from benchmarks.problems import save
from benchmarks.untrained import cost
from mrilib.attacks.kinds.whole import Global
from mrilib.attacks.searches.base import Search, gaussian_starts
from mrilib.attacks.searches.coupled_coils import CoupledSplitting
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.searches.joint import STEPS, JointDescent
from mrilib.attacks.target import Observed, Task, clean_of
from mrilib.data.masks import column_mask
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.multicoil import TrainedMultiCoil
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.gradient_memory import saved_bytes
from workflow_scripts.config.costs import steps_of_rounds

LEVEL, LEVELS, PLACES = 0.08, 5, 64
SMALL = (80, 48)


class Route(NamedTuple):
    """A search and how many of its steps are timed, after those that warm up."""

    search: Callable[[], Search]
    warm: int
    steps: int


ROUTES = {
    # The first step of a search is a look without derivative.
    "gradient": Route(partial(GradientAscent, rounds=[[1, None]]), 1, 2),
    "coupled": Route(CoupledSplitting, 5, 40),
    "two-step": Route(partial(JointDescent, warm=0), 5, 40),
    "two-step of a decoder": Route(partial(JointDescent, warm=0), 1, 1),
}
SPARSE = ("TV isotropic", "ℓ1 wavelet db4", "ℓ1 DCT", "ℓ1 Fourier")
ROWS = (
    *(f"{name}, gradient" for name in ("zero-filled", "Tikhonov", *NETWORKS)),
    *(f"{name}, {route}" for name in SPARSE for route in ("coupled", "two-step")),
    f"{SPARSE[0]}, gradient",
    *(f"{name}, two-step of a decoder" for name in DECODERS),
)


def method_of(name: str) -> Reconstructor:
    if name in ("zero-filled", "Tikhonov"):
        return ZeroFilled() if name == "zero-filled" else Tikhonov(weight=WEIGHT)
    if name in NETWORKS:
        return TrainedMultiCoil(network={"class": NETWORKS[name]})
    if name in DECODERS:
        return Untrained(network={"class": f"mrilib.networks.decoders:{DECODERS[name]}"})
    made: Reconstructor = CONVEX[name](weight=WEIGHT, tolerance=1e-3)
    return made


def task_of(method: Reconstructor, kspace: Tensor, operator: CoilFourier) -> Task:
    """One candidate for the whole image; of decoders the zero-filled image stands in for the clean one."""
    if isinstance(method, Untrained):
        clean = Observed(operator.adjoint(kspace).abs())
    else:
        clean = clean_of(method, kspace, operator, None)
    image = clean.value
    radius = LEVEL * float(operator.kspace_norm(kspace))
    return Task(
        method,
        operator,
        kspace,
        radius,
        clean,
        "magnitude",
        windows=torch.ones(1, *image.shape),
        starts=gaussian_starts(operator, 1, radius, [0]).to(kspace),
    )


def counted(name: str) -> float | str:
    """TFLOP of a step; of methods that are no network nothing is counted."""
    if name in DECODERS:
        return float(cost(DECODERS[name])["TFLOP a step"])
    return gradient_tflop(method_of(name).model) if name in NETWORKS else ""  # type: ignore[attr-defined]


def gradient_tflop(network: nn.Module) -> float:
    """Of a pass forward and back to k-space, counted at 80×48 pixels and in proportion to these."""
    point = torch.randn(1, 15, *SMALL, dtype=torch.complex64, requires_grad=True)
    mask = column_mask(SMALL[1], acceleration=4, center_fraction=0.08, kind="random", seed=0)
    network(point, mask[None, None])  # it may count bytes by a pass of its own
    with FlopCounterMode(display=False) as counter:
        network(point, mask[None, None]).sum().backward()
    return counter.get_total_flops() * 640 * 368 / (SMALL[0] * SMALL[1]) / 1e12


def steps_of(route: str) -> tuple[int, int]:
    """Steps of a global attack at one level, and of a localized one at all places."""
    search = ROUTES[route].search() if route != "gradient" else GradientAscent()
    total = steps_of_rounds([(each.steps, each.keep) for each in search.rounds], PLACES)
    whole = Global()
    return whole.restarts * (STEPS if isinstance(search, JointDescent) else whole.steps), total


def measured(row: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    pin()
    name, route = row.split(", ")
    kspace, operator = simulated()
    method, (search, warm, steps) = method_of(name), ROUTES[route]
    # forget the peak of what came before: loading, simulation
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), processor_seconds()
    running, task = search(), task_of(method, kspace, operator)
    clean = processor_seconds() - start
    start = processor_seconds()
    running.begin(task)
    begun = processor_seconds() - start
    running.run(warm)
    first = processor_seconds() - start - begun
    running.run(steps)
    last = processor_seconds() - start - begun - first
    if route == "gradient":
        last -= first  # the look at where the round ends
    kept: float | str = ""
    if name in NETWORKS:
        point = task.starts.clone().requires_grad_(True)
        kept = saved_bytes(lambda: method(kspace + point, operator), but=[kspace, point]) / 1e9
    seconds = last / steps
    whole, localized = steps_of(route)
    return {
        "method": name,
        "route": route,
        "clean (s)": "" if name in DECODERS else clean,
        "set-up (s)": begun,
        "s a step": seconds,
        "TFLOP a step (counted)": counted(name),
        "kept for the gradient (GB)": kept,
        "peak memory (MB)": memory("VmHWM"),
        "before (MB)": before,
        "steps, whole image": whole,
        "h a level (extrapolated)": whole * seconds / 3600,
        f"steps, {PLACES} places": localized,
        f"h a level of {PLACES} places (extrapolated)": localized * seconds / 3600,
    }


def measure(_: Path) -> None:
    save("multicoil-attack-scale", apart("benchmarks.multicoil_attack_scale", ROWS))


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))

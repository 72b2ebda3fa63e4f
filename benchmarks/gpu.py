"""A GPU's share: a step of a batch beside what its memory allows, and the TV columns of P1's Table 1.

Steps: microseconds an image, by device events, medians of five runs after a warm-up, for batches of 1 to 1024
images, with and without CUDA graphs. The floor is `moved` over the bandwidth of a large copy on the device.
`paired` is the attack's step, forward and adjoint at once, without the moves of the perturbation.

Attack: what the workflow's job computes for an image, a level and a mask (clean solve, search of all places,
certified solves of what it leaves, comparison with spikes and noise), on a part of the table, scaled to
3 masks × 6 levels × 50 images × 64 places. One cell before the others warms up: it holds the compiler's time.

Needs a CUDA device; `--device cpu --size 64 --batch 4 --copy 64` tries it anywhere, and its numbers then say
nothing.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.clock import RUNS
from benchmarks.problems import LINES, SEED, SIZE, TUNED, save
from mrilib.attacks.kinds.localized import Localized
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.data.measurement import measure_image
from mrilib.jobs.attack import perturbed_unit
from mrilib.jobs.perturbations import Attack
from mrilib.jobs.subjects import Subject
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.total_variation.batched import CAPTURE_AFTER, BatchLoop
from mrilib.solvers.total_variation.loops import AVERAGE_EVERY, AVERAGE_SHARE
from mrilib.solvers.total_variation.problem import initial_state, problem_of

PAIRED = "paired"
WEIGHT, LEVEL = TUNED[0.04], 0.04
# P1's Table 1: masks, levels, images, places.
TABLE = (3, 6, 50, 64)
WARM_UP = CAPTURE_AFTER + AVERAGE_EVERY + 2


def moved(size: int, *, paired: bool) -> float:
    """Bytes that a step of one image in single precision must read and write, each pass fused.

    In images of complex numbers, 8 bytes a pixel: the transform reads and writes 1 + 1; the filter reads the
    spectrum and the data and writes 1 + 1 + 1; the inverse transform 1 + 1; the sweep reads the image and the
    state, which is two images, and writes the state and `∇ᵀv`, 1 + 2 + 2 + 1. Together 13. Beyond that:

    - the solver's filter reads ½ for weights of its own, and a fifth of its steps average, 2 + 2 + 2: 14.7;
    - the paired sweep reads its source, 1: 14. Its items share the weights.

    Not counted: a second reading by a neighbour, passes inside a transform beyond the first, and that `turn`
    reads the state again that `move` wrote, 2.
    """
    images = 14.0 if paired else 13.5 + 6.0 / AVERAGE_EVERY
    return 8.0 * images * size * size


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Median of `RUNS` runs, after one that warms up: by events on a GPU, else on the wall."""
    taken = []
    for _ in range(RUNS + 1):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(device)
            start.record()
            work()
            end.record()
            torch.cuda.synchronize(device)
            taken.append(start.elapsed_time(end) / 1e3)
        else:
            begin = time.perf_counter()
            work()
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def bandwidth(megabytes: int, device: torch.device) -> float:
    """Bytes a second that a copy reads and writes."""
    values = torch.zeros(megabytes * 2**18, device=device)
    target = torch.empty_like(values)
    copies = 20

    def work() -> None:
        for _ in range(copies):
            target.copy_(values)

    return 2.0 * copies * values.nbytes / seconds_of(work, device)


def loop_of(kind: str, batch: int, size: int, lines: int, device: torch.device, *, graphs: bool) -> BatchLoop:
    """A batch of one phantom, on its way for some steps."""
    operator = MaskedFourier(mask=radial_mask(size, lines)).to(device)
    kspace = operator.forward(ellipse_phantoms(1, size=size, seed=SEED).to(device)).expand(batch, size, size)
    coupling = "split" if kind == PAIRED else kind
    measured = kspace[0] if kind == PAIRED else kspace
    problem, _ = problem_of(measured, operator, weight=WEIGHT, coupling=coupling)
    loop = BatchLoop(problem, paired=kind == PAIRED, graphs=graphs)
    state = initial_state(problem)
    if kind == PAIRED:
        loop.load(state.expand(batch, *state.shape))
        loop.source = torch.full((size, size), 1e-3j, dtype=state.dtype, device=device)
    else:
        loop.load(state, state)
    advance(loop, WARM_UP, average=kind != PAIRED)
    return loop


def advance(loop: BatchLoop, steps: int, *, average: bool) -> None:
    """Steps as the solver or the attack takes them."""
    for taken in range(1, steps + 1):
        loop.step()
        if average and taken % AVERAGE_EVERY == 0:
            loop.average(AVERAGE_SHARE)


def step_rows(options: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """One row for each kind of step, batch, and with and without graphs where there are any."""
    speed = bandwidth(options.copy, device)
    for kind in (*options.couplings, PAIRED):
        floor = moved(options.size, paired=kind == PAIRED) / speed
        for batch in options.batch:
            for graphs in (True, False) if device.type == "cuda" else (False,):
                _reset_peak(device)
                try:
                    captured, each = _step(kind, batch, options, device, graphs=graphs)
                except torch.OutOfMemoryError:
                    print(f"no memory for {batch} images of {options.size}², step {kind}", flush=True)
                    continue
                yield {
                    "step": kind,
                    "size": options.size,
                    "batch": batch,
                    "graph": "yes" if captured else "no",
                    "µs an image and step": 1e6 * each,
                    "floor (µs)": 1e6 * floor,
                    "floor over time": floor / each,
                    "peak memory (MB)": _peak(device),
                    "copy (GB/s)": speed / 1e9,
                    "device": name_of(device),
                }


def _step(
    kind: str, batch: int, options: argparse.Namespace, device: torch.device, *, graphs: bool
) -> tuple[bool, float]:
    """Whether graphs were used, and seconds an image and step."""
    loop = loop_of(kind, batch, options.size, options.lines, device, graphs=graphs)
    seconds = seconds_of(lambda: advance(loop, options.steps, average=kind != PAIRED), device)
    return loop.captured is not None, seconds / options.steps / batch


def attack_row(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Seconds of a part of the table, and of the whole at that rate."""
    attack = Attack(
        Localized(objective="peak", grid=options.grid, restarts=options.restarts),
        "mrilib.attacks.searches.coupled:CoupledAscent",
    )
    cells = [
        (lines, level, index)
        for lines in options.masks
        for level in options.levels
        for index in range(options.images)
    ]
    first = _attack(*cells[0], attack, options.size, device)
    _reset_peak(device)
    seconds = [_attack(*cell, attack, options.size, device) for cell in cells]
    places = len(cells) * options.grid**2
    share = places / math.prod(TABLE)
    return {
        "masks": len(options.masks),
        "levels": len(options.levels),
        "images": options.images,
        "places": options.grid**2,
        "size": options.size,
        "restarts": options.restarts,
        "share of Table 1": share,
        "seconds": sum(seconds),
        "seconds a cell": statistics.median(seconds),
        "Table 1 at this rate (s)": sum(seconds) / share,
        "first cell (s)": first,
        "peak memory (MB)": _peak(device),
        "device": name_of(device),
    }


def _attack(lines: int, level: float, index: int, attack: Attack, size: int, device: torch.device) -> float:
    """Seconds on the wall of one cell, from the measurement on the device to the unit that the job stores."""
    image = ellipse_phantoms(1, size=size, seed=SEED, first=index)[0]
    measurement = measure_image(image, radial_mask(size, lines)).to(device)
    method = TotalVariation(weight=TUNED[level], tolerance=1e-4)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    subject = Subject(
        measurement=measurement,
        reconstructor=method,
        level=level,
        tuned=f"{level:g}",
        weight=TUNED[level],
        factor=1.0,
        seed=[SEED, index],
        clean=method.solve(measurement.kspace, measurement.operator),
    )
    unit = perturbed_unit(subject, attack)
    if reason := unit.attributes.get("failed"):
        raise SystemExit(f"gpu: the attack at {lines} lines, level {level:g}, image {index} failed: {reason}")
    return time.perf_counter() - start


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float | str:
    """Most memory that tensors held on the device, or nothing where that is not counted."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else ""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda", metavar="NAME")
    parser.add_argument("--parts", nargs="+", choices=("step", "attack"), default=["step", "attack"])
    parser.add_argument("--size", type=int, default=SIZE)
    step = parser.add_argument_group("step")
    step.add_argument("--couplings", nargs="*", choices=list(COUPLINGS), default=list(COUPLINGS))
    step.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64, 256, 1024], metavar="IMAGES")
    step.add_argument("--steps", type=int, default=50, help="in a run; five runs")
    step.add_argument("--lines", type=int, default=LINES)
    step.add_argument("--copy", type=int, default=1024, metavar="MB", help="size of what is copied")
    table = parser.add_argument_group("attack: the part of the table")
    table.add_argument("--images", type=int, default=4)
    table.add_argument("--levels", type=float, nargs="+", default=list(TUNED), choices=list(TUNED))
    table.add_argument("--masks", type=int, nargs="+", default=[25, 40, 80], metavar="LINES")
    table.add_argument("--grid", type=int, default=8, help="places along each axis")
    table.add_argument("--restarts", type=int, default=1, help="config.paper.yaml has 2")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit(
                "gpu: expected a CUDA device, found none; run it where there is one, or try it with "
                "--device cpu --size 64 --batch 4 --copy 64"
            )
        device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
        torch.cuda.set_device(device)
    # A try without a GPU does not replace what was measured on one.
    name = "gpu" if device.type == "cuda" else "gpu-tried"
    if "step" in options.parts:
        save(name, list(step_rows(options, device)))
    if "attack" in options.parts:
        save(f"{name}-attack", [attack_row(options, device)])

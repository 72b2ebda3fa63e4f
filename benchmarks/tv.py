"""Total variation, ours against every installed peer: seconds to a true relative gap, per coupling.

256×256, 40 radial lines, 2 % noise, λ = 1e-3 (½ convention), one core. The gap is that of the objective at
the iterate, computed by our code in float64 outside the timed region, to an optimum certified to 1e-9. Steps
to a gap are found first, then that many are timed from data in memory to the image, set-up included. A peer's
best setting is searched on a grid; ours has none. BART's process start and files are taken off: its time with
`-i 1`.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.clock import Seconds, median_seconds
from benchmarks.problems import LINES, RESULTS, SIZE, measured_phantom, save
from benchmarks.tv_peers import PEERS
from benchmarks.tv_solvers import Averaged, Implementation, Last, Plain, ReferenceADMM, Task
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.couplings import COUPLINGS
from mrilib.store.atomic import write_text
from mrilib.training.tuning import gaussian_noise

WEIGHT, LEVEL = 1e-3, 0.02
GAPS = (1e-3, 1e-4, 1e-5)
# The gap by which settings are chosen and implementations compared.
COMPARED = 1e-4
CERTIFIED, CERTIFYING_STEPS = 1e-9, 200_000
EVERY, LIMIT = 5, 3200


@dataclass(frozen=True)
class Reach:
    """Steps after which a gap is reached, or nothing within `LIMIT`."""

    gap: float
    steps: int | None
    seconds: Seconds | None


def problem(coupling: str, *, size: int = SIZE, lines: int = LINES, folder: Path = RESULTS) -> Task:
    """The task, with its optimum, which is kept in `folder`: it takes minutes."""
    operator = MaskedFourier(mask=radial_mask(size, lines))
    if (size, lines) == (SIZE, LINES):
        _, clean, operator = measured_phantom(0)
    else:
        clean = operator.forward(ellipse_phantoms(1, size=size, seed=0)[0])
    kspace = clean + gaussian_noise(clean, operator, LEVEL, [1])
    task = Task(kspace, operator, WEIGHT, coupling)
    return replace(task, optimum=_optimum(task, folder / "tv-optimum.json"))


def _optimum(task: Task, kept: Path) -> float:
    identity = hashlib.sha256(task.kspace.numpy().tobytes() + task.operator.mask.numpy().tobytes())
    identity.update(f"{task.weight} {task.coupling} {CERTIFIED}".encode())
    key = identity.hexdigest()[:16]
    known: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    if key not in known:
        method = TotalVariation(
            weight=task.weight,
            coupling=task.coupling,  # type: ignore[arg-type]
            tolerance=CERTIFIED,
            max_steps=CERTIFYING_STEPS,
        )
        exact = method.solve(task.kspace.to(torch.complex128), task.operator)
        known[key] = float(exact.stats["objective"])
        write_text(kept, json.dumps(known, indent=1) + "\n")
    return known[key]


def tuned(kind: type[Implementation], task: Task) -> Implementation:
    """The setting of the grid with the lowest gap when the first of them is within `COMPARED`.

    All take the same number of applications of the normal operator, which doubles from 25.
    """
    candidates = [kind(task, **settings) for settings in kind.grid]
    work, gaps = 25, [0.0]
    while len(candidates) > 1:
        for candidate in candidates:
            candidate.to(max(work // candidate.inner, 1))
        gaps = [task.gap(candidate.image()) for candidate in candidates]
        if min(gaps) <= COMPARED or work >= LIMIT:
            break
        work *= 2
    return candidates[gaps.index(min(gaps))]


def steps_to(running: Implementation, gaps: tuple[float, ...], limit: int = LIMIT) -> list[int | None]:
    """Steps after which each of the falling `gaps` is reached first, checked every few."""
    found: list[int | None] = []
    for gap in gaps:
        if found and found[-1] is None:
            found.append(None)
        elif running.resumable:
            found.append(_walked(running, gap, found[-1] if found else None, limit))
        else:
            found.append(_bisected(running, gap, found[-1] if found else None, limit))
    return found


def _walked(running: Implementation, gap: float, start: int | None, limit: int) -> int | None:
    running.restart()
    every = max(EVERY // running.inner, 1)
    for steps in range(start or every, limit // running.inner + 1, every):
        running.to(steps)
        if running.task.gap(running.image()) <= gap:
            return steps
    return None


def _bisected(running: Implementation, gap: float, start: int | None, limit: int) -> int | None:
    """Within 3 %, for an implementation that begins anew every time."""

    def reached(steps: int) -> bool:
        running.to(steps)
        return running.task.gap(running.image()) <= gap

    low, high = 0, start or 25
    while not reached(high):
        low, high = high, 2 * high
        if low >= limit:
            return None
    while high - low > max(0.03 * high, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def seconds_of(running: Implementation, steps: int) -> Seconds:
    """From data in memory to the image; the search for the steps has warmed up."""

    def work() -> None:
        running.restart()
        running.to(steps)
        running.image()

    return median_seconds(work, warm=True)


def measured(kind: type[Implementation], task: Task) -> tuple[Implementation, list[Reach], float]:
    """The best setting, what it reaches, and milliseconds a step."""
    running = tuned(kind, task)
    steps = steps_to(running, GAPS)
    base = seconds_of(running, 1)
    start = Seconds(0.0, 0.0) if running.resumable else base
    reaches = []
    for gap, count in zip(GAPS, steps, strict=True):
        taken = None if count is None else seconds_of(running, count)
        if taken is not None:
            taken = Seconds(taken.processor - start.processor, taken.wall - start.wall)
        reaches.append(Reach(gap, count, taken))
    count = max(100 // running.inner, 20)
    each = (seconds_of(running, count + 1).processor - base.processor) / count
    return running, reaches, 1e3 * each


def row(coupling: str, running: Implementation, reaches: list[Reach], each: float) -> dict[str, Any]:
    settings = ", ".join(f"{name} = {value:g}" for name, value in running.settings.items())
    found: dict[str, Any] = {
        "coupling": coupling,
        "implementation": running.name,
        "version": running.version,
        "best setting": settings or "none needed",
        "ms a step": each,
    }
    for reach in reaches:
        found[f"steps to {reach.gap:g}"] = "" if reach.steps is None else reach.steps
        found[f"seconds to {reach.gap:g}"] = "" if reach.seconds is None else reach.seconds.processor
    compared = next(reach for reach in reaches if reach.gap == COMPARED)
    found["wall seconds to 0.0001"] = "" if compared.seconds is None else compared.seconds.wall
    return found


def absent(coupling: str, name: str, why: str) -> dict[str, Any]:
    return {"coupling": coupling, "implementation": name, "version": why}


def rows_of(coupling: str, task: Task) -> Iterator[dict[str, Any]]:
    """Rows of one coupling: ours, plain torch, and every peer."""
    own = (Averaged, Last, Plain, ReferenceADMM)
    for kind in (Averaged, Last, Plain, *PEERS[coupling]):
        if kind in own or kind.installed():
            yield row(coupling, *measured(kind, task))
        else:
            yield absent(coupling, kind.name, "not installed")
    if coupling == "split":
        yield absent(coupling, "SigPy", "cannot: it shrinks moduli of complex differences alone")


def transforms(task: Task) -> float:
    """Milliseconds of one FFT and one inverse FFT."""

    def work() -> None:
        image = task.kspace
        for _ in range(100):
            image = torch.fft.ifft2(torch.fft.fft2(image))

    return 10.0 * median_seconds(work).processor


def certified(coupling: str, task: Task) -> Iterator[dict[str, Any]]:
    """What ours takes to a certified gap, and the true gap that it then has."""
    for tolerance in GAPS:
        method = TotalVariation(weight=task.weight, coupling=coupling, tolerance=tolerance)  # type: ignore[arg-type]
        solution = method.solve(task.kspace, task.operator)
        taken = median_seconds(lambda method=method: method.solve(task.kspace, task.operator))
        yield {
            "coupling": coupling,
            "certified to": tolerance,
            "steps": int(solution.stats["steps"]),
            "seconds": taken.processor,
            "certified gap": float(solution.stats["gap"]),
            "true gap": task.gap(solution.value),
            "wall seconds": taken.wall,
        }


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its time to `COMPARED` over that of ours for the coupling, and all columns."""
    column = f"seconds to {COMPARED:g}"
    ours = {each["coupling"]: each[column] for each in rows if each["implementation"] == Averaged.name}
    for each in rows:
        own, peer = ours.get(each["coupling"]), each.get(column)
        each["ratio to ours"] = peer / own if own and peer else ""
    columns = list(dict.fromkeys(name for each in rows for name in each))
    return [{name: each.get(name, "") for name in columns} for each in rows]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tv", description=__doc__)
    parser.add_argument("--couplings", nargs="+", choices=COUPLINGS, default=list(COUPLINGS))
    options = parser.parse_args(arguments)
    rows, certificates = [], []
    for coupling in options.couplings:
        task = problem(coupling)
        for found in rows_of(coupling, task):
            print(found, flush=True)
            rows.append(found)
        rows.append(absent(coupling, "bare FFT pair", "torch") | {"ms a step": transforms(task)})
        certificates += certified(coupling, task)
    save("tv", with_ratios(_joined("tv", rows)))
    save("tv-certified", _joined("tv-certified", certificates))


def _joined(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows`, and those of the last run for couplings that this one leaves out."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    new = {row["coupling"] for row in rows}
    order = list(COUPLINGS)
    kept = [row for row in old if row["coupling"] not in new]
    return sorted([*kept, *rows], key=lambda row: order.index(row["coupling"]))

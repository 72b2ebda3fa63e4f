"""Seconds of one certified reconstruction at 256², 40 lines, 2 % noise, λ = 1e-3, on one core.

The time to a certified relative duality gap is ours; the true gap, against an optimum certified to 1e-9 in
float64, stands beside it. An iteration stands beside the FFT pair that it cannot do without.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.problems import measured_phantom, save
from mrilib.reconstructors.sparse import TotalVariation
from mrilib.solvers import admm
from mrilib.solvers.fused import FusedLoop
from mrilib.training.tuning import gaussian_noise

RUNS = 7
WEIGHT, LEVEL = 1e-3, 0.02


def median_seconds(work: Callable[[], Any]) -> float:
    """Median of several runs after one that warms up."""
    work()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def iteration_seconds(problem: admm.Problem, steps: int = 100) -> dict[str, float]:
    """Seconds of one iteration: fused, in plain torch, and of its FFT pair alone."""
    loop = FusedLoop(problem, paired=False)
    loop.load(admm.initial_state(problem))

    def fused() -> None:
        for _ in range(steps):
            loop.step()

    def plain() -> None:
        state, inverse = admm.initial_state(problem), problem.inverse()
        for _ in range(steps):
            state, _ = admm.step(problem, inverse, state)

    def transforms() -> None:
        image = problem.data
        for _ in range(steps):
            image = torch.fft.ifft2(torch.fft.fft2(image))

    return {
        "fused": median_seconds(fused) / steps,
        "plain torch": median_seconds(plain) / steps,
        "FFT pair": median_seconds(transforms) / steps,
    }


def main(arguments: list[str]) -> None:
    _, clean, operator = measured_phantom(0)
    kspace = clean + gaussian_noise(clean, operator, LEVEL, [1])
    exact = TotalVariation(weight=WEIGHT, tolerance=1e-9).solve(kspace.to(torch.complex128), operator)
    optimum = float(exact.stats["objective"])
    rows: list[dict[str, Any]] = []
    for tolerance in (1e-3, 1e-4, 1e-5):
        method = TotalVariation(weight=WEIGHT, tolerance=tolerance)
        stats = method.solve(kspace, operator).stats
        rows.append(
            {
                "what": f"certified to {tolerance:g}",
                "seconds": median_seconds(lambda method=method: method.solve(kspace, operator)),
                "steps": int(stats["steps"]),
                "certified gap": float(stats["gap"]),
                "true gap": (float(stats["objective"]) - optimum) / optimum,
            }
        )
    problem, _ = TotalVariation(weight=WEIGHT).problem(kspace, operator)
    for name, seconds in iteration_seconds(problem).items():
        rows.append(
            {
                "what": f"iteration, {name}",
                "seconds": seconds,
                "steps": 1,
                "certified gap": "",
                "true gap": "",
            }
        )
    save("reconstruction", rows)

"""A step of total variation over its FFT pair, with torch's MKL and with FFTW, on this processor.

Steps of the solver come with their averages and changes of the penalty, those of the attack with their
moves, certificates apart. The pair is repeated alone, in the cache. An FFT that is not the processor's own
is taken as if the user had asked for it (`MRI_ROBUSTNESS_FFT`). Under a minute, with the planning of FFTW,
whose seconds are those of a machine that has no plan yet.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import torch

from benchmarks.clock import RUNS, median_seconds, processor_seconds
from benchmarks.problems import LINES, SEED, SIZE, machine, save
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators import transforms
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.total_variation.certificate import certify
from mrilib.solvers.total_variation.loops import Iteration
from mrilib.solvers.total_variation.problem import VariationProblem, problem_of

WEIGHT, LEVEL = 1e-3, 0.02
STEPS, PAIRS, FEW = 150, 50, 50


def rows_of(engine: str, size: int) -> list[dict[str, Any]]:
    """Milliseconds with the engine that this process has."""
    operator = MaskedFourier(mask=radial_mask(size, LINES))
    kspace = operator.forward(ellipse_phantoms(1, size=size, seed=SEED)[0])
    shared = {"FFT": engine, "size": f"{size}×{size}"}
    start = processor_seconds()
    image = torch.zeros(size, size, dtype=torch.complex64)
    spectrum = transforms.fft2(image)
    shared["s to plan"] = processor_seconds() - start if engine == "fftw" else ""

    def pairs() -> None:
        for _ in range(PAIRS):
            transforms.ifft2(transforms.fft2(image, spectrum), image, scaled=False)

    shared["ms a pair"] = 1e3 * median_seconds(pairs).processor / PAIRS
    rows = []
    for coupling in COUPLINGS:
        problem, _ = problem_of(kspace, operator, weight=WEIGHT, coupling=coupling)
        each = (_solver(problem, STEPS + FEW) - _solver(problem, FEW)) / STEPS
        iteration = Iteration(problem)
        iteration.advance(STEPS)
        certificate = median_seconds(lambda last=iteration: certify(last.problem, last.mean()))
        rows.append(
            shared
            | {
                "step of": f"solver, {coupling}",
                "ms a step": 1e3 * each,
                "ms a certificate": 1e3 * certificate.processor,
            }
        )
    each = _attack(kspace, operator)
    rows.append(shared | {"step of": "attack, coupled", "ms a step": 1e3 * each, "ms a certificate": ""})
    return rows


def _solver(problem: VariationProblem, steps: int) -> float:
    """Seconds of that many steps from zero, with what precedes them."""
    return median_seconds(lambda: Iteration(problem).advance(steps)).processor


class _Timed(CoupledAscent):
    """The search with the seconds of its steps: judging takes now more, now fewer."""

    seconds_taken = 0.0

    def run(self, steps: int) -> torch.Tensor:
        start = processor_seconds()
        found = super().run(steps)
        self.seconds_taken = processor_seconds() - start
        return found


def _attack(kspace: torch.Tensor, operator: MaskedFourier) -> float:
    """Seconds of a step of the search at one place, with its moves."""
    method, search = TotalVariation(weight=WEIGHT, tolerance=1e-2), _Timed(rounds=((STEPS, 1),))
    radius, taken = LEVEL * float(kspace.norm()), []
    for _ in range(RUNS + 1):  # the first warms up
        localized_attack(method, kspace, operator, radius=radius, grid=1, seed=0, search=search)
        taken.append(search.seconds_taken / STEPS)
    return statistics.median(taken[1:])


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its step over its own pair, and over the fastest pair of the size."""
    best: dict[str, float] = {}
    for row in rows:
        best[row["size"]] = min(row["ms a pair"], best.get(row["size"], row["ms a pair"]))
    return [
        row
        | {
            "step over its pair": row["ms a step"] / row["ms a pair"],
            "over the best pair": row["ms a step"] / best[row["size"]],
        }
        for row in rows
    ]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fft", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[SIZE])
    parser.add_argument("--engine", choices=transforms.ENGINES, help="rows of this one as JSON, no table")
    options = parser.parse_args(arguments)
    if options.engine:
        print(json.dumps([row for size in options.sizes for row in rows_of(options.engine, size)]))
        return
    engines = [name for name in transforms.ENGINES if name == "torch" or importlib.util.find_spec("pyfftw")]
    print(f"{machine()['processor']}: its own FFT is {transforms.engine()}", flush=True)
    rows = [row for engine in engines for row in _of_a_process(engine, options.sizes)]
    save("fft", with_ratios(rows))


def _of_a_process(engine: str, sizes: list[int]) -> list[dict[str, Any]]:
    """The rows of an engine, which a process chooses once; plans are those of a fresh cache."""
    command = [sys.executable, "-m", "benchmarks", "fft", "--engine", engine, "--sizes", *map(str, sizes)]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {transforms.VARIABLE: engine, "XDG_CACHE_HOME": cache}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found

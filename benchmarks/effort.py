"""Severity of the localized attack on total variation against the effort of its search, all places.

The rounds of the default search, every one with its steps times a factor. One certified solve judges what
each search leaves; its steps are counted apart. A step is one ADMM step on one image.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks.attack import Cell
from benchmarks.clock import processor_seconds
from benchmarks.problems import TUNED, save
from mrilib.attacks.searches.base import Round
from mrilib.attacks.searches.coupled import CoupledAscent

FACTORS = (0.5, 1.0, 2.0, 4.0)


def scaled(rounds: Sequence[Round], factor: float) -> tuple[Round, ...]:
    """Rounds of `factor` times the steps."""
    return tuple(Round(max(1, round(stage.steps * factor)), stage.keep) for stage in rounds)


def rows_of(cell: Cell, factors: Sequence[float]) -> list[dict[str, Any]]:
    """One row an effort, in the order of the factors."""
    rows: list[dict[str, Any]] = []
    for factor in factors:
        start = processor_seconds()
        rounds = scaled(CoupledAscent().rounds, factor)
        found = cell.attacked(cell.grid, CoupledAscent(rounds=rounds), "peak")
        severity = float(found.severity)
        rows.append(
            {
                "phantom": cell.phantom,
                "level": cell.level,
                "places": cell.grid**2,
                "times the default": factor,
                "search steps": float(found.stats["solver_steps"]),
                "judging steps": float(found.stats["judging_steps"]),
                "severity": severity,
                "more than the row before (%)": 100 * (severity / rows[-1]["severity"] - 1) if rows else "",
                "seconds": processor_seconds() - start,
            }
        )
    return rows


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks effort", description=__doc__)
    parser.add_argument("--grid", type=int, default=8, help="places along each axis")
    parser.add_argument("--phantoms", type=int, nargs="+", default=[0, 1, 2], metavar="INDEX")
    parser.add_argument("--levels", type=float, nargs="+", default=list(TUNED), choices=list(TUNED))
    parser.add_argument("--factors", type=float, nargs="+", default=list(FACTORS), metavar="FACTOR")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for phantom in options.phantoms:
        for level in options.levels:
            rows += rows_of(Cell(phantom, level, options.grid), options.factors)
    save("effort", rows)

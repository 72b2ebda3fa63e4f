"""Our localized attack against the reference attack: severity, counted steps, seconds.

Both search all places, and the same certified solver judges what they found. The reference is judged at
every place, as its protocol asks, and its best place by our own measure is taken, which favours it.
"""

import argparse
from typing import Any

from benchmarks.problems import TUNED, measured_phantom, save
from mrilib.attacks.localized import localized_attack
from mrilib.attacks.unrolled import UnrolledAdam
from mrilib.reconstructors.sparse import TotalVariation

# What the reference spends on its final reconstructions: 5000 steps at every place.
REFERENCE_JUDGING = 5000


def compare(index: int, level: float, grid: int) -> dict[str, Any]:
    """One row: phantom `index` under relative budget `level`."""
    _, kspace, operator = measured_phantom(index)
    method = TotalVariation(weight=TUNED[level], tolerance=1e-4)
    radius = level * float(kspace.norm())
    ours = localized_attack(method, kspace, operator, radius=radius, grid=grid, seed=0)
    theirs = localized_attack(
        method, kspace, operator, radius=radius, grid=grid, objective="disk", seed=0, search=UnrolledAdam()
    )
    searched, judged = float(ours.stats["solver_steps"]), float(ours.stats["judging_steps"])
    reference = float(theirs.stats["solver_steps"])
    whole = reference + REFERENCE_JUDGING * grid**2
    return {
        "phantom": index,
        "level": level,
        "places": grid**2,
        "severity": float(ours.severity),
        "reference severity": float(theirs.severity),
        "ratio": float(ours.severity / theirs.severity),
        "alpha": float(ours.amplification),
        "reference alpha": float(theirs.amplification),
        "search steps": searched,
        "judging steps": judged,
        "reference search steps": reference,
        "search ratio": reference / searched,
        "search and judging ratio": whole / (searched + judged),
        "seconds": float(ours.stats["seconds"]),
        "reference seconds": float(theirs.stats["seconds"]),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks attack", description=__doc__)
    parser.add_argument(
        "--grid", type=int, default=8, help="places along each axis (8: about 10 minutes a row)"
    )
    parser.add_argument("--phantoms", type=int, default=2)
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for index in range(options.phantoms):
        for level in TUNED:
            rows.append(compare(index, level, options.grid))
            save("attack", rows)

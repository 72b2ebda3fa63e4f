"""Peak memory of the localized attack against the number of steps: it must not grow."""

import multiprocessing
from typing import Any

from benchmarks.clock import memory
from benchmarks.problems import TUNED, measured_phantom, save
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.base import Round
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.reconstructors.total_variation import TotalVariation


def peak_megabytes(steps: int) -> float:
    """Peak resident memory of a process that attacks 16 places with this many steps each."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_attack, (steps,))


def _attack(steps: int) -> float:
    _, kspace, operator = measured_phantom(0)
    method = TotalVariation(weight=TUNED[0.04], tolerance=1e-3)
    search = CoupledAscent(rounds=(Round(steps, 1),))
    localized_attack(
        method, kspace, operator, radius=0.04 * float(kspace.norm()), grid=4, seed=0, search=search
    )
    return memory("VmHWM")


def main(arguments: list[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"steps at each place": steps, "peak memory (MB)": peak_megabytes(steps)} for steps in (20, 100, 500)
    ]
    save("memory", rows)

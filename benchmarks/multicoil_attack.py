"""The localized attack at one place on a raw brain, by every route: coupled, implicit, unrolled and two-step.

8 coils, 128×128 of the middle, four times columns, λ the best for the image; severities are those of
certified reconstructions, in units of the zero-filled maximum, and artifacts are relative to the clean image
in ℓ2. Seconds are processor time, with judging.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.clock import pin, processor_seconds
from benchmarks.multicoil_sizes import brain
from benchmarks.problems import save
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.base import Search
from mrilib.attacks.searches.coupled_coils import CoupledSplitting
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.searches.joint import JointDescent
from mrilib.attacks.searches.unrolled_ascent import UnrolledAscent
from mrilib.operators.bases import Wavelet
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.total_variation import TotalVariation

SIZE, LEVELS = 128, (0.02, 0.08)
CLIMB = [[40, 2], [60, 1]]
METHODS = {
    "ℓ1 wavelet": L1(basis=Wavelet("db4"), weight=6.4e-2, tolerance=1e-4),
    "TV isotropic": TotalVariation(weight=5.5e-2, coupling="isotropic", tolerance=1e-4),
}


def searches() -> Iterator[tuple[str, Search, int]]:
    """Name, search, restarts."""
    for steps, restarts in ((100, 1), (400, 1), (400, 2), (400, 3)):
        yield f"coupled, {steps} steps", CoupledSplitting(rounds=[[steps, 1]]), restarts
    for beta in (0.005, 0.02, 0.1):
        yield f"two-step, β = {beta:g}", JointDescent(beta=beta, rounds=[[400, 2]]), 2
    for unrolled in (20, 50):
        yield f"unrolled, {unrolled} steps", UnrolledAscent(unrolled=unrolled, rounds=CLIMB), 2
    yield "implicit derivative", GradientAscent(rounds=CLIMB), 2


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    kspace, operator = brain(folder, SIZE, SIZE)
    size = float(operator.kspace_norm(kspace))
    for name, method in METHODS.items():
        clean = method.solve(kspace, operator)
        for level in LEVELS:
            for label, search, restarts in searches():
                row: dict[str, Any] = {"method": name, "ε": level, "search": label, "restarts": restarts}
                start = processor_seconds()
                try:
                    found = localized_attack(
                        method,
                        kspace,
                        operator,
                        radius=level * size,
                        grid=1,
                        search=search,
                        restarts=restarts,
                        seed=0,
                        clean=clean,
                    )
                except FloatingPointError as error:
                    row["failed"] = str(error)
                else:
                    row |= {
                        "severity": float(found.severity),
                        "relative artifact": float(found.artifact.norm() / operator.seen(clean.value).norm()),
                        "gradients": float(found.stats["gradient_evaluations"]),
                    }
                row["seconds"] = processor_seconds() - start
                print(row, flush=True)
                yield row


def measure(folder: Path) -> None:
    torch.set_num_threads(1)
    pin()
    save("multicoil-attack", list(rows(folder)))

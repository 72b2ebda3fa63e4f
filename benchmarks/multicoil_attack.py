"""The localized attack at one place on a raw brain: coupled, through the implicit derivative, and two-step.

8 coils, 128×128 of the middle, four times columns, λ the best for the image; severities are those of
certified reconstructions, in units of the zero-filled maximum. Seconds are processor time, with judging.
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
from mrilib.operators.bases import Wavelet
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.total_variation import TotalVariation

SIZE, LEVELS = 128, (0.02, 0.08)
METHODS = {
    "ℓ1 wavelet": L1(basis=Wavelet("db4"), weight=6.4e-2, tolerance=1e-4),
    "TV isotropic": TotalVariation(weight=5.5e-2, coupling="isotropic", tolerance=1e-4),
}


def searches() -> Iterator[tuple[str, Search, int]]:
    """Name, search, restarts."""
    for steps, restarts in ((100, 1), (400, 1), (400, 3)):
        yield f"coupled, {steps} steps", CoupledSplitting(rounds=[[steps, 1]]), restarts
    for beta in (0.02, 0.1, 0.5):
        yield f"two-step, β = {beta:g}", JointDescent(beta=beta, rounds=[[400, 2]]), 2
    yield "implicit derivative", GradientAscent(rounds=[[40, 2], [60, 1]]), 2


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    kspace, operator = brain(folder, SIZE, SIZE)
    size = float(operator.kspace_norm(kspace))
    for name, method in METHODS.items():
        for level in LEVELS:
            for label, search, restarts in searches():
                start = processor_seconds()
                found = localized_attack(
                    method,
                    kspace,
                    operator,
                    radius=level * size,
                    grid=1,
                    search=search,
                    restarts=restarts,
                    seed=0,
                )
                row = {
                    "method": name,
                    "ε": level,
                    "search": label,
                    "restarts": restarts,
                    "severity": float(found.severity),
                    "steps or gradients": float(found.stats["gradient_evaluations"]),
                    "seconds": processor_seconds() - start,
                }
                print(row, flush=True)
                yield row


def measure(folder: Path) -> None:
    torch.set_num_threads(1)
    pin()
    save("multicoil-attack", list(rows(folder)))

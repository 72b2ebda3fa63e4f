"""What is compiled at the installation is all that jobs would compile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Larger than what is compiled on, and a search with every round.
USE = """
import torch
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.bases import Wavelet
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.total_variation import TotalVariation

image = ellipse_phantoms(1, size=64, seed=1)[0].to(torch.complex64)
one = MaskedFourier(mask=radial_mask(64, 20))
localized_attack(TotalVariation(weight=1e-3), one.forward(image), one, radius=1e-2, grid=2, seed=0)
columns = torch.arange(64) % 3 == 0
several = CoilFourier(mask=columns, coil_maps=torch.full((4, 64, 64), 0.5, dtype=torch.complex64))
for coupling in ("split", "complex", "isotropic"):
    TotalVariation(weight=1e-3, coupling=coupling).solve(one.forward(image), one)
    TotalVariation(weight=1e-3, coupling=coupling, tolerance=1e-3).solve(several.forward(image), several)
L1(basis=Wavelet(levels=2), weight=1e-3, tolerance=1e-3).solve(several.forward(image), several)
"""


@pytest.mark.slow
def test_what_jobs_use_is_compiled_at_the_installation(tmp_path: Path) -> None:
    def kept_after(*call: str) -> set[Path]:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *call], check=True, env=environment)
        return set(tmp_path.rglob("*.nbc"))

    ahead = kept_after("-m", "workflow_scripts.upkeep.compile")
    assert len(ahead) > 20
    assert kept_after("-c", USE) == ahead

"""`python -m workflow_scripts.upkeep.compile`: compile the loops of the solvers ahead of the first jobs.

numba compiles a loop when it first meets arrays of a kind, and keeps it beside the module. Small problems
make it meet them here, once, where jobs that start together would each compile for themselves. A processor
of another kind compiles anew.
"""

import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.operators.bases import Wavelet
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.couplings import COUPLINGS

SIZE = 32
# The second is below what single precision certifies, so that steps go on in double precision.
TOLERANCES = (1e-2, 1e-6)


def main() -> None:
    image = ellipse_phantoms(1, size=SIZE, seed=0)[0].to(torch.complex64)
    columns = torch.arange(SIZE) % 2 == 0
    one = MaskedFourier(mask=columns.expand(SIZE, SIZE))
    maps = torch.full((2, SIZE, SIZE), 0.5**0.5, dtype=torch.complex64)
    several = CoilFourier(mask=columns, coil_maps=maps)
    for operator in (one, several):
        kspace = operator.forward(image)
        for tolerance in TOLERANCES:
            for coupling in COUPLINGS:
                TotalVariation(weight=1e-3, coupling=coupling, tolerance=tolerance).solve(kspace, operator)
            L1(basis=Wavelet(levels=1), weight=1e-3, tolerance=tolerance).solve(kspace, operator)
    localized_attack(
        TotalVariation(weight=1e-3),
        one.forward(image),
        one,
        radius=1e-2,
        grid=1,
        search=CoupledAscent(rounds=[[2, 1]]),
        seed=0,
    )


if __name__ == "__main__":
    main()

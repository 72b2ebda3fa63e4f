"""Total variation."""

from typing import Any, ClassVar, Literal

import torch

from mrilib.operators.base import LinearOperator
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.convex import Convex
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.differentiation import Implicit, Unrolled

# Side of the image that loops are compiled on.
WARM = 16


class TotalVariation(Convex):
    """Minimise `½‖Az − y‖² + λ‖∇z‖₁` over complex images `z` to a certified relative accuracy.

    `∇` are periodic forward differences; `coupling` says what `‖·‖₁` sums:

    - `split`: `|Re|` and `|Im|` of every difference apart;
    - `complex`: the modulus of every complex difference;
    - `isotropic`: `√(|∂ₓz|² + |∂ᵧz|²)` of every pixel.

    Multi-coil data, of a `CoilFourier` operator, take a solver of their own (`coils.splitting`). Where all
    coil maps are zero the image is one that continues the rest with least variation.

    Args:
        weight: `λ > 0`, used as given, in the units of the image.
        coupling: `split`, `complex` or `isotropic`.
        tolerance: relative duality gap `(P − D)/P` at which it stops; the true error of the objective is
            smaller. Below 1e-5 the last steps run in float64.
        max_steps: steps after which it gives up.
        differentiation: `Implicit` (the derivative of the minimiser) or `Unrolled`. The latter's image with
            gradient is the one after its fixed steps; `solve`, and a call without gradient, still minimise.

    Raises:
        ValueError: for arguments out of range, an operator that is neither `MaskedFourier` nor
            `CoilFourier`, a single-coil mask without the zero frequency, coil maps that are zero, and k-space
            that is real or not finite.
        NotConvergedError: if it gives up.

    Source: [alaifari2023], eq. (3), there without ½, so that λ is half theirs; coupling `complex` is the
    equation as written, `split` is what the authors' public code does. Deviates: certified stop instead
    of 5000 steps.
    """

    word: ClassVar[str] = "total-variation"
    search = "mrilib.attacks.searches.coupled:CoupledAscent"
    on_one_coil = "mrilib.solvers.total_variation.admm:OneCoil"
    on_coils = "mrilib.solvers.coils.variation:SeveralCoils"

    def __init__(
        self,
        *,
        weight: float,
        coupling: Literal["split", "complex", "isotropic"] = "split",
        tolerance: float = 1e-5,
        max_steps: int = 20_000,
        differentiation: Implicit | Unrolled | None = None,
    ) -> None:
        super().__init__(
            weight=weight,
            tolerance=tolerance,
            max_steps=max_steps,
            differentiation=Implicit() if differentiation is None else differentiation,
        )
        if coupling not in COUPLINGS:
            raise ValueError(f"TotalVariation: expected coupling in {sorted(COUPLINGS)}, got {coupling!r}")
        self.coupling = coupling

    @property
    def model(self) -> dict[str, Any]:
        return {"weight": self.weight, "coupling": self.coupling}

    def warm_up(self, operator: LinearOperator) -> None:
        """Compile, or load, the fused loops of a single coil on a few pixels."""
        if isinstance(operator, MaskedFourier):
            pixel = torch.zeros((WARM, WARM), device=operator.mask.device)
            pixel[0, 0] = 1.0
            small = MaskedFourier(mask=torch.ones_like(pixel, dtype=torch.bool))
            self.solve(small.forward(pixel), small, throw=False)

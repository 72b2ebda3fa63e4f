"""ℓ1 in a basis: wavelets, cosines, Fourier."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from mrilib.operators.base import LinearOperator
from mrilib.operators.bases import Basis, Wavelet
from mrilib.reconstructors.base import check_kspace
from mrilib.reconstructors.convex import Convex
from mrilib.solvers.bases.cycle_spinning import random_shifts, spin
from mrilib.solvers.coils.data import Scaled, scaled_data
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import Solution, Status
from mrilib.store.classes import built


class L1(Convex):
    """Minimise `½‖Az − y‖² + λ‖Ψz‖₁` over complex images `z` to a certified relative accuracy.

    `‖·‖₁` sums the moduli of all coefficients, those of a wavelet's approximation included. Where all coil
    maps are zero nothing is measured, and `z` is what makes the norm smallest, given the rest.
    `line_splitting` solves it where coils are measured on whole lines, else `coils.splitting` where the basis
    zero-pads the image, and `fista`.

    With `cycle_spinning` every step shifts the image at random before the threshold and back after it, for
    `steps` steps: see `cycle_spinning.spin`. It is off by default because it minimises nothing: there is no
    gap or objective, the status is `fixed_steps`, and `tolerance`, `max_steps` and `start` have no effect.

    Args:
        basis: `Ψ`, or `{class: package.module:Name, arguments: {...}}`, which is how a config names it.
        weight: `λ > 0`, used as given, in the units of the image.
        tolerance: relative duality gap `(P − D)/P` at which it stops; the true error of the objective is
            smaller. Below about 1e-5 the last steps run in float64.
        max_steps: steps after which it gives up.
        differentiation: `Implicit` (the derivative of the minimiser) or `Unrolled`. The latter's image with
            gradient is the one after its fixed steps; `solve`, and a call without gradient, still minimise.
            With `cycle_spinning` it can only be `Unrolled`, by default through all `steps`.
        cycle_spinning: shift the image at random in every step; for wavelets.
        steps: number of steps with `cycle_spinning`. Our choice.
        seed: of the shifts.

    Raises:
        ValueError: for arguments out of range, a basis that is none or, with `cycle_spinning`, no wavelet, an
            operator that is neither `MaskedFourier` nor `CoilFourier`, coil maps that are zero, and k-space
            that is real or not finite.
        NotConvergedError: if it gives up.

    Source: [darestani2021], section 4. Deviates: a convex problem solved to accuracy, where the authors'
    public code takes steps of gradient descent at a weight that has no effect.
    """

    word: ClassVar[str] = "l1"
    on_one_coil = "mrilib.solvers.bases.posed:AnyCoils"
    on_coils = "mrilib.solvers.bases.line_splitting:SeveralCoils"

    def __init__(
        self,
        *,
        basis: Basis | Mapping[str, Any],
        weight: float,
        tolerance: float = 1e-5,
        max_steps: int = 20_000,
        differentiation: Implicit | Unrolled | None = None,
        cycle_spinning: bool = False,
        steps: int = 100,
        seed: int = 0,
    ) -> None:
        if differentiation is None:
            differentiation = Unrolled(steps=steps) if cycle_spinning else Implicit()
        super().__init__(
            weight=weight, tolerance=tolerance, max_steps=max_steps, differentiation=differentiation
        )
        self.basis = built(basis, Basis, "basis", "L1", such="an object")
        if steps < 1:
            raise ValueError(f"L1: expected steps >= 1, got {steps}")
        if cycle_spinning and not isinstance(self.basis, Wavelet):
            found = type(self.basis).__name__
            raise ValueError(f"L1: expected a wavelet for cycle_spinning, got {found}; leave it out")
        if cycle_spinning and isinstance(differentiation, Implicit):
            raise ValueError("L1: expected differentiation Unrolled with cycle_spinning, got Implicit")
        self.cycle_spinning, self.steps, self.seed = bool(cycle_spinning), int(steps), int(seed)

    @property
    def model(self) -> dict[str, Any]:
        return {"weight": self.weight, "basis": self.basis}

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Image `(*batch, y, x)` of `kspace` `(*batch, ky, kx)`, multi-coil `(*batch, coil, ky, kx)`."""
        derived = torch.is_grad_enabled() and kspace.requires_grad
        if derived and self.cycle_spinning and isinstance(self.differentiation, Unrolled):
            return self._spun(kspace, operator, self.differentiation.steps)[0]
        return super().__call__(kspace, operator)

    @torch.no_grad()
    def solve(
        self, kspace: Tensor, operator: LinearOperator, *, start: Any = None, throw: bool = True
    ) -> Solution:
        """Image with its certificate, as `Convex.solve`; without one if cycles spin."""
        if not self.cycle_spinning:
            return super().solve(kspace, operator, start=start, throw=throw)
        image, scaled = self._spun(kspace, operator, self.steps)
        finite = bool(torch.isfinite(torch.view_as_real(image)).all())
        status = Status.FIXED_STEPS if finite else Status.NOT_FINITE
        return Solution(image, status, {"steps": torch.full(scaled.batch, self.steps)})

    def _spun(self, kspace: Tensor, operator: LinearOperator, steps: int) -> tuple[Tensor, Scaled]:
        check_kspace(kspace, "L1")
        scaled = scaled_data(kspace, operator, "L1")
        measurement = replace(scaled.measurement, data=scaled.data(kspace, operator))  # type: ignore[arg-type]
        assert isinstance(self.basis, Wavelet)  # so the constructor has seen to
        shifts = random_shifts(steps, 2 ** self.basis.levels_of(*kspace.shape[-2:]), self.seed)
        image = spin(measurement, self.basis, scaled.weight(self.weight), shifts)
        return scaled.image(image), scaled

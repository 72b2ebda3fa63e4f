"""Coils whose data cannot be right, in words."""

import torch
from jaxtyping import Complex
from torch import Tensor


def coil_faults(kspace: Complex[Tensor, "coil ky kx"]) -> str:
    """Coils that are zero, and coils with NaN or infinite entries, counted from 0; empty without any.

    Such as `coils 2, 5 are zero, coil 0 is not finite`.
    """
    entries = torch.view_as_real(kspace.detach()).flatten(1)
    zero, wrong = ~entries.any(dim=1), ~entries.isfinite().all(dim=1)
    told = ((zero, "zero"), (wrong, "not finite"))
    return ", ".join(_named(which.nonzero().flatten().tolist(), what) for which, what in told if which.any())


def _named(coils: list[int], what: str) -> str:
    numbers = ", ".join(map(str, coils))
    return f"coil {numbers} is {what}" if len(coils) == 1 else f"coils {numbers} are {what}"

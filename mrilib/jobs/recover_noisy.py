"""How amplification falls with the weight and the level of noise, on draws whose thresholds are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mrilib.jobs.recover import BATCH, drawn
from mrilib.solvers.lasso import lasso
from mrilib.theory.sampling import measured


def recover_noisy(
    entry: Mapping[str, Any],
    thresholds: pd.DataFrame,
    size: int,
    sparsity: int,
    *,
    surplus: float,
    weights: Sequence[float],
    levels: Sequence[float],
    seed: int,
) -> pd.DataFrame:
    """Amplification of the closed-form spike by `½‖Az − y‖² + λ‖z‖₁`, on the draws of an entry.

    Every draw has `surplus` times the frequencies of its threshold, so that both signals are recovered where
    nothing is penalised. `x` has entries of modulus 1 (our choice). `e = η·Aδ/‖Aδ‖₂`, `η = level·‖Ax‖₂`, at
    the place of the entry's artifact, `ρ = rec(y + e) − rec(y)`, `r = Aᴴe`, and `λ = weight·‖r‖∞`.

    A minimiser on a fixed support shrinks a spike that stands alone by `λn/m`: `α = (n/m)(1 − weight)` there.
    What differs is how the spike and the entries of `x` weigh on each other.

    Args:
        entry: of the config, with `signal`, `sampling`, `artifact`, `width`.
        thresholds: its recoveries at this size and sparsity, in the order of the draws.
        size, sparsity: of the draws.
        surplus: 1 or more.
        weights: `λ/‖r‖∞`.
        levels: `‖e‖₂/‖Ax‖₂`.
        seed: of the run.

    Returns:
        A row a draw, weight and level: `NOISY_KINDS` of `mrilib.theory.tables`.

    Source: [alaifari2023], section 5; the noisy case is our question.
    """
    rows = []
    for first in range(0, len(thresholds), BATCH):
        part = thresholds.iloc[first : first + BATCH]
        order, instances = drawn(entry, size, sparsity, first, len(part), seed)
        counts = torch.tensor(part["recovered"].tolist())
        samples = (counts * surplus).ceil().long().clamp(max=size)
        fourier = measured(order, samples - 1)
        x = instances.x.signal
        data = fourier.forward(x)
        spike = fourier.forward(instances.artifact)
        norm = torch.linalg.vector_norm
        for level in levels:
            budget = level * norm(data, dim=-1, keepdim=True)
            perturbation = budget * spike / norm(spike, dim=-1, keepdim=True)
            seen = fourier.adjoint(perturbation).abs().amax(dim=-1)
            for weight in weights:
                clean = lasso(fourier, data, weight * seen)
                perturbed = lasso(fourier, data + perturbation, weight * seen)
                artifact = (perturbed.value - clean.value).abs().amax(dim=-1)
                columns: dict[str, Tensor] = {
                    "samples": fourier.mask.sum(dim=-1),
                    "amplification": artifact / seen,
                    "distance": norm(clean.value - x, dim=-1) / norm(x, dim=-1),
                    "gap": torch.maximum(clean.gap, perturbed.gap),
                }
                found = pd.DataFrame({name: value.numpy() for name, value in columns.items()})
                rows.append(found.assign(draw=part["draw"].to_numpy(), weight=weight, level=level))
        print(f"draws {first} to {first + len(part) - 1} of {len(thresholds)}", flush=True)
    return pd.concat(rows, ignore_index=True).assign(size=size, sparsity=sparsity)

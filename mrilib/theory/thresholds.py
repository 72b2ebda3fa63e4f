"""How many frequencies a signal needs: a threshold for every draw, with proofs on both sides."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum
from mrilib.solvers.recovery import Decision, Outcome, decide
from mrilib.solvers.sign_patterns import SignPattern
from mrilib.theory.sampling import measured

Candidate = Callable[[PartialFourier, SignPattern], Spectrum | None]


@dataclass(frozen=True)
class Thresholds:
    """Of every draw.

    Args:
        level: the least level from which recovery is proved; of the set of all frequencies at most.
        recovered: number of frequencies there.
        refuted: the greatest number of frequencies at which it is refuted; 0 if none was tried. The threshold
            is above, and at most `recovered`: they differ by one step where nothing was undecided.
        undecided: number of sets that stayed undecided.
        bound: `‖v_off‖∞` of the proof at `recovered`; NaN if it holds by a formula.
        smallest: `σ_min(A_S)` there.
    """

    level: Int[Tensor, "draw"]
    recovered: Int[Tensor, "draw"]
    refuted: Int[Tensor, "draw"]
    undecided: Int[Tensor, "draw"]
    bound: Float[Tensor, "draw"]
    smallest: Float[Tensor, "draw"]


def find_thresholds(
    order: Int[Tensor, "draw size"],
    pattern: SignPattern,
    *,
    highest: Int[Tensor, "draw"] | None = None,
    candidate: Candidate | None = None,
    max_steps: int,
) -> Thresholds:
    """Bisect the levels of nested sets for the least at which recovery is proved.

    A proof holds for every larger set, and a refutation for every smaller one, so that the levels of one draw
    are recovered from some level on. An undecided set counts as not proved, and is no refutation.

    Args:
        order: ranks of the frequencies: see `mrilib.theory.sampling.ranks`.
        pattern: supports and signs.
        highest: levels at which recovery holds by other proofs; by default those of all frequencies.
        candidate: a dual vector to begin with, beside that of least squares.
        max_steps: of `decide`.
    """
    top = order.amax(dim=-1)
    high = top.clone() if highest is None else highest.clone()
    low = torch.full_like(high, -1)
    refuted, undecided = torch.zeros_like(high), torch.zeros_like(high)
    bound = torch.full(high.shape, torch.nan, dtype=torch.float64)
    while bool((open_ := high - low > 1).any()):
        items = open_.nonzero()[:, 0]
        middle = (high[items] + low[items]) // 2
        fourier = measured(order[items], middle)
        found = decided(fourier, pattern[items], candidate, max_steps)
        proved, against = found.outcome == Outcome.RECOVERED, found.outcome == Outcome.REFUTED
        high[items[proved]] = middle[proved]
        bound[items[proved]] = found.bound[proved]
        low[items[~proved]] = middle[~proved]
        counts = fourier.mask.sum(dim=-1)
        refuted[items[against]] = torch.maximum(refuted[items[against]], counts[against])
        undecided[items[found.outcome == Outcome.UNDECIDED]] += 1
    last = measured(order, high)
    gram = last.gram(pattern.index, pattern.valid)
    smallest = torch.linalg.eigvalsh(gram)[..., 0].clamp(min=0.0).sqrt()
    return Thresholds(high, last.mask.sum(dim=-1), refuted, undecided, bound, smallest)


def decided(
    fourier: PartialFourier, pattern: SignPattern, candidate: Candidate | None, max_steps: int
) -> Decision:
    """`decide`, with a dual vector to begin with if there is one."""
    start = None if candidate is None else candidate(fourier, pattern)
    return decide(fourier, pattern, start=start, max_steps=max_steps)


def amplification(
    fourier: PartialFourier, artifact: Complex[Tensor, "draw size"]
) -> dict[str, Float[Tensor, "draw"]]:
    """What an artifact `ρ` is to the data `e = Aρ` that make it, if `x` and `x + ρ` are recovered.

    With `r = AᴴAρ`: `amplification` `‖ρ‖∞/‖r‖∞`; `least`, `(‖ρ‖∞/‖ρ‖₁)·n/m`, which it cannot fall below, as
    no entry of `AᴴA` is larger than `m/n`; `amplification_l2` `‖ρ‖₂/‖r‖₂`; and `flatness` `√m·‖e‖∞/‖e‖₂`.

    For a spike `r` is a column of `AᴴA`, whose largest entry is `m/n` at the spike and whose norm is
    `√(m/n)`: the amplifications are `n/m` and `√(n/m)` exactly. Its data have modulus `1/√n` at every
    frequency, so its flatness is 1, and none is smaller: `‖e‖₂² ≤ m‖e‖∞²`, with equality for equal moduli
    alone. So no data of its norm have a smaller largest entry.

    Source: [alaifari2023], section 5.
    """
    data = fourier.forward(artifact)
    seen = fourier.adjoint(data).abs()
    moduli, counts = artifact.abs(), fourier.mask.sum(dim=-1)
    norm = torch.linalg.vector_norm
    largest = moduli.amax(dim=-1)
    return {
        "amplification": largest / seen.amax(dim=-1),
        "least": largest / moduli.sum(dim=-1) * fourier.size / counts,
        "amplification_l2": norm(moduli, dim=-1) / norm(seen, dim=-1),
        "flatness": counts.double().sqrt() * data.abs().amax(dim=-1) / norm(data, dim=-1),
    }

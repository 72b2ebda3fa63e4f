"""Whether ℓ1 minimisation returns a signal from some of its frequencies: proved, refuted, or undecided."""

import math
from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum
from mrilib.solvers.sign_patterns import EPSILON, FFT_ERROR, Duals, SignPattern

# Of signals whose entries have modulus 1: what an entry shrinks by in a step.
STEP = 0.01
# Steps from one look at proofs to the next.
EVERY = 50


class Outcome(IntEnum):
    """What is known of an instance."""

    REFUTED = -1
    UNDECIDED = 0
    RECOVERED = 1


@dataclass(frozen=True)
class Decision:
    """Of every instance of a batch.

    Args:
        outcome: an `Outcome`.
        bound: `‖v_off‖∞` of the dual vector that is the proof, with its rounding; NaN without one.
        smallest: `σ_min(A_S)`.
        excess: `1 − ‖z‖₁/‖x‖₁` of the feasible `z` that refutes, rounding taken off; NaN without one.
        steps: of the splitting.
    """

    outcome: Int[Tensor, "batch"]
    bound: Float[Tensor, "batch"]
    smallest: Float[Tensor, "batch"]
    excess: Float[Tensor, "batch"]
    steps: Int[Tensor, "batch"]


def decide(
    fourier: PartialFourier,
    pattern: SignPattern,
    *,
    start: Spectrum | None = None,
    max_steps: int = 1000,
) -> Decision:
    """Whether signals with these supports and signs are the only minimisers of `‖z‖₁` subject to `Az = Ax`.

    The moduli have no part in it, so that all are 1 here. In turn:

    1. the dual vector `v = Aᴴq` with `v_S = sgn(x_S)` of the least `‖q‖₂`, and the one nearest to `start`;
    2. Douglas–Rachford splitting of `‖z‖₁` and `Az = Ax`. Its dual vectors, corrected on the support, prove;
       its feasible points, of smaller norm than `x`, refute;
    3. the dual vector with the least `‖v_off‖∞`, by the same splitting of that problem.

    *Recovered*: `A_S` is injective and `‖v_off‖∞ < 1`, both beyond rounding (see `Duals.bound`). *Refuted*: a
    `z` with `Az = Ax` has `‖z‖₁ < ‖x‖₁` by more than rounding, or the support has more entries than there are
    frequencies. Else *undecided*.

    Args:
        fourier: frequencies, `(batch, n)`.
        pattern: supports and signs.
        start: a guess of the dual vectors.
        max_steps: of the first splitting; the second takes half as many.

    Source: [candes2006] for the condition; [eckstein1992] for the splitting. Step and number of steps are our
    choice: they decide how many stay undecided, and no outcome.
    """
    duals = Duals(fourier, pattern)
    count = fourier.mask.shape[0]
    none = torch.full((count,), math.nan, dtype=torch.float64, device=fourier.mask.device)
    state = _State(
        outcome=torch.zeros(count, dtype=torch.long, device=fourier.mask.device),
        bound=none.clone(),
        excess=none.clone(),
        steps=torch.zeros(count, dtype=torch.long, device=fourier.mask.device),
    )
    state.outcome[pattern.valid.sum(dim=-1) > fourier.mask.sum(dim=-1)] = Outcome.REFUTED
    first = duals.least_squares
    everything = torch.arange(count, device=fourier.mask.device)
    state.prove(everything, duals, first, steps=0)
    if start is not None:
        state.prove(everything, duals, duals.nearest(start), steps=0)
    last = _split(duals, first, state, max_steps)
    _minimise_bound(duals, last, state, max_steps // 2)
    return Decision(state.outcome, state.bound, duals.smallest, state.excess, state.steps)


@dataclass
class _State:
    """What is known so far."""

    outcome: Tensor
    bound: Tensor
    excess: Tensor
    steps: Tensor

    def running(self, duals: Duals) -> Tensor:
        """Instances that something could still decide."""
        return ((self.outcome == Outcome.UNDECIDED) & duals.injective).nonzero()[:, 0]

    def prove(self, items: Tensor, duals: Duals, vectors: Spectrum, steps: int) -> None:
        """Take the proofs among dual vectors of these instances."""
        bound = duals.bound(vectors)
        proved = (bound < 1.0) & (self.outcome[items] == Outcome.UNDECIDED)
        found = items[proved]
        self.outcome[found] = Outcome.RECOVERED
        self.bound[found] = bound[proved]
        self.steps[items] += steps

    def refute(self, items: Tensor, excess: Tensor) -> None:
        refuted = (excess > 0.0) & (self.outcome[items] == Outcome.UNDECIDED)
        found = items[refuted]
        self.outcome[found] = Outcome.REFUTED
        self.excess[found] = excess[refuted]


def _split(duals: Duals, first: Spectrum, state: _State, max_steps: int) -> Spectrum:
    """Douglas–Rachford of `‖z‖₁` and `Az = Ax`; the last dual vectors."""
    last = first.clone()
    items = state.running(duals)
    if not items.numel():
        return last
    here = duals[items]
    signal = here.pattern.signal
    data = here.fourier.forward(signal)
    moving = signal + STEP * first[items]
    for _ in range(0, max_steps, EVERY):
        for _ in range(EVERY):
            sparse = shrunk(moving, STEP)
            moving = moving + here.fourier.solving(2 * sparse - moving, data) - sparse
        sparse = shrunk(moving, STEP)
        vectors = here.nearest((moving - sparse) / STEP)
        last[items] = vectors
        state.prove(items, here, vectors, EVERY)
        state.refute(items, smaller_norm(here.fourier, signal, sparse))
        going = state.outcome[items] == Outcome.UNDECIDED
        if not bool(going.any()):
            break
        if not bool(going.all()):
            items, moving, signal, data = items[going], moving[going], signal[going], data[going]
            here = here[going]
    return last


def _minimise_bound(duals: Duals, start: Spectrum, state: _State, max_steps: int) -> None:
    """Douglas–Rachford of `‖v_off‖∞` and `v = Aᴴq, v_S = sgn(x_S)`, until it is a proof."""
    items = state.running(duals)
    if not items.numel():
        return
    here, moving = duals[items], start[items]
    for _ in range(0, max_steps, EVERY):
        for _ in range(EVERY):
            vectors = here.nearest(moving)
            moving = moving + _flattened(2 * vectors - moving, here.pattern.on) - vectors
        state.prove(items, here, here.nearest(moving), EVERY)
        going = state.outcome[items] == Outcome.UNDECIDED
        if not bool(going.any()):
            break
        if not bool(going.all()):
            items, moving, here = items[going], moving[going], here[going]


def _flattened(vector: Spectrum, on: Tensor) -> Spectrum:
    """The prox of `‖v_off‖∞`: moduli off the support cut at the level that takes 1 from them in all."""
    moduli = torch.where(on, 0.0, vector.abs())
    ordered = moduli.sort(dim=-1, descending=True).values
    counts = torch.arange(1, moduli.shape[-1] + 1, dtype=moduli.dtype, device=moduli.device)
    levels = (ordered.cumsum(dim=-1) - 1.0) / counts
    above = (ordered > levels).sum(dim=-1, keepdim=True)
    level = levels.gather(-1, above - 1).clamp(min=0.0)
    tiny = torch.finfo(moduli.dtype).tiny
    factor = (level / moduli.clamp(min=tiny)).clamp(max=1.0)
    return torch.where(on, vector, factor * vector)


def shrunk(signal: Spectrum, threshold: Float[Tensor, "*batch 1"] | float) -> Spectrum:
    """The prox of `threshold·‖·‖₁`: every modulus is smaller by it, or 0."""
    moduli = signal.abs()
    tiny = torch.finfo(moduli.dtype).tiny
    return signal * (1.0 - threshold / moduli.clamp(min=tiny)).clamp(min=0.0)


def smaller_norm(
    fourier: PartialFourier, signal: Complex[Tensor, "batch size"], other: Complex[Tensor, "batch size"]
) -> Float[Tensor, "batch"]:
    """`1 − ‖z‖₁/‖x‖₁`, less rounding, of the `z` nearest to `other` with `Az = Ax`; above 0 it refutes `x`.

    `z = x + h`, `h = other − x` without what is measured of it. What a computed `h` still has of that, at
    most `‖Ah‖₂` and the rounding `δ` of an FFT, costs `√n(‖Ah‖₂ + δ)` of the ℓ1 norm.
    """
    change = other - signal
    change = change - fourier.seen(change)
    size = fourier.size
    steps = max(1.0, math.log2(size))
    rounding = FFT_ERROR * steps * EPSILON * torch.linalg.vector_norm(change, dim=-1)
    left = torch.linalg.vector_norm(fourier.forward(change), dim=-1) + rounding
    norm, whole = (signal + change).abs().sum(dim=-1), signal.abs().sum(dim=-1)
    wrong = math.sqrt(size) * left + 2.0 * size * EPSILON * (norm + whole)
    return (whole - norm - wrong) / whole

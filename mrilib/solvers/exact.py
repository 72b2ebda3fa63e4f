"""Basis pursuit and total variation pursuit of signals in one dimension: the data are met exactly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum, frequency_mask
from mrilib.solvers.recovery import EVERY, Outcome, decide, shrunk
from mrilib.solvers.sign_patterns import Duals, SignPattern
from mrilib.solvers.solution import NotConvergedError, Solution, Status

# What an entry shrinks by in a step, of the largest entry that the data can hold if it stands alone.
STEP = 0.03
# Of the splitting; below 2.
RELAXATION = 1.6
# An item within the tolerance goes on for half as many steps and these, for a support that proves itself.
FURTHER = 200
# Steps of the last search for a proof.
PROVING = 1000
# Data that the finish leaves unmet, of their norm, and still counts as meeting them.
UNMET = 1e-10
# Below this part of the largest an entry is none of the support.
NOTHING = 1e-8


def basis_pursuit(
    samples: Complex[Tensor, "*batch samples"],
    frequencies: Int[Tensor, "*#batch samples"] | Sequence[int],
    size: int,
    *,
    tolerance: float = 1e-6,
    max_steps: int = 20_000,
    throw: bool = True,
) -> Solution:
    """Minimise `‖z‖₁` over complex `z` with `Σ_j z_j exp(−2πi f j/n)/√n = samples_f`, `j` from 0, `n = size`.

    Over-relaxed Douglas–Rachford splitting, with a projection onto the data in every step. What it finds is
    finished by least squares on its support, so that a sparse minimiser is exact up to rounding. The gap to
    the best dual vector decides when it ends. An item within the tolerance goes on for a while, until its
    support is proved to be that of the only minimiser.

    Args:
        samples: `b`, of every item.
        frequencies: any integers, each once mod `n`; those of every item, or one set for all.
        size: `n`, the length of `z`.
        tolerance: relative gap, `(‖z‖₁ − Re⟨q, b⟩)/‖z‖₁` with `‖Aᴴq‖∞ ≤ 1`.
        max_steps: of the splitting.
        throw: whether an item that does not reach the tolerance is an error.

    Returns:
        `value`, complex128 `(*batch, size)`. `stats`, one entry an item: `objective` `‖z‖₁`, `gap`
        (relative), `steps`, `smallest` (`σ_min(A_S)` on the support of the solution), `bound` (`‖v_off‖∞` of
        a dual vector with the signs of the solution, with its rounding), and `unique`: whether these prove
        that no other `z` is a minimiser. `bound` and `smallest` are NaN where the solution has no support of
        at most as many entries as there are samples.

    Raises:
        ValueError: if a shape, a size or a sample is not as above.
        NotConvergedError: if an item ends above the tolerance, and `throw`.

    Source: [alaifari2023], section 5, theorem 5.1; [eckstein1992] for the splitting.
    """
    problem = _posed(samples, torch.as_tensor(frequencies), size, "basis_pursuit")
    found = _pursued(problem, tolerance, max_steps)
    return _solution(found, found.value, problem.batch, "basis_pursuit", tolerance, throw)


def total_variation_pursuit(
    samples: Complex[Tensor, "*batch samples"],
    frequencies: Int[Tensor, "*#batch samples"] | Sequence[int],
    size: int,
    *,
    tolerance: float = 1e-6,
    max_steps: int = 20_000,
    throw: bool = True,
) -> Solution:
    """Minimise `‖Dz‖₁`, `(Dz)_j = z_{j+1} − z_j` with `z_n = z_0`, subject to the samples of `basis_pursuit`.

    The differences `w = Dz` have the spectrum `(exp(2πi f/n) − 1)ẑ_f`, known where `ẑ_f` is, and 0 at `f = 0`
    whatever `z` is. So this is basis pursuit of `w` with frequency 0 added, and `z` is the running sum of `w`
    with the mean that frequency 0 has. Without frequency 0 among the samples the mean is not determined by
    the problem: the solution of mean 0 is returned.

    Args and errors: as `basis_pursuit`.

    Returns:
        `value`, `(*batch, size)`; `stats` of the basis pursuit of the differences. `unique` says that the
        differences are; with frequency 0 so is `z`.

    Source: [alaifari2023], section 5, theorem 5.2.
    """
    problem = _posed(samples, torch.as_tensor(frequencies), size, "total_variation_pursuit")
    number = torch.arange(size, device=samples.device, dtype=torch.float64)
    step = torch.polar(torch.ones_like(number), 2.0 * math.pi * number / size) - 1.0
    mask = problem.fourier.mask.clone()
    mask[:, 0] = True
    differences = _Problem(PartialFourier(mask), problem.data * step, problem.batch)
    found = _pursued(differences, tolerance, max_steps)
    summed = found.value.cumsum(dim=-1)
    # Place j holds w_0 + … + w_{j−1}.
    signal = torch.cat([torch.zeros_like(summed[:, :1]), summed[:, :-1]], dim=-1)
    signal = signal - signal.mean(dim=-1, keepdim=True) + problem.data[:, :1] / math.sqrt(size)
    return _solution(found, signal, problem.batch, "total_variation_pursuit", tolerance, throw)


@dataclass(frozen=True)
class _Problem:
    """Items in one row: frequencies and data `(item, n)`, in the order of `torch.fft.fft`."""

    fourier: PartialFourier
    data: Complex[Tensor, "item size"]
    batch: tuple[int, ...]

    def __getitem__(self, items: Tensor) -> "_Problem":
        return _Problem(self.fourier[items], self.data[items], self.batch)


@dataclass
class _Found:
    value: Spectrum
    objective: Float[Tensor, "item"]
    gap: Float[Tensor, "item"]
    smallest: Float[Tensor, "item"]
    bound: Float[Tensor, "item"]
    steps: Int[Tensor, "item"]

    def take(self, items: Tensor, other: "_Found", better: Bool[Tensor, "some"]) -> None:
        """Put what is better in its place."""
        for name in ("value", "objective", "gap", "smallest", "bound"):
            getattr(self, name)[items[better]] = getattr(other, name)[better]


def _posed(samples: Tensor, frequencies: Tensor, size: int, where: str) -> _Problem:
    if size < 1 or samples.ndim < 1 or not samples.shape[-1] or frequencies.shape[-1:] != samples.shape[-1:]:
        raise ValueError(
            f"{where}: expected a size of 1 or more and as many frequencies as samples, at least one, got "
            f"size {size}, {tuple(samples.shape)} samples and {tuple(frequencies.shape)} frequencies"
        )
    if frequencies.is_floating_point() or frequencies.is_complex():
        raise ValueError(f"{where}: expected whole frequencies, got {frequencies.dtype}; round them")
    if not bool(samples.isfinite().all()):
        raise ValueError(f"{where}: expected finite samples; leave out items that have others")
    flat = samples.reshape(-1, samples.shape[-1]).to(torch.complex128)
    places = frequencies.to(samples.device).expand(samples.shape).reshape(flat.shape)
    mask = frequency_mask(places, size)
    data = torch.zeros(mask.shape, dtype=torch.complex128, device=samples.device)
    data.scatter_(-1, (places % size).long(), flat)
    return _Problem(PartialFourier(mask), data, tuple(samples.shape[:-1]))


def _pursued(problem: _Problem, tolerance: float, max_steps: int) -> _Found:
    """The splitting, with a look at gap and support every so many steps."""
    count = problem.data.shape[0]
    start = problem.fourier.adjoint(problem.data)
    inf = torch.full((count,), math.inf, dtype=torch.float64, device=start.device)
    found = _Found(
        start.clone(), inf, inf.clone(), inf * math.nan, inf * math.nan, torch.zeros_like(inf).long()
    )
    items = torch.arange(count, device=start.device)
    measured = problem.fourier.mask.sum(dim=-1, keepdim=True)
    peak = start.abs().amax(dim=-1, keepdim=True) * problem.fourier.size / measured
    threshold = (STEP * peak).clamp(min=torch.finfo(torch.float64).tiny)
    here, moving, limit = problem, start, torch.full_like(items, 0)
    for taken in range(0, max_steps + 1, EVERY):
        sparse = shrunk(moving, threshold)
        other = _judged(here, sparse, (moving - sparse) / threshold)
        found.take(items, other, (other.gap < found.gap[items]) | (other.bound < 1.0))
        found.steps[items] = taken
        within = found.gap[items] <= tolerance
        limit = torch.where(within, limit, taken + taken // 2 + FURTHER)
        going = ~(found.bound[items] < 1.0) & (taken < limit)
        if not bool(going.any()):
            break
        items, here, moving = items[going], here[going], moving[going]
        threshold, limit = threshold[going], limit[going]
        for _ in range(EVERY):
            sparse = shrunk(moving, threshold)
            solving = here.fourier.solving(2 * sparse - moving, here.data)
            moving = moving + RELAXATION * (solving - sparse)
    _prove(problem, found)
    return found


def _judged(problem: _Problem, sparse: Spectrum, subgradient: Spectrum) -> _Found:
    """The better of two feasible points, by their gaps: the nearest one, and least squares on the support."""
    fourier, data = problem.fourier, problem.data
    plain = _with_gap(problem, fourier.solving(sparse, data), fourier.seen(subgradient))
    on = _support(sparse)
    counts = on.sum(dim=-1)
    some = ((counts > 0) & (counts <= fourier.mask.sum(dim=-1))).nonzero()[:, 0]
    if some.numel():
        finished, whole = _finished(problem[some], on[some], subgradient[some])
        better = whole & ((finished.gap <= plain.gap[some]) | (finished.bound < 1.0))
        plain.take(some, finished, better)
    return plain


def _prove(problem: _Problem, found: _Found) -> None:
    """Look for a proof where the dual vectors of the splitting ended at modulus 1 off the support."""
    on = _support(found.value)
    few = on.sum(dim=-1) <= problem.fourier.mask.sum(dim=-1)
    items = (~(found.bound < 1.0) & few & on.any(dim=-1)).nonzero()[:, 0]
    if not items.numel():
        return
    duals, value, meets = _least_squares(problem[items], on[items])
    items, value, duals = items[meets], value[meets], duals[meets]
    if not items.numel():
        return
    decision = decide(duals.fourier, duals.pattern, max_steps=PROVING)
    proved = decision.outcome == Outcome.RECOVERED
    other = _with_gap(problem[items], value, duals.least_squares)
    other.gap.zero_()
    other.smallest, other.bound = decision.smallest, decision.bound
    found.take(items, other, proved)


def _support(sparse: Spectrum) -> Bool[Tensor, "item size"]:
    moduli = sparse.abs()
    return moduli > NOTHING * moduli.amax(dim=-1, keepdim=True)


def _finished(
    problem: _Problem, on: Bool[Tensor, "item size"], subgradient: Spectrum
) -> tuple[_Found, Bool[Tensor, "item"]]:
    """Least squares on supports, with the dual vector corrected there; and whether the data are met."""
    duals, value, meets = _least_squares(problem, on)
    vector = duals.nearest(subgradient)
    found = _with_gap(problem, value, vector)
    found.smallest, found.bound = duals.smallest, duals.bound(vector)
    return found, meets


def _least_squares(
    problem: _Problem, on: Bool[Tensor, "item size"]
) -> tuple[Duals, Spectrum, Bool[Tensor, "item"]]:
    """Signals on supports, nearest to the data; dual vectors of their signs; whether they meet the data."""
    most = int(on.sum(dim=-1).max())
    valid, index = on.long().sort(dim=-1, descending=True, stable=True)
    index, valid = index[:, :most], valid[:, :most] > 0
    unsigned = torch.zeros(index.shape, dtype=torch.complex128, device=index.device)
    duals = Duals(problem.fourier, SignPattern(index, unsigned, valid, problem.fourier.size))
    values = duals.solved(duals.pattern.at(problem.fourier.adjoint(problem.data)))
    value = duals.pattern.spread(values)
    unmet = torch.linalg.vector_norm(problem.data - problem.fourier.forward(value), dim=-1)
    meets = unmet <= UNMET * torch.linalg.vector_norm(problem.data, dim=-1)
    return duals.signed(torch.where(valid, torch.sgn(values), 0)), value, meets & duals.injective


def _with_gap(problem: _Problem, value: Spectrum, vector: Spectrum) -> _Found:
    """A feasible point with its gap to `Re⟨q, b⟩` of a dual vector `v = Aᴴq`, scaled to `‖v‖∞ ≤ 1`."""
    back = problem.fourier.adjoint(problem.data)
    objective = value.abs().sum(dim=-1)
    dual = (vector.conj() * back).sum(dim=-1).real / vector.abs().amax(dim=-1).clamp(min=1.0)
    tiny = torch.finfo(torch.float64).tiny
    gap = (objective - dual) / objective.clamp(min=tiny)
    none = torch.full_like(objective, math.nan)
    return _Found(value, objective, gap, none, none.clone(), torch.zeros_like(none).long())


def _solution(
    found: _Found, value: Spectrum, batch: tuple[int, ...], name: str, tolerance: float, throw: bool
) -> Solution:
    numbers = {
        key: getattr(found, key).reshape(batch) for key in ("objective", "gap", "steps", "smallest", "bound")
    }
    status = Status.CONVERGED if bool((found.gap <= tolerance).all()) else Status.MAX_STEPS
    solution = Solution(
        value.reshape(*batch, value.shape[-1]), status, numbers | {"unique": numbers["bound"] < 1.0}
    )
    if throw and status.failed:
        raise NotConvergedError(
            f"{name}: {int((found.gap > tolerance).sum())} of {found.gap.numel()} items ended above a "
            f"relative gap of {tolerance:.1e}, the worst at {float(found.gap.max()):.1e}; allow more "
            "max_steps, or a larger tolerance",
            solution,
        )
    return solution

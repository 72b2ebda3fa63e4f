"""What proves that a sparse signal is the only minimiser: dual vectors of its signs."""

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier, Spectrum

EPSILON = torch.finfo(torch.float64).eps
# An FFT of length n in floating point errs by less than this times log₂n·ε·‖input‖₂ (Higham, section 24.1:
# the constant there is below 6 with twiddle factors to full precision).
FFT_ERROR = 8.0


@dataclass(frozen=True)
class SignPattern:
    """Where signals are not zero, and their signs there.

    Args:
        index: places `S`, from 0.
        signs: `sgn(x_S)`, of modulus 1.
        valid: which entries count, so that supports of several sizes are one batch; the others are any places
            of the item that are off its support or on it, and do nothing.
        size: `n`.
    """

    index: Int[Tensor, "*batch support"]
    signs: Complex[Tensor, "*batch support"]
    valid: Bool[Tensor, "*batch support"]
    size: int

    def __getitem__(self, items: Tensor) -> "SignPattern":
        return SignPattern(self.index[items], self.signs[items], self.valid[items], self.size)

    @cached_property
    def on(self) -> Bool[Tensor, "*batch size"]:
        """Whether a place is in the support."""
        counts = torch.zeros(*self.index.shape[:-1], self.size, dtype=torch.long, device=self.index.device)
        return counts.scatter_add_(-1, self.index, self.valid.long()) > 0

    def spread(self, values: Complex[Tensor, "*batch support"]) -> Spectrum:
        """The signal with these values on the support, and zeros."""
        empty = torch.zeros(*self.index.shape[:-1], self.size, dtype=values.dtype, device=values.device)
        return empty.scatter_add_(-1, self.index, torch.where(self.valid, values, 0))

    def at(self, signal: Spectrum) -> Complex[Tensor, "*batch support"]:
        """Values on the support; 0 for entries that do not count."""
        return torch.where(self.valid, signal.gather(-1, self.index), 0)

    @property
    def signal(self) -> Spectrum:
        """The signal of all moduli 1."""
        return self.spread(self.signs)


class Duals:
    """Vectors `v = Aᴴq` with `v_S = sgn(x_S)`, for a batch of sign patterns.

    If one of them has `|v_j| < 1` off the support, and `A_S` is injective, then `x` is the only minimiser of
    `‖z‖₁` among all `z` with `Az = Ax`: any other `z` has `‖z‖₁ ≥ Re⟨v, z⟩ = Re⟨q, Az⟩ = ‖x‖₁`, with equality
    only if it is zero off the support, where `A_S` tells it from `x`.

    The same `v` proves it for every signal with these signs, however small its entries; for every signal
    with the signs of a part of the support; and for every larger set of frequencies.

    Args:
        fourier: the frequencies of each item.
        pattern: support and signs; a support on which `A_S` is not injective has NaN for all that follows.

    Source: [candes2006]; [alaifari2023], section 5.
    """

    def __init__(self, fourier: PartialFourier, pattern: SignPattern) -> None:
        self.fourier, self.pattern = fourier, pattern
        gram = fourier.gram(pattern.index, pattern.valid)
        #: `σ_min(A_S)²`, less what it may be wrong by.
        self.smallest_square: Float[Tensor, "*batch"] = (
            torch.linalg.eigvalsh(gram)[..., 0] - 10.0 * pattern.index.shape[-1] * EPSILON
        )
        injective = self.smallest_square > EPSILON
        single = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # Where columns depend on each other nothing is solved for.
        self._factor = torch.linalg.cholesky(torch.where(injective[..., None, None], gram, single))
        self.injective: Bool[Tensor, "*batch"] = injective

    def signed(self, signs: Complex[Tensor, "*batch support"]) -> "Duals":
        """Those of other signs on the same support."""
        other = copy.copy(self)
        other.pattern = replace(self.pattern, signs=signs)
        return other

    @property
    def smallest(self) -> Float[Tensor, "*batch"]:
        """`σ_min(A_S)`; 0 where `A_S` may not be injective."""
        return self.smallest_square.clamp(min=0.0).sqrt() * self.injective

    def solved(self, right: Complex[Tensor, "*batch support"]) -> Complex[Tensor, "*batch support"]:
        """`(A_SᴴA_S)⁻¹` times a vector on the support."""
        return torch.cholesky_solve(right.unsqueeze(-1), self._factor).squeeze(-1)

    def nearest(self, vector: Spectrum) -> Spectrum:
        """The nearest such `v`: `AᴴA` of the vector, corrected on the support by the least of `q`."""
        seen = self.fourier.seen(vector)
        missing = torch.where(self.pattern.valid, self.pattern.signs - self.pattern.at(seen), 0)
        return seen + self.fourier.seen(self.pattern.spread(self.solved(missing)))

    @property
    def least_squares(self) -> Spectrum:
        """`v` of the least `‖q‖₂`."""
        return self.nearest(torch.zeros_like(self.pattern.signal))

    def largest_off(self, vector: Spectrum) -> Float[Tensor, "*batch"]:
        """`‖v_off‖∞`."""
        return torch.where(self.pattern.on, 0.0, vector.abs()).amax(dim=-1)

    def bound(self, vector: Spectrum) -> Float[Tensor, "*batch"]:
        """More than `‖v_off‖∞` of an exact dual vector near a computed one; proof that it is below 1.

        The computed vector is `Aᴴq + d`, `‖d‖₂ ≤ δ = c·log₂n·ε·‖v‖₂` by the rounding of two FFTs, and misses
        the signs by some `t` on the support. `Aᴴ(q + A_S(A_SᴴA_S)⁻¹t')` with `‖t'‖₂ ≤ ‖t‖₂ + δ` has the
        signs exactly, and differs off the support by at most `‖t'‖₂/σ_min(A_S)`, for `A` has norm 1.
        """
        steps = max(1.0, math.log2(self.fourier.size))
        rounding = 2.0 * FFT_ERROR * steps * EPSILON * torch.linalg.vector_norm(vector, dim=-1)
        missed = torch.where(self.pattern.valid, self.pattern.at(vector) - self.pattern.signs, 0)
        wrong = torch.linalg.vector_norm(missed, dim=-1) + rounding
        largest = self.largest_off(self.fourier.seen(vector)) + rounding
        return torch.where(self.injective, largest + wrong / self.smallest, math.inf)

    def __getitem__(self, items: Tensor) -> "Duals":
        return Duals(self.fourier[items], self.pattern[items])

"""The ADMM step for one image on one core."""

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from mrilib.operators.transforms import fft2, ifft2
from mrilib.solvers import kernels
from mrilib.solvers.couplings import Field
from mrilib.solvers.field_parts import RULES, field_of, interleaved, parts_of
from mrilib.solvers.total_variation.problem import OVER_RELAXATION, VariationProblem


class FusedLoop:
    """The step for one image on one core: two FFTs and two fused passes over the pixels.

    A step is `solve`, which makes the image, and `update`, which moves the state on and turns the image
    into `∇ᵀv` where it stands: `image` is there until `update`, `reflected` until `solve`.

    With `paired`, whatever the coupling, the image is real and the imaginary channel solves the problem
    linearised at the real channel's state. Its data `d` enter as `d/ρ` added to the imaginary part of
    `reflected`, before every `solve`.

    Attributes:
        sampled: flat indices, ascending, of the frequencies that `AᴴA` or the data do not leave out.
        gain: `1/(w + ρL)` there, over the number of pixels: what data at a frequency add to the spectrum.
        values: `gain·fft2(Aᴴy)` there, complex; may be changed between steps.
        spectrum: transform of the latest image, over the number of pixels.
    """

    def __init__(
        self,
        problem: VariationProblem,
        *,
        paired: bool,
        inverse: np.ndarray | None = None,
        relaxation: float = OVER_RELAXATION,
    ) -> None:
        data = problem.data.resolve_conj().numpy()
        # Only where there are data are they read in every step.
        kept = (problem.spectrum > 0) | (problem.data != 0)
        self.sampled = np.flatnonzero(kept.numpy())
        height, width = data.shape
        self._starts = np.searchsorted(self.sampled, np.arange(height + 1) * width)
        self._data = data.reshape(-1)[self.sampled]
        self._kind = data.real.dtype.type
        self._relax = self._kind(relaxation)
        self._rule = kernels.PAIRED if paired else RULES[problem.coupling]
        self._take_penalty(problem, problem.inverse().numpy() if inverse is None else inverse)
        self.spectrum = torch.empty_like(problem.data)

    def load(self, state: Field, mean: Field | None = None) -> None:
        """Start from `state`, complex `(2, y, x)`; with `paired` its imaginary part is the linear state.

        Args:
            state: the state.
            mean: where `average` starts, else at `state`.
        """
        self._parts, self._mean = (
            parts_of(field, split=self._rule == kernels.SPLIT)
            for field in (state, state if mean is None else mean)
        )
        self._reflect()

    def change_penalty(self, problem: VariationProblem) -> None:
        """Go on with another penalty of the same problem: `S(s)` and `ρ(s − S(s))` stay; the mean is `v`."""
        clipped = self._clipped()
        clipped *= self._kind(1.0 - float(problem.threshold) / float(self._threshold))
        self._parts -= clipped
        self._take_penalty(problem, problem.inverse().numpy())
        self.average(1.0)
        self._reflect()

    def state(self) -> Field:
        """The state as a complex tensor `(2, y, x)`."""
        return field_of(self._parts)

    def clipped(self) -> Field:
        """`s − S(s)`, likewise."""
        return field_of(self._clipped())

    def mean(self) -> Field:
        """What `average` has come to, likewise."""
        return field_of(self._mean)

    def active(self) -> Bool[Tensor, "2 y x 2"]:
        """Where `|s| > τ`, of real and imaginary parts apart."""
        return torch.view_as_real(self.state()).abs() > float(self._threshold)

    @property
    def image(self) -> np.ndarray:
        """Image of the latest `solve` as interleaved floats `(y, 2x)`."""
        return self._floats

    @property
    def reflected(self) -> np.ndarray:
        """`∇ᵀv` of the latest `update`, likewise."""
        return self._floats

    def solve(self) -> None:
        """`image` from `reflected`."""
        self.spectrum = fft2(self._pixels, self.spectrum)
        kernels.filter_spectrum(
            interleaved(self.spectrum), self._factors, self._starts, self.sampled, self.values
        )
        self._hold(ifft2(self.spectrum, self._pixels, scaled=False))

    def update(self) -> None:
        """The new state, and `reflected` from `image`."""
        kernels.sweep(self._floats, self._parts, self._threshold, self._relax, self._rule)

    def step(self) -> None:
        """One step."""
        self.solve()
        self.update()

    def average(self, share: float) -> None:
        """Move the mean by `share` of its distance to `v = 2S(s) − s`."""
        kernels.average(self._parts, self._threshold, self._rule, self._kind(share), self._mean)

    def _clipped(self) -> np.ndarray:
        """`s − S(s) = ½(s − v)`."""
        values = np.zeros_like(self._parts)
        kernels.average(self._parts, self._threshold, self._rule, self._kind(1), values)
        np.subtract(self._parts, values, out=values)
        values *= self._kind(0.5)
        return values

    def _take_penalty(self, problem: VariationProblem, inverse: np.ndarray) -> None:
        self.inverse, pixels = inverse, self._kind(inverse.size)
        self.rho, self._threshold = self._kind(float(problem.rho)), self._kind(float(problem.threshold))
        # The inverse transform's factor goes along, which saves a pass over the image.
        self.gain = inverse.reshape(-1)[self.sampled] / pixels
        self.values = self.gain * self._data
        self._factors = inverse * (self.rho / pixels)

    def _reflect(self) -> None:
        """`reflected` from the state."""
        self._hold(torch.zeros_like(self.spectrum))
        # Without relaxation the state stays, and the image turns into its `∇ᵀv`.
        kernels.sweep(self._floats, self._parts, self._threshold, self._kind(0), self._rule)

    def _hold(self, pixels: Tensor) -> None:
        self._pixels, self._floats = pixels, interleaved(pixels)

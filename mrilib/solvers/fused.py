"""The ADMM step for one image on one core."""

import numpy as np
import torch
from torch import Tensor

from mrilib.operators.gradient import divergence
from mrilib.solvers import kernels
from mrilib.solvers.couplings import Field
from mrilib.solvers.problem import OVER_RELAXATION, Problem


def interleaved(array: Tensor) -> np.ndarray:
    """The numbers of a complex tensor as floats `(..., 2x)`, sharing its memory."""
    numbers: np.ndarray = array.numpy()
    return numbers.view(numbers.real.dtype)


class FusedLoop:
    """The step for one image on one core: two FFTs and two fused passes over the pixels.

    A step is `solve`, which makes the image, and `update`, which moves the state on and turns the image
    into `∇ᵀv` where it stands: `image` is there until `update`, `reflected` until `solve`.

    With `paired`, the image is real and the imaginary channel solves the problem linearised at the real
    channel's state. Its data `d` enter as `d/ρ` added to the imaginary part of `reflected`, before
    every `solve`.

    Attributes:
        data: `fft2(Aᴴy)` as interleaved floats `(y, 2x)`; may be changed between steps.
        spectrum: unnormalised transform of the latest image.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        paired: bool,
        inverse: np.ndarray | None = None,
        relaxation: float = OVER_RELAXATION,
    ) -> None:
        self.inverse = problem.inverse().numpy() if inverse is None else inverse
        kind = self.inverse.dtype.type
        self.rho, self._threshold = kind(float(problem.rho)), kind(float(problem.threshold))
        self._relax = kind(relaxation)
        self._paired = paired
        self.data = interleaved(problem.data.resolve_conj()).copy()
        self.spectrum = torch.empty_like(problem.data)

    def load(self, state: Field) -> None:
        """Start from `state`, complex `(2, y, x)`; with `paired` its imaginary part is the linear state."""
        self._state = state.resolve_conj().clone()
        self._numbers = interleaved(self._state)
        real, imaginary = torch.view_as_real(self._state).unbind(-1)
        threshold = float(self._threshold)
        kept = real - real.clamp(-threshold, threshold)
        if self._paired:
            linear = torch.where(real.abs() > threshold, imaginary, 0.0)
        else:
            linear = imaginary - imaginary.clamp(-threshold, threshold)
        self._hold(divergence(2 * torch.complex(kept, linear) - self._state))

    def state(self) -> Field:
        """The state as a complex tensor `(2, y, x)`."""
        return self._state.clone()

    def active(self) -> np.ndarray:
        """Where `|s| > τ`, interleaved as `(component, y, 2x)`."""
        return np.abs(self._numbers) > self._threshold

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
        self.spectrum = torch.fft.fft2(self._pixels)
        kernels.filter_spectrum(interleaved(self.spectrum), self.data, self.rho, self.inverse)
        self._hold(torch.fft.ifft2(self.spectrum))

    def update(self) -> None:
        """The new state, and `reflected` from `image`."""
        kernels.sweep(self._floats, self._numbers, self._threshold, self._relax, self._paired)

    def step(self) -> None:
        """One step."""
        self.solve()
        self.update()

    def average(self, mean: Field, share: float) -> None:
        """Move `mean` by `share` of its distance to `v = 2S(s) − s`, in place."""
        numbers, kind = self._numbers.reshape(-1), self.inverse.dtype.type
        kernels.average(numbers, self._threshold, kind(share), interleaved(mean).reshape(-1))

    def _hold(self, pixels: Tensor) -> None:
        self._pixels, self._floats = pixels, interleaved(pixels)

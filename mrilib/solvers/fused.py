"""The ADMM step for one image on one core."""

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from mrilib.operators.gradient import divergence
from mrilib.solvers import kernels
from mrilib.solvers.couplings import Field
from mrilib.solvers.problem import OVER_RELAXATION, Problem

RULES = {"split": kernels.SPLIT, "complex": kernels.COMPLEX, "isotropic": kernels.ISOTROPIC}


def interleaved(array: Tensor) -> np.ndarray:
    """The numbers of a complex tensor as floats `(..., 2x)`, sharing its memory."""
    numbers: np.ndarray = array.numpy()
    return numbers.view(numbers.real.dtype)


class FusedLoop:
    """The step for one image on one core: two FFTs and two fused passes over the pixels.

    A step is `solve`, which makes the image, and `update`, which moves the state on and turns the image
    into `∇ᵀv` where it stands: `image` is there until `update`, `reflected` until `solve`.

    With `paired`, whatever the coupling, the image is real and the imaginary channel solves the problem
    linearised at the real channel's state. Its data `d` enter as `d/ρ` added to the imaginary part of
    `reflected`, before every `solve`.

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
        self._rule = kernels.PAIRED if paired else RULES[problem.coupling]
        self._shrink = problem.rule.shrink
        self.data = interleaved(problem.data.resolve_conj()).copy()
        self.spectrum = torch.empty_like(problem.data)

    def load(self, state: Field, mean: Field | None = None) -> None:
        """Start from `state`, complex `(2, y, x)`; with `paired` its imaginary part is the linear state.

        Args:
            state: the state.
            mean: where `average` starts, else at `state`.
        """
        threshold = float(self._threshold)
        if self._rule == kernels.PAIRED:
            real, imaginary = state.real, state.imag
            linear = torch.where(real.abs() > threshold, imaginary, 0.0)
            kept = torch.complex(real - real.clamp(-threshold, threshold), linear)
        else:
            kept = self._shrink(state, threshold)
        self._parts, self._mean = _parts(state), _parts(state if mean is None else mean)
        self._hold(divergence(2 * kept - state))

    def state(self) -> Field:
        """The state as a complex tensor `(2, y, x)`."""
        return _field(self._parts)

    def mean(self) -> Field:
        """What `average` has come to, likewise."""
        return _field(self._mean)

    def active(self) -> Bool[Tensor, "2 y x 2"]:
        """Where `|s| > τ`, of real and imaginary parts apart."""
        return torch.from_numpy(np.abs(self._parts) > self._threshold).transpose(-1, -2).contiguous()

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
        kernels.sweep(self._floats, self._parts, self._threshold, self._relax, self._rule)

    def step(self) -> None:
        """One step."""
        self.solve()
        self.update()

    def average(self, share: float) -> None:
        """Move the mean by `share` of its distance to `v = 2S(s) − s`."""
        kernels.average(self._parts, self._threshold, self._rule, self.inverse.dtype.type(share), self._mean)

    def _hold(self, pixels: Tensor) -> None:
        self._pixels, self._floats = pixels, interleaved(pixels)


def _parts(field: Field) -> np.ndarray:
    """A copy as the kernels want it, `(component, y, part, x)`."""
    return torch.stack([field.real, field.imag], dim=-2).numpy()


def _field(parts: np.ndarray) -> Field:
    return torch.complex(*torch.from_numpy(parts).unbind(-2))

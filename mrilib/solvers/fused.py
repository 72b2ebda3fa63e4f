"""The ADMM step for one image on one core."""

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.gradient import divergence
from mrilib.solvers import kernels
from mrilib.solvers.couplings import Field
from mrilib.solvers.problem import OVER_RELAXATION, Problem


class FusedLoop:
    """The step for one image on one core: two FFTs and two fused sweeps over the pixels.

    With `paired`, the image is real and the imaginary channel solves the problem linearised at the real
    channel's state. Its data `d` enter as `d/ρ` added to the imaginary part of `reflected`, before
    every step.

    Attributes:
        data: `fft2(Aᴴy)` as interleaved floats `(y, 2x)`; may be changed between steps.
        reflected: `∇ᵀv`, likewise.
        image: image of the latest step, likewise.
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
        self.data = torch.view_as_real(problem.data.resolve_conj()).flatten(-2).numpy().copy()
        self._filtered = np.empty_like(self.data)
        self.reflected = np.empty_like(self.data)
        self.image = np.empty_like(self.data)
        self._filtered_complex = self._complex(self._filtered)
        self._reflected_complex = self._complex(self.reflected)
        self._planes = np.empty((2, 2, *self.inverse.shape), self.inverse.dtype)

    def load(self, state: Field) -> None:
        """Start from `state`, complex `(2, y, x)`; with `paired` its imaginary part is the linear state."""
        parts = torch.view_as_real(state.resolve_conj())
        self._planes[0], self._planes[1] = parts[..., 0].numpy(), parts[..., 1].numpy()
        kept = self._planes - np.clip(self._planes, -self._threshold, self._threshold)
        if self._paired:
            kept[1] = np.where(np.abs(self._planes[0]) > self._threshold, self._planes[1], 0)
        field = torch.complex(*torch.from_numpy(2 * kept - self._planes))
        self.reflected[:] = torch.view_as_real(divergence(field)).flatten(-2).numpy()

    def state(self) -> Field:
        """The state as a complex tensor `(2, y, x)`."""
        return torch.complex(*torch.from_numpy(self._planes.copy()))

    def active(self) -> np.ndarray:
        """Where `|s| > τ`, in planes `(part, component, y, x)`."""
        return np.abs(self._planes) > self._threshold

    def step(self) -> None:
        """One step: `image` from `reflected`, then the new state and `reflected`."""
        # Views of NumPy are taken in a microsecond, those of torch in several.
        spectrum = torch.fft.fft2(self._reflected_complex).numpy().view(self.data.dtype)
        kernels.filter_spectrum(self.data, spectrum, self.rho, self.inverse, self._filtered)
        self.image = torch.fft.ifft2(self._filtered_complex).numpy().view(self.data.dtype)
        kernels.sweep(self.image, self._planes, self._threshold, self._relax, self._paired, self.reflected)

    @property
    def image_spectrum(self) -> Complex[Tensor, "y x"]:
        """Unnormalised transform of the latest image; valid until the next step."""
        return self._filtered_complex

    def _complex(self, interleaved: np.ndarray) -> Tensor:
        return torch.view_as_complex(torch.from_numpy(interleaved).unflatten(-1, (self.inverse.shape[1], 2)))

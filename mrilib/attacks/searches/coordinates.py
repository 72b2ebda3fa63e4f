"""Perturbations of one image as the coupled search moves them: coordinates in Fourier space."""

import math
from dataclasses import replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.target import Task
from mrilib.operators.base import norm2
from mrilib.solvers.couplings import Field
from mrilib.solvers.total_variation.problem import VariationProblem

# Data count as those of a real image when their Hermitian mismatch is rounding.
REAL_TOLERANCE = 1e-4


class Ground:
    """What all candidates of a task share, without FFT shift and in the solver's scale.

    Args:
        task: what is searched, of a single coil.
        state: of the solver at the clean data.
        problem, scale: of the solver at the clean data.
        real: whether the image and the perturbations are real.
    """

    def __init__(self, task: Task, state: Field, problem: VariationProblem, scale: float, real: bool) -> None:
        self.real, self.scale, self.radius = real, scale, task.radius / scale
        self.shape = tuple(task.kspace.shape)
        self.mask = torch.fft.ifftshift(task.operator.mask)
        clean = torch.fft.ifftshift(task.clean.value) / scale
        if real:
            spectrum = 0.5 * (problem.spectrum + reversed_spectrum(problem.spectrum))
            data = 0.5 * (problem.data + reversed_spectrum(problem.data).conj())
            problem = replace(problem, spectrum=spectrum, data=data)
            state = torch.complex(state.real, torch.zeros_like(state.real))
            clean = torch.complex(clean.real, torch.zeros_like(clean.real))
        self.problem, self.state, self.clean = problem, state, clean
        pixels = torch.arange(self.mask.numel(), device=self.mask.device).reshape(self.shape)
        self.sampled = pixels[problem.spectrum > 0]
        self.mirrored = reversed_spectrum(pixels)[problem.spectrum > 0]
        self.weights = problem.spectrum.flatten()[self.sampled]

    def coordinates(self, kspace: Complex[Tensor, "items ky kx"]) -> Complex[Tensor, "items samples"]:
        """Perturbations as entries of `p̂` at the sampled frequencies, `e = mask·p̂/√pixels`.

        With `real` they are first made those of a real image, `p̂(k) = (e(k) + e(−k)*)/(2w(k))`.
        """
        shifted = torch.fft.ifftshift(kspace, dim=(-2, -1)).flatten(-2) * math.sqrt(self.mask.numel())
        taken = shifted[..., self.sampled] / self.scale
        if self.real:
            mirrored = shifted[..., self.mirrored].conj() / self.scale
            taken = (taken + mirrored) / (2.0 * self.weights)
        return taken

    def perturbations(self, coordinates: Complex[Tensor, "items samples"]) -> Complex[Tensor, "items ky kx"]:
        """Inverse of `coordinates`, within the budget to rounding."""
        flat = torch.zeros(
            coordinates.shape[0], self.mask.numel(), dtype=coordinates.dtype, device=self.mask.device
        )
        flat[:, self.sampled] = coordinates
        spectra = flat.reshape(-1, *self.shape) * self.mask
        kspace = torch.fft.fftshift(spectra, dim=(-2, -1))
        return kspace * (self.radius * self.scale / norm2(kspace))[:, None, None]

    def norm(self, coordinates: Complex[Tensor, "*items samples"]) -> Float[Tensor, "*items 1"]:
        """`‖e‖` in the solver's scale."""
        squares = torch.view_as_real(coordinates).square().sum(-1)
        return ((self.weights * squares).sum(-1, keepdim=True) / self.mask.numel()).sqrt()

    def projected(self, coordinates: Complex[Tensor, "*items samples"]) -> Complex[Tensor, "*items samples"]:
        """On the sphere of the budget."""
        return coordinates * (self.radius / self.norm(coordinates))


def imaginary_part(spectrum: Tensor, mirrored: Tensor) -> Tensor:
    """Transform of `Im x` from that of `x` at `k` and at `−k`."""
    return (spectrum - mirrored.conj()) * (-0.5j)


def reversed_spectrum(spectrum: Tensor) -> Tensor:
    """`spectrum(−k)`, zero frequency first."""
    return torch.roll(spectrum.flip((-2, -1)), (1, 1), (-2, -1))


def is_real(task: Task) -> bool:
    """Whether the data are those of a real image, as far as mirrored samples tell."""
    mask = torch.fft.ifftshift(task.operator.mask)
    data = torch.fft.ifftshift(task.kspace) * mask
    mismatch = (data - reversed_spectrum(data).conj()) * (mask & reversed_spectrum(mask))
    return bool(torch.linalg.vector_norm(mismatch) <= REAL_TOLERANCE * torch.linalg.vector_norm(data))

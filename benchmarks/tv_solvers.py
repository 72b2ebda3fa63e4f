"""What is timed on total variation: the task, the interface of an implementation, and our own ones."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.fourier import MaskedFourier
from mrilib.operators.gradient import divergence, gradient, laplacian_spectrum
from mrilib.solvers.couplings import COUPLINGS
from mrilib.solvers.total_variation.loops import Iteration
from mrilib.solvers.total_variation.problem import (
    VariationProblem,
    image_of,
    initial_state,
    problem_of,
    reflect,
    step,
)


@dataclass(frozen=True)
class Task:
    """`½‖Az − y‖² + λ‖∇z‖` of one single-coil image, with its minimum.

    Args:
        kspace: `y`, complex64, `(ky, kx)`.
        operator: the measurement `A`.
        weight: `λ`.
        coupling: a key of `COUPLINGS`.
        optimum: least value of the objective.
    """

    kspace: Complex[Tensor, "ky kx"]
    operator: MaskedFourier
    weight: float
    coupling: str
    optimum: float = 0.0

    def objective(self, image: Complex[Tensor, "y x"]) -> float:
        """The objective in float64."""
        exact = image.to(torch.complex128)
        residual = fft2c(exact) * self.operator.mask - self.kspace.to(torch.complex128)
        fit = 0.5 * torch.view_as_real(residual).square().sum()
        return float(fit + self.weight * COUPLINGS[self.coupling].norm(gradient(exact)))

    def gap(self, image: Complex[Tensor, "y x"]) -> float:
        """Relative distance of the objective to its minimum."""
        return self.objective(image) / self.optimum - 1.0


class Implementation(ABC):
    """A solver that starts at the zero image and is taken `to` a number of steps.

    Attributes:
        name: as the tables show it.
        grid: settings among which the best for the task is searched.
        resumable: `to` goes on from where it stands; else `image` runs all steps anew.
    """

    name: ClassVar[str]
    grid: ClassVar[Sequence[dict[str, float]]] = ({},)
    resumable: ClassVar[bool] = True

    def __init__(self, task: Task, **settings: float) -> None:
        self.task, self.settings = task, settings
        self.restart()

    @property
    def version(self) -> str:
        return "this repository"

    @property
    def inner(self) -> int:
        """Applications of the normal operator in one step."""
        return 1

    def restart(self) -> None:
        """Back to the zero image, with all set-up that the implementation needs from data in memory."""
        self.taken = 0
        self._begin()

    def to(self, steps: int) -> None:
        """Go on to `steps` steps in all."""
        self._advance(steps - self.taken)
        self.taken = steps

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _advance(self, steps: int) -> None: ...

    @abstractmethod
    def image(self) -> Complex[Tensor, "y x"]:
        """The image after the steps taken."""


class _Splitting(Implementation):
    """Our ADMM, without certificate."""

    def _begin(self) -> None:
        self._problem, self._scale = problem_of(
            self.task.kspace, self.task.operator, weight=self.task.weight, coupling=self.task.coupling
        )

    def _image(self, problem: VariationProblem, field: Tensor) -> Tensor:
        return torch.fft.fftshift(image_of(problem, problem.inverse(), field)) * self._scale


class Averaged(_Splitting):
    """The steps of `TotalVariation.solve`, and the image of the averaged field, which it certifies."""

    name = "ours"

    def _begin(self) -> None:
        super()._begin()
        self._iteration = Iteration(self._problem)

    def _advance(self, steps: int) -> None:
        self._iteration.advance(steps)

    def image(self) -> Tensor:
        return self._image(self._iteration.problem, self._iteration.mean())


class Last(Averaged):
    """The same steps; the image is that of the last. Rounding in float32 holds it back at a gap of 1e-5."""

    name = "ours, last step"

    def image(self) -> Tensor:
        problem = self._iteration.problem
        return self._image(problem, reflect(problem, self._iteration.state_for(problem))[1])


class Plain(_Splitting):
    """`step` in plain torch, the reference of the kernels, with the penalty that the attack keeps."""

    name = "ours, plain torch"

    def _begin(self) -> None:
        super()._begin()
        self._state = initial_state(self._problem)

    def _advance(self, steps: int) -> None:
        inverse = self._problem.inverse()
        for _ in range(steps):
            self._state, _ = step(self._problem, inverse, self._state)

    def image(self) -> Tensor:
        return self._image(self._problem, reflect(self._problem, self._state)[1])


class ReferenceADMM(Implementation):
    """ADMM as the public code of [alaifari2023] runs it: four centred FFTs a step, loss computed every time.

    `z = S(∇x + u)`, `u ← u + ∇x − z`, `x = (AᴴA + ρ∇ᵀ∇)⁻¹(Aᴴy + ρ∇ᵀ(z − u))`, without over-relaxation, `Aᴴy`
    made anew in every step. Written from the description; `ρ` is searched, which favours it.
    """

    name = "reference ADMM"
    grid: ClassVar[Sequence[dict[str, float]]] = [{"ρ": value} for value in (0.05, 0.1, 0.13, 0.16, 0.2, 0.3)]

    @property
    def version(self) -> str:
        return "written from its description"

    def _begin(self) -> None:
        mask = self.task.operator.mask
        self._mask = mask.to(torch.float32)
        laplacian = torch.fft.fftshift(laplacian_spectrum(*mask.shape, dtype=torch.float32))
        self._denominator = self._mask + self.settings["ρ"] * laplacian
        self._image = torch.zeros_like(self.task.kspace)
        self._dual = torch.zeros_like(gradient(self._image))

    def _advance(self, steps: int) -> None:
        rule, rho, weight = COUPLINGS[self.task.coupling], self.settings["ρ"], self.task.weight
        for _ in range(steps):
            differences = gradient(self._image)
            kept = rule.shrink(differences + self._dual, weight / rho)
            self._dual = self._dual + differences - kept
            back = ifft2c(self._mask * self.task.kspace)
            right = back + rho * divergence(kept - self._dual)
            self._image = ifft2c(fft2c(right) / self._denominator)
            residual = self._mask * fft2c(self._image) - self.task.kspace
            self.loss = float(0.5 * residual.abs().square().sum() + weight * rule.norm(gradient(self._image)))

    def image(self) -> Tensor:
        return self._image

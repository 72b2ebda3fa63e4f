"""A problem and its linearisation side by side, while the data move.

The adjoint of the minimiser's derivative solves the problem linearised at the minimiser (`solve_linearised`
of `splitting` and of `bases.line_splitting`). Here one step of either is taken at a time, so that data can
follow the derivative as it stands; memory does not grow with the number of steps.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mrilib.solvers.coils.data import Coils, Images
from mrilib.solvers.coils.perturbations import Perturbation
from mrilib.solvers.coils.splitting import OVER_RELAXATION, SplitProblem

# From zero, where no state of the very same iteration is at hand.
WARM = 100


class Coupled(ABC):
    """Forward and linearised iteration of several candidates on one item's problem.

    Attributes:
        image: of the forward problem at the latest step, `(candidates, y, x)`.
        derivative: `Aa`, `a` the linearised problem's image at the latest step.
    """

    image: Images
    derivative: Perturbation

    @abstractmethod
    def __init__(self, problem: Any, start: Any, count: int) -> None:
        """`start` is the state that a solution left, or `None`; `count` candidates."""

    @abstractmethod
    def perturbation(self, coils: Coils) -> Perturbation:
        """A perturbation of the scaled data, of as many candidates as there are entries."""

    @abstractmethod
    def perturb(self, perturbation: Perturbation) -> None:
        """Let the data be `y + e`."""

    @abstractmethod
    def aim(self, direction: Images) -> None:
        """Let the linearised problem's data be `d`."""

    @abstractmethod
    def step(self) -> None:
        """One step of both."""

    @abstractmethod
    def keep(self, candidates: Tensor) -> None:
        """Drop the other candidates; data and direction are to be given again."""


class CoupledSplit(Coupled):
    """The iterations of `splitting`."""

    def __init__(self, problem: SplitProblem, start: Any, count: int) -> None:
        self._single = problem
        zero = problem.zero()
        state = problem.advance(zero, WARM) if start is None else start.state_for(problem)
        none = torch.zeros(count, dtype=torch.long, device=problem.device)
        self._state, self._tangent = state[none], zero[none]
        self._pose(count)

    def _pose(self, count: int) -> None:
        """The problems of `count` candidates, without perturbation and direction."""
        single = self._single
        self._clean = self._forward = replace(
            single, fidelity=single.fidelity.repeated(count), weight=single.weight.expand(count)
        )
        self._linear = replace(self._clean, fidelity=self._clean.fidelity.without_data())

    def perturbation(self, coils: Coils) -> Perturbation:
        return self._clean.fidelity.perturbation(coils)

    def perturb(self, perturbation: Perturbation) -> None:
        self._forward = replace(self._clean, fidelity=self._clean.fidelity.perturbed(perturbation))

    def aim(self, direction: Images) -> None:
        self._linear = replace(self._linear, slope=direction)

    def step(self) -> None:
        prior, threshold = self._clean.prior, self._clean.threshold
        kept = prior.shrink(self._state.parts, threshold)
        mapped = prior.jacobian(self._state.parts, self._tangent.parts, threshold)
        fitted = self._linear.fidelity.fitted(self._tangent.copies)
        self.derivative = self._linear.fidelity.derivative(self._tangent.copies, fitted)
        self._state, self.image, _ = self._forward.step(self._state, kept, OVER_RELAXATION)
        self._tangent, _, _ = self._linear.step(self._tangent, mapped, OVER_RELAXATION, fitted)

    def keep(self, candidates: Tensor) -> None:
        self._state, self._tangent = self._state[candidates], self._tangent[candidates]
        self._pose(len(candidates))

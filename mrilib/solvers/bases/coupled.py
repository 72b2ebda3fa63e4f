"""ℓ1 in a basis and its linearisation side by side: on lines, and under any mask."""

from typing import Any

import torch
from torch import Tensor

from mrilib.solvers.bases.fista import BasisProblem
from mrilib.solvers.bases.line_splitting import OVER_RELAXATION, THRESHOLD, LineProblem, inverses_of
from mrilib.solvers.bases.shrinkage import shrink, shrink_derivative
from mrilib.solvers.coils.coupled import Coupled, CoupledSplit
from mrilib.solvers.coils.data import Coils, Images
from mrilib.solvers.coils.perturbations import ImagePerturbation, Perturbation


class CoupledLines(Coupled):
    """The iterations of `line_splitting`.

    With `a = (AᴴA + ρ)⁻¹b` there is `AᴴAa = b − ρa`: the perturbation moves without another transform.
    """

    def __init__(self, problem: LineProblem, start: Any, count: int) -> None:
        self._problem, self._inverses = problem, inverses_of(problem)
        zero = torch.zeros_like(problem.basis.forward(problem.projected))
        field = zero if start is None else start.field.reshape(zero.shape).to(problem.dtype)
        self._field, self._tangent = (value.expand(count, *value.shape[1:]) for value in (field, zero))
        self._data = problem.projected

    def perturbation(self, coils: Coils) -> ImagePerturbation:
        return ImagePerturbation.of(self._problem.measurement, coils)

    def perturb(self, perturbation: Perturbation) -> None:
        assert isinstance(perturbation, ImagePerturbation)
        self._data = self._problem.projected + perturbation.normal

    def aim(self, direction: Images) -> None:
        self._source = direction

    def step(self) -> None:
        basis, rho, count = self._problem.basis, self._problem.rho, len(self._field)
        kept = shrink(self._field, THRESHOLD)
        mapped = shrink_derivative(self._field, self._tangent, THRESHOLD)
        # Side by side in one batch, too: the inverses are read once.
        both = torch.cat([2.0 * kept - self._field, 2.0 * mapped - self._tangent])
        data = torch.cat([self._data.expand_as(self._source), self._source])
        right = data + rho * self._problem.image_of(both)
        images = self._inverses.solve(right)
        slopes = basis.forward(images)
        self._field = self._field + OVER_RELAXATION * (slopes[:count] - kept)
        self._tangent = self._tangent + OVER_RELAXATION * (slopes[count:] - mapped)
        self.image, linear = images[:count], images[count:]
        self.derivative = ImagePerturbation(linear, right[count:] - rho * linear)

    def keep(self, candidates: Tensor) -> None:
        self._field, self._tangent = self._field[candidates], self._tangent[candidates]


class CoupledAnalysis(CoupledSplit):
    """Those of `splitting`, from zero, where `fista` solves."""

    def __init__(self, problem: BasisProblem, start: Any, count: int) -> None:
        super().__init__(problem.split(), None, count)

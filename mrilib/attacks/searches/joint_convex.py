"""Joint descent on the image of a convex model and on a perturbation."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from mrilib.attacks.searches.joint import JointStep
from mrilib.attacks.target import Task
from mrilib.reconstructors.convex import Convex
from mrilib.solvers.coils.posed import ScaledProblem


class ConvexStep(JointStep):
    """Steps of `coils.splitting` without over-relaxation, for ℓ1 as well.

    At each step `−β‖φ ⊙ (x − x*)‖²` is replaced by its tangent at the latest image `x₀`, the linear term
    `−2β·Re⟨φ²(x₀ − x*), x⟩`, as descent along its gradient does.
    """

    def __init__(self, task: Task, window: Tensor, reference: Tensor, beta: float, draw: int = 0) -> None:
        posed = cast(ScaledProblem, cast(Convex, task.reconstructor).posed(task.kspace, task.operator))
        self._task, self._posed, self._window, self._reference = task, posed, window, reference
        self._problem = posed.split()
        self._state = self._problem.zero()
        self._image = torch.zeros_like(self._problem.measurement.data[:, 0])
        self._factor = 2.0 * beta

    def step(self, perturbation: Tensor) -> tuple[Tensor, Tensor]:
        task, posed, clean = self._task, self._posed, self._problem
        image = task.operator.seen(posed.images(self._image)[0])
        away = self._window.square() * (image - self._reference)
        if task.artifact == "magnitude" or not self._reference.is_complex():
            away = self._window.square() * (image.abs() - self._reference.abs()) * torch.sgn(image)
        data = clean.measurement.data + posed.data(perturbation)
        residual = clean.measurement.forward(self._image) - data
        slope = self._factor * posed.slope(task.operator.seen(away)[None])
        problem = replace(clean, fidelity=clean.fidelity.renewed(data), slope=slope)
        kept = problem.prior.shrink(self._state.parts, problem.threshold)
        self._state, self._image, _ = problem.step(self._state, kept, 1.0)
        return image, posed.kspace(residual)[0] * task.operator.mask

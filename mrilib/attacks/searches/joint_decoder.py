"""Joint descent on the weights of an untrained network and on a perturbation."""

from typing import cast

import torch
from torch import Tensor

from mrilib.attacks.searches.joint import JointStep
from mrilib.attacks.target import Task
from mrilib.operators.base import fft2c
from mrilib.operators.coil_images import rss
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.decoder import optimiser_of


class DecoderStep(JointStep):
    """Steps of the method's own optimiser on `θ`, from the start of fit `draw`; `x = RSS(s G(θ))`."""

    def __init__(self, task: Task, window: Tensor, reference: Tensor, beta: float, draw: int = 0) -> None:
        method = cast(Untrained, task.reconstructor)
        self._window, self._reference, self._beta = window, reference, beta
        self._problem = method.problem(task.kspace, task.operator, number=draw)
        self._values = {name: value.clone().requires_grad_() for name, value in self._problem.start().items()}
        self._descent, self._taken = method.descent, 0
        self._optimiser = optimiser_of(list(self._values.values()), method.descent, [])

    @torch.enable_grad()
    def step(self, perturbation: Tensor) -> tuple[Tensor, Tensor]:
        problem = self._problem
        coils = problem.scale[:, None, None, None] * problem.outputs(self._values)
        residual = (fft2c(coils) - problem.kspace - perturbation.reshape(problem.kspace.shape)) * problem.mask
        image = rss(coils)[0]
        away = (self._window * (image - self._reference)).square().sum()
        loss = 0.5 * torch.view_as_real(residual).square().sum() - self._beta * away
        # On the scale of `DecoderProblem.losses`, for which the method's rates are.
        (loss / problem.unit[0].to(loss)).backward()
        for group in self._optimiser.param_groups:
            group["lr"] = self._descent.rate(self._taken)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._taken += 1
        return image.detach(), residual.detach().reshape(perturbation.shape)

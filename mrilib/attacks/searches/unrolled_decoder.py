"""The last steps of the fit of an untrained network."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from mrilib.attacks.searches.unrolled_ascent import Unrolling
from mrilib.attacks.target import Task
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.decoder import Course, DecoderProblem, Descent, fit

# Of torch's Adam.
EPSILON = 1e-8


class DecoderUnrolling(Unrolling):
    """The last steps of the method's first fit, and the image of the network that they end with.

    Before them stands a fit of the clean data, whose optimiser goes on with what it remembers. Deviates from
    the method: the last network counts and not the best by loss; the scale `s` is that of the clean data;
    of several `fits` the first one.
    """

    def __init__(self, task: Task, steps: int) -> None:
        method = cast(Untrained, task.reconstructor)
        self._descent = replace(method.descent, plateau=None)
        self._problem = method.problem(task.kspace, task.operator)
        self._values, self._memory, self._taken = self._problem.start(), [], 0
        before = self._descent.steps - steps
        if before > 0:
            last: deque[Course] = deque(maxlen=1)
            descent = replace(self._descent, steps=before)
            fit(self._problem, descent, name="fit of the clean data", save=last.append)
            (course,) = last
            self._values = {name: value.detach() for name, value in course.values.items()}
            self._memory, self._taken = course.memory, course.step

    @torch.enable_grad()
    def image(self, kspace: Tensor) -> Tensor:
        data = (kspace * self._problem.mask).reshape(self._problem.kspace.shape)
        problem = replace(self._problem, kspace=data)
        values = {name: value.clone().requires_grad_() for name, value in self._values.items()}
        memory = [dict(known) for known in self._memory] or [{} for _ in values]
        for step in range(self._taken, self._descent.steps):
            values = self._stepped(problem, values, memory, step)
        return problem.images(values)[0]

    def _stepped(
        self, problem: DecoderProblem, values: Mapping[str, Tensor], memory: list[dict[str, Any]], step: int
    ) -> dict[str, Tensor]:
        """Parameters after one step of the optimiser, differentiable in the data; `memory` is renewed."""
        leaves = list(values.values())
        gradients = torch.autograd.grad(problem.losses(values).sum(), leaves, create_graph=True)
        moved = {}
        for (name, value), gradient, known in zip(values.items(), gradients, memory, strict=True):
            if self._descent.optimiser == "adam":
                direction = _adam(gradient, known, self._descent, step)
            else:
                direction = _momentum(gradient, known, self._descent)
            moved[name] = value - self._descent.rate(step) * direction
        return moved


def _adam(gradient: Tensor, known: dict[str, Any], descent: Descent, step: int) -> Tensor:
    """`m̂/(√v̂ + ε)` of `torch.optim.Adam`; its derivative is 0 where no gradient has ever been."""
    first, second = descent.betas
    mean = first * known.get("exp_avg", torch.zeros_like(gradient)) + (1.0 - first) * gradient
    square = known.get("exp_avg_sq", torch.zeros_like(gradient))
    square = second * square + (1.0 - second) * gradient.square()
    known |= {"exp_avg": mean, "exp_avg_sq": square}
    some = square > 0
    root = torch.where(some, square, 1.0).sqrt() / (1.0 - second ** (step + 1)) ** 0.5
    return torch.where(some, mean / (1.0 - first ** (step + 1)) / (root + EPSILON), 0.0)


def _momentum(gradient: Tensor, known: dict[str, Any], descent: Descent) -> Tensor:
    """The direction of `torch.optim.SGD`."""
    before = known.get("momentum_buffer")
    known["momentum_buffer"] = gradient if before is None else descent.momentum * before + gradient
    found: Tensor = known["momentum_buffer"]
    return found

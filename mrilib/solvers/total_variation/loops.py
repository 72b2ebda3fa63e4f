"""The fastest route through ADMM steps: fused kernels for one image on a CPU, else batches in torch."""

from dataclasses import replace

import torch
from torch import Tensor

from mrilib.solvers.couplings import Field
from mrilib.solvers.total_variation.batched import BatchLoop
from mrilib.solvers.total_variation.fused import FusedLoop
from mrilib.solvers.total_variation.problem import (
    OVER_RELAXATION,
    VariationProblem,
    VariationStart,
    initial_state,
)

# `ρ/√λ` by the step from which it holds, for images of maximum about 1.
STIFFNESS, WARM_STEPS = {0: 2.0, 20: 4.0, 60: 8.0, 140: 16.0}, 60
# `ρ/λ` at most: below λ = 4e-3 stiffer ones take up to ten times the steps at 1e-5, twice at 1e-4.
STIFFEST = 256.0
# The dual variable of single steps swings, at the latest from a gap of 1e-3 on.
AVERAGE_EVERY, AVERAGE_SHARE = 5, 0.6


def is_single(field: Field) -> bool:
    """Whether `field` is of one image on a CPU."""
    return field.device.type == "cpu" and field.ndim == 3


def loop_from(
    problem: VariationProblem,
    state: Field,
    mean: Field | None = None,
    *,
    inverse: Tensor | None = None,
    relaxation: float = OVER_RELAXATION,
) -> FusedLoop | BatchLoop:
    """A loop that starts at `state`, and its average at `mean`.

    Args:
        problem: with the batch axes of `state`.
        state: where to start.
        mean: where the average starts, else at `state`.
        inverse: takes the place of `problem.inverse()`.
        relaxation: `α`.
    """
    loop: FusedLoop | BatchLoop
    if is_single(state):
        factors = None if inverse is None else inverse.numpy()
        loop = FusedLoop(problem, paired=False, inverse=factors, relaxation=relaxation)
    else:
        loop = BatchLoop(problem, paired=False, inverse=inverse, relaxation=relaxation)
    loop.load(state, mean)
    return loop


class Iteration:
    """Steps from one state, with a penalty that rises on the way and an average for the certificate.

    Soft penalties bring the large differences about soonest, stiff ones the last digits and the dual
    variable: `ρ/√λ` is `STIFFNESS[n]` from step `n` on, as long as `ρ/λ` is at most `STIFFEST`. Where it
    changes, `S(s)` and `ρ(s − S(s))` stay.

    Args:
        problem: what to minimise.
        start: where to start, else at zero. A start is taken as if `WARM_STEPS` had led to it.

    Attributes:
        problem: with the present penalty.
        taken: steps so far.
    """

    def __init__(self, problem: VariationProblem, start: VariationStart | None = None) -> None:
        self.taken = 0
        before = 0 if start is None else WARM_STEPS
        self._stages = {step - before: value for step, value in STIFFNESS.items() if step >= before}
        self.problem = replace(problem, stiffness=self._stages.pop(0), stiffest=STIFFEST)
        state = initial_state(problem) if start is None else start.state_for(self.problem)
        self._loop = loop_from(self.problem, state)
        self._loop.average(1.0)

    def advance(self, steps: int) -> None:
        """Take `steps` steps."""
        for _ in range(steps):
            self._loop.step()
            self.taken += 1
            if self.taken % AVERAGE_EVERY == 0:
                self._loop.average(AVERAGE_SHARE)
            if self.taken in self._stages:
                self.problem = replace(self.problem, stiffness=self._stages[self.taken])
                self._loop.change_penalty(self.problem)

    def to(self, dtype: torch.dtype) -> None:
        """Go on in the precision of the complex type `dtype`."""
        state, mean = self._loop.state().to(dtype), self._loop.mean().to(dtype)
        self.problem = self.problem.to(dtype)
        self._loop = loop_from(self.problem, state, mean)

    def keep(self, items: Tensor) -> None:
        """Drop the other items of a batch."""
        assert isinstance(self._loop, BatchLoop)
        self.problem = self.problem[items]
        self._loop.keep(items)

    def mean(self) -> Field:
        """Average over steps of `v = 2S(s) − s`: for `certify`, and an image of its own."""
        return self._loop.mean()

    def state_for(self, problem: VariationProblem) -> Field:
        """The state in the terms of a nearby problem, or of the same with another penalty."""
        return VariationStart(self._loop.state(), self.problem.threshold).state_for(problem)

"""The last steps of a convex model's minimisation."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from mrilib.attacks.searches.unrolled_ascent import Unrolling
from mrilib.attacks.target import Task
from mrilib.reconstructors.convex import Convex
from mrilib.solvers.coils.fidelity import SpectraFidelity
from mrilib.solvers.coils.posed import ScaledProblem
from mrilib.solvers.coils.splitting import OVER_RELAXATION, SplitProblem

# On clean data; twice what the code of [alaifari2023] takes for total variation, whose steps are not these.
WARM = 200


class ConvexUnrolling(Unrolling):
    """Steps of `coils.splitting` with copies of the coils' spectra, for ℓ1 as well."""

    def __init__(self, task: Task, steps: int) -> None:
        self._posed = cast(ScaledProblem, cast(Convex, task.reconstructor).posed(task.kspace, task.operator))
        split: SplitProblem = self._posed.split()
        # The inverses of lines are none of autograd's.
        self._problem = replace(split, fidelity=SpectraFidelity.of(split.measurement))
        self._state = self._problem.advance(self._problem.zero(), WARM)
        self._steps = steps

    def image(self, kspace: Tensor) -> Tensor:
        fidelity = self._problem.fidelity.renewed(self._posed.data(kspace))
        problem, state = replace(self._problem, fidelity=fidelity), self._state
        image = torch.zeros_like(fidelity.measurement.data[:, 0])
        for _ in range(self._steps):
            kept = problem.prior.shrink(state.parts, problem.threshold)
            state, image, _ = problem.step(state, kept, OVER_RELAXATION)
        return self._posed.image(image)

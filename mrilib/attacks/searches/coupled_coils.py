"""The coupled search where several coils measured, and for ℓ1: reconstruction and derivative side by side."""

import math
from typing import ClassVar, cast

import torch
from torch import Tensor

from mrilib.attacks.searches.base import by_item
from mrilib.attacks.searches.schedule import SETTLED, CoupledSearch, Schedule
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.convex import Convex
from mrilib.solvers.coils.perturbations import Perturbation
from mrilib.solvers.coils.posed import ScaledProblem

# Most entries of one array of all coils and candidates: 256 MB in complex64.
LARGEST = 1 << 25
# Of 2, 4 and 8 this length of a first move leaves the fewest starts at low tops (docs/performance.md).
RATE = 4.0


class CoupledSplitting(CoupledSearch):
    """Coupled search of the localized and global attacks on TV and ℓ1, under any measurement.

    One step of the method's own iteration and one of its linearisation at the current state, with data
    `φ ⊙ ρ/‖φ ⊙ ρ‖` as coils see them, then with `g = Aa` of the linearised problem's image `a`

        `e ← η·(e + t·η·g/‖g‖)/‖e + t·η·g/‖g‖‖`,   `t = rate·(1 − k/K)^power`

    at step `k` of the `K` of a round; norms are those of all coils. Neither problem is solved to convergence
    in between, and memory does not grow with the steps. The best iterate of those after `SETTLED` of a round
    is kept. Between rounds places are ranked by `‖ρ‖∞·‖g‖`.

    Where the mask samples whole lines a perturbation is held as the image `u` with `e = Au` and costs no
    transform of the coils: what is orthogonal to all of these the method does not see.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        every: steps between two moves.
        rate: length `t` of a round's first move, in units of the budget; by default that of `Schedule.of`,
            with `RATE` for a pixel and for the whole image.
        power: how fast `t` falls to zero in a round.

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

    word: ClassVar[str] = "coupled-splitting"
    loads: ClassVar[str | None] = "coupled"
    # On a core (docs/performance.md).
    seconds_on_coils: ClassVar[float | None] = 680.0
    # Our choice: 400 steps, where 100 reach 0.94 to 0.98 of what 1600 do.
    steps_a_gradient: ClassVar[int] = 4

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        if not isinstance(reconstructor, Convex):
            return cls.refused(f"expected a convex model, got {type(reconstructor).__name__}")
        if not reconstructor.steps_on(operator):
            return cls.refused(
                f"{type(reconstructor).__name__} takes no such steps under {type(operator).__name__}"
            )
        return None

    def begin(self, task: Task) -> None:
        method = cast(Convex, task.reconstructor)
        posed = cast(ScaledProblem, method.posed(task.kspace, task.operator))
        state = task.clean.state
        state = None if state is None else state.reshape(-1)
        schedule = Schedule.of(self._rate, self._power, task.windows, RATE)
        together = max(1, LARGEST // math.prod(task.kspace.shape))
        parts = torch.arange(task.windows.shape[0]).split(together)
        self._begun([_Run(task, posed, state, schedule, part) for part in parts])


class _Run:
    """Some of a task's candidates on their way.

    Attributes:
        slope: `‖g‖` of each at the latest move.
        best_value: `‖φ ⊙ ρ‖₂` of its best iterate.
        best_peak: the largest pixel of that.
    """

    def __init__(
        self, task: Task, posed: ScaledProblem, state: object, schedule: Schedule, part: Tensor
    ) -> None:
        self._task, self._posed, self._schedule = task, posed, schedule
        self._windows = task.windows[part]
        self._radius = task.radius / float(posed.scale)
        self._coupled = posed.coupled(state, len(part))
        self.best_value = torch.zeros(len(part), device=self._windows.device)
        self.best_peak, self.slope = torch.zeros_like(self.best_value), torch.zeros_like(self.best_value)
        starts = torch.cat([posed.data(start) for start in task.starts[part]])
        self._position = self._projected(self._coupled.perturbation(starts))
        self._best: Perturbation = self._position
        self._aim(self._windows / torch.linalg.vector_norm(self._windows, dim=(-2, -1), keepdim=True))
        self._since = 0

    @property
    def cost(self) -> float:
        return 2.0 * len(self.best_peak)

    def advance(self, steps: int, every: int) -> None:
        """A round."""
        for step in range(steps):
            self._coupled.step()
            self._since += 1
            if self._since == every:
                self._since = 0
                self._move(self._schedule.length(self._radius, step / steps), (step + 1) / steps > SETTLED)

    def _move(self, length: float, settled: bool) -> None:
        """Renew the linearised problem's data, keep the best iterate if `settled`, move by `length`."""
        image = self._task.operator.seen(self._posed.images(self._coupled.image))
        artifact = self._windows * self._task.artifacts(image)
        value, peak = torch.linalg.vector_norm(artifact, dim=(-2, -1)), artifact.abs().amax((-2, -1))
        if settled:
            better = value > self.best_value
            self._best = self._position.where(better, self._best)
            self.best_value = torch.where(better, value, self.best_value)
            self.best_peak = torch.where(better, peak, self.best_peak)
        tiny = torch.finfo(value.dtype).tiny
        direction = artifact / value.clamp(min=tiny)[:, None, None]
        if self._task.artifact == "magnitude":
            direction = direction * torch.sgn(image)
        derivative = self._coupled.derivative
        self.slope = derivative.norm()
        # Before the linearised problem has seen its data there is no direction yet.
        factor = torch.where(self.slope > 0, length / self.slope.clamp(min=tiny), 0.0)
        self._position = self._projected(self._position.plus(derivative, factor))
        self._aim(direction)

    def _aim(self, direction: Tensor) -> None:
        """Go on from the position, with new data of the linearised problem."""
        self._direction = self._task.operator.seen(direction).to(self._task.kspace.dtype)
        self._coupled.perturb(self._position)
        self._coupled.aim(self._direction)

    def _projected(self, perturbation: Perturbation) -> Perturbation:
        """On the sphere of the budget."""
        norm = perturbation.norm()
        return perturbation.scaled(self._radius / norm.clamp(min=torch.finfo(norm.dtype).tiny))

    def keep(self, candidates: Tensor) -> None:
        self._position, self._best = self._position[candidates], self._best[candidates]
        self._windows, self._direction = self._windows[candidates], self._direction[candidates]
        self.best_value, self.best_peak = self.best_value[candidates], self.best_peak[candidates]
        self.slope = self.slope[candidates]
        self._coupled.keep(candidates)
        self._coupled.perturb(self._position)
        self._coupled.aim(self._direction)

    def found(self) -> Tensor:
        """Perturbations, in the budget."""
        operator = self._task.operator
        kspace = self._posed.kspace(self._best.coils(self._posed.measurement)) * operator.mask
        return kspace * by_item(self._task.radius / operator.kspace_norm(kspace), kspace)

"""The reference attack on total variation: Adam through unrolled iterations."""

from typing import Annotated, ClassVar, Literal, cast

import torch
from jaxtyping import Complex, Float, Int
from pydantic import Field
from torch import Tensor

from mrilib.attacks.searches.base import BACKWARD_COST, Round, Search
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.total_variation import unrolling
from mrilib.solvers.total_variation.problem import VariationProblem, initial_state, problem_of


class UnrolledAdam(Search):
    """Adam with projection on `‖φ ⊙ (|recₖ(y + e)| − |recₖ(y)|)‖₂`, `recₖ` a fixed number of ADMM steps.

    Every gradient unrolls `unrolled` plain steps (no over-relaxation) from the state that `warm` steps on
    the clean data left; the last iterate is kept, whatever its value.

    Args:
        steps: gradient steps at every place.
        unrolled: differentiated ADMM steps.
        warm: steps of the warm start.
        learning_rate: of Adam, in the units of k-space.
        epsilon: of Adam.

    Source: the attack of [alaifari2023], settings from the authors' public code: Adam (5, 1e-5), 30 steps,
    50 iterations from a start of 100, one Gaussian start of norm 3η. Deviates: `ρ` is this package's.
    """

    word: ClassVar[str] = "unrolled"
    former_path: ClassVar[str | None] = "mrilib.attacks.unrolled:UnrolledAdam"
    label: ClassVar[str] = "reference search (the paper's)"
    # Measured on one core: 64 places.
    seconds: ClassVar[float | None] = 480.0
    start: ClassVar[Literal["spike", "gaussian"]] = "gaussian"
    start_norm: ClassVar[float] = 3.0

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(ge=1)] = 30,
        unrolled: Annotated[int, Field(ge=1)] = 50,
        warm: Annotated[int, Field(ge=0)] = 100,
        learning_rate: Annotated[float, Field(gt=0)] = 5.0,
        epsilon: Annotated[float, Field(gt=0)] = 1e-5,
    ) -> None:
        self.rounds = (Round(steps, None),)
        self._unrolled, self._warm = unrolled, warm
        self._learning_rate, self._epsilon = learning_rate, epsilon

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        # It climbs moduli whatever the artifact that judges.
        return cls.refusal_unless(reconstructor, operator, method=TotalVariation, measured_by=MaskedFourier)

    def begin(self, task: Task) -> None:
        self._task, self._method = task, cast(TotalVariation, task.reconstructor)
        problem, self._scale = self._problem(task.kspace)
        self._state = unrolling.state_after(problem, initial_state(problem), self._warm)
        self._clean = self._reconstruct(torch.zeros_like(task.kspace)).abs()
        self._costs = {"solver_steps": float(self._warm + self._unrolled), "gradient_evaluations": 0.0}
        self._found = task.starts.clone()
        self._windows = task.windows

    def _problem(self, kspace: Tensor, scale: Tensor | None = None) -> tuple[VariationProblem, Tensor]:
        operator, method = cast(MaskedFourier, self._task.operator), self._method
        return problem_of(kspace, operator, weight=method.weight, coupling=method.coupling, scale=scale)

    def _reconstruct(self, perturbation: Complex[Tensor, "ky kx"]) -> Complex[Tensor, "y x"]:
        problem, _ = self._problem(self._task.kspace + perturbation, self._scale)
        image = unrolling.unroll(problem, self._state, self._unrolled)
        return torch.fft.fftshift(image) * self._scale

    def run(self, steps: int) -> Float[Tensor, "running"]:
        seen = []
        for item, window in enumerate(self._windows):
            self._found[item], peak = self._climb(self._found[item], window, steps)
            seen.append(peak)
        return torch.stack(seen)

    def _climb(self, start: Tensor, window: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        position = start.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([position], lr=self._learning_rate, eps=self._epsilon)
        peak = torch.zeros(())
        for _ in range(steps):
            optimiser.zero_grad()
            with torch.enable_grad():
                artifact = window * (self._reconstruct(position).abs() - self._clean)
                (-torch.linalg.vector_norm(artifact)).backward()
            optimiser.step()
            with torch.no_grad():
                position *= self._task.operator.mask
                position *= min(1.0, self._task.radius / float(norm2(position)))
            peak = artifact.detach().abs().amax()
        self._costs["solver_steps"] += steps * self._unrolled * (1.0 + BACKWARD_COST)
        self._costs["gradient_evaluations"] += steps
        return position.detach(), peak

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        self._found, self._windows = self._found[candidates], self._windows[candidates]

    def found(self) -> Complex[Tensor, "running ky kx"]:
        return self._found

    @property
    def costs(self) -> dict[str, float]:
        return dict(self._costs)

"""Gradient ascent through the last steps of a method's own minimisation."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import pydantic
import torch
from jaxtyping import Shaped
from torch import Tensor

from mrilib.attacks.searches.base import BACKWARD_COST, Round
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import Artifact, Observed, Task
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.classes import load_class

# Of the code of [alaifari2023], for total variation.
UNROLLED = 50


class Unrolling(ABC):
    """A minimisation of clean data that is about to take its last steps.

    A method names its subclass in the attribute `unrolled`.

    Args:
        task: what is attacked.
        steps: how many are left.
    """

    @abstractmethod
    def __init__(self, task: Task, steps: int) -> None: ...

    @abstractmethod
    def image(self, kspace: Tensor) -> Tensor:
        """Image after the last steps on `kspace`, as the method would return it, differentiable in it."""


class UnrolledAscent(GradientAscent):
    """`GradientAscent` of what the last `unrolled` steps of a minimisation make of `y + e`.

    Everything before them is done once, on the clean data, without derivative: an approximation of the
    method's derivative, for methods that have none, and to compare with for those that do. Memory grows with
    the steps. `ρ` is that of the unrolled images; whoever judges minimises afresh.

    Args:
        unrolled: differentiated steps.
        rounds, rate, decay: see `GradientAscent`.

    Source: unrolling is that of [alaifari2023]'s code; the ascent is our choice.
    """

    word: ClassVar[str] = "unrolled-ascent"
    former_path: ClassVar[str | None] = None
    label: ClassVar[str] = "gradient through the last steps"
    loads: ClassVar[str | None] = "unrolled"
    # Estimated: 100 gradients through 50 steps, which cost a decoder half a fit on a GPU, and before them a
    # fit; convex models as much on a core.
    seconds_on_coils: ClassVar[float | None] = 2000.0

    def __init__(
        self,
        *,
        unrolled: Annotated[int, pydantic.Field(ge=1)] = UNROLLED,
        rounds: Sequence[Round | Sequence[int | None]] = (Round(10, 16), Round(20, 4), Round(40, 2)),
        rate: Annotated[float, pydantic.Field(gt=0)] = 1.0,
        decay: Annotated[float, pydantic.Field(gt=0, le=1)] = 0.95,
    ) -> None:
        if unrolled < 1:
            raise ValueError(f"UnrolledAscent: expected unrolled >= 1, got {unrolled}")
        super().__init__(rounds=rounds, rate=rate, decay=decay, chunk=1)
        self._unrolled = unrolled

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        return cls.refusal_unless_stepped(
            reconstructor,
            operator,
            never="minimises nothing whose steps could be unrolled",
            here="has no steps to unroll",
        )

    def begin(self, task: Task) -> None:
        self._unrolling = load_class(str(task.reconstructor.unrolled), Unrolling)(task, self._unrolled)
        with torch.no_grad():
            image = task.observed(self._unrolling.image(task.kspace))
        # What it was computed from would be kept as long as the search runs.
        super().begin(replace(task, clean=Observed(image.detach())))

    def _image(self, kspace: Tensor) -> Shaped[Tensor, "candidates y x"]:
        return torch.stack([self._unrolling.image(each) for each in kspace])

    @property
    def costs(self) -> dict[str, float]:
        steps = self._evaluations * self._unrolled * (1.0 + BACKWARD_COST)
        return super().costs | {"solver_steps": steps}

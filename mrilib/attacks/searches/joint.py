"""The two-step attack on methods that minimise: their variable and the perturbation move together."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar

import pydantic
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.searches.base import Climb, Round, Search, rounds_of
from mrilib.attacks.searches.schedule import SETTLED
from mrilib.attacks.target import Artifact, Task, admitted
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.classes import load_class

# Of the authors' code: up to 350 steps for ℓ1 and 400 for ConvDecoder, the perturbation from step 100 on.
STEPS, WARM = 400, 100
# Our choice; the code's are 1 for ℓ1 and 0.05 for ConvDecoder. On ℓ1 of a raw brain the iterate leaves for
# infinity with it, and the perturbation found is ten times as strong as with 0.02, with which it stays.
BETA = 0.1
# Our choice, in clean images. An iterate that leaves grows by a factor a step, and `z` turns within `1/t` of
# them; before the minimisation has begun to converge the artifact is one clean image.
AWAY, GONE = 2.0, 1e3


class JointStep(ABC):
    """What a method minimises over, of one candidate: an image, or the weights of a network.

    A method names its subclass in the attribute `joint`.

    Args:
        task: what is attacked.
        window: `φ`.
        reference: `x*`, as the method's image is observed.
        beta: `β`.
        draw: how many candidates before it had the same window, so that restarts of a method that begins at
            random begin at different places.
    """

    @abstractmethod
    def __init__(self, task: Task, window: Tensor, reference: Tensor, beta: float, draw: int = 0) -> None: ...

    @abstractmethod
    def step(self, perturbation: Tensor) -> tuple[Tensor, Tensor]:
        """One step of descent on eq. (3) for the given `z`.

        Returns:
            Image before the step, as it is observed, and `Ax − y − z` there, zero outside the mask.
        """


class JointDescent(Search):
    """Joint descent on a method's variable `v` (an image or weights) and on the perturbation `z`:

        `min ½‖A x(v) − (y + z)‖² + λR(v) − β‖φ ⊙ (x(v) − x*)‖²`   over `v` and `‖z‖₂ ≤ η`.

    `v` takes the steps of the method's own minimisation. After `warm` of them, or once `‖ρ‖` exceeds `AWAY`
    clean images, `z` follows, each time by

        `z ← Π(z + t·η·r/‖r‖)`,   `r = A x(v) − y − z`,   `Π` the projection to the budget.

    The candidate's result is its `z` where the joint iterate's `‖φ ⊙ ρ‖` was largest, `ρ` the difference from
    the clean reconstruction, of those after `SETTLED` of a round: before, it is mostly that nothing has
    converged yet. Whoever judges reconstructs from `y + z` afresh, with data consistency to it.
    Restarts of a place, or of the whole image, of a method that begins at random begin each at another draw.
    The objective is unbounded below along what `A` measures weakly, `β > σ_min(A)²/2`: the number of steps,
    `warm` and `t` define the attack. A joint iterate with `‖ρ‖` above `GONE` clean images is on its way to
    infinity, `z` has followed it, and the candidate ends there.

    Args:
        beta: `β`, of an objective in units of k-space squared.
        rounds: stages of the search, or pairs `[steps, keep]`; a new round goes on where the last ended.
        warm: steps before `z` moves.
        rate: `t`, the length of a move in units of the budget. Our choice.
        reference: `x*`, real, with which moduli are compared; by default the clean reconstruction.

    Source: [darestani2021], eq. (3) and (4); steps and `warm` are those of its code. Deviates: another `β`;
    `x*` is the clean reconstruction, by which artifacts are measured, unless it is given; the best iterate is
    kept instead of the last; data consistency is to the perturbed data.
    """

    word: ClassVar[str] = "joint"
    label: ClassVar[str] = "joint descent (two-step)"
    loads: ClassVar[str | None] = "joint"
    # 2 restarts of 400 steps on a convex model, on a core (docs/performance.md).
    seconds_on_coils: ClassVar[float | None] = 600.0

    def __init__(
        self,
        *,
        beta: Annotated[float, pydantic.Field(gt=0)] = BETA,
        rounds: Sequence[Round | Sequence[int | None]] = (Round(STEPS, 2),),
        warm: Annotated[int, pydantic.Field(ge=0)] = WARM,
        rate: Annotated[float, pydantic.Field(gt=0)] = 0.1,
        reference: Tensor | None = None,
    ) -> None:
        if not beta > 0 or not rate > 0 or warm < 0:
            raise ValueError(
                f"JointDescent: expected beta > 0, rate > 0 and warm >= 0, got {beta}, {rate} and {warm}"
            )
        self.rounds = rounds_of(rounds)
        self._beta, self._warm, self._rate, self._reference = beta, warm, rate, reference

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        return cls.refusal_unless_stepped(
            reconstructor,
            operator,
            never="minimises nothing that it could step through",
            here="takes no such steps",
        )

    def begin(self, task: Task) -> None:
        kind = load_class(str(task.reconstructor.joint), JointStep)
        self._task, self._taken, self._steps = task, 0, 0.0
        self._windows = task.windows
        reference = task.clean.value if self._reference is None else self._reference.to(task.windows)
        if reference.shape != task.clean.value.shape:
            raise ValueError(
                f"JointDescent: expected a reference {tuple(task.clean.value.shape)} as the image, got "
                f"{tuple(reference.shape)}; leave it out to compare with the clean reconstruction"
            )
        draws = _draws(task.windows)
        self._clean, self._moves = float(norm2(task.clean.value)), [0] * len(task.windows)
        self._joint: list[JointStep | None] = [
            kind(task, window, reference, self._beta, draw)
            for window, draw in zip(task.windows, draws, strict=True)
        ]
        # Apart, for they are changed in place.
        nothing = torch.zeros(2, len(task.windows), device=task.windows.device)
        self._climb = Climb(task.starts.clone(), task.starts.clone(), *nothing)

    def run(self, steps: int) -> Float[Tensor, "running"]:
        for item in range(len(self._joint)):
            self._climbed(item, steps)
        self._taken += steps
        return self._climb.peak

    def _climbed(self, item: int, steps: int) -> None:
        """One candidate after `steps` steps; its entries are changed in place."""
        task, climb, window = self._task, self._climb, self._windows[item]
        joint = self._joint[item]
        if joint is None:
            return
        for done, step in enumerate(range(self._taken, self._taken + steps), start=1):
            image, residual = joint.step(climb.position[item])
            self._steps += 1
            artifact = task.artifacts(image)
            size = float(norm2(artifact))
            gone = not size <= GONE * self._clean
            if gone and not self._moves[item]:
                raise FloatingPointError(
                    f"JointDescent: the joint iterate leaves for infinity at step {step}, before the "
                    f"perturbation moves (‖ρ‖₂ = {size:.3g}, the clean image has {self._clean:.3g}); "
                    "lower beta or warm"
                )
            if step < self._warm and size <= AWAY * self._clean and not self._moves[item]:
                continue
            value = norm2(window * artifact)
            if value > climb.value[item] and (gone or done > SETTLED * steps):
                climb.value[item], climb.peak[item] = value, (window * artifact).abs().max()
                climb.best[item] = climb.position[item]
            if gone:
                self._joint[item] = None
                return
            length = task.operator.kspace_norm(residual)
            if length > 0:
                moved = climb.position[item] + self._rate * task.radius / length * residual
                climb.position[item] = admitted(moved, task.operator, task.radius)
                self._moves[item] += 1

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        self._windows, self._climb = self._windows[candidates], self._climb[candidates]
        self._joint = [self._joint[int(candidate)] for candidate in candidates]
        self._moves = [self._moves[int(candidate)] for candidate in candidates]

    def found(self) -> Complex[Tensor, "running *coil ky kx"]:
        return self._climb.best

    @property
    def costs(self) -> dict[str, float]:
        return {"solver_steps": self._steps, "gradient_evaluations": self._steps}


def _draws(windows: Float[Tensor, "candidates y x"]) -> list[int]:
    """How many windows before each one are equal to it."""
    seen: Counter[bytes] = Counter()
    draws = []
    for window in windows.cpu().numpy():
        draws.append(seen[window.tobytes()])
        seen[window.tobytes()] += 1
    return draws

"""Projected gradient ascent through any differentiable reconstructor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from jaxtyping import Complex, Float, Int
from pydantic import Field
from torch import Tensor

from mrilib.attacks.chunks import Chunks
from mrilib.attacks.searches.base import Climb, Round, Search, by_item, rounds_of
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.gradient_memory import saved_bytes

# Relative distance from Euler's identity at which a method counts as linear: above what solvers leave of it.
LINEAR = 1e-2


@dataclass(frozen=True)
class _Momentum(Climb):
    """Candidates with the velocity of their moves."""

    velocity: Tensor


class GradientAscent(Search):
    """Projected gradient ascent with momentum on `‖φ ⊙ ρ‖₂`, `ρ` as `Target.artifacts`.

        `v ← ½v + g/‖g‖`,   `e ← η·(e + t·η·v)/‖e + t·η·v‖`,   `t = rate·decay^k` at step `k`.

    Of a linear method `f = ‖φ ⊙ ρ‖₂` is homogeneous, `Re⟨g, e⟩ = f`. Where that holds to `LINEAR` with coils,
    the step is `e ← η·g/‖g‖` instead, the power method, which lowers no convex objective and reaches the top
    singular value sooner: the spectrum of coils is dense, where that of a single coil is flat.

    Norms of `e`, `g` and `v` are those of all coils. The best iterate by the objective is kept. The last of
    a round is differentiated in the next one, by those who go on, and counts as a gradient evaluation anyway.
    Where `φ ⊙ ρ = 0` the objective has no derivative; there `g` is that of `Re⟨φ, ρ⟩`.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        rate: length `t` of the first step, in units of the budget.
        decay: factor on `t` from step to step.
        chunk: most candidates differentiated at once; by default as many as `Chunks` has room for, by a count
            of what autograd keeps of one, which takes one more reconstruction.

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

    word: ClassVar[str] = "gradient"
    former_path: ClassVar[str | None] = "mrilib.attacks.pgd:GradientAscent"
    label: ClassVar[str] = "gradient search"

    def __init__(
        self,
        *,
        rounds: Sequence[Round | Sequence[int | None]] = (Round(10, 16), Round(20, 4), Round(40, 2)),
        rate: Annotated[float, Field(gt=0)] = 1.0,
        decay: Annotated[float, Field(gt=0, le=1)] = 0.95,
        chunk: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        self.rounds = rounds_of(rounds)
        self._rate, self._decay, self._chunk = rate, decay, chunk

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        if reconstructor.search is not None:
            return None
        return f"{cls.__name__}: {type(reconstructor).__name__} has no derivative that a search could follow"

    def begin(self, task: Task) -> None:
        self._task = task
        self._count = self._evaluations = 0
        self._looked_at = False
        self._windows, position = task.windows, task.starts.clone()
        each = 0 if self._chunk is not None else self._bytes_of_one()
        self._chunks = Chunks(self._chunk, task.kspace.device, bytes_each=each)
        # Apart, for they are changed in place.
        value, peak = torch.zeros(2, len(position), device=position.device, dtype=self._windows.dtype)
        self._climb = _Momentum(position, position.clone(), value, peak, torch.zeros_like(position))

    def _bytes_of_one(self) -> int:
        """What is kept for the gradient of one candidate."""
        start = self._task.starts[:1].clone().requires_grad_(True)
        return saved_bytes(lambda: self._artifact(start, self._windows[:1]), but=[self._task.kspace, start])

    def run(self, steps: int) -> Float[Tensor, "running"]:
        count = self._climb.position.shape[0]
        # Most candidates end with a round: where it ends is looked at, and differentiated if it goes on.
        for _ in range(steps - 1 + self._looked_at):
            self._each(self._moved, count)
            self._count += 1
        self._each(self._valued, count)
        self._looked_at = True
        self._evaluations += steps * count
        return self._climb.peak

    def _each(self, function: Callable[[Tensor], _Momentum], count: int) -> None:
        """Candidates part by part, in place: those of coils are gigabytes, and there is no second set."""
        for part, found in self._chunks.parts(function, count):
            self._climb.put(part, found)

    def _valued(self, part: Tensor) -> _Momentum:
        """Some candidates, the value of where they are taken into account."""
        now = self._climb[part]
        artifact, _ = self._artifact(now.position.clone().requires_grad_(True), self._windows[part])
        return self._improved(now, *_sizes(artifact))

    def _moved(self, part: Tensor) -> _Momentum:
        """Some candidates after one more step."""
        radius, position = self._task.radius, self._climb[part].position
        value, peak, derivative = self._look(position, self._windows[part])
        now = self._improved(self._climb[part], value, peak)
        norm = self._norm(derivative)
        self._check_finite(norm)
        velocity = 0.5 * now.velocity + torch.where(norm > 0, derivative / norm, 0.0)
        moved = position + self._rate * self._decay**self._count * radius * velocity
        if self._task.operator.kspace_axes > 2:
            slope = (derivative.conj() * position).real.flatten(1).sum(1, dtype=torch.float64)
            linear = (slope - value).abs() < LINEAR * value
            moved = torch.where(by_item(linear, moved), derivative, moved)
        length = self._norm(moved)
        moved = torch.where(length > 0, moved * (radius / length), moved)
        return replace(now, position=moved, velocity=velocity)

    def _improved(self, now: _Momentum, value: Tensor, peak: Tensor) -> _Momentum:
        """Candidates whose position counts as their best if its value is the largest so far."""
        self._check_finite(value)
        better = value > now.value
        return replace(
            now,
            best=torch.where(by_item(better, now.position), now.position, now.best),
            value=torch.where(better, value, now.value),
            peak=torch.where(better, peak, now.peak),
        )

    def _check_finite(self, values: Tensor) -> None:
        if not bool(values.isfinite().all()):
            wrong = values[~values.isfinite()]
            raise FloatingPointError(
                f"GradientAscent: non-finite value or gradient at step {self._count}: {float(wrong[0]):g} "
                f"for {wrong.numel()} of {values.numel()} candidates"
            )

    def _norm(self, kspace: Tensor) -> Tensor:
        """`‖·‖₂` of every candidate, with the axes of k-space."""
        return by_item(self._task.operator.kspace_norm(kspace), kspace)

    def _look(self, position: Tensor, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Objective, largest pixel in the window, and derivative."""
        position = position.clone().requires_grad_(True)
        artifact, difference = self._artifact(position, windows)
        value, peak = _sizes(artifact)
        scale = value[:, None, None]
        uniform = windows / norm2(windows)[:, None, None]
        direction = torch.where(scale > 0, artifact / scale, uniform.to(artifact))
        (derivative,) = torch.autograd.grad(difference, position, windows * direction)
        return value, peak, derivative * self._task.operator.mask

    def _artifact(self, position: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """`φ ⊙ ρ`, and `ρ` differentiably."""
        task = self._task
        with torch.enable_grad():
            image = self._image(task.kspace + position)
        if not image.requires_grad:
            name = type(task.reconstructor).__name__
            raise ValueError(f"GradientAscent: {name} returns an image without derivative; remove its detach")
        with torch.enable_grad():
            difference = task.artifacts(task.observed(image))
        return windows * difference.detach(), difference

    def _image(self, kspace: Tensor) -> Tensor:
        """What stands for the method's reconstruction, differentiably."""
        return self._task.reconstructor(kspace, self._task.operator)

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        self._windows, self._climb = self._windows[candidates], self._climb[candidates]

    def found(self) -> Complex[Tensor, "running *coil ky kx"]:
        return self._climb.best

    @property
    def costs(self) -> dict[str, float]:
        return {"solver_steps": float("nan"), "gradient_evaluations": float(self._evaluations)}


def _sizes(artifact: Tensor) -> tuple[Tensor, Tensor]:
    """`‖φ ⊙ ρ‖₂` and the largest pixel."""
    return norm2(artifact), artifact.abs().amax(dim=(-2, -1))

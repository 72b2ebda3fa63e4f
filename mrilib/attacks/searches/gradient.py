"""Projected gradient ascent through any differentiable reconstructor.

The global attack is known by this module's name as well; it stands in a module of its own, so that an edit
of this search leaves the attacks that other searches made.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.chunks import Chunks
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.searches.base import Round, Search, by_item, rounds_of
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.reconstructors.base import Reconstructor

__all__ = ["GradientAscent", "global_attack"]

# Relative distance from Euler's identity at which a method counts as linear: above what solvers leave of it.
LINEAR = 1e-2

# What a candidate carries through the search.
STATE = ("_position", "_velocity", "_best", "_best_value", "_best_peak")


class GradientAscent(Search):
    """Projected gradient ascent with momentum on `‖φ ⊙ ρ‖₂`, `ρ` as `Target.artifacts`.

        `v ← ½v + g/‖g‖`,   `e ← η·(e + t·η·v)/‖e + t·η·v‖`,   `t = rate·decay^k` at step `k`.

    Of a linear method `f = ‖φ ⊙ ρ‖₂` is homogeneous, `Re⟨g, e⟩ = f`. Where that holds to `LINEAR` with coils,
    the step is `e ← η·g/‖g‖` instead, the power method, which lowers no convex objective and reaches the top
    singular value sooner: the spectrum of coils is dense, where that of a single coil is flat.

    Norms of `e`, `g` and `v` are those of all coils. The best iterate by the objective is kept. Where
    `φ ⊙ ρ = 0` the objective has no derivative; there `g` is that of `Re⟨φ, ρ⟩`.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        rate: length `t` of the first step, in units of the budget.
        decay: factor on `t` from step to step.
        chunk: most candidates differentiated at once (see `Chunks`).

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

    word: ClassVar[str] = "gradient"

    def __init__(
        self,
        *,
        rounds: Sequence[Round | Sequence[int | None]] = (Round(10, 16), Round(20, 4), Round(40, 2)),
        rate: float = 1.0,
        decay: float = 0.95,
        chunk: int | None = None,
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
        self._task, self._chunks = task, Chunks(self._chunk, task.kspace.device)
        self._windows, self._position = task.windows, task.starts.clone()
        self._velocity = torch.zeros_like(self._position)
        self._count = self._evaluations = 0
        self._best = self._position.clone()
        self._best_value = torch.zeros_like(self._windows[:, 0, 0])
        self._best_peak = torch.zeros_like(self._best_value)

    def run(self, steps: int) -> Float[Tensor, "running"]:
        for _ in range(steps):
            parts = self._chunks.map(self._stepped, self._position.shape[0])
            for name, values in zip(STATE, zip(*parts, strict=True), strict=True):
                setattr(self, name, torch.cat(values))
            self._count += 1
            self._evaluations += self._position.shape[0]
        return self._best_peak

    def _stepped(self, part: Tensor) -> tuple[Tensor, ...]:
        """`STATE` of some candidates after one more step."""
        radius = self._task.radius
        position, velocity, best, best_value, best_peak = (getattr(self, name)[part] for name in STATE)
        value, peak, derivative = self._look(position, self._windows[part])
        norm = self._norm(derivative)
        if not bool((norm.isfinite() & by_item(value.isfinite(), norm)).all()):
            raise FloatingPointError(f"GradientAscent: non-finite value or gradient at step {self._count}")
        better = value > best_value
        best_value = torch.where(better, value, best_value)
        best_peak = torch.where(better, peak, best_peak)
        best = torch.where(by_item(better, position), position, best)
        velocity = 0.5 * velocity + torch.where(norm > 0, derivative / norm, 0.0)
        moved = position + self._rate * self._decay**self._count * radius * velocity
        if self._task.operator.kspace_axes > 2:
            slope = (derivative.conj() * position).real.flatten(1).sum(1, dtype=torch.float64)
            linear = (slope - value).abs() < LINEAR * value
            moved = torch.where(by_item(linear, moved), derivative, moved)
        length = self._norm(moved)
        position = torch.where(length > 0, moved * (radius / length), moved)
        return position, velocity, best, best_value, best_peak

    def _norm(self, kspace: Tensor) -> Tensor:
        """`‖·‖₂` of every candidate, with the axes of k-space."""
        return by_item(self._task.operator.kspace_norm(kspace), kspace)

    def _look(self, position: Tensor, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Objective, largest pixel in the window, and derivative."""
        task = self._task
        position = position.clone().requires_grad_(True)
        with torch.enable_grad():
            image = task.reconstructor(task.kspace + position, task.operator)
        if not image.requires_grad:
            name = type(task.reconstructor).__name__
            raise ValueError(f"GradientAscent: {name} returns an image without derivative; remove its detach")
        with torch.enable_grad():
            difference = task.artifacts(task.observed(image))
        artifact = windows * difference.detach()
        value = norm2(artifact)
        scale = value[:, None, None]
        uniform = windows / norm2(windows)[:, None, None]
        direction = torch.where(scale > 0, artifact / scale, uniform.to(artifact))
        (derivative,) = torch.autograd.grad(difference, position, windows * direction)
        return value, artifact.abs().amax(dim=(-2, -1)), derivative * task.operator.mask

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        for name in ("_windows", *STATE):
            setattr(self, name, getattr(self, name)[candidates])

    def found(self) -> Complex[Tensor, "running *coil ky kx"]:
        return self._best

    @property
    def costs(self) -> dict[str, float]:
        return {"solver_steps": float("nan"), "gradient_evaluations": float(self._evaluations)}

"""Projected gradient ascent through any differentiable reconstructor, and the global attack."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.base import (
    AttackResult,
    Clock,
    Round,
    Search,
    Start,
    Target,
    Task,
    admitted,
    check_attack,
    clean_solution,
    gaussian_starts,
    result_of,
    rounds_of,
    stacked,
)
from mrilib.attacks.chunks import Chunks
from mrilib.attacks.rounds import GIVEN, searched
from mrilib.attacks.spike import spike
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import Solution

# What a candidate carries through the search.
STATE = ("_position", "_velocity", "_best", "_best_value", "_best_peak")


class GradientAscent(Search):
    """Projected gradient ascent with momentum on `‖φ ⊙ (rec(y + e) − rec(y))‖₂`.

        `v ← ½v + g/‖g‖`,   `e ← η·(e + t·η·v)/‖e + t·η·v‖`,   `t = rate·decay^k` at step `k`.

    The best iterate by the objective is kept. Where `φ ⊙ ρ = 0` the objective has no derivative; there `g` is
    that of `Re⟨φ, ρ⟩`.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        rate: length `t` of the first step, in units of the budget.
        decay: factor on `t` from step to step.
        chunk: most candidates differentiated at once (see `Chunks`).

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

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
        norm = norm2(derivative)[:, None, None]
        if not bool((norm.isfinite() & value.isfinite()[:, None, None]).all()):
            raise FloatingPointError(f"GradientAscent: non-finite value or gradient at step {self._count}")
        better = value > best_value
        best_value = torch.where(better, value, best_value)
        best_peak = torch.where(better, peak, best_peak)
        best = torch.where(better[:, None, None], position, best)
        velocity = 0.5 * velocity + torch.where(norm > 0, derivative / norm, 0.0)
        moved = position + self._rate * self._decay**self._count * radius * velocity
        length = norm2(moved)[:, None, None]
        position = torch.where(length > 0, moved * (radius / length), moved)
        return position, velocity, best, best_value, best_peak

    def _look(self, position: Tensor, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Objective, largest pixel in the window, and derivative."""
        task = self._task
        position = position.clone().requires_grad_(True)
        with torch.enable_grad():
            image = task.reconstructor(task.kspace + position, task.operator)
        if not image.requires_grad:
            name = type(task.reconstructor).__name__
            raise ValueError(f"GradientAscent: {name} returns an image without derivative; remove its detach")
        artifact = windows * (image.detach() - task.clean.value)
        value = norm2(artifact)
        scale = value[:, None, None]
        uniform = windows / norm2(windows)[:, None, None]
        direction = torch.where(scale > 0, artifact / scale, uniform.to(artifact))
        (derivative,) = torch.autograd.grad(image, position, windows * direction)
        return value, artifact.abs().amax(dim=(-2, -1)), derivative * task.operator.mask

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        for name in ("_windows", *STATE):
            setattr(self, name, getattr(self, name)[candidates])

    def found(self) -> Complex[Tensor, "running ky kx"]:
        return self._best

    @property
    def costs(self) -> dict[str, float]:
        return {"solver_steps": float("nan"), "gradient_evaluations": float(self._evaluations)}


def global_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch ky kx"],
    operator: MaskedFourier,
    *,
    radius: float | Float[Tensor, "*batch"],
    steps: int = 100,
    restarts: int = 2,
    seed: int,
    starts: Sequence[Start] = (),
    search: Search | None = None,
    clean: Solution | None = None,
) -> AttackResult:
    """Maximise `‖rec(y + e) − rec(y)‖₂` over `‖e‖₂ ≤ η`, from `restarts` random starts.

    Starts are in turn a spike at a random pixel and Gaussian noise: on total variation neither kind leads to
    what the other finds, and either can be the worse.

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`; leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        steps: steps of the search from every start.
        restarts: number of starts, of norm `η`; from two on both kinds are among them.
        seed: their seed.
        starts: further ones, whose locations do not matter; the result is no weaker than any of them. Only
            for a single item.
        search: how to search; by default a new one of the class that the reconstructor names. Its rounds
            are not used.
        clean: `reconstructor.solve(kspace, operator)` of a single item, if the caller has it.

    Returns:
        `AttackResult`, batched as `kspace`, of the start with the largest `‖ρ‖₂`; `severities` is `None`.

    Raises:
        ValueError: for arguments out of range.

    Source: [alaifari2023], eq. (4).
    """
    radii = check_attack(kspace, operator, radius, "global_attack", starts)
    if steps < 1 or restarts < 1:
        raise ValueError(f"global_attack: expected steps >= 1 and restarts >= 1, got {steps} and {restarts}")
    running = load_class(reconstructor.search, Search)() if search is None else search
    height, width = kspace.shape[-2:]
    flat = kspace.reshape(-1, height, width)
    count = restarts + len(starts)
    windows = torch.ones((count, height, width), device=kspace.device, dtype=kspace.real.dtype)
    results = []
    for item, item_radius in enumerate(radii.tolist()):
        clock = Clock()
        clean_item = clean_solution(reconstructor, flat[item], operator, clean)
        target = Target(reconstructor, operator, flat[item], item_radius, clean_item)
        own = _starts(operator, restarts, item_radius, [seed, item]).to(kspace)
        extra = [admitted(start.perturbation, operator, item_radius).to(kspace)[None] for start in starts]
        found = searched(
            running,
            target,
            windows=windows,
            starts=torch.cat([own, *extra]),
            groups=torch.tensor([0] * restarts + [GIVEN] * len(starts)),
            rounds=(Round(steps, None),),
        )
        best = int(norm2(found.judged.artifacts).argmax())
        stats = {**found.stats, "seconds": clock.seconds}
        results.append(result_of(target, found.judged, best, location=torch.tensor([-1, -1]), stats=stats))
    return stacked(results, kspace.shape[:-2])


def _starts(
    operator: MaskedFourier, count: int, radius: float, seed: list[int]
) -> Complex[Tensor, "count ky kx"]:
    starts = gaussian_starts(operator, count, radius, seed)
    pixels = np.random.default_rng(seed).integers(operator.mask.shape, size=(count, 2))
    for item in range(0, count, 2):
        starts[item] = spike(operator, torch.from_numpy(pixels[item]), radius)
    return starts

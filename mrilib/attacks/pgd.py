"""Projected gradient ascent through any differentiable reconstructor, and the global attack."""

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.base import (
    AttackResult,
    Clock,
    Round,
    Search,
    Task,
    check_attack,
    clean_solution,
    gaussian_starts,
    judge,
    result_of,
    stacked,
)
from mrilib.attacks.spike import spike
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import Solution


class GradientAscent(Search):
    """Projected gradient ascent with momentum on `‖φ ⊙ (rec(y + e) − rec(y))‖₂`.

        `v ← ½v + g/‖g‖`,   `e ← η·(e + t·η·v)/‖e + t·η·v‖`,   `t = rate·decay^k` at step `k`.

    The best iterate by the objective is kept.

    Args:
        rounds: stages of the search.
        rate: length `t` of the first step, in units of the budget.
        decay: factor on `t` from step to step.
        chunk: candidates differentiated at once.

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

    def __init__(
        self,
        *,
        rounds: tuple[Round, ...] = (Round(4, 8), Round(8, 2), Round(24, 1)),
        rate: float = 1.0,
        decay: float = 0.95,
        chunk: int = 16,
    ) -> None:
        self.rounds = rounds
        self._rate, self._decay, self._chunk = rate, decay, chunk

    def begin(self, task: Task) -> None:
        self._task = task
        self._windows, self._position = task.windows, task.starts.clone()
        self._velocity = torch.zeros_like(self._position)
        self._count = self._evaluations = 0
        self._best = self._position.clone()
        self._best_value = torch.zeros_like(self._windows[:, 0, 0])
        self._best_peak = torch.zeros_like(self._best_value)

    def run(self, steps: int) -> Float[Tensor, "running"]:
        for _ in range(steps):
            for part in torch.arange(self._position.shape[0]).split(self._chunk):
                self._step(part)
            self._count += 1
        return self._best_peak

    def _step(self, part: Tensor) -> None:
        task, radius = self._task, self._task.radius
        position = self._position[part].clone().requires_grad_(True)
        with torch.enable_grad():
            image = task.reconstructor(task.kspace + position, task.operator)
            artifact = self._windows[part] * (image - task.clean.value)
            value = torch.linalg.vector_norm(artifact, dim=(-2, -1))
            (derivative,) = torch.autograd.grad(value.sum(), position)
        derivative = derivative * task.operator.mask
        norm = norm2(derivative)[:, None, None]
        if not bool((norm.isfinite() & value.isfinite()[:, None, None]).all()):
            raise FloatingPointError(f"GradientAscent: non-finite value or gradient at step {self._count}")
        with torch.no_grad():
            better = value > self._best_value[part]
            self._best_value[part] = torch.where(better, value, self._best_value[part])
            peak = artifact.abs().amax(dim=(-2, -1))
            self._best_peak[part] = torch.where(better, peak, self._best_peak[part])
            self._best[part] = torch.where(better[:, None, None], self._position[part], self._best[part])
            direction = torch.where(norm > 0, derivative / norm, torch.zeros_like(derivative))
            self._velocity[part] = 0.5 * self._velocity[part] + direction
            length = self._rate * self._decay**self._count * radius
            moved = self._position[part] + length * self._velocity[part]
            self._position[part] = moved * (radius / norm2(moved))[:, None, None]
        self._evaluations += part.numel()

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        for name in ("_windows", "_position", "_velocity", "_best", "_best_value", "_best_peak"):
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
        search: how to search; by default a new one of the class that the reconstructor names. Its rounds
            are not used.
        clean: `reconstructor.solve(kspace, operator)` of a single item, if the caller has it.

    Returns:
        `AttackResult`, batched as `kspace`, of the start with the largest `‖ρ‖₂`; `severities` is `None`.

    Raises:
        ValueError: for arguments out of range.

    Source: [alaifari2023], eq. (4).
    """
    radii = check_attack(kspace, operator, radius, "global_attack")
    if steps < 1 or restarts < 1:
        raise ValueError(f"global_attack: expected steps >= 1 and restarts >= 1, got {steps} and {restarts}")
    height, width = kspace.shape[-2:]
    flat = kspace.reshape(-1, height, width)
    results = []
    for item, item_radius in enumerate(radii.tolist()):
        clock = Clock()
        running = load_class(reconstructor.search, Search)() if search is None else search
        task = Task(
            reconstructor=reconstructor,
            operator=operator,
            kspace=flat[item],
            radius=item_radius,
            clean=clean_solution(reconstructor, flat[item], operator, clean),
            windows=torch.ones((restarts, height, width), device=kspace.device, dtype=kspace.real.dtype),
            starts=_starts(operator, restarts, item_radius, [seed, item]).to(kspace),
        )
        running.begin(task)
        running.run(steps)
        judged = judge(task, running.found())
        best = int(torch.linalg.vector_norm(judged.artifacts, dim=(-2, -1)).argmax())
        stats = {**running.costs, "judging_steps": judged.steps, "seconds": clock.seconds}
        results.append(result_of(task, judged, best, location=torch.tensor([-1, -1]), stats=stats))
    return stacked(results, kspace.shape[:-2])


def _starts(
    operator: MaskedFourier, count: int, radius: float, seed: list[int]
) -> Complex[Tensor, "count ky kx"]:
    starts = gaussian_starts(operator, count, radius, seed)
    pixels = np.random.default_rng(seed).integers(operator.mask.shape, size=(count, 2))
    for item in range(0, count, 2):
        starts[item] = spike(operator, torch.from_numpy(pixels[item]), radius)
    return starts

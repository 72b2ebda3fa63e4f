"""Attacks on total variation in one loop: reconstruction, derivative and perturbation move together.

The adjoint of the minimiser's derivative solves the problem linearised at the minimiser, which the same
ADMM step solves with a mask in place of the shrinkage (`total_variation.admm.solve_linearised` of the
solvers). So both run side by side, the perturbation moves along the derivative as it stands, and neither is
solved to convergence in between. Memory does not grow with the number of steps.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.searches.base import Climb
from mrilib.attacks.searches.coordinates import Ground, imaginary_part, is_real
from mrilib.attacks.searches.moves import move, moved
from mrilib.attacks.searches.schedule import SETTLED, CoupledSearch, Schedule
from mrilib.attacks.target import Artifact, Task
from mrilib.operators.base import MeasurementOperator
from mrilib.operators.fourier import MaskedFourier
from mrilib.operators.gradient import divergence, gradient
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.couplings import Field
from mrilib.solvers.field_parts import interleaved
from mrilib.solvers.total_variation.batched import BatchLoop
from mrilib.solvers.total_variation.fused import FusedLoop
from mrilib.solvers.total_variation.problem import OVER_RELAXATION, problem_of

# ρ of the loop. It weighs `∇ᵀ∇`, at most 8, against `AᴴA`, at most 1, and so has no unit. Where it follows
# √λ, as the solver's own does, images follow perturbations slowly at high noise levels.
PENALTY = 0.16


class CoupledAscent(CoupledSearch):
    """Coupled search of the localized and global attacks on `TotalVariation` with a single coil.

    Every `every` steps, with `g` the current derivative of the objective on the mask,

        `e ← η·(e + t·η·g/‖g‖)/‖e + t·η·g/‖g‖‖`,   `t = rate·(1 − k/K)^power`

    at step `k` of the `K` of a round. The best iterate of those after `SETTLED` of a round is kept. Between
    rounds places are ranked by `‖ρ‖∞·‖g‖`.

    For real images under the coupling `split` the perturbation is kept that of a real image: then the
    problem is real, with spectrum `(mask(k) + mask(−k))/2`, and reconstruction and derivative share one
    complex transform. Other couplings and complex images carry two complex states.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        every: steps between two moves.
        rate: length `t` of a round's first move, in units of the budget; by default that of `Schedule.of`.
        power: how fast `t` falls to zero in a round.

    Source: our choice; the objective is eq. (6) of [alaifari2023].
    """

    word: ClassVar[str] = "coupled"
    former_path: ClassVar[str | None] = "mrilib.attacks.coupled:CoupledAscent"
    artifacts: ClassVar[tuple[Artifact, ...]] = ("complex",)
    # Measured on one core: 64 places.
    seconds: ClassVar[float | None] = 10.0

    @classmethod
    def refusal(
        cls, reconstructor: Reconstructor, operator: MeasurementOperator, artifact: Artifact
    ) -> str | None:
        refusal = cls.refusal_unless(
            reconstructor, operator, method=TotalVariation, measured_by=MaskedFourier
        )
        if refusal is None and artifact not in cls.artifacts:
            return cls.refused(f"expected artifact 'complex', got {artifact!r}")
        return refusal

    def begin(self, task: Task) -> None:
        method = cast(TotalVariation, task.reconstructor)
        state = task.clean.state
        if state is None:
            state = method.solve(task.kspace, task.operator).state
        operator = cast(MaskedFourier, task.operator)
        schedule = Schedule.of(self._rate, self._power, task.windows)
        problem, scale = problem_of(task.kspace, operator, weight=method.weight, coupling=method.coupling)
        problem = replace(problem, stiffness=PENALTY / math.sqrt(float(problem.weight)))
        real = is_real(task) and method.coupling == "split"
        ground = Ground(task, state.state_for(problem), problem, float(scale), real)
        if ground.real and task.kspace.device.type == "cpu":
            inverse = ground.problem.inverse().numpy()
            self._begun(
                [
                    _FusedRun(ground, schedule, task.windows[[item]], task.starts[[item]], inverse)
                    for item in range(task.windows.shape[0])
                ]
            )
        else:
            run = _PairedRun if ground.real else _ComplexRun
            self._begun([run(ground, schedule, task.windows, task.starts)])


class _Run(ABC):
    """Candidates on their way.

    Attributes:
        cost: solver steps counted for one step of all of them.
        slope: `‖g‖` of each at the latest move.
    """

    cost: float
    slope: Float[Tensor, "items"]

    def __init__(self, ground: Ground, moves: Schedule, windows: Tensor, starts: Tensor) -> None:
        self._ground, self._moves = ground, moves
        self._since = 0
        position = ground.projected(ground.coordinates(starts))
        value = torch.zeros(windows.shape[0], dtype=torch.float64, device=windows.device)
        self._climb = Climb(position, position.clone(), value, torch.zeros_like(value))
        self.slope = torch.zeros_like(value)

    @property
    def best_peak(self) -> Float[Tensor, "items"]:
        """Largest `|φ ⊙ ρ|` of each candidate's best iterate, in the units of the image."""
        return self._climb.peak * self._ground.scale

    def found(self) -> Complex[Tensor, "items ky kx"]:
        return self._ground.perturbations(self._climb.best)

    def advance(self, steps: int, every: int) -> None:
        """A round."""
        for step in range(steps):
            self._solve()
            self._since += 1
            if self._since == every:
                self._since = 0
                self._move(
                    self._moves.length(self._ground.radius, step / steps), (step + 1) / steps > SETTLED
                )
            self._update()

    @abstractmethod
    def _solve(self) -> None:
        """Images of a coupled step, from the states."""

    @abstractmethod
    def _move(self, length: float, settled: bool) -> None:
        """Renew the linearised problem's data, keep the best iterate if `settled`, move by `length`."""

    @abstractmethod
    def _update(self) -> None:
        """New states, from the images."""

    @abstractmethod
    def keep(self, candidates: Tensor) -> None:
        """Drop the others."""


class _FusedRun(_Run):
    """One candidate of a real problem on one core, by the fused kernels."""

    cost = 1.0

    def __init__(
        self, ground: Ground, moves: Schedule, windows: Tensor, starts: Tensor, inverse: np.ndarray
    ) -> None:
        super().__init__(ground, moves, windows, starts)
        # The window's bounding box, found in the shifted image where disks are in one piece.
        rows, columns = (torch.nonzero(windows[0].any(dim=axis)).flatten() for axis in (1, 0))
        height, width = ground.shape
        self._rows = (torch.arange(int(rows[0]), int(rows[-1]) + 1).numpy() - height // 2) % height
        columns_in = torch.arange(int(columns[0]), int(columns[-1]) + 1).numpy()
        self._columns = (columns_in - width // 2) % width
        self._window = windows[0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].numpy()
        self._box = np.ix_(self._rows, 2 * self._columns)
        self._imaginary = np.ix_(self._rows, 2 * self._columns + 1)
        self._clean = ground.clean.real.numpy()[np.ix_(self._rows, self._columns)]
        self._loop = FusedLoop(ground.problem, paired=True, inverse=inverse)
        plain = ground.problem.data.flatten()[ground.sampled]
        data = plain + ground.weights * self._climb.position[0]
        np.multiply(self._loop.gain, data.numpy(), out=self._loop.values)
        indices = (ground.sampled, ground.mirrored, ground.weights)
        # Views of the tensors: the kernel moves the position in place.
        points = (self._climb.position[0], plain.resolve_conj())
        self._coordinates = [*(tensor.numpy() for tensor in indices), *map(interleaved, points)]
        self._loop.load(ground.state)
        self._source = self._window / np.linalg.norm(self._window)

    def _solve(self) -> None:
        self._loop.reflected[self._imaginary] += self._source / self._loop.rho
        self._loop.solve()

    def _update(self) -> None:
        self._loop.update()

    def _move(self, length: float, settled: bool) -> None:
        """The moves of `_Run`, fused."""
        loop = self._loop
        artifact = self._window * (loop.image[self._box] - self._clean)
        value = float(np.linalg.norm(artifact))
        if value > 0:
            self._source = artifact / value
        if settled and value > float(self._climb.value):
            self._climb.value[0], self._climb.peak[0] = value, float(np.abs(artifact).max())
            self._climb.best.copy_(self._climb.position)
        # The loop's spectrum is over the number of pixels.
        self.slope[0] = loop.spectrum.numel() * move(
            interleaved(loop.spectrum).reshape(-1),
            *self._coordinates,
            loop.gain,
            loop.values.view(loop.gain.dtype),
            *map(loop.gain.dtype.type, (length, self._ground.radius, 0.5)),
        )

    def keep(self, candidates: Tensor) -> None:
        pass


class _BatchRun(_Run):
    """All candidates at once in torch: on a GPU, and as the reference of the fused kernels."""

    def __init__(self, ground: Ground, moves: Schedule, windows: Tensor, starts: Tensor) -> None:
        super().__init__(ground, moves, windows, starts)
        self._windows = torch.fft.ifftshift(windows, dim=(-2, -1))
        self._plain = ground.problem.data.flatten()[ground.sampled]
        direction = self._windows / torch.linalg.vector_norm(self._windows, dim=(-2, -1), keepdim=True)
        self._begin(ground.state.expand(windows.shape[0], *ground.state.shape), direction)
        self._set_data(self._data())

    @abstractmethod
    def _begin(self, state: Field, direction: Tensor) -> None:
        """Start from the state of the clean data, the linearised problem's at zero with data `direction`."""

    @abstractmethod
    def _set_source(self, direction: Tensor) -> None:
        """New data of the linearised problem."""

    @abstractmethod
    def _set_data(self, data: Tensor) -> None:
        """New data of the forward problem, `(items, y, x)`."""

    @abstractmethod
    def _forward(self) -> Tensor:
        """Image of the forward problem."""

    @abstractmethod
    def _derivative(self) -> Tensor:
        """Spectrum of the linearised problem's image at the sampled frequencies."""

    def _move(self, length: float, settled: bool) -> None:
        artifact = self._windows * (self._forward() - self._ground.clean)
        value, peak = torch.linalg.vector_norm(artifact, dim=(-2, -1)), artifact.abs().amax(dim=(-2, -1))
        tiny = torch.finfo(value.dtype).tiny
        self._set_source(artifact / value.clamp(min=tiny)[:, None, None])
        now = self._climb
        better = (value > now.value) & settled
        position, self.slope = moved(self._ground, now.position, self._derivative(), length)
        self._climb = Climb(
            position,
            torch.where(better[:, None], now.position, now.best),
            torch.where(better, value, now.value),
            torch.where(better, peak, now.peak),
        )
        self._set_data(self._data())

    def _data(self) -> Tensor:
        ground = self._ground
        flat = ground.problem.data.flatten().repeat(self._climb.position.shape[0], 1)
        flat[:, ground.sampled] = self._plain + ground.weights * self._climb.position
        return flat.reshape(-1, *ground.shape)

    def keep(self, candidates: Tensor) -> None:
        self._windows, self._climb = self._windows[candidates], self._climb[candidates]
        self.slope = self.slope[candidates]


class _PairedRun(_BatchRun):
    """Real problems: forward in the real part, linearised in the imaginary part."""

    @property
    def cost(self) -> float:  # type: ignore[override]
        return float(self._climb.position.shape[0])

    def _begin(self, state: Field, direction: Tensor) -> None:
        self._loop = BatchLoop(self._ground.problem, paired=True)
        self._set_source(direction)
        self._loop.load(state.to(self._ground.problem.data.dtype))

    def _set_source(self, direction: Tensor) -> None:
        source = direction.real.to(self._ground.problem.spectrum.dtype) / self._ground.problem.rho
        self._loop.source = torch.complex(torch.zeros_like(source), source)

    def _set_data(self, data: Tensor) -> None:
        self._loop.data = data

    def _solve(self) -> None:
        self._loop.solve()

    def _update(self) -> None:
        self._loop.update()

    def _forward(self) -> Tensor:
        return torch.complex(self._loop.image.real, torch.zeros_like(self._loop.image.real))

    def _derivative(self) -> Tensor:
        spectrum = self._loop.spectrum.flatten(-2)
        return imaginary_part(spectrum[:, self._ground.sampled], spectrum[:, self._ground.mirrored])

    def keep(self, candidates: Tensor) -> None:
        super().keep(candidates)
        self._loop.keep(candidates)


class _ComplexRun(_BatchRun):
    """Any coupling and complex images: two complex channels on an axis of their own."""

    @property
    def cost(self) -> float:  # type: ignore[override]
        return 2.0 * self._climb.position.shape[0]

    def _begin(self, state: Field, direction: Tensor) -> None:
        self._inverse = self._ground.problem.inverse()
        self._state = self._channels(state, torch.zeros_like(state))
        self._set_source(direction)

    def _channels(self, forward: Tensor, linear: Tensor) -> Tensor:
        return torch.stack([forward, linear], dim=1)

    def _set_source(self, direction: Tensor) -> None:
        direction = direction.to(self._ground.problem.data.dtype) / self._ground.problem.rho
        self._source = self._channels(torch.zeros_like(direction), direction)

    def _set_data(self, data: Tensor) -> None:
        self._channelled = self._channels(data, torch.zeros_like(data))

    def _solve(self) -> None:
        rule, threshold = self._ground.problem.rule, self._ground.problem.threshold
        forward, linear = self._state.unbind(1)
        self._kept = self._channels(
            rule.shrink(forward, threshold), rule.jacobian(forward, linear, threshold)
        )
        penalty = torch.fft.fft2(divergence(2.0 * self._kept - self._state) + self._source)
        self._spectrum = (self._channelled + self._ground.problem.rho * penalty) * self._inverse
        self._image = torch.fft.ifft2(self._spectrum)

    def _update(self) -> None:
        self._state = self._state + OVER_RELAXATION * (gradient(self._image) - self._kept)

    def _forward(self) -> Tensor:
        return self._image[:, 0]

    def _derivative(self) -> Tensor:
        return self._spectrum.flatten(-2)[:, 1, self._ground.sampled]

    def keep(self, candidates: Tensor) -> None:
        super().keep(candidates)
        self._state, self._source = self._state[candidates], self._source[candidates]
        self._channelled = self._channelled[candidates]

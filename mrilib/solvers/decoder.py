"""Fitting untrained decoders to undersampled k-space, several slices at once."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm

from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_images import rss
from mrilib.solvers.solution import Status

# A fit replaces the best one only if its loss is lower by this factor: that of the reference's code.
BETTER = 1.005
# Seconds between two lines of progress in a log.
REPORT_EVERY = 30.0
Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Descent:
    """How a decoder is fitted.

    Args:
        steps: most steps of the optimiser.
        optimiser: `adam`, or `gradient-descent`, whose step `learning_rate + growth·i` grows with the step i.
        learning_rate: along the gradient of `DecoderProblem.losses`, which is scaled like the code's loss.
            `None`: 8e-3 for Adam, 1e-2 for gradient descent.
        betas: of Adam.
        growth: of gradient descent.
        momentum: of gradient descent; the reference's code has 0.9.
        plateau: end after so many steps in a row without a new best; `None`: never.

    Raises:
        ValueError: for numbers out of range.

    Source: Adam of [darestani2021]; `growth` of its code's fit, where the attack has 1e-3. Our choice: no
    momentum, as the paper names plain gradient descent.
    """

    steps: int = 25_000
    optimiser: Literal["adam", "gradient-descent"] = "adam"
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    growth: float = 1e-4
    momentum: float = 0.0
    plateau: int | None = None

    def __post_init__(self) -> None:
        if self.optimiser not in ("adam", "gradient-descent"):
            raise ValueError(
                f"Descent: expected optimiser 'adam' or 'gradient-descent', got {self.optimiser!r}"
            )
        if self.steps < 1 or (self.plateau is not None and self.plateau < 1):
            raise ValueError(
                f"Descent: expected steps and plateau of at least 1, got {self.steps} and {self.plateau}; "
                "leave plateau out for no early end"
            )
        if not 0.0 < self.first_rate < math.inf or not 0.0 <= self.growth < math.inf:
            raise ValueError(
                "Descent: expected a finite learning_rate > 0 and growth >= 0, got "
                f"{self.learning_rate} and {self.growth}"
            )
        if len(self.betas) != 2 or not all(0.0 <= part < 1.0 for part in (*self.betas, self.momentum)):
            raise ValueError(
                f"Descent: expected two betas and momentum in [0, 1), got {self.betas} and {self.momentum}"
            )

    @property
    def first_rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return 8e-3 if self.optimiser == "adam" else 1e-2

    def rate(self, step: int) -> float:
        return self.first_rate + (self.growth * step if self.optimiser == "gradient-descent" else 0.0)


@dataclass(frozen=True, eq=False)
class DecoderProblem:
    """Coil images `s·G(θ)`, one `θ` an item, against undersampled k-space: eq. (4), `½‖P_Ω F s G(θ) − y‖²`.

    Args:
        network: `G`: called without argument it gives `(1, 2·coils, y, x)`, real and imaginary part of each
            coil in turn. Its own parameters are `θ` at the start, for every item the same.
        kspace: `y`, one item after another, zero outside the mask.
        mask: `Ω`.
        scale: `s`, one an item.
    """

    network: nn.Module
    kspace: Complex[Tensor, "item coil ky kx"]
    mask: Bool[Tensor, "ky kx"]
    scale: Float[Tensor, "item"]

    @classmethod
    def of(
        cls, network: nn.Module, kspace: Complex[Tensor, "item coil ky kx"], mask: Bool[Tensor, "ky kx"]
    ) -> "DecoderProblem":
        """The problem of `kspace`, scaled so that the start has the norm of the data.

        `s = ‖RSS(Fᴴy)‖ / ‖RSS(G(θ₀))‖`; the transform being orthonormal, this is `‖y‖ / ‖G(θ₀)‖`.

        Raises:
            ValueError: if the network's output is not real `(1, 2·coils, y, x)`, or `kspace` is zero.
        """
        shape = (1, 2 * kspace.shape[1], *kspace.shape[2:])
        with torch.no_grad():
            output = network()
        if tuple(output.shape) != shape or not output.is_floating_point():
            raise ValueError(
                f"{type(network).__name__}: expected real output {shape} (real and imaginary part of every "
                f"coil), got {output.dtype} of shape {tuple(output.shape)}"
            )
        energy = torch.linalg.vector_norm(kspace.flatten(1), dim=1)
        if not bool((energy > 0).all()):
            empty = int((energy == 0).nonzero()[0])
            raise ValueError(f"DecoderProblem: kspace of item {empty} is zero on the mask; leave it out")
        return cls(network, kspace, mask, energy / torch.linalg.vector_norm(output))

    def start(self) -> Parameters:
        """`θ₀` of every item, `(item, ...)`."""
        count = len(self.kspace)
        return {
            name: value.detach().unsqueeze(0).repeat(count, *[1] * value.ndim)
            for name, value in self.network.named_parameters()
        }

    def take(self, rows: Tensor) -> "DecoderProblem":
        """The problem of some items."""
        return DecoderProblem(self.network, self.kspace[rows], self.mask, self.scale[rows])

    def outputs(self, parameters: Mapping[str, Tensor]) -> Complex[Tensor, "item coil y x"]:
        """`G(θ)`, differentiable in `θ`, without `s`."""
        if len(self.kspace) == 1:
            alone = {name: value[0] for name, value in parameters.items()}
            channels = functional_call(self.network, alone | self._inputs(), ())
        else:
            channels = torch.vmap(lambda item: functional_call(self.network, item, ())[0])(dict(parameters))
        return torch.complex(channels[:, 0::2], channels[:, 1::2])

    def _inputs(self) -> Parameters:
        """Buffers in the memory format that makes CPUs fastest, by a factor of 1.6, if channels are few.

        Only without vmap: torch 2.13 then computes wrong gradients of the first convolution.
        """
        form = torch.channels_last if self.kspace.device.type == "cpu" else torch.contiguous_format
        return {
            name: value.contiguous(memory_format=form)
            for name, value in self.network.named_buffers()
            if value.ndim == 4
        }

    def losses(self, parameters: Mapping[str, Tensor]) -> Float[Tensor, "item"]:
        """`½‖P_Ω F G(θ) − y/s‖² / (coils·ky·kx)`, differentiable in `θ`: eq. (4) times `unit`.

        This is the loss of the reference's code, the mean over real and imaginary parts, zeros included. It
        only differs from eq. (4) by its scale, which Adam does not see and which gradient descent needs, so
        that one step suits all sizes.
        """
        data = self.kspace / self.scale[:, None, None, None]
        residual = (fft2c(self.outputs(parameters)) - data) * self.mask
        return 0.5 * torch.view_as_real(residual).square().mean(dim=(1, 2, 3)).sum(dim=-1)

    @property
    def unit(self) -> Float[Tensor, "item"]:
        """What multiplies `losses` to give eq. (4) in units of k-space squared."""
        return self.kspace[0].numel() * self.scale.double().square()

    def images(self, parameters: Mapping[str, Tensor]) -> Float[Tensor, "item y x"]:
        """RSS of the coil images `s·G(θ)` in which the sampled entries are put back."""
        coils = self.scale[:, None, None, None] * self.outputs(parameters)
        return rss(consistent(coils, self.kspace, self.mask))


def consistent(
    images: Complex[Tensor, "*batch coil y x"],
    kspace: Complex[Tensor, "*batch coil ky kx"],
    mask: Bool[Tensor, "ky kx"],
) -> Complex[Tensor, "*batch coil y x"]:
    """Coil images whose transform is `kspace` on the mask, and that of `images` elsewhere."""
    return ifft2c(torch.where(mask, kspace, fft2c(images)))


@dataclass(frozen=True, eq=False)
class Fit:
    """Fitted decoders.

    Args:
        parameters: the best of every item, `(item, ...)`.
        curve: `losses` after 0, 1, …, `steps` steps; NaN after an early end.
        best_step: steps after which `parameters` were found.
        steps: steps done.
    """

    parameters: Parameters
    curve: Float[Tensor, "item evaluations"]
    best_step: Tensor
    steps: Tensor

    @property
    def diverged(self) -> Bool[Tensor, "item"]:
        """Whether an item's last loss is not finite."""
        return ~self.curve.gather(1, self.steps[:, None])[:, 0].isfinite()

    @property
    def status(self) -> Status:
        """The worst over the items."""
        return Status.NOT_FINITE if bool(self.diverged.any()) else Status.CONVERGED


@dataclass(frozen=True, eq=False)
class Course:
    """A fit under way: all that it needs to go on.

    Args:
        fit: so far.
        step: the next one, counted from 0.
        rows: items that are still fitted.
        values: their parameters.
        memory: what the optimiser remembers, one entry a parameter.
    """

    fit: Fit
    step: int
    rows: Tensor
    values: Parameters
    memory: list[dict[str, Any]]

    @classmethod
    def start(cls, parameters: Parameters, count: int, steps: int) -> "Course":
        """Before the first of `steps` steps of `count` items."""
        none = torch.zeros(count, dtype=torch.int64)
        curve = torch.full((count, steps + 1), math.nan, dtype=torch.float64)
        return cls(Fit(parameters, curve, none, none), 0, torch.arange(count), parameters, [])


@torch.enable_grad()
def fit(
    problem: DecoderProblem,
    descent: Descent,
    *,
    start: Parameters | None = None,
    throw: bool = True,
    name: str = "decoder",
    course: Course | None = None,
    save: Callable[[Course], None] | None = None,
) -> Fit:
    """Minimise `problem.losses`, every item for itself, and keep the best parameters.

    The parameters of a step are kept if their loss times 1.005 is below that of the best. An item whose
    best has stood for `plateau` steps leaves the batch. Parameters that diverged are not kept.

    Args:
        problem: one network an item; their gradients do not mix.
        descent: how.
        start: parameters to begin from; those of the network by default.
        throw: raise if a loss is not finite; else that item ends there and the status says so.
        name: of the line of progress.
        course: of an earlier call with the same arguments, from which this one goes on; on the same machine
            it ends as that would have, to the last bit on a CPU. `start` then has no effect.
        save: called after every step with the course so far, whose tensors the next step changes.

    Raises:
        FloatingPointError: if a loss is not finite; says at which step.

    Source: the best-kept rule of [darestani2021]'s code. Deviates: that keeps the parameters one step after
    the loss which it compared.
    """
    device = problem.scale.device
    if course is None:
        begin = problem.start() if start is None else start
        course = Course.start(begin, len(problem.kspace), descent.steps)
    else:
        print(f"{name}: goes on after step {course.step} of {descent.steps}", flush=True)
    best = {key: value.detach().to(device, copy=True) for key, value in course.fit.parameters.items()}
    curve, best_step, steps = (
        value.clone() for value in (course.fit.curve, course.fit.best_step, course.fit.steps)
    )
    lowest = curve.gather(1, best_step[:, None])[:, 0]
    lowest = torch.where(lowest.isnan(), math.inf, lowest)
    rows = course.rows
    if len(rows) < len(problem.kspace):
        problem = problem.take(rows.to(device))
    values = _leaves(
        {key: value.to(device) for key, value in course.values.items()},
        torch.arange(len(rows), device=device),
    )
    leaves = list(values.values())
    optimiser = optimiser_of(leaves, descent, course.memory)
    first, so_far = course.step, Fit(best, curve, best_step, steps)
    with tqdm(total=descent.steps, initial=first, disable=None, desc=name, unit="step", leave=False) as bar:
        reported = time.monotonic()
        for step in range(first, descent.steps + 1):
            losses = problem.losses(values)
            found = losses.detach().double().cpu()
            curve[rows, step], steps[rows] = found, step
            ended = ~found.isfinite()
            if throw and bool(ended.any()):
                raise FloatingPointError(
                    f"{name}: the loss of item {int(rows[ended][0])} is not finite at step {step}; "
                    "lower learning_rate or growth"
                )
            better = BETTER * found < lowest[rows]
            if bool(better.any()):
                lowest[rows[better]], best_step[rows[better]] = found[better], step
                for key, value in best.items():
                    value[rows[better].to(value.device)] = values[key].detach()[better.to(value.device)]
            if descent.plateau is not None:
                ended |= step - best_step[rows] >= descent.plateau
            if step == descent.steps or bool(ended.all()):
                break
            gradients = torch.autograd.grad(losses.sum(), leaves)
            for leaf, gradient in zip(leaves, gradients, strict=True):
                leaf.grad = gradient
            for group in optimiser.param_groups:
                group["lr"] = descent.rate(step)
            optimiser.step()
            if bool(ended.any()):
                left = ~ended
                rows, left = rows[left], left.to(device)
                problem, values = problem.take(left), _leaves(values, left)
                optimiser = _shorter(optimiser, leaves, list(values.values()), left, descent)
                leaves = list(values.values())
            if save is not None:
                memory = [dict(optimiser.state[leaf]) for leaf in leaves]
                save(Course(so_far, step + 1, rows, values, memory))
            bar.update()
            if bar.disable and time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                print(
                    f"{name}: step {step + 1} of {descent.steps}, loss {float(found.mean()):.4g}", flush=True
                )
    return so_far


def optimiser_of(
    leaves: list[Tensor], descent: Descent, memory: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser, with a copy of what an earlier one remembers of every parameter, if there was one."""
    made: torch.optim.Optimizer
    if descent.optimiser == "adam":
        made = torch.optim.Adam(leaves, lr=descent.first_rate, betas=descent.betas, fused=True)
    else:
        made = torch.optim.SGD(leaves, lr=descent.first_rate, momentum=descent.momentum)
    for leaf, known in zip(leaves, memory, strict=bool(memory)):
        made.state[leaf] = {
            key: value.to(leaf.device, copy=True) if isinstance(value, Tensor) else value
            for key, value in known.items()
        }
    return made


def _leaves(parameters: Parameters, rows: Tensor) -> Parameters:
    return {key: value.detach()[rows].requires_grad_() for key, value in parameters.items()}


def _shorter(
    optimiser: torch.optim.Optimizer, old: list[Tensor], new: list[Tensor], rows: Tensor, descent: Descent
) -> torch.optim.Optimizer:
    """An optimiser of some of the items, with all that the old one remembers of them."""
    memory = [
        {
            key: value[rows] if isinstance(value, Tensor) and value.shape == leaf.shape else value
            for key, value in optimiser.state[leaf].items()
        }
        for leaf in old
    ]
    return optimiser_of(new, descent, memory)

"""Reconstruction by networks that are fitted to one slice."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from mrilib.operators.base import LinearOperator, check_grid
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.solvers.decoder import DecoderProblem, Descent, Fit, Parameters, fit
from mrilib.solvers.fit_record import FitRecord
from mrilib.solvers.solution import Solution, Status
from mrilib.store.classes import load_class
from mrilib.store.states import state_hash
from mrilib.store.unfinished import Unfinished
from mrilib.store.units import content_hash, derived_seed

# Our choice, from counted operations: below it a GPU waits for its launches, above it one slice fills it.
PIXELS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class FittedDecoders:
    """Parameters of fitted networks: where a later fit to nearby k-space can begin.

    Args:
        parameters: one an entry of `fits`, each `(item, ...)`, items being the flattened batch.
        scale: of the networks' output, `(fit, item)`.
    """

    parameters: tuple[Parameters, ...]
    scale: Float[Tensor, "fit item"]


class Untrained(Reconstructor):
    """`RSS(Fᴴ k̂)`, with `k̂ = y` on the mask and `k̂ = F s G(θ̂)` elsewhere; `θ̂` minimises eq. (4):

        ½‖P_Ω F s G(θ) − y‖²

    over the parameters of a network `G` that gives all coil images from a fixed input, `s` such that at the
    start the RSS images of `s G(θ₀)` and of the zero-filled data have one norm. What regularises is the
    network and the end after `steps`. Coil images are fitted, so coil maps are not used, and of the operator
    only its `mask`. `θ̂` is the best iterate by loss, replaced only by one better by 0.5 %.

    There is no derivative with respect to `kspace`: the minimisation has thousands of steps in millions of
    parameters.

    Args:
        network: `{class: package.module:Name, arguments: {...}}`. The class is called with the arguments and,
            from the k-space at hand, `output_shape` (rows, columns) and `out_channels` (two a coil); its
            instance, called without argument, gives `(1, out_channels, y, x)`.
        steps: of the optimiser.
        optimiser: `adam`, or `gradient-descent` with a step that grows linearly.
        learning_rate: by default 8e-3 for Adam and 1e-2 for gradient descent, on the scale of the code's
            loss, the mean (see `DecoderProblem.losses`).
        betas: of Adam; the paper's smoother variant has β₁ = 0.98.
        growth: of the step of gradient descent, a step.
        momentum: of gradient descent.
        plateau: end a fit after so many steps without a new best; `None`: never.
        fits: fits whose images are averaged, each from its own start.
        seed: of starts: input and parameters. All slices have the same ones.
        tf32: let a GPU round factors of its products to 10 bits.
        at_once: slices in one batch on the device; halved if memory runs out. By default one on a CPU, where
            a batch is slower but for tiny images (ConvDecoder, 8 slices of 32×32, 8 channels: 2.5 times
            faster), and on a GPU as many as have 65,536 pixels, at least one. Rounding apart, results do
            not depend on it.

    Raises:
        ValueError: for arguments out of range, a class that does not exist or does not take the arguments, an
            operator without `mask`, and k-space that is real, not finite, zero or of another shape than it.
        FloatingPointError: if the loss is not finite; says at which step.
        NotImplementedError: if called for a derivative.

    Source: [darestani2021], eq. (4). Its code takes the mean, which is another scale only, and puts the
    scale of the fully sampled data in `s`, which leaks; here `s` comes from `y`. Precision is that of the
    k-space, float32 for complex64.
    """

    family: ClassVar[str] = "untrained"
    word: ClassVar[str] = "untrained"
    network_takes: ClassVar[tuple[str, ...]] = ("nothing",)
    output = "magnitude"
    search = None
    joint = "mrilib.attacks.searches.joint_decoder:DecoderStep"
    unrolled = "mrilib.attacks.searches.unrolled_decoder:DecoderUnrolling"
    seeded = True
    in_steps: ClassVar[bool] = True
    resumable = True
    # 25,000 steps of the paper's ConvDecoder, counted, for a large GPU (docs/performance.md).
    seconds_on_coils = 1400.0

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        steps: int = 25_000,
        optimiser: Literal["adam", "gradient-descent"] = "adam",
        learning_rate: float | None = None,
        betas: Sequence[float] = (0.9, 0.999),
        growth: float = 1e-4,
        momentum: float = 0.0,
        plateau: int | None = None,
        fits: int = 1,
        seed: int = 0,
        tf32: bool = False,
        at_once: int | None = None,
    ) -> None:
        if fits < 1 or (at_once is not None and at_once < 1):
            raise ValueError(f"Untrained: expected fits and at_once of at least 1, got {fits} and {at_once}")
        self.descent = Descent(
            steps=steps,
            optimiser=optimiser,
            learning_rate=learning_rate,
            betas=tuple(betas),  # type: ignore[arg-type]
            growth=growth,
            momentum=momentum,
            plateau=plateau,
        )
        self.fits, self.seed, self.tf32, self.at_once = fits, seed, tf32, at_once
        self._class, self._arguments = _checked(network)

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Magnitude image `(*batch, y, x)` of `kspace` `(*batch, coil, ky, kx)`."""
        if torch.is_grad_enabled() and kspace.requires_grad:
            raise NotImplementedError(
                "Untrained: no derivative with respect to kspace; attack by the two-step procedure, "
                "mrilib.attacks.kinds.joint, which moves the network's parameters and the perturbation "
                "together, or call it under torch.no_grad()"
            )
        return self.solve(kspace, operator).value

    def solve(
        self,
        kspace: Tensor,
        operator: LinearOperator,
        *,
        start: FittedDecoders | None = None,
        throw: bool = True,
        keep: str | Path | None = None,
    ) -> Solution:
        """Image with the history of its fits.

        A call with `keep` that was killed and is repeated goes on where the file says, and on a CPU ends as
        an undisturbed one, to the last bit, provided that the network draws nothing when called.

        Args:
            kspace: `(*batch, coil, ky, kx)`; for a `MaskedFourier` operator without the coil axis.
            operator: what measured it.
            start: `Solution.state` of a fit to nearby k-space, with the same network, `fits` and batch. Its
                scale `s` is kept.
            throw: raise if a loss is not finite; else the image of that item is NaN and the status says so.
            keep: file of the fits under way, written every two minutes and at the end of each fit. The caller
                removes it once the result is stored. A file of other arguments or data is told and
                overwritten; that the code is the same is for the caller to know.

        Returns:
            Image; `stats`, with losses as in eq. (4), in units of k-space squared, in double precision:
            `best_loss` and `final_loss` `(*batch, fit)`; `loss_curve` `(*batch, fit, steps + 1)`, entry i
            after i steps, NaN after an early end; `best_step` `(*batch, fit)`; `steps` `(*batch)`, the sum
            over fits. `state`, a `FittedDecoders`.
        """
        data, mask, batch = self._data(kspace, operator)
        if start is not None and tuple(start.scale.shape) != (self.fits, len(data)):
            raise ValueError(
                f"Untrained: expected a start of {self.fits} fits and {len(data)} items, got "
                f"{tuple(start.scale.shape)}; give the state of a fit to the same batch"
            )
        at_once = self._at_once(data)
        record = FitRecord(Unfinished(keep, self._key(data, mask, start) if keep else "", "Untrained"))
        image, found = torch.zeros(len(data), *data.shape[-2:], device=data.device), []
        image = image.to(data.real.dtype)
        for number in range(self.fits):
            problem = self._problem(data, mask, number, None if start is None else start.scale[number])
            values = None if start is None else start.parameters[number]
            parts: list[tuple[Tensor, Fit, DecoderProblem]] = []
            with _convolutions(self.tf32):
                for rows in torch.arange(len(data), device=data.device).split(at_once):
                    parts += self._fitted(problem, rows, values, number, throw, record)
            image += torch.cat([part[0] for part in parts]) / self.fits
            found.append(parts)
        return _solution(image, found, batch)

    def reseeded(self, seed: int) -> "Untrained":
        """The same fits from other starts."""
        found = copy.copy(self)
        found.seed = seed
        return found

    @property
    def steps(self) -> int:
        """Of the optimiser."""
        return self.descent.steps

    def shortened(self, steps: int) -> "Untrained":
        """The same fits, stopped after so many steps, with the best iterate until there."""
        found = copy.copy(self)
        found.descent = replace(self.descent, steps=steps)
        return found

    def problem(self, kspace: Tensor, operator: LinearOperator, *, number: int = 0) -> DecoderProblem:
        """The minimisation problem of fit `number`, its items the flattened batch: for attacks."""
        data, mask, _ = self._data(kspace, operator)
        return self._problem(data, mask, number, None)

    def _data(
        self, kspace: Tensor, operator: LinearOperator
    ) -> tuple[Complex[Tensor, "item coil ky kx"], Tensor, torch.Size]:
        mask = getattr(operator, "mask", None)
        if not isinstance(mask, Tensor):
            raise ValueError(f"Untrained: expected an operator with a mask, got {type(operator).__name__}")
        check_kspace(kspace, "Untrained")
        check_grid(kspace, mask, "Untrained", "kspace")
        if isinstance(operator, MaskedFourier):
            kspace = kspace.unsqueeze(-3)
        if kspace.ndim < 3:
            raise ValueError(
                f"Untrained: expected kspace (..., coil, ky, kx), got {tuple(kspace.shape)}; "
                "a single coil has a coil axis of length 1"
            )
        batch = kspace.shape[:-3]
        return (kspace.detach() * mask).reshape(-1, *kspace.shape[-3:]), mask, batch

    def _problem(self, data: Tensor, mask: Tensor, number: int, scale: Tensor | None) -> DecoderProblem:
        coils, *shape = data.shape[1:]
        try:
            # Drawn on the CPU, so that every device starts from the same parameters.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derived_seed("untrained", self.seed, number))
                network = self._class(
                    **self._arguments, output_shape=tuple(shape), out_channels=2 * coils
                ).to(device=data.device, dtype=data.real.dtype)
        except TypeError as error:
            raise ValueError(f"Untrained: network {self._class.__name__}: {error}") from error
        if scale is not None:
            return DecoderProblem(network, data, mask, scale)
        return DecoderProblem.of(network, data, mask)

    def _key(self, data: Tensor, mask: Tensor, start: FittedDecoders | None) -> str:
        """Hash of all that a fit depends on, but for the code."""
        settings = {
            "network": [f"{self._class.__module__}:{self._class.__qualname__}", repr(self._arguments)],
            "descent": asdict(self.descent),
            "fits": [self.fits, self.seed, self.tf32, self._at_once(data)],
            "start": state_hash(start),
        }
        return content_hash(settings, data.cpu().numpy(), mask.cpu().numpy())

    def _fitted(
        self,
        problem: DecoderProblem,
        rows: Tensor,
        start: Parameters | None,
        number: int,
        throw: bool,
        record: FitRecord,
    ) -> list[tuple[Tensor, Fit, DecoderProblem]]:
        """Images and fits of some items, in one batch or, if memory runs out, in two."""
        part = problem.take(rows)
        name = f"fit {number + 1} of {self.fits}, slice {int(rows[0]) + 1} to {int(rows[-1]) + 1}"
        half = len(rows) // 2
        if not record.divided(number, rows):
            try:
                found = self._fit(part, rows, start, number, throw, record, name)
                with torch.no_grad():
                    images = part.images(found.parameters)
                # A fit that diverged has no image, although it has a best iterate.
                images[found.diverged.to(images.device)] = torch.nan
                return [(images, found, part)]
            except torch.cuda.OutOfMemoryError:
                if len(rows) == 1:
                    raise
            torch.cuda.empty_cache()
            print(f"{name}: out of memory; in batches of {half} and {len(rows) - half}", flush=True)
        return [
            item
            for few in (rows[:half], rows[half:])
            for item in self._fitted(problem, few, start, number, throw, record)
        ]

    def _fit(
        self,
        part: DecoderProblem,
        rows: Tensor,
        start: Parameters | None,
        number: int,
        throw: bool,
        record: FitRecord,
        name: str,
    ) -> Fit:
        """The fit of some items, done, gone on with or begun."""
        known = record.find(number, rows)
        if isinstance(known, Fit):
            device = part.scale.device
            return replace(known, parameters={key: each.to(device) for key, each in known.parameters.items()})
        found = fit(
            part,
            self.descent,
            start=None if start is None else {key: value[rows] for key, value in start.items()},
            throw=throw,
            name=name,
            course=known,
            save=lambda course: record.save(number, rows, course),
        )
        record.save(number, rows, found)
        return found

    def _at_once(self, data: Tensor) -> int:
        if self.at_once is not None:
            return self.at_once
        if data.device.type == "cpu":
            return 1
        return max(1, PIXELS_AT_ONCE // (data.shape[-2] * data.shape[-1]))


def _solution(
    image: Tensor, found: list[list[tuple[Tensor, Fit, DecoderProblem]]], batch: torch.Size
) -> Solution:
    """Put the parts of the batch, and the fits, together."""

    def joined(tensors: list[list[Tensor]]) -> Tensor:
        whole = torch.stack([torch.cat(parts) for parts in tensors], dim=1)
        return whole.reshape(*batch, *whole.shape[1:])

    units = [[part.unit.cpu() for _, _, part in parts] for parts in found]
    curve = joined([[part.curve for _, part, _ in parts] for parts in found])
    curve = curve * joined(units)[..., None]
    steps = joined([[part.steps for _, part, _ in parts] for parts in found])
    best_step = joined([[part.best_step for _, part, _ in parts] for parts in found])
    stats = {
        "best_loss": curve.gather(-1, best_step[..., None])[..., 0],
        "final_loss": curve.gather(-1, steps[..., None])[..., 0],
        "loss_curve": curve,
        "best_step": best_step,
        "steps": steps.sum(dim=-1),
    }
    names = list(found[0][0][1].parameters)
    state = FittedDecoders(
        parameters=tuple(
            {name: torch.cat([part.parameters[name] for _, part, _ in parts]) for name in names}
            for parts in found
        ),
        scale=torch.stack([torch.cat([part.scale for _, _, part in parts]) for parts in found]),
    )
    failed = any(part.status is Status.NOT_FINITE for parts in found for _, part, _ in parts)
    status = Status.NOT_FINITE if failed else Status.CONVERGED
    return Solution(image.reshape(*batch, *image.shape[1:]), status, stats, state)


def _convolutions(tf32: bool) -> AbstractContextManager[None]:
    """cuDNN's convolutions use TF32 unless told otherwise."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32)


def _checked(network: Mapping[str, Any]) -> tuple[type[nn.Module], dict[str, Any]]:
    """Class and arguments of a network, such that the class takes the arguments."""
    if not isinstance(network, Mapping) or "class" not in network or network.keys() - {"class", "arguments"}:
        raise ValueError(
            "Untrained: expected network as {class: package.module:Name, arguments: {...}}, got "
            f"{network!r}; an instance would not know the size of the k-space"
        )
    found = load_class(network["class"], nn.Module)
    arguments = dict(network.get("arguments", {}))
    given = arguments.keys() & {"output_shape", "out_channels"}
    if given:
        raise ValueError(
            f"Untrained: network {network['class']}: {sorted(given)} follow from the k-space; leave them out"
        )
    try:
        inspect.signature(found).bind(**arguments, output_shape=(1, 1), out_channels=2)
    except TypeError as error:
        raise ValueError(f"Untrained: network {network['class']}: {error}") from error
    return found, arguments

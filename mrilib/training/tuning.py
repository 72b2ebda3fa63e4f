"""Choice of a method's weight on validation measurements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.store.states import pack, unpack
from mrilib.store.unfinished import Unfinished
from mrilib.store.units import content_hash

# The path ends when the mean error has grown this much over its minimum: smaller weights only get worse.
WORSE = 1.25


@dataclass(frozen=True)
class Tuning:
    """Errors along the path of weights, from large to small, and the weight of the lowest mean.

    Args:
        weights: those that were tried, `(weights)`.
        errors: relative ℓ2 error of every image, `(weights, images)`.
        unconverged: solves that did not reach their accuracy, `(weights)`.
        chosen: weight of the lowest mean error.
        at_edge: whether that is the largest or smallest of all weights given, so that the grid may be too
            narrow.
    """

    weights: list[float]
    errors: np.ndarray
    unconverged: list[int]
    chosen: float
    at_edge: bool


def gaussian_noise(
    kspace: Complex[Tensor, "*batch_and_coil ky kx"],
    operator: MeasurementOperator,
    level: float,
    seed: Sequence[int],
) -> Complex[Tensor, "*batch_and_coil ky kx"]:
    """Complex white noise on the mask with `E‖ε‖² = η²`, `η = level·‖y‖₂`: the variance `η²/(C·m)` an entry.

    Both norms are over the `m` samples of all `C` coils.

    Args:
        kspace: clean data `y`, `(*batch, ky, kx)`, with several coils `(*batch, coil, ky, kx)`.
        operator: the measurement.
        level: relative level.
        seed: of the draw, one for the whole batch.
    """
    generator = np.random.default_rng(list(seed))
    draw = torch.from_numpy(generator.standard_normal((*kspace.shape, 2), dtype=np.float32))
    noise = torch.view_as_complex(draw).to(kspace.device) * operator.mask / 2**0.5
    axes = tuple(range(-operator.kspace_axes, 0))
    # Not `kspace_norm`, whose last digits are others: a level's noise is to keep its numbers.
    norm = torch.linalg.vector_norm(kspace, dim=axes, keepdim=True)
    coils = kspace.shape[-operator.kspace_axes : -2].numel()
    return noise * (level * norm / (coils * operator.samples) ** 0.5)


def tune(
    make: Callable[[float], Reconstructor],
    measurements: Sequence[Measurement],
    *,
    level: float,
    weights: Sequence[float],
    seed: int,
    name: str,
    keep: str | Path | None = None,
) -> Tuning:
    """Weight with the lowest mean relative ℓ2 error (of moduli) under Gaussian noise of relative `level`.

    The path goes from the largest weight down and ends once the mean error is 1.25 times its minimum. Each
    solve starts from that of the same image with the weight before. Errors are those of what coils see of
    the reconstruction, in the middle that the reference shows.

    A call with `keep` that was killed and is repeated goes on after the image where the file says, and ends
    as an undisturbed one, on a CPU to the last bit.

    Args:
        make: the method with a given weight.
        measurements: of the validation part.
        level: relative noise level of `gaussian_noise`; 0: the data are clean.
        weights: candidates, positive.
        seed: of the noise, the same for every weight. Measurements by a single coil under one mask have one
            draw, from `[seed]`; any others have one each, from `[seed, index]`.
        name: said in the log.
        keep: file of the state under way, written every two minutes and at the end of each weight. The
            caller removes it once the result is stored. A file of other settings or data is told and
            overwritten; that the code is the same is for the caller to know.

    Raises:
        ValueError: for a negative level, weights that are empty or not positive, and for no measurements.
        FloatingPointError: if at every weight some reconstruction is not finite.

    Source: [alaifari2023], section 4 (grid search). Deviates: validation instead of test images, and no
    search over `ρ`, on which the minimiser does not depend.
    """
    if not level >= 0:
        raise ValueError(f"tune: expected level >= 0, got {level}; 0 is clean data")
    if not weights or min(weights) <= 0 or not measurements:
        raise ValueError(
            f"tune: expected positive weights and measurements, got {list(weights)}, "
            f"{len(measurements)} measurements"
        )
    path = sorted(weights, reverse=True)
    key = "" if keep is None else _key(make(path[0]), measurements, [level, path, seed])
    walk = _Walk(Unfinished(keep, key, name), len(measurements), measurements[0].kspace.device)
    operators = [measurement.operator for measurement in measurements]
    data = _noisy(measurements, operators, level, seed)
    while len(walk.errors) < len(path) and not walk.worse:
        weight = path[len(walk.errors)]
        method = make(weight)
        for index in range(len(walk.row), len(measurements)):
            start = walk.starts[index]
            solution = method.solve(data[index], operators[index], start=start, throw=False)
            image = measurements[index].compared(observed(method, solution.value, operators[index]))
            error = float(relative_error(image, measurements[index].reference))
            walk.add(error, solution.status.failed, solution.state)
        walk.end_row()
        print(f"{name}, weight {weight:.2e}: mean relative error {walk.means[-1]:.4f}", flush=True)
    best = int(np.argmin(walk.means))
    if not np.isfinite(walk.means[best]):
        wrong = ~np.isfinite(walk.errors).any(axis=0)
        never = [measurements[index].name for index in np.flatnonzero(wrong).tolist()]
        told = f", and none on {len(never)} of them, first {never[0]}" if never else ""
        raise FloatingPointError(
            f"tune: {name}: no weight has finite errors on all {len(measurements)} measurements{told}; "
            "give larger weights, or look at the data"
        )
    return Tuning(
        weights=path[: len(walk.errors)],
        errors=np.array(walk.errors),
        unconverged=walk.unconverged,
        chosen=path[best],
        at_edge=best in (0, len(path) - 1),
    )


class _Walk:
    """Where a path of weights is: errors so far, and where the next solve of each image begins."""

    def __init__(self, file: Unfinished, images: int, device: torch.device) -> None:
        self._file = file
        self.errors: list[list[float]] = []
        self.unconverged: list[int] = []
        self.row: list[float] = []
        self._failed = 0
        self.starts: list[Any] = [None] * images
        found = file.read()
        if found is not None:
            self.errors, self.unconverged = found["errors"], found["unconverged"]
            self.row, self._failed = found["row"], found["failed"]
            self.starts = unpack(found["starts"], device=device, where=file.name)
            done = f"{len(self.errors)} weights and {len(self.row)} images"
            print(f"{file.name}: goes on after {done}", flush=True)

    @property
    def means(self) -> np.ndarray:
        """Mean error of every weight, infinite where a solve diverged."""
        means = np.mean(self.errors, axis=1)
        return np.where(np.isnan(means), np.inf, means)

    @property
    def worse(self) -> bool:
        """Whether the last mean is far above the lowest."""
        return bool(self.errors) and bool(self.means[-1] > WORSE * self.means.min())

    def add(self, error: float, failed: bool, state: Any) -> None:
        """The next image of this weight."""
        self.starts[len(self.row)] = state
        self.row.append(error)
        self._failed += failed
        if self._file.due and len(self.row) < len(self.starts):
            self._write()

    def end_row(self) -> None:
        """The next weight."""
        self.errors.append(self.row)
        self.unconverged.append(self._failed)
        self.row, self._failed = [], 0
        self._write()

    def _write(self) -> None:
        if not self._file.kept:
            return
        try:
            starts = pack(self.starts)
        except ValueError as error:
            # A method of the user's own, whose states only its own code can read.
            print(f"{self._file.name}: after a kill it begins anew, {error}", flush=True)
            self._file = Unfinished(None, "", self._file.name)
            return
        self._file.write(
            {
                "errors": self.errors,
                "unconverged": self.unconverged,
                "row": self.row,
                "failed": self._failed,
                "starts": starts,
            }
        )


def _noisy(
    measurements: Sequence[Measurement],
    operators: Sequence[MeasurementOperator],
    level: float,
    seed: int,
) -> list[Tensor]:
    """K-space with noise; clean where the level is 0."""
    clean = [measurement.kspace for measurement in measurements]
    if level == 0:
        return clean
    first = operators[0]
    alike = all(torch.equal(operator.mask, first.mask) for operator in operators)
    if alike and all(kspace.ndim == 2 for kspace in clean):
        stack = torch.stack(clean)
        return list(stack + gaussian_noise(stack, first, level, [seed]))
    return [
        kspace + gaussian_noise(kspace, operator, level, [seed, index])
        for index, (kspace, operator) in enumerate(zip(clean, operators, strict=True))
    ]


def _key(method: Reconstructor, measurements: Sequence[Measurement], settings: list[Any]) -> str:
    """Hash of all that a tuning depends on, but for the code and for arrays that a method holds."""
    data = [measurement_hash(measurement) for measurement in measurements]
    return content_hash([_described(method), settings, data])


def _described(value: Any, depth: int = 4) -> Any:
    """Class and plain attributes of a method, and of the objects that it was given."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if depth == 0:
        return name
    if isinstance(value, list | tuple):
        return [_described(item, depth - 1) for item in value]
    parts = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return [name, {str(key): _described(item, depth - 1) for key, item in parts.items()}]

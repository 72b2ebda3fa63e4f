"""Choice of the regularisation weight on validation images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.data.measurement import center_crop
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import LinearOperator
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor

# The path ends when the mean error has grown this much over its minimum: smaller weights only get worse.
WORSE = 1.25


@dataclass(frozen=True)
class Validation:
    """K-space, what measured it, and the image that a reconstruction is compared with, in its middle."""

    kspace: Tensor
    operator: LinearOperator
    reference: Float[Tensor, "y x"]

    def error(self, image: Tensor) -> float:
        """Relative ℓ2 error, of moduli, of the middle of an image, as far as coils see it."""
        rows, columns = self.reference.shape
        image = self.operator.seen(image) if isinstance(self.operator, CoilFourier) else image
        return float(relative_error(center_crop(image, (rows, columns)), self.reference))


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
    kspace: Complex[Tensor, "*batch ky kx"], operator: MaskedFourier, level: float, seed: Sequence[int]
) -> Complex[Tensor, "*batch ky kx"]:
    """Complex white noise on the mask with `E‖ε‖² = (level·‖y‖₂)²`, the variance `η²/m` an entry.

    Args:
        kspace: clean data `y`.
        operator: the measurement.
        level: relative level.
        seed: of the draw.
    """
    generator = np.random.default_rng(list(seed))
    draw = torch.from_numpy(generator.standard_normal((*kspace.shape, 2), dtype=np.float32))
    noise = torch.view_as_complex(draw).to(kspace.device) * operator.mask / 2**0.5
    norm = torch.linalg.vector_norm(kspace, dim=(-2, -1), keepdim=True)
    return noise * (level * norm / operator.samples**0.5)


def tune_weight(
    make: Callable[[float], Reconstructor],
    images: Float[Tensor, "images y x"],
    operator: MaskedFourier,
    *,
    level: float,
    weights: Sequence[float],
    seed: int,
) -> Tuning:
    """Weight with the lowest mean relative ℓ2 error (of moduli) under Gaussian noise of relative `level`.

    The path of weights is that of `walk_weights`.

    Args:
        make: the method with a given weight.
        images: validation images.
        operator: the measurement.
        level: relative noise level, at least 0.
        weights: candidates, positive.
        seed: of the noise, the same for every weight.

    Raises:
        ValueError: for a negative level, or weights that are empty or not positive.

    Source: [alaifari2023], section 4 (grid search). Deviates: validation instead of test images, and no
    search over `ρ`, on which the minimiser does not depend.
    """
    if level < 0:
        raise ValueError(f"tune_weight: expected level >= 0, got {level}")
    kspace = operator.forward(images)
    kspace = kspace + gaussian_noise(kspace, operator, level, [seed])
    problems = [Validation(kspace[item], operator, images[item]) for item in range(images.shape[0])]
    return walk_weights(make, problems, weights=weights, name=f"level {level:g}")


def walk_weights(
    make: Callable[[float], Reconstructor],
    problems: Sequence[Validation],
    *,
    weights: Sequence[float],
    name: str,
) -> Tuning:
    """Weight with the lowest mean relative ℓ2 error (of moduli), along a path from the largest down.

    Each solve starts from the one before; the path ends once the mean error is 1.25 times its minimum.

    Args:
        make: the method with a given weight.
        problems: k-space, operator and reference of each validation image.
        weights: candidates, positive.
        name: said in the log.

    Raises:
        ValueError: for weights that are empty or not positive, and for no problems.
    """
    if not weights or min(weights) <= 0 or not problems:
        raise ValueError(
            f"tune_weight: expected positive weights and images, got {list(weights)}, {len(problems)} images"
        )
    path = sorted(weights, reverse=True)
    starts: list[object] = [None] * len(problems)
    errors: list[list[float]] = []
    unconverged: list[int] = []
    for weight in path:
        method = make(weight)
        solved = [
            method.solve(problem.kspace, problem.operator, start=start, throw=False)
            for problem, start in zip(problems, starts, strict=True)
        ]
        starts = [solution.state for solution in solved]
        unconverged.append(sum(solution.status.failed for solution in solved))
        errors.append([problem.error(found.value) for found, problem in zip(solved, problems, strict=True)])
        means = np.mean(errors, axis=1)
        print(f"{name}, weight {weight:.2e}: mean relative error {means[-1]:.4f}", flush=True)
        if means[-1] > WORSE * means.min():
            break
    best = int(np.argmin(np.mean(errors, axis=1)))
    return Tuning(
        weights=path[: len(errors)],
        errors=np.array(errors),
        unconverged=unconverged,
        chosen=path[best],
        at_edge=best in (0, len(path) - 1),
    )

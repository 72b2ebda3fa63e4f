"""Random phantoms of overlapping ellipses with linear ramps."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

CENTER_BOUND = 0.7
FRAME = 0.9


def ellipse_phantoms(
    count: int, *, size: int = 256, seed: int, first: int = 0, ramps: bool = True
) -> Float[Tensor, "count size size"]:
    """Draw `count` piecewise linear phantoms, the images `first … first + count − 1` of a set.

    On the square `[−1, 1]²`, with `U` uniform on [0, 1) and `N` standard normal, each image is

        `x = Σₖ 1[ellipse k]·(0.9·N·u + 0.9·N·v + 0.3 + 0.7·U)`,  divided by its maximum,

    over 7 to 14 ellipses (uniform count) with centres `U(−0.7, 0.7)²`, semi-axes
    `min(0.05 + 0.40·U, 0.9·(1 − max|centre|))` drawn one by one, and a rotation `U(0, π/2)`. A ramp
    that is negative somewhere on its ellipse is drawn again.

    Args:
        count: number of images.
        size: side of the images, in pixels; the same image at another size is the same phantom.
        seed: seed of the set; image `i` depends on `(seed, i)` alone.
        first: index of the first image.
        ramps: whether ellipses have slopes; without them the same ellipses have the heights `0.3 + 0.7·U`,
            and images are piecewise constant, as exact recovery by total variation needs them (our choice).

    Returns:
        Images in [0, 1], float32, maximum 1.

    Raises:
        ValueError: if an argument is out of range, or a size so small that an image is empty.

    Source: [alaifari2023], numbers from the authors' public code. Deviates: a ramp is tested on the
    whole ellipse in closed form instead of on its pixels, so that the draw does not depend on `size`.
    """
    if count < 0 or size < 2 or seed < 0 or first < 0:
        raise ValueError(
            "ellipse_phantoms: expected count >= 0, size >= 2, seed >= 0 and first >= 0, "
            f"got count={count}, size={size}, seed={seed}, first={first}"
        )
    images = np.empty((count, size, size), dtype=np.float32)
    for position in range(count):
        image = _phantom(np.random.default_rng([seed, first + position]), size, ramps)
        if not image.any():
            raise ValueError(
                f"ellipse_phantoms: no pixel of image {first + position} lies in an ellipse at size {size}; "
                "draw it larger"
            )
        images[position] = image / image.max()
    return torch.from_numpy(images)


def _phantom(generator: np.random.Generator, size: int, ramps: bool) -> np.ndarray:
    image = np.zeros((size, size))
    axis = np.linspace(-1.0, 1.0, size)
    for _ in range(generator.integers(7, 15)):
        center = generator.uniform(-CENTER_BOUND, CENTER_BOUND, 2)
        limit = FRAME * (1.0 - np.abs(center).max())
        semi_axes = np.minimum(0.05 + 0.40 * generator.uniform(size=2), limit)
        angle = generator.uniform(0.0, np.pi / 2)
        # rows: the ellipse is the set of points p with |(p − center)·rows| <= 1
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        slope, offset = _ramp(generator, center, turn.T * semi_axes)
        slope = slope if ramps else np.zeros(2)
        reach = np.sqrt(((turn.T * semi_axes) ** 2).sum(axis=1))
        columns, rows = (
            slice(*np.searchsorted(axis, [middle - half, middle + half]))
            for middle, half in zip(center, reach, strict=True)
        )
        u, v = axis[columns][None, :], axis[rows][:, None]
        along = (turn[0, 0] * (u - center[0]) + turn[0, 1] * (v - center[1])) / semi_axes[0]
        across = (turn[1, 0] * (u - center[0]) + turn[1, 1] * (v - center[1])) / semi_axes[1]
        inside = along**2 + across**2 <= 1.0
        image[rows, columns] += inside * (slope[0] * u + slope[1] * v + offset)
    return np.maximum(image, 0.0)


def _ramp(generator: np.random.Generator, center: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, float]:
    """Draw `slope·p + offset` until its minimum over the ellipse `center + shape·(unit disk)` is >= 0."""
    while True:
        slope = 0.9 * generator.standard_normal(2)
        offset = 0.3 + 0.7 * generator.uniform()
        if slope @ center + offset >= np.linalg.norm(slope @ shape):
            return slope, offset

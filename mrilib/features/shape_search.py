"""Which shape inside a few pixels a method shows least of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.chunks import Chunks
from mrilib.data.features import Coils
from mrilib.features.derivatives import for_search
from mrilib.features.kinds.base import Scene
from mrilib.features.maps import with_features
from mrilib.features.shapes import placed, survival
from mrilib.solvers.gradient_memory import saved_bytes
from mrilib.solvers.solution import NotConvergedError

# Length of the first step, in units of the largest value of a shape, and the factor from step to step.
RATE, DECAY = 0.5, 0.9
# Added to shapes before they are differentiated: the modulus has no derivative where all is 0.
TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Searched:
    """Shapes that a search ended with, and the steps that it took."""

    shapes: Float[Tensor, "shapes size size"]
    steps: int


def shapes_shown_least(
    scene: Scene,
    place: tuple[int, int],
    amplitude: float,
    starts: Float[Tensor, "shapes size size"],
    *,
    coils: Coils,
    steps: int,
) -> Searched:
    """Descend the survival (`mrilib.features.shapes.survival`) of the feature `amplitude·u` at a place.

    Over `u ∈ [0, 1]^(k×k)` with the maximum 1, so of one sign. The derivative is that of the method at the
    data that have the feature: it is finite, and the derivative at the data without it says nothing of it.

        `v ← ½v + g/‖g‖∞`,   `u ← P(u − t·v)`,   `t = RATE·DECAY^i` at step `i`,

    where `P` clips to [0, 1] and divides by the maximum; a step that would leave nothing is not taken. The
    best iterate of every start is kept. Derivatives of minimisers are rough (`for_search`). A derivative that
    a solver cannot compute ends the search with what it has found.

    Args:
        scene: the image and the method, which has a derivative.
        place: row and column of the first pixel, in the reference.
        amplitude: the largest value of the feature, in the units of the image; negative for dark ones.
        starts: shapes to begin with.
        coils: how coils see the feature.
        steps: steps of every start.

    Raises:
        FloatingPointError: if a value or a derivative is not finite; says at which step.
        ValueError: if the method returns an image without derivative.

    Source: our choice.
    """
    shapes = starts.to(scene.truth.reference)
    best, least = shapes.clone(), torch.full((len(shapes),), torch.inf, dtype=torch.float64)
    least = least.to(shapes.device)
    velocity = torch.zeros_like(shapes)
    kept = saved_bytes(
        lambda: _shown(scene, place, amplitude, shapes[:1].clone().requires_grad_(True), coils),
        but=[scene.kspace],
    )
    chunks = Chunks(None, shapes.device, bytes_each=kept)
    for step in range(steps + 1):
        try:
            found = chunks.map(
                lambda part, now=shapes: _slopes(scene, place, amplitude, now[part], coils),  # type: ignore[misc]
                len(shapes),
            )
        except NotConvergedError as error:
            print(f"search for the worst shape: ends after {step} of {steps} steps: {error}", flush=True)
            return Searched(best, step)
        value, slope = (torch.cat(each) for each in zip(*found, strict=True))
        if not bool(value.isfinite().all() and slope.isfinite().all()):
            raise FloatingPointError(
                f"search for the worst shape: non-finite value or derivative at step {step}; look at the "
                "parameters of the method"
            )
        better = value < least
        best = torch.where(better[:, None, None], shapes, best)
        least = torch.where(better, value, least)
        steepest = slope.abs().amax(dim=(-2, -1), keepdim=True)
        velocity = 0.5 * velocity + torch.where(steepest > 0, slope / steepest, 0.0)
        moved = (shapes - RATE * DECAY**step * velocity).clamp(0.0, 1.0)
        largest = moved.amax(dim=(-2, -1), keepdim=True)
        shapes = torch.where(largest > 0, moved / largest, shapes)
    return Searched(best, steps)


def _shown(scene: Scene, place: tuple[int, int], amplitude: float, shapes: Tensor, coils: Coils) -> Tensor:
    """Survival of every shape, differentiably."""
    truth = scene.truth
    with torch.enable_grad():
        features = amplitude * placed(shapes + TINY, [place] * len(shapes), truth.shape)
        data = with_features(scene.kspace, scene.operator, truth, features, coils)
        image = for_search(scene.method)(data, scene.operator)
        if shapes.requires_grad and not image.requires_grad:
            name = type(scene.method).__name__
            raise ValueError(f"worst feature: {name} returns an image without derivative; remove its detach")
        return survival(scene.moduli(image) - scene.without, truth, features, coils)


def _slopes(
    scene: Scene, place: tuple[int, int], amplitude: float, shapes: Tensor, coils: Coils
) -> tuple[Tensor, Tensor]:
    """Survival of every shape, and its derivative."""
    shapes = shapes.clone().requires_grad_(True)
    value = _shown(scene, place, amplitude, shapes, coils)
    (slope,) = torch.autograd.grad(value.sum(), shapes)
    return value.detach(), slope

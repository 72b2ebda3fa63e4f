"""What is attacked: a method on one image's data, and what counts as its artifact."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor, check_kspace, observed
from mrilib.solvers.solution import Solution

# Of complex reconstructions, or of their moduli.
Artifact = Literal["complex", "magnitude"]


class NoPlaceError(ValueError):
    """An attack has no place to look at: no coil sees any, or the object has none on the grid."""


@dataclass(frozen=True)
class Start:
    """A perturbation that a search is to begin from as well, such as one made for another method.

    Args:
        location: row and column of its window's centre; the whole image has no use for it.
        perturbation: of all coils; it is taken to the mask and into the budget.
    """

    location: tuple[int, int]
    perturbation: Complex[Tensor, "*coil ky kx"]


@dataclass(frozen=True, eq=False)
class Observed:
    """A clean reconstruction as `mrilib.reconstructors.base.observed` has it.

    Args:
        value: the image: a complex one as coils see it.
        state: of the solver that made it, for searches that begin there; `None` where there is none.
    """

    value: Tensor
    state: Any = None


@dataclass(frozen=True)
class Target:
    """What is attacked: a method on one image's data.

    Args:
        reconstructor: the method.
        operator: the measurement `A`.
        kspace: clean data `y`, `(ky, kx)` of a single coil, `(coil, ky, kx)` of several.
        radius: budget `η` of all coils and entries together.
        clean: `rec(y)`.
        artifact: of methods that return complex images: their difference, or that of their moduli.
    """

    reconstructor: Reconstructor
    operator: MeasurementOperator
    kspace: Complex[Tensor, "*coil ky kx"]
    radius: float
    clean: Observed
    artifact: Artifact = "complex"

    def observed(self, images: Tensor) -> Tensor:
        """What the method returned, complex images as coils see them."""
        return observed(self.reconstructor, images, self.operator)

    def artifacts(self, images: Tensor) -> Tensor:
        """`ρ` of images as they were observed, differentiably, `(*batch, y, x)`.

        Complex methods: `x' − x`, or `|x'| − |x|` with `artifact="magnitude"`. Methods that return
        magnitudes: `x' − x` where some coil map is not zero, and 0 elsewhere, where nothing was measured and
        what a method writes is its whim.
        """
        return self._compared(images) - self._compared(self.clean.value)

    def _compared(self, images: Tensor) -> Tensor:
        if self.reconstructor.output == "magnitude":
            return images if self._sees_all else torch.where(self.visible, images, torch.zeros_like(images))
        return images.abs() if self.artifact == "magnitude" else images

    @cached_property
    def visible(self) -> Bool[Tensor, "y x"]:
        """Pixels that some coil sees."""
        return visible_pixels(self.operator)

    @cached_property
    def _sees_all(self) -> bool:
        return bool(self.visible.all())


@dataclass(frozen=True, kw_only=True)
class Task(Target):
    """What a search is given: its target, and the candidates.

    Args:
        windows: windows `φ`, `(candidates, y, x)`.
        starts: where each candidate begins, `(candidates, ky, kx)` or `(candidates, coil, ky, kx)`, on the
            mask.
    """

    windows: Float[Tensor, "candidates y x"]
    starts: Complex[Tensor, "candidates *coil ky kx"]


def visible_pixels(operator: MeasurementOperator) -> Bool[Tensor, "y x"]:
    """Pixels that some coil sees; a single coil sees all."""
    mask = operator.mask
    return operator.seen(torch.ones(mask.shape, device=mask.device)) > 0


def admitted(
    perturbation: Complex[Tensor, "*coil ky kx"], operator: MeasurementOperator, radius: float
) -> Complex[Tensor, "*coil ky kx"]:
    """Projection to the mask and to the ball of `radius`: `e·min(1, η/‖e‖₂)`, over all coils."""
    inside = perturbation.to(operator.mask.device) * operator.mask
    norm = float(operator.kspace_norm(inside))
    return inside * (radius / norm) if norm > radius else inside


def clean_of(
    reconstructor: Reconstructor,
    kspace: Tensor,
    operator: MeasurementOperator,
    given: Solution | Observed | None,
) -> Observed:
    """`rec(y)` of one item: solved here, or as the caller has it."""
    if given is not None and given.value.shape != operator.mask.shape:
        raise ValueError(
            f"attack: expected clean as the image of one item {tuple(operator.mask.shape)}, "
            f"got {tuple(given.value.shape)}; leave it out for batches"
        )
    if isinstance(given, Observed):
        return given
    solution = reconstructor.solve(kspace, operator) if given is None else given
    return Observed(observed(reconstructor, solution.value, operator), solution.state)


def check_attack(
    kspace: Tensor,
    operator: MeasurementOperator,
    radius: float | Tensor,
    where: str,
    starts: Sequence[Start] = (),
    artifact: str = "complex",
) -> Float[Tensor, "items"]:
    """Validate an attack's input; one radius an item of the flattened batch."""
    check_kspace(kspace, where)
    shape = operator.kspace_shape
    if tuple(kspace.shape[-len(shape) :]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"{where}: expected kspace (..., {expected}) from the operator, got {tuple(kspace.shape)}; "
            "a single coil has no coil axis, several have theirs third from the end"
        )
    batch = kspace.shape[: -len(shape)]
    if artifact not in ("complex", "magnitude"):
        raise ValueError(f"{where}: expected artifact 'complex' or 'magnitude', got {artifact!r}")
    if starts and math.prod(batch) != 1:
        raise ValueError(f"{where}: starts are those of one item, got a batch {tuple(batch)}; go one by one")
    for start in starts:
        if tuple(start.perturbation.shape) != shape:
            raise ValueError(
                f"{where}: expected starts shaped {shape} as the data, got {tuple(start.perturbation.shape)}"
            )
    radii = torch.as_tensor(radius, dtype=torch.float64)
    if radii.ndim and radii.shape != batch:
        raise ValueError(
            f"{where}: expected one radius, or one an item {tuple(batch)}, got shape {tuple(radii.shape)}"
        )
    radii = radii.expand(batch).reshape(math.prod(batch))
    if not bool((radii.isfinite() & (radii > 0)).all()):
        raise ValueError(f"{where}: expected radius > 0, one number or one an item, got {radius}")
    return radii

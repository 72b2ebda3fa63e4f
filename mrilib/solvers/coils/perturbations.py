"""Perturbations of data that move along derivatives of minimisers, in what is cheap to keep of them.

A minimiser of `½‖Ax − y‖² + …` sees `y` through `Aᴴy` alone: what of a perturbation is orthogonal to all `Au`
is budget without effect, and derivatives are `Au`. Where images are cheaper than the spectra of all coils
a perturbation is kept as `u` and `AᴴAu`, which the inverses of lines give away.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.solvers.coils.data import CoilData, Coils, Images, inner
from mrilib.solvers.conjugate_gradients import conjugate_gradients
from mrilib.solvers.items import Items

Own = TypeVar("Own", bound="Perturbation")

# Of `u` from the perturbation that a search starts from, where it is no `Au` that is known.
CG_STEPS, CG_TOLERANCE = 50, 1e-4


@dataclass(frozen=True)
class Perturbation(Items):
    """`e` of several items: a vector."""

    def plus(self: Own, other: Own, factor: Float[Tensor, "items"]) -> Own:
        """`e + factor·other`."""
        mine, added = vars(self), vars(other)
        return replace(
            self, **{name: mine[name] + _of_item(factor, added[name]) * added[name] for name in self.axes}
        )

    def scaled(self: Own, factor: Float[Tensor, "items"]) -> Own:
        """`factor·e`."""
        own = vars(self)
        return replace(self, **{name: _of_item(factor, own[name]) * own[name] for name in self.axes})

    def where(self: Own, chosen: Tensor, other: Own) -> Own:
        """Items of this where `chosen`, of the other elsewhere."""
        mine, others = vars(self), vars(other)
        return replace(
            self,
            **{
                name: torch.where(_of_item(chosen, mine[name]), mine[name], others[name])
                for name in self.axes
            },
        )

    @abstractmethod
    def norm(self) -> Float[Tensor, "items"]:
        """`‖e‖₂` over all coils."""

    @abstractmethod
    def coils(self, measurement: CoilData) -> Coils:
        """`e` itself."""


@dataclass(frozen=True)
class SpectraPerturbation(Perturbation):
    """`e` as it is."""

    axes: ClassVar[Mapping[str, int]] = {"spectra": 3}

    spectra: Coils

    def norm(self) -> Float[Tensor, "items"]:
        return torch.linalg.vector_norm(self.spectra, dim=(-3, -2, -1))

    def coils(self, measurement: CoilData) -> Coils:
        return self.spectra


@dataclass(frozen=True)
class ImagePerturbation(Perturbation):
    """`e = Au`, as `u` and `AᴴAu`: `‖e‖² = Re⟨u, AᴴAu⟩`."""

    axes: ClassVar[Mapping[str, int]] = {"image": 2, "normal": 2}

    image: Images
    normal: Images

    @staticmethod
    def of(measurement: CoilData, coils: Coils) -> "ImagePerturbation":
        """What of `e` a minimiser sees: `Au`, `u` minimising `‖Au − e‖`, by conjugate gradients."""
        found = conjugate_gradients(
            measurement.normal, measurement.adjoint(coils), tolerance=CG_TOLERANCE, max_steps=CG_STEPS
        )
        return ImagePerturbation(found.image, measurement.normal(found.image))

    def norm(self) -> Float[Tensor, "items"]:
        return inner(self.image, self.normal).clamp(min=0.0).sqrt()

    def coils(self, measurement: CoilData) -> Coils:
        return measurement.forward(self.image)


def _of_item(values: Tensor, arrays: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (arrays.ndim - 1))

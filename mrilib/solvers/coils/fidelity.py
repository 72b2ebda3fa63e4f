"""How measured data enter the splitting: copies of the image where `AᴴA` is easy to invert.

With an isometry `B` and copies `r ≈ Bx`, `T(r)` minimises `½‖A…‖² + ½μ‖· − r‖²` over the copies. Two of them:
the spectra of all coils, for any mask, and the image itself, where the mask samples lines.
"""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.coils.data import CoilData, Coils, Images
from mrilib.solvers.coils.line_inverses import LineInverses, applies
from mrilib.solvers.coils.perturbations import ImagePerturbation, Perturbation, SpectraPerturbation
from mrilib.solvers.items import Items

Own = TypeVar("Own", bound="Fidelity")


@dataclass(frozen=True)
class Fidelity(Items):
    """`½‖Ax − y‖²` by way of copies `r`, which are a tensor or a dataclass of items.

    Attributes:
        penalty: `μ`.
        first_check: steps before the first certificate at a tolerance of 1e-2.
        measurement: `A` and `y`.
    """

    penalty: ClassVar[float]
    first_check: ClassVar[int]

    measurement: CoilData

    @abstractmethod
    def zero(self) -> Any:
        """Copies of the zero image."""

    @abstractmethod
    def fitted(self, copies: Any) -> Any:
        """`T(r)`."""

    @abstractmethod
    def gathered(self, copies: Any, fitted: Any) -> Images:
        """`Bᴴ(2T(r) − r)`."""

    @abstractmethod
    def moved(self, copies: Any, fitted: Any, image: Images, relaxation: float) -> Any:
        """`r + α(Bx − T(r))`."""

    @abstractmethod
    def explained(self, fitted: Any, image: Images) -> Images:
        """The image whose residual the dual variable of the copies is next to."""

    @abstractmethod
    def closer(self, image: Images, error: Images) -> Images | None:
        """An image whose `Aᴴ(y − Ax)` is less by `error` where coils measure it well, if that is cheap."""

    @abstractmethod
    def without_data(self: Own) -> Own:
        """The same for `y = 0`."""

    @abstractmethod
    def repeated(self: Own, count: int) -> Own:
        """A single item's for as many items, without copies; of these nothing certifies."""

    @abstractmethod
    def perturbation(self, coils: Coils) -> Perturbation:
        """A perturbation of the data, as it is kept here."""

    @abstractmethod
    def perturbed(self: Own, perturbation: Any) -> Own:
        """The same for `y + e`, with as many items as `e` has."""

    @abstractmethod
    def renewed(self: Own, data: Coils) -> Own:
        """The same for other data, of which nothing certifies."""

    @abstractmethod
    def derivative(self, copies: Any, fitted: Any) -> Perturbation:
        """`Aa` of the image `a` that the copies fit, for `y = 0`."""


@dataclass(frozen=True)
class SpectraCopies(Items):
    """`r` of the coils, and of the additional coil, as an image."""

    axes: ClassVar[Mapping[str, int]] = {"spectra": 3, "rest": 2}

    spectra: Complex[Tensor, "*batch coil y x"]
    rest: Complex[Tensor, "*batch y x"]


@dataclass(frozen=True)
class SpectraFidelity(Fidelity):
    """Copies are the spectra `F S_c x` of the coils, where the mask is diagonal.

    One coil more, which nothing measures, `S_0 = √(1 − Σ|S_c|²)`, makes `Σ|S|² = 1` at every pixel. `T(r)` is
    `(y + μr)/(1 + μ)` where k-space is sampled, `r` elsewhere: the cost of one `AᴴA` for any mask.

    Args:
        measurement: `A` and `y`.
        rest: `S_0`, `(items, y, x)`.
    """

    axes: ClassVar[Mapping[str, int]] = {"measurement": 0}
    # On a brain at four times, images of maximum 1, λ = 3e-3: certified 1e-4 after 200 steps with 0.1, after
    # 320 to 440 with three times that.
    penalty = 0.1
    first_check = 40

    rest: Float[Tensor, "items y x"]

    @staticmethod
    def of(measurement: CoilData) -> "SpectraFidelity":
        return SpectraFidelity(measurement, _rest(measurement))

    def to(self, dtype: torch.dtype) -> "SpectraFidelity":
        return SpectraFidelity.of(self.measurement.to(dtype))

    def __getitem__(self, items: Tensor | int) -> "SpectraFidelity":
        found = super().__getitem__(items)
        return found if self.rest.shape[0] == 1 else replace(found, rest=self.rest[items])

    def zero(self) -> SpectraCopies:
        coils = torch.zeros_like(self.measurement.data)
        return SpectraCopies(coils, coils[:, 0].clone())

    def fitted(self, copies: SpectraCopies) -> Coils:
        closer = (self.measurement.data + self.penalty * copies.spectra) / (1.0 + self.penalty)
        return torch.where(self.measurement.mask, closer, copies.spectra)

    def gathered(self, copies: SpectraCopies, fitted: Coils) -> Images:
        # What nothing measures is its own best fit.
        return self.measurement.gather(2.0 * fitted - copies.spectra) + self.rest * copies.rest

    def moved(self, copies: SpectraCopies, fitted: Coils, image: Images, relaxation: float) -> SpectraCopies:
        return SpectraCopies(
            copies.spectra + relaxation * (self.measurement.spread(image) - fitted),
            copies.rest + relaxation * (self.rest * image - copies.rest),
        )

    def explained(self, fitted: Coils, image: Images) -> Images:
        return image

    def closer(self, image: Images, error: Images) -> None:
        return None

    def without_data(self) -> "SpectraFidelity":
        silent = replace(self.measurement, data=torch.zeros_like(self.measurement.data))
        return replace(self, measurement=silent)

    def repeated(self, count: int) -> "SpectraFidelity":
        return replace(self, measurement=self.measurement.repeated(count))

    def perturbation(self, coils: Coils) -> SpectraPerturbation:
        return SpectraPerturbation(coils)

    def perturbed(self, perturbation: SpectraPerturbation) -> "SpectraFidelity":
        return self.renewed(self.measurement.data + perturbation.spectra)

    def renewed(self, data: Coils) -> "SpectraFidelity":
        return replace(self, measurement=self.measurement.renewed(data))

    def derivative(self, copies: SpectraCopies, fitted: Coils) -> SpectraPerturbation:
        return SpectraPerturbation(fitted * self.measurement.mask)


@dataclass(frozen=True)
class LineFidelity(Fidelity):
    """The copy is the image, `B = 1`, and `T(r) = (AᴴA + μ)⁻¹(Aᴴy + μr)`: exact where the mask samples lines.

    Args:
        measurement: `A` and `y`.
        projected: `Aᴴy`.
    """

    axes: ClassVar[Mapping[str, int]] = {"measurement": 0, "projected": 2}
    # Our choice. With ρ = 1.8√λ a brain (λ = 5e-3) and a simulated object (2.5e-3) are certified to 1e-3
    # after 40 to 60 steps; 0.015 and 0.1 take half as many more on one or the other.
    penalty = 0.05
    first_check = 30

    projected: Images

    @staticmethod
    def of(measurement: CoilData) -> "LineFidelity":
        return LineFidelity(measurement, measurement.adjoint(measurement.data))

    @functools.cached_property
    def inverses(self) -> LineInverses:
        """`(AᴴA + μ)⁻¹`, made when first asked for: what selects items would copy it."""
        penalty = torch.full_like(self.measurement.energy, self.penalty, dtype=self.projected.real.dtype)
        return LineInverses(self.measurement, penalty)

    def to(self, dtype: torch.dtype) -> "LineFidelity":
        return LineFidelity.of(self.measurement.to(dtype))

    def zero(self) -> Images:
        return torch.zeros_like(self.projected)

    def fitted(self, copies: Images) -> Images:
        return self.inverses.solve(self.projected + self.penalty * copies)

    def gathered(self, copies: Images, fitted: Images) -> Images:
        return 2.0 * fitted - copies

    def moved(self, copies: Images, fitted: Images, image: Images, relaxation: float) -> Images:
        return copies + relaxation * (image - fitted)

    def explained(self, fitted: Images, image: Images) -> Images:
        return fitted

    def closer(self, image: Images, error: Images) -> Images:
        return image + self.inverses.solve(error.to(self.projected.dtype))

    def without_data(self) -> "LineFidelity":
        return self._changed_to(projected=torch.zeros_like(self.projected))

    def repeated(self, count: int) -> "LineFidelity":
        projected = self.projected.expand(count, *self.projected.shape[1:])
        return self._changed_to(measurement=self.measurement.repeated(count), projected=projected)

    def perturbation(self, coils: Coils) -> ImagePerturbation:
        return ImagePerturbation.of(self.measurement, coils)

    def perturbed(self, perturbation: ImagePerturbation) -> "LineFidelity":
        return self._changed_to(projected=self.projected + perturbation.normal)

    def renewed(self, data: Coils) -> "LineFidelity":
        return self._changed_to(
            measurement=self.measurement.renewed(data), projected=self.measurement.adjoint(data)
        )

    def derivative(self, copies: Images, fitted: Images) -> ImagePerturbation:
        # T(r) = (AᴴA + μ)⁻¹μr, and so AᴴAT(r) = μ(r − T(r)).
        return ImagePerturbation(fitted, self.penalty * (copies - fitted))

    def _changed_to(self, **fields: Any) -> "LineFidelity":
        """With other data, of which the inverses know nothing."""
        found = replace(self, **fields)
        vars(found)["inverses"] = self.inverses
        return found


def fidelity_of(measurement: CoilData) -> Fidelity:
    """The one that takes the fewest steps."""
    return LineFidelity.of(measurement) if applies(measurement) else SpectraFidelity.of(measurement)


def _rest(measurement: CoilData) -> Float[Tensor, "items y x"]:
    """`S_0`, in the precision of the maps."""
    if measurement.maps is None:
        kind, device = measurement.dtype.to_real(), measurement.data.device
        return torch.zeros((1, *measurement.shape), dtype=kind, device=device)
    return (1.0 - measurement.maps.abs().square().sum(-3)).clamp(min=0.0).sqrt()

"""What is stored of one image under one method: its measurement, reconstructions and perturbations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import read_measurement
from mrilib.operators.base import MeasurementOperator
from mrilib.store.arrays import Group, group_names, read_group

# Of a reconstruction whose parameter was tuned on clean data, or that has none.
CLEAN = "clean"


@dataclass(frozen=True, eq=False)
class Perturbed:
    """A stored perturbation: the attack that found it, the method that it was made for, and its unit."""

    attack: str
    made_for: str
    unit: Group

    @property
    def failed(self) -> str:
        return str(self.unit.attributes.get("failed", ""))


@dataclass(eq=False)
class ImageResults:
    """One image under one method, as its jobs stored it.

    Args:
        measurement: the measured image.
        root: attributes of the reconstruction's file: who the image is, `method`, `domain`, `output`,
            `through_adjoint`, `coils`.
        reconstructions: the file of clean reconstructions.
        attacks: the file of the method's own attacks; `None` for none.
        transfer: what the method makes of the perturbations made for others, and its own attacks as far
            as those made it repeat them: where it has a unit, that one counts. `None` for none.
    """

    measurement: Measurement
    root: dict[str, Any]
    reconstructions: str | Path
    attacks: str | Path | None = None
    transfer: str | Path | None = None
    _names: dict[str, set[str]] = field(default_factory=dict)
    _clean: dict[str, Group] = field(default_factory=dict)

    @property
    def operator(self) -> MeasurementOperator:
        return self.measurement.operator

    @property
    def has_amplification(self) -> bool:
        """Whether `r` says what the method was given: always for one coil, with several if it sees `Aᴴy`."""
        return not self.root.get("coils", 0) or bool(self.root.get("through_adjoint", False))

    @property
    def is_complex(self) -> bool:
        """Whether the method returns complex images."""
        return bool(self.root.get("output", "complex") == "complex")

    @property
    def tunings(self) -> list[str]:
        """What the clean reconstructions were tuned for: `clean`, or levels as text."""
        return [name for name in group_names(self.reconstructions) if "/" not in name]

    @property
    def lowest_tuning(self) -> str:
        """The one on clean data, or else for the lowest level."""
        return min(self.tunings, key=lambda name: 0.0 if name == CLEAN else float(name))

    def clean(self, tuned: str) -> Group:
        """The clean reconstruction whose parameter was tuned for `tuned`, at the tuned value."""
        return self._read_clean(str(self.reconstructions), tuned)

    def clean_before(self, perturbed: Perturbed) -> Group:
        """The clean reconstruction that a perturbation started from."""
        about = perturbed.unit.attributes
        if about["factor"] == 1.0:
            return self.clean(about["tuned"])
        return self._read_clean(str(self.attacks), f"clean/{about['level']:g}/{about['factor']:g}")

    def perturbations(self) -> Iterator[Perturbed]:
        """All perturbations: the method's own, then those that were made for others."""
        for path, start in ((self.attacks, "perturbed/"), (self.transfer, "carried/")):
            for name in sorted(self._groups(path)):
                if name.startswith(start):
                    yield self._perturbed(name)

    def perturbation(
        self, attack: str, level: float, *, factor: float = 1.0, made_for: str | None = None
    ) -> Perturbed:
        """One perturbation: the method's own, or that made for another method."""
        place = f"{attack}/{level:g}/{factor:g}"
        own = made_for in (None, self.root["method"])
        return self._perturbed(f"perturbed/{place}" if own else f"carried/{made_for}/{place}")

    def artifact(self, after: Group, before: Group) -> tuple[Inexact[Tensor, "y x"], Float[Tensor, "y x"]]:
        """`ρ` on the whole grid, and the difference of moduli.

        Stored reconstructions are complex images as coils see them, or moduli. Of moduli `ρ` is their
        difference, counted only where some coil sees the pixel: elsewhere nothing was measured, and what
        a method writes there is no artifact.
        """
        first, second = (torch.from_numpy(each.arrays["reconstruction"]) for each in (before, after))
        moduli = second.abs() - first.abs()
        if self.is_complex:
            return second - first, moduli
        moduli = moduli * (self.operator.seen(torch.ones_like(moduli)) > 0)
        return moduli, moduli

    def picture(self, perturbed: Perturbed) -> Complex[Tensor, "y x"]:
        """`r`, the picture of a perturbation, on the whole grid."""
        return self.operator.to_image(torch.from_numpy(perturbed.unit.arrays["perturbation"]))

    def data_residual(self, perturbed: Perturbed) -> float:
        """`‖A rec(y + e) − (y + e)‖₂/η` over all coils, `η` the budget, of a complex reconstruction.

        1 says that the tuned weight solves the constrained problem, for whose minimiser the constraint
        `‖Az − (y + e)‖₂ ≤ η` is active: less fits the data closer, more does not satisfy it. What is stored
        is what coils see, `x·√Σ_c|S_c|²`; `x` is had by division, and where no coil sees it `A` does not.

        Source: [alaifari2023], eq. (2).
        """
        operator, kspace = self.operator, self.measurement.kspace
        image = torch.from_numpy(perturbed.unit.arrays["reconstruction"]).to(torch.complex128)
        sight = operator.seen(torch.ones(operator.mask.shape, dtype=torch.float64))
        image = torch.where(sight > 0, image / sight.clamp_min(torch.finfo(torch.float64).tiny), 0)
        data = kspace + torch.from_numpy(perturbed.unit.arrays["perturbation"])
        about = perturbed.unit.attributes
        radius = self.measurement.radius(about["level"], about.get("relative_to", "data"))
        return float(operator.kspace_norm(operator.forward(image) - data)) / radius

    def _perturbed(self, name: str) -> Perturbed:
        unit = read_group(str(self.transfer if name in self._groups(self.transfer) else self.attacks), name)
        about = unit.attributes
        return Perturbed(str(about["attack"]), str(about.get("made_for", self.root["method"])), unit)

    def _groups(self, path: str | Path | None) -> set[str]:
        if path is None:
            return set()
        if str(path) not in self._names:
            self._names[str(path)] = set(group_names(path))
        return self._names[str(path)]

    def _read_clean(self, path: str, name: str) -> Group:
        key = f"{path}:{name}"
        if key not in self._clean:
            # The file may hold more: the state of the solver.
            failed = "failed" in read_group(path, name, arrays=[]).attributes
            self._clean[key] = read_group(path, name, arrays=[] if failed else ["reconstruction"])
        return self._clean[key]


def read_results(
    measurement: str | Path,
    reconstructions: str | Path,
    attacks: str | Path | None = None,
    transfer: str | Path | None = None,
) -> ImageResults | None:
    """Open the files of one image under one method; `None` where the set has no image at its position.

    Raises:
        ValueError: if the files are of different images or methods, or cannot be read.
    """
    measured = read_measurement(measurement)
    root = read_group(reconstructions, arrays=[]).attributes
    if measured is None or root.get("missing", False):
        return None
    keys = ("source", "mask", "position", "method", "domain")
    _same(measured.about, root, keys[:3], measurement, reconstructions)
    for path in (attacks, transfer):
        if path is not None:
            _same(read_group(path, arrays=[]).attributes, root, keys, path, reconstructions)
    return ImageResults(measured, root, reconstructions, attacks, transfer)


def _same(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    keys: tuple[str, ...],
    path: str | Path,
    other: str | Path,
) -> None:
    for key in keys:
        if key in first and key in second and first[key] != second[key]:
            raise ValueError(
                f"{path} has {key} {first[key]!r}, and {other} {second[key]!r}: expected files of one image "
                "and method; give both lists in the same order"
            )

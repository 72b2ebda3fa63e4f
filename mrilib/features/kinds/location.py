"""The error in a small window at every location: [darestani2021], figures 7, 16 and 17."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from mrilib.data.features import Coils
from mrilib.features.kinds.base import FeatureKind, Findings, Scene
from mrilib.features.maps import WindowErrors, pooled
from mrilib.features.windows import lattice
from mrilib.store.units import derived_seed

NUMBERS = ("loss", "error", "before")
# Of the losses on an image's object: what stands for its worst places.
WORST = 0.95


class LocationMap(FeatureKind):
    """Errors in windows of `k × k` pixels of a contrast, with and without the feature.

    Linear methods have them at every location exactly, by one matrix a line or one convolution. For all
    others windows on a lattice share one reconstruction; the lattice is shifted at random from image to
    image, windows of all sizes stand on it, and it is the same for every method. What windows do to each
    other is measured by `checks` of them, which are reconstructed alone: `interaction` is what the energy
    that is lost differs by, alone and on the lattice, over the mean energy of windows of that size. Of
    methods that are fitted it holds what any change of the data does to a fit.

    Args:
        sizes: `k`, pixels along each side.
        contrast: of the feature, in units of the reference's maximum; negative for dark ones. The authors'
            is 1/6.
        coils: `maps`: by the coil maps, in phase with the object, or `constant`, the authors': a real
            constant in every coil's image.
        spacing: between windows that share a reconstruction, in pixels; more than the largest size.
        checks: windows of each image that are reconstructed alone as well, of methods with a lattice.
        stride: between windows of exact maps, in pixels.
        cells: of mean maps, along each side of the image.

    Source: [darestani2021], section 5.3 with figures 7, 16 and 17; lattices are our choice: the paper's has
    one window a reconstruction.
    """

    word: ClassVar[str] = "location-map"
    KEYS: ClassVar[tuple[str, ...]] = ("size",)
    solves: ClassVar[float] = 2.0

    def __init__(
        self,
        *,
        sizes: Sequence[Annotated[int, Field(ge=1)]] = (2, 3, 4, 5),
        contrast: Annotated[float, Field(ge=-1, le=2)] = 1 / 6,
        coils: Coils = "maps",
        spacing: Annotated[int, Field(ge=2)] = 16,
        checks: Annotated[int, Field(ge=0)] = 1,
        stride: Annotated[int, Field(ge=1)] = 1,
        cells: Annotated[int, Field(ge=1)] = 16,
    ) -> None:
        if spacing <= max(sizes):
            raise ValueError(
                f"LocationMap: expected spacing above the largest of the sizes {list(sizes)}, got {spacing}"
            )
        if contrast == 0:
            raise ValueError("LocationMap: expected a contrast above or below 0, got 0")
        self.sizes, self.contrast, self.coils = list(sizes), float(contrast), coils
        self.spacing, self.checks, self.stride, self.cells = spacing, checks, stride, cells

    def findings(self, scene: Scene) -> Findings:
        amplitude = self.contrast * scene.peak
        exact = [scene.exact_errors(size, amplitude, self.coils, stride=self.stride) for size in self.sizes]
        if known := [each for each in exact if each is not None]:
            return self._found(scene, known, {"exact": True})
        generator = np.random.default_rng(derived_seed(*scene.seed, self.word))
        windows = lattice(scene.truth.shape, self.sizes, self.spacing, generator)
        errors = scene.window_errors(windows, amplitude, self.coils, "lattice")
        about: dict[str, Any] = {"exact": False}
        inside = torch.nonzero(errors.on_object).flatten().numpy()
        chosen = generator.permutation(inside)[: self.checks]
        if len(chosen):
            apart, usual = 0.0, 0.0
            for number, place in enumerate(chosen):
                one = windows[int(place) : int(place) + 1]
                alone = scene.window_errors(one, amplitude, self.coils, f"alone-{number}")
                alike = errors.on_object & (windows.sizes == windows.sizes[place])
                usual += float(errors.energy[alike].mean())
                apart += float(alone.energy[0] * (alone.loss[0] - errors.loss[place]).abs())
            about["interaction"] = apart / usual
        return self._found(scene, [errors], about)

    def count(self, *, searched: bool, exact: bool) -> float:
        return 1.0 if exact else 1.0 + self.checks

    def table(self, findings: pd.DataFrame) -> pd.DataFrame:
        """By size: errors of all windows on the object together, and of all that coils see (`…_everywhere`).

        And `worst` and `best`, the loss that is exceeded at 5 % and at 95 % of the windows on the object,
        and `windows`, how many these are.
        """
        rows = []
        for size, every in findings.groupby("size", sort=True):
            own = every[every["on_object"].astype(bool)]
            row = {"size": size, "windows": len(own)}
            row |= {name: _pooled(own, name) for name in NUMBERS}
            row |= {f"{name}_everywhere": _pooled(every, name) for name in NUMBERS}
            row |= {"worst": own["loss"].quantile(WORST), "best": own["loss"].quantile(1 - WORST)}
            rows.append(row)
        return pd.DataFrame(rows)

    def map(self, findings: pd.DataFrame) -> pd.DataFrame:
        """Sums over the windows whose middle lies in a cell of the image."""
        told = findings.dropna(subset=["loss"])
        middle = (told["size"] - 1) / 2 + 0.5
        cells = {}
        for name, side in (("row", told["height"]), ("column", told["width"])):
            cell = ((told[name] + middle) / side * self.cells).astype(int)
            cells[name] = (cell + 0.5) / self.cells
        energies = {name: told[name] * told["energy"] for name in NUMBERS}
        frame = told[["size", "energy"]].assign(**energies, **cells, count=1)
        return frame.groupby(["size", "row", "column"], as_index=False, sort=True).sum()

    def _found(self, scene: Scene, found: Sequence[WindowErrors], about: dict[str, Any]) -> Findings:
        columns = {
            "row": torch.cat([each.windows.rows for each in found]).numpy(),
            "column": torch.cat([each.windows.columns for each in found]).numpy(),
            "size": torch.cat([each.windows.sizes for each in found]).numpy(),
            "on_object": torch.cat([each.on_object for each in found]).numpy(),
        }
        columns |= {
            name: torch.cat([getattr(each, name) for each in found]).numpy().astype(np.float32)
            for name in (*NUMBERS, "energy")
        }
        height, width = scene.truth.shape
        return Findings(columns, about | {"height": height, "width": width, "contrast": self.contrast})


def _pooled(findings: pd.DataFrame, name: str) -> float:
    """As `mrilib.features.maps.pooled`."""
    values, energy = (torch.tensor(findings[key].to_numpy(float)) for key in (name, "energy"))
    return pooled(values, energy)

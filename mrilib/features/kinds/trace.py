"""How the error in a small window goes down as a fit goes on: the mechanism of [darestani2021], figure 16."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from mrilib.data.features import Coils
from mrilib.features.kinds.base import FeatureKind, Findings, Scene
from mrilib.features.maps import pooled, window_errors, with_features
from mrilib.features.windows import lattice
from mrilib.store.units import derived_seed


class FitTrace(FeatureKind):
    """Errors in windows on the object after fewer and fewer steps of a fit.

    At each number of steps the method is fitted anew to the data with the windows and without, and stopped
    there: the fit is the same up to there, so that all together cost about twice the longest. The numbers of
    steps are the method's own times the `shares`.

    Args:
        size: `k`, pixels along each side of the windows.
        contrast, coils, spacing: as of `LocationMap`; the lattice has windows of one size.
        shares: of the method's steps at which it is stopped.

    Source: [darestani2021], which explains by it why some optimisers lose what others keep.
    """

    word: ClassVar[str] = "fit-trace"
    needs_steps: ClassVar[bool] = True
    KEYS: ClassVar[tuple[str, ...]] = ("steps",)
    solves: ClassVar[float] = 4.0

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=1)] = 3,
        contrast: Annotated[float, Field(ge=-1, le=2)] = 1 / 6,
        coils: Coils = "maps",
        spacing: Annotated[int, Field(ge=2)] = 16,
        shares: Sequence[Annotated[float, Field(gt=0, le=1)]] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0),
    ) -> None:
        if spacing <= size or contrast == 0 or not shares:
            raise ValueError(
                "FitTrace: expected spacing above size, a contrast other than 0, and shares, got "
                f"{spacing}, {size}, {contrast} and {list(shares)}"
            )
        self.size, self.contrast, self.coils = size, float(contrast), coils
        self.spacing, self.shares = spacing, sorted(set(shares))

    def count(self, *, searched: bool, exact: bool) -> float:
        return 2.0 * sum(self.shares)

    def findings(self, scene: Scene) -> Findings:
        amplitude = self.contrast * scene.peak
        generator = np.random.default_rng(derived_seed(*scene.seed, self.word))
        windows = lattice(scene.truth.shape, [self.size], self.spacing, generator)
        windows = windows[torch.nonzero(windows.on_object(scene.truth.reference, amplitude)).flatten().cpu()]
        if not len(windows):
            raise FloatingPointError("no window of the lattice lies on the object; take a smaller spacing")
        feature = windows.image(scene.truth.shape, amplitude)
        altered_data = with_features(scene.kspace, scene.operator, scene.truth, feature, self.coils)
        whole = scene.method.steps  # type: ignore[attr-defined]
        numbers = list(dict.fromkeys(max(1, round(share * whole)) for share in self.shares))
        columns: dict[str, list[float]] = {name: [] for name in ("steps", "loss", "error", "before")}
        for number in numbers:
            shorter = scene.method.shortened(number)
            without = scene.reconstructed(scene.kspace, f"without-{number}", method=shorter)
            altered = scene.reconstructed(altered_data, f"with-{number}", method=shorter)
            found = window_errors(
                scene.truth, windows, amplitude, self.coils, without=without, altered=altered
            )
            columns["steps"].append(number)
            for name in ("loss", "error", "before"):
                columns[name].append(pooled(getattr(found, name), found.energy))
        about = {"windows": len(windows), "size": self.size, "contrast": self.contrast}
        return Findings({name: np.array(values) for name, values in columns.items()}, about)

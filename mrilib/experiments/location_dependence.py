"""Where methods lose small features, and how much by the place: [darestani2021], figures 7 and 16."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.feature_rows import MEASURES, in_run_order, studied_rows, study_records
from mrilib.metrics.quantities import Quantity
from mrilib.store.records import Record

WORST, BEST, DIFFERENCE = "worst", "best", "difference"
OWN = MEASURES | {
    WORST: Quantity("Loss that 5 % of the windows exceed", column="loss at the worst 5 %", decimals=3),
    BEST: Quantity("Loss that 95 % of the windows exceed", column="loss at the best 5 %", decimals=3),
    DIFFERENCE: Quantity(
        "Difference to the first method on the same images", column="difference to the first", decimals=3
    ),
}


class LocationDependence(Experiment):
    """Errors in windows of one size over the image, averaged over images.

    Records are the mean over the windows on the object (`loss` or `error`), the losses that 5 % and 95 % of
    the windows of an image exceed (`worst`, `best`), and of all methods but the first the `difference` of the
    mean to it, over the images that both have.

    Args:
        feature: a study of locations (`location-map`).
        source: of images.
        mask: by default the only one.
        size: `k`.
        measure: `loss`, the control, or `error`, which the paper's maps show.
        methods: those to compare, the first of which differences are to; by default all.

    Source: [darestani2021], figures 7 and 16, which compares the ConvDecoder's optimisers so: Adam is better
    on average than smoother ones.
    """

    word: ClassVar[str] = "location-dependence"
    title: ClassVar[str] = "Where methods lose small features"
    names_features: ClassVar[tuple[str, ...]] = ("feature",)
    figure: ClassVar[str | None] = "mrilib.report.figures_features:location_figure"

    def __init__(
        self,
        *,
        feature: str,
        source: str,
        size: int,
        mask: str | None = None,
        measure: Literal["loss", "error"] = "loss",
        methods: list[str] | None = None,
    ) -> None:
        self.feature, self.source, self.mask, self.size = feature, source, mask, size
        self.measure, self.methods = measure, methods

    def records(self, run: ScoredRun) -> list[Record]:
        rows = self._rows(run)
        found = study_records(run, rows, self.measure, by=["size"], table=self.word)
        for name in (WORST, BEST):
            found += study_records(run, rows, name, by=["size"], table=self.word)
        return found + self._differences(run, rows)

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        note = (
            f"Windows of {self.size} × {self.size} pixels on the object. Mean ± sd over images "
            "[95 % interval, resampled by patient]; n images. Differences: over the same images."
        )
        return super().table_arguments(run) | {"quantities": {**run.quantities, **OWN}, "note": note}

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """Mean maps: `method`, `row`, `column` (shares of the image), `value`, `images`."""
        mask = str(self._rows(run)["mask"].iloc[0])
        maps = run.feature_maps
        chosen = (maps["feature"] == self.feature) & (maps["source"] == self.source) & (maps["mask"] == mask)
        maps = maps[chosen & (maps["domain"] == "") & (maps["size"] == self.size)]
        if self.methods is not None:
            maps = maps[maps["method"].isin(self.methods)]
        maps = in_run_order(run, maps).assign(value=maps[self.measure] / maps["energy"])
        return maps[["method", "row", "column", "value", "images"]].reset_index(drop=True)

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        rows = self._rows(run)
        mask = str(rows["mask"].iloc[0])
        simulated = " (simulated)" if rows["simulated"].any() else ""
        return {
            "labels": run.labels,
            "label": OWN[self.measure].axis,
            "title": f"Windows of {self.size} × {self.size} pixels, {self.source}{simulated}, "
            f"{run.mask_labels.get(mask, mask)}",
        }

    def _rows(self, run: ScoredRun) -> pd.DataFrame:
        rows = studied_rows(run, self.feature, source=self.source, mask=self.mask, where=self.word)
        if self.methods is not None:
            rows = rows[rows["method"].isin(self.methods)]
            if unknown := [name for name in self.methods if name not in set(rows["method"])]:
                raise ValueError(
                    f"{self.word}: expected methods that {self.feature} studied, got {unknown}; leave them "
                    "out"
                )
        rows = rows[(rows["size"] == self.size) | (rows["failed"] != "")]
        if not (rows["size"] == self.size).any():
            raise ValueError(
                f"{self.word}: expected a size that {self.feature} studied, got {self.size}; name another"
            )
        return rows

    def _differences(self, run: ScoredRun, rows: pd.DataFrame) -> list[Record]:
        names = self.methods or list(dict.fromkeys(rows["method"]))
        first = rows[(rows["method"] == names[0]) & (rows["failed"] == "")]
        reference = first.set_index(["volume", "slice", "position"])[self.measure]
        others = rows[rows["method"] != names[0]]
        keys = pd.MultiIndex.from_frame(others[["volume", "slice", "position"]])
        others = others.assign(
            difference=others[self.measure].to_numpy() - reference.reindex(keys).to_numpy()
        )
        if others.empty:
            return []
        return study_records(run, others, DIFFERENCE, by=["size"], table=self.word)

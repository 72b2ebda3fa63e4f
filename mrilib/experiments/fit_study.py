"""How errors in small windows go down as fits go on: the mechanism behind [darestani2021], figure 16."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.feature_rows import MEASURES, curve_frame, studied_rows, study_records
from mrilib.store.records import Record


class FitStudy(Experiment):
    """Errors in windows on the object against the steps of a fit, with and without the feature.

    Args:
        feature: a study of fits (`fit-trace`).
        source: of images.
        mask: by default the only one.

    Source: [darestani2021], section 5.3: an optimiser that smooths learns a small feature late.
    """

    word: ClassVar[str] = "fit-study"
    title: ClassVar[str] = "Errors in small windows as fits go on"
    names_features: ClassVar[tuple[str, ...]] = ("feature",)
    figure: ClassVar[str | None] = "mrilib.report.figures_features:fit_figure"

    def __init__(self, *, feature: str, source: str, mask: str | None = None) -> None:
        self.feature, self.source, self.mask = feature, source, mask

    def records(self, run: ScoredRun) -> list[Record]:
        rows = self._rows(run)
        return [
            record
            for name in MEASURES
            for record in study_records(run, rows, name, by=["steps"], table=self.word)
        ]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        note = "Mean ± sd over images [95 % interval, resampled by patient]; n images."
        return super().table_arguments(run) | {"quantities": {**run.quantities, **MEASURES}, "note": note}

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """Curves: `measure`, `method`, `steps`, `mean`, `low`, `high`, `n`."""
        return curve_frame(records, "steps")

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        rows = self._rows(run)
        mask = str(rows["mask"].iloc[0])
        simulated = " (simulated)" if rows["simulated"].any() else ""
        size = int(rows["size"].dropna().iloc[0])
        return {
            "methods": list(run.methods),
            "labels": run.labels,
            "title": f"Windows of {size} × {size} pixels, {self.source}{simulated}, "
            f"{run.mask_labels.get(mask, mask)}",
        }

    def _rows(self, run: ScoredRun) -> pd.DataFrame:
        return studied_rows(run, self.feature, source=self.source, mask=self.mask, where=self.word)

"""What methods lose of small features, by their size: [darestani2021], figure 17."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.comparison import DRAWS
from mrilib.experiments.conditions import drawn_means, resampled_patients
from mrilib.experiments.feature_rows import (
    MEASURES,
    about,
    curve_frame,
    plain,
    studied_rows,
    study_records,
)
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

BEST, INTERACTION = "best", "interaction"
SHOWN = ("loss", "error")
OWN = MEASURES | {
    BEST: Quantity(
        "Share of draws of patients in which the method loses least", column="share best", decimals=2
    ),
    INTERACTION: Quantity(
        "What is lost of a window alone and on the lattice differs by, over the energy of windows",
        column="interaction",
        decimals=3,
    ),
}


class InformationLoss(Experiment):
    """Errors in small windows on the object, by their size and method.

    - `loss` and `error`: mean over images of those of all windows of an image together, with its interval,
      patients resampled;
    - `best`: the share of draws of patients in which a method's mean loss is the least of all at that size:
      [darestani2021] finds the ConvDecoder best at every size;
    - `interaction`: mean over images of how much what is lost of a window differs alone and among others, of
      methods whose windows share a reconstruction (`LocationMap`).

    Args:
        feature: a study of locations (`location-map`).
        source: of images.
        mask: by default the only one.

    Source: [darestani2021], figure 17, with 100 random places of images for each size; ours are all windows
    of a lattice, or all of an image.
    """

    word: ClassVar[str] = "information-loss"
    title: ClassVar[str] = "What methods lose of small features"
    names_features: ClassVar[tuple[str, ...]] = ("feature",)
    figure: ClassVar[str | None] = "mrilib.report.figures_features:loss_figure"

    def __init__(self, *, feature: str, source: str, mask: str | None = None) -> None:
        self.feature, self.source, self.mask = feature, source, mask

    def records(self, run: ScoredRun) -> list[Record]:
        rows = self._rows(run)
        found = [
            record
            for name in SHOWN
            for record in study_records(run, rows, name, by=["size"], table=self.word)
        ]
        found += self._best(run, rows)
        if INTERACTION in rows:
            once = rows.drop_duplicates(["method", "position", "failed"])
            told = once[once[INTERACTION].notna()]
            if len(told):
                found += study_records(run, told, INTERACTION, by=[], table=self.word)
        return found

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        rows = self._rows(run)
        contrast = rows["contrast"].dropna().iloc[0] if rows["contrast"].notna().any() else math.nan
        note = (
            f"Windows of k × k pixels of {contrast:.3g} of the image's maximum, on the object; 1: the image "
            "does not change at all. Mean ± sd over images [95 % interval, resampled by patient]; n images. "
            "The paper finds the ConvDecoder best at every size."
        )
        return super().table_arguments(run) | {"quantities": {**run.quantities, **OWN}, "note": note}

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """Curves: `measure`, `method`, `size`, `mean`, `low`, `high`, `n`."""
        return curve_frame([each for each in records if each.quantity in SHOWN], "size")

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        rows = self._rows(run)
        simulated = " (simulated)" if rows["simulated"].any() else ""
        mask = str(rows["mask"].iloc[0])
        return {
            "methods": list(run.methods),
            "labels": run.labels,
            "title": f"{self.source}{simulated}, {run.mask_labels.get(mask, mask)}",
        }

    def _rows(self, run: ScoredRun) -> pd.DataFrame:
        return studied_rows(run, self.feature, source=self.source, mask=self.mask, where=self.word)

    def _best(self, run: ScoredRun, rows: pd.DataFrame) -> list[Record]:
        found = []
        told = rows[(rows["failed"] == "") & rows["loss"].notna()]
        for size, own in told.groupby("size", sort=True):
            methods = list(dict.fromkeys(own["method"]))
            patients = list(dict.fromkeys(own["patient"]))
            _, weights = resampled_patients(patients, patients, draws=DRAWS, seed=run.seed)
            means = drawn_means(own.assign(number=own["loss"]), methods, patients, weights)
            usable = means[np.isfinite(means).all(axis=1)]
            if len(methods) < 2 or not len(usable):
                continue
            shares = np.bincount(usable.argmin(axis=1), minlength=len(methods)) / len(usable)
            for method, share in zip(methods, shares, strict=True):
                count = int((own["method"] == method).sum())
                summary = Summary(float(share), math.nan, math.nan, math.nan, count)
                row = about(own) | {"size": plain(size)}
                found.append(record_of(run, summary, table=self.word, quantity=BEST, row=row, method=method))
        return found

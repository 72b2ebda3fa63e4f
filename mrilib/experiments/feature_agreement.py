"""Whether methods that keep artificial features keep annotated ones: [darestani2021], figures 17 and 8."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.boxes import box_errors
from mrilib.experiments.comparison import DRAWS
from mrilib.experiments.conditions import Condition, drawn_means, resampled_patients
from mrilib.experiments.feature_rows import plain, studied_rows
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.ranking import spearman
from mrilib.metrics.statistics import Summary, percentile_interval
from mrilib.store.records import Record

WITH_BOXES, WITH_QUALITY = "agreement", "agreement_with_quality"
# Of records that are about all methods.
ALL = "all methods"
OWN = {
    WITH_BOXES: Quantity(
        "Rank correlation, over methods, of the loss of windows and the error in boxes",
        column="loss and box error",
    ),
    WITH_QUALITY: Quantity(
        "Rank correlation, over methods, of the loss of windows and overall quality",
        column="loss and quality",
    ),
}


class FeatureAgreement(Experiment):
    """Rank correlations, over methods, of what they lose of windows and what of annotated boxes.

    For every size of the windows Spearman's ρ over the methods that have both, of the mean information loss
    on the object and

    - `agreement`: the mean error in the boxes (1: the same order of methods);
    - `agreement_with_quality`: the mean quality of the images with boxes (−1: the best image keeps most).

    Percentile intervals, patients resampled alike on both sides; `n` are methods.

    Args:
        feature: a study of locations (`location-map`).
        source: of images with annotated boxes.
        mask: by default the only one.
        labels: which findings; all by default.
        quantity: overall quality, of reconstructions.

    Source: [darestani2021], which calls its figures 8 and 17 somewhat contradicting, without a number.
    """

    word: ClassVar[str] = "feature-agreement"
    title: ClassVar[str] = "Artificial features, annotated ones and overall quality"
    names_features: ClassVar[tuple[str, ...]] = ("feature",)
    names_boxes: ClassVar[tuple[str, ...]] = ("source",)

    def __init__(
        self,
        *,
        feature: str,
        source: str,
        mask: str | None = None,
        labels: list[str] | None = None,
        quantity: str = "ssim",
    ) -> None:
        self.feature, self.labels, self.quantity = feature, labels, quantity
        self.condition = Condition(source=source, mask=mask)

    @property
    def conditions(self) -> Mapping[str, Condition]:
        return {"": self.condition}

    def records(self, run: ScoredRun) -> list[Record]:
        source, mask = self.condition.source, self.condition.mask
        rows = studied_rows(run, self.feature, source=source, mask=mask, where=self.word)
        boxes = box_errors(run, self.condition, self.labels, quantity=self.quantity, where=self.word)
        told = rows[(rows["failed"] == "") & rows["loss"].notna()]
        found = []
        for size, windows in told.groupby("size", sort=True):
            row = {"feature": self.feature, "source": source, "mask": str(rows["mask"].iloc[0])}
            row |= {"size": plain(size)}
            sides = {WITH_BOXES: boxes, WITH_QUALITY: boxes.assign(number=boxes["quality"])}
            for name, other in sides.items():
                summary = _correlated(windows.assign(number=windows["loss"]), other, run.seed)
                found.append(record_of(run, summary, table=self.word, quantity=name, row=row, method=ALL))
        return found

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        quality = run.quantity(self.quantity, self.word).heading
        note = (
            f"Overall quality: {quality}. Rank correlation over methods [95 % interval, patients resampled]; "
            "n methods."
        )
        return super().table_arguments(run) | {"quantities": {**run.quantities, **OWN}, "note": note}


def _correlated(first: pd.DataFrame, second: pd.DataFrame, seed: int) -> Summary:
    """Spearman's over the methods of both, of the means of `number`; of fewer than three there is none."""
    methods = [name for name in dict.fromkeys(first["method"]) if name in set(second["method"])]
    patients = [list(dict.fromkeys(each["patient"])) for each in (first, second)]
    names, weights = resampled_patients(*patients, draws=DRAWS, seed=seed)
    ones = np.ones((1, len(names)))
    value, drawn = (_over_methods((first, second), methods, names, each) for each in (ones, weights))
    low, high = percentile_interval(drawn)
    correlation = float(value[0])
    return Summary(correlation, math.nan, low, high, len(methods) if math.isfinite(correlation) else 0)


def _over_methods(
    sides: Sequence[pd.DataFrame], methods: Sequence[str], names: Sequence[str], weights: np.ndarray
) -> np.ndarray:
    means = [drawn_means(side, methods, names, weights) for side in sides]
    return np.array([spearman(*pair) for pair in zip(*means, strict=True)])

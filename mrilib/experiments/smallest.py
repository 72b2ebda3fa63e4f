"""The smallest of what was searched between two ends, over images: medians that know of the ends."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.feature_rows import studied_rows
from mrilib.experiments.records import record_of
from mrilib.metrics.censored import censored_median, lower_median
from mrilib.metrics.quantities import Quantity
from mrilib.store.records import Record

# Where a number lies that the search between the ends did not find.
ABOVE, BELOW = "above", "below"
IMAGE = ["volume", "slice", "position"]


class Smallest(Experiment):
    """The median over images of the smallest number that a study of features found, by method.

    Where the number of an image is beyond an end of what was searched (`censored`), it counts as larger or
    smaller than all others; the median then needs no number of it. Of an image with several values, of places
    or boxes, their median counts. Medians are the lower one of two, and intervals the percentiles of medians
    of resampled patients. A median or an end of an interval that is beyond an end is NaN in the record, whose
    row says `above` or `below` in `beyond`, `low_beyond` or `high_beyond`. An image that failed is missing.

    Attributes:
        quantity: how the number is shown; its column in the findings is `number`.
        number: that column.
        marks: columns that tell apart what stands beside each other for a method.
    """

    table: ClassVar[str] = "mrilib.report.tables_smallest:smallest_table"
    figure: ClassVar[str | None] = "mrilib.report.figures_smallest:smallest_figure"
    names_features: ClassVar[tuple[str, ...]] = ("feature",)
    quantity: ClassVar[Quantity]
    number: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]

    def __init__(self, *, feature: str, source: str, mask: str | None = None) -> None:
        self.feature, self.source, self.mask = feature, source, mask

    @abstractmethod
    def mark(self, row: dict[str, Any]) -> str:
        """What a record's row is called in tables and figures."""

    def records(self, run: ScoredRun) -> list[Record]:
        frame = self._chosen(run)
        told = frame[frame["failed"] == ""].copy()
        told["value"] = np.select(
            [told["censored"] > 0, told["censored"] < 0], [math.inf, -math.inf], told[self.number]
        )
        told["patient"] = told["patient"].where(told["patient"] != "", told["volume"])
        found = []
        for method in dict.fromkeys(frame["method"]):
            own, every = told[told["method"] == method], frame[frame["method"] == method]
            missing = len(every.loc[every["failed"] != "", IMAGE].drop_duplicates())
            for key, part in own.groupby(list(self.marks), sort=False):
                found.append(self._record(run, frame, method, key, part, missing))
            if own.empty:
                found.append(self._record(run, frame, method, (), own, missing))
        return found

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        frame = self._chosen(run)
        return {
            "title": f"{self.quantity.title}: {self._where(run, frame)}",
            "marks": self.mark,
            "labels": run.labels,
            "quantity": self.quantity,
            "note": self.note,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row a method and mark: `mean` (the median), `low`, `high`, where they are `beyond`, and `n`."""
        return pd.DataFrame(
            [
                {
                    "method": each.method,
                    "mark": self.mark(each.row),
                    "mean": each.value,
                    "low": each.low,
                    "high": each.high,
                    **{name: each.row[name] for name in ("beyond", "low_beyond", "high_beyond")},
                    "n": each.n,
                    "missing": each.missing,
                }
                for each in records
            ],
            columns=[
                *("method", "mark", "mean", "low", "high", "beyond", "low_beyond", "high_beyond", "n"),
                "missing",
            ],
        )

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        frame = self._chosen(run)
        return {
            "ends": self._ends(frame),
            "quantity": self.quantity,
            "methods": list(run.methods),
            "labels": run.labels,
            "title": self._where(run, frame),
        }

    @property
    @abstractmethod
    def note(self) -> str:
        """Printed below the table."""

    def _chosen(self, run: ScoredRun) -> pd.DataFrame:
        """Rows of the entry: see `studied_rows`."""
        return studied_rows(run, self.feature, source=self.source, mask=self.mask, where=self.word)

    def _ends(self, frame: pd.DataFrame) -> tuple[float, float]:
        told = frame[frame["failed"] == ""]
        return float(told["least"].min()), float(told["most"].max())

    def _where(self, run: ScoredRun, frame: pd.DataFrame) -> str:
        mask = frame["mask"].iloc[0]
        images = len(frame[IMAGE].drop_duplicates())
        simulated = " (simulated)" if frame["simulated"].any() else ""
        told = f"{images} image{'s' * (images != 1)}"
        return f"{self.source}{simulated}, {run.mask_labels.get(mask, mask)}, {told}"

    def _record(
        self, run: ScoredRun, frame: pd.DataFrame, method: str, key: Any, part: pd.DataFrame, missing: int
    ) -> Record:
        marks = dict(zip(self.marks, key if isinstance(key, tuple) else (key,), strict=False))
        by_image = part.groupby(IMAGE, sort=False, dropna=False).agg(
            value=("value", lambda values: lower_median(values.tolist())), patient=("patient", "first")
        )
        found = censored_median(
            by_image["value"].tolist(), groups=by_image["patient"].tolist(), seed=run.seed
        )
        least, most = self._ends(frame)
        row = {"feature": self.feature, "source": self.source, "mask": frame["mask"].iloc[0]}
        row |= {name: marks.get(name, "") for name in self.marks}
        values = {"mean": found.mean, "low": found.low, "high": found.high}
        beyond = {name: _beyond(value) for name, value in values.items()}
        row |= {"least": least, "most": most, "beyond": beyond["mean"]}
        row |= {f"{name}_beyond": beyond[name] for name in ("low", "high")}
        finite = type(found)(
            **{name: value if math.isfinite(value) else math.nan for name, value in values.items()},
            sd=math.nan,
            n=found.n,
        )
        return record_of(
            run,
            finite,
            table=self.word,
            quantity=self.number,
            row=row,
            method=method,
            unit=self.quantity.unit,
            missing=missing,
        )


def _beyond(value: float) -> str:
    if math.isinf(value):
        return ABOVE if value > 0 else BELOW
    return ""

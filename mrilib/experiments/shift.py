"""What a shift of distribution costs every method, and the line that the methods lie on."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.comparison import Comparison, compared
from mrilib.experiments.conditions import Condition, Given, condition_of
from mrilib.experiments.records import record_of
from mrilib.metrics.lines import orthogonal_distances, orthogonal_line
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

BEFORE, AFTER, CHANGE, RESIDUAL = "before", "after", "change", "residual"
SLOPE, OFFSET, BETTER = "slope", "offset", "share_better"
# Of records that are about all methods, or those of a family.
ALL = "all methods"
# A line through two points says nothing of a third.
FEWEST = 3
# Points at which the band of the line is drawn.
BAND = 41


@dataclass(frozen=True, eq=False)
class Line:
    """The line of a comparison, of all images and of every draw; NaN with fewer than three methods.

    Args:
        slope, offset: of all images.
        slopes, offsets: of every draw of patients.
        fitted: methods that count in it.
    """

    slope: float
    offset: float
    slopes: Float[np.ndarray, "draws"]
    offsets: Float[np.ndarray, "draws"]
    fitted: Sequence[str]


def line_of(found: Comparison) -> Line:
    """Fit the line of `after` over `before` to the means of all methods whose points are not pinned."""
    fitted = [name for name in found.methods if name not in found.pinned]
    columns = [list(found.methods).index(name) for name in fitted]
    means, drawn = [each[columns] for each in found.means], [each[:, columns] for each in found.drawn]
    if len(fitted) < FEWEST:
        none = np.full(len(drawn[0]), math.nan)
        return Line(math.nan, math.nan, none, none, fitted)
    slope, offset = orthogonal_line(*means)
    slopes, offsets = orthogonal_line(*drawn)
    return Line(float(slope), float(offset), slopes, offsets, fitted)


class Shift(Experiment):
    """A quantity of every method under two conditions, and the straight line through the methods.

    With `x` a method's mean over the images of `before` and `y` that of `after`:

    - `before` `x`, `after` `y`, each with its 95 % bootstrap interval, resampled by patient;
    - `change` `y − x`, with the percentile interval over patients that are drawn alike in both;
    - `slope` and `offset` of the line `y = a + bx` by orthogonal distance, with intervals of the same draws;
      a copy of the images gives 1 and 0, a loss of 10 % the slope 0.9. A method that is neither tuned nor
      trained has the same images in another domain: its point is a control on the diagonal and no part of
      the fit;
    - `residual`, the signed orthogonal distance of a method from the line, above it positive, and its mean
      over the methods of every family;
    - `share_better`, the share of the fitted methods whose `y` is better than their `x`.

    Args:
        before, after: conditions: `source`, and where there are several `mask` and `domain`. One source in
            two domains is P2's view with the test set fixed; two sources in one domain the other.
        quantity: of reconstructions.
        least_snr: leave out images whose reference has less signal to noise.

    Raises:
        ValueError: if nothing was reconstructed under a condition.

    Source: [darestani2021], figures 4, 5, 11 to 14, there by SSIM; the fit and its intervals are our choice.
    """

    word: ClassVar[str] = "shift"
    table: ClassVar[str] = "mrilib.report.tables_shift:shift_table"
    figure: ClassVar[str | None] = "mrilib.report.figures_shift:shift_figure"

    def __init__(
        self,
        *,
        before: Given,
        after: Given,
        quantity: str = "ssim",
        least_snr: Annotated[int | float, Field(ge=0)] | None = None,
    ) -> None:
        self.before, self.after = condition_of(before), condition_of(after)
        self.quantity, self.least_snr = quantity, least_snr

    @property
    def conditions(self) -> Mapping[str, Condition]:
        return {"before": self.before, "after": self.after}

    def records(self, run: ScoredRun) -> list[Record]:
        found = self._compared(run)
        line, record = line_of(found), _Recorder(run, found, self)
        methods = [each for name in found.methods for each in self._of_method(found, name, record)]
        return [*methods, *_of_line(run, found, line, record)]

    def _of_method(self, found: Comparison, method: str, record: "_Recorder") -> Iterator[Record]:
        for name, side in ((BEFORE, found.before), (AFTER, found.after)):
            yield record(name, method, found.summary(method, side), found.missing(method))
        index = list(found.methods).index(method)
        (x, y), (first, second) = found.means, found.drawn
        change = _summary(found, y[index] - x[index], second[:, index] - first[:, index], method)
        yield record(CHANGE, method, change, found.missing(method))

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        found = self._compared(run)
        return {
            "title": self._title(run, found),
            "heads": found.heads,
            "labels": run.labels,
            "families": run.families,
            "quantities": {**run.quantities, **own_quantities(run.quantity(self.quantity, self.word))},
            "controls": list(found.pinned),
            "counted": found.counted + self._left_out,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """One row a method: `method`, `family`, `fitted`, and `x`, `y` with their intervals."""
        found = self._compared(run)
        rows = []
        for method in found.methods:
            row: dict[str, Any] = {"method": method, "family": run.families.get(method, "other")}
            row["fitted"] = method not in found.pinned
            for name, side in (("x", found.before), ("y", found.after)):
                summary = found.summary(method, side)
                row |= {name: summary.mean, f"{name}_low": summary.low, f"{name}_high": summary.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        found = self._compared(run)
        return {
            "band": band_of(found, line_of(found)),
            "heads": found.heads,
            "axis": run.quantity(self.quantity, self.word).heading,
            "methods": list(run.methods),
            "labels": run.labels,
            "title": f"{self._title(run, found)}: {found.counted}{self._left_out}",
        }

    @property
    def _left_out(self) -> str:
        return "" if self.least_snr is None else f", of references with signal to noise ≥ {self.least_snr:g}"

    def _title(self, run: ScoredRun, found: Comparison) -> str:
        heading = run.quantity(self.quantity, self.word).heading
        simulated = any(side.scores["simulated"].any() for side in (found.before, found.after))
        told = f"{heading} under a shift{' (simulated data)' if simulated else ''}"
        return ", ".join(filter(None, [told, found.common_mask]))

    def _compared(self, run: ScoredRun) -> Comparison:
        return compared(run, self.before, self.after, self.quantity, self.word, least_snr=self.least_snr)


def own_quantities(shown: Quantity) -> dict[str, Quantity]:
    """How the numbers of a shift of this quantity are shown."""
    finer = shown.decimals + 1
    return {
        BEFORE: Quantity(BEFORE, shown.unit, decimals=shown.decimals),
        AFTER: Quantity(AFTER, shown.unit, decimals=shown.decimals),
        CHANGE: Quantity("change", shown.unit, decimals=finer),
        RESIDUAL: Quantity("distance from the line", shown.unit, decimals=finer),
        SLOPE: Quantity("slope", decimals=3),
        OFFSET: Quantity("offset", shown.unit, decimals=finer),
        BETTER: Quantity("share of methods that are better after", decimals=2),
    }


def band_of(found: Comparison, line: Line) -> pd.DataFrame:
    """The line over the range of the fitted methods, and its pointwise 95 % band: `x`, `y`, `low`, `high`."""
    if not math.isfinite(line.slope):
        return pd.DataFrame(columns=["x", "y", "low", "high"], dtype=float)
    x = found.means[0][[list(found.methods).index(name) for name in line.fitted]]
    places = np.linspace(x.min(), x.max(), BAND)
    drawn = line.offsets[:, None] + line.slopes[:, None] * places
    ends = np.array([found.interval(column) for column in drawn.T])
    return pd.DataFrame(
        {"x": places, "y": line.offset + line.slope * places, "low": ends[:, 0], "high": ends[:, 1]}
    )


def _of_line(run: ScoredRun, found: Comparison, line: Line, record: "_Recorder") -> Iterator[Record]:
    """Records of the line, and of how far methods and families are from it."""
    yield record(SLOPE, ALL, _summary(found, line.slope, line.slopes, *line.fitted))
    yield record(OFFSET, ALL, _summary(found, line.offset, line.offsets, *line.fitted))
    columns = [list(found.methods).index(name) for name in line.fitted]
    x, y = (each[columns] for each in found.means)
    first, second = (each[:, columns] for each in found.drawn)
    if line.fitted:
        sign = 1.0 if run.quantities[record.measure].higher_is_better else -1.0
        better, drawn = (sign * (y - x) > 0).mean(), (sign * (second - first) > 0).mean(axis=1)
        yield record(BETTER, ALL, _summary(found, float(better), drawn, *line.fitted))
    if not math.isfinite(line.slope):
        return
    own = orthogonal_distances(x, y, np.array(line.slope), np.array(line.offset))
    others = orthogonal_distances(first, second, line.slopes, line.offsets)
    for index, method in enumerate(line.fitted):
        yield record(RESIDUAL, method, _summary(found, own[index], others[:, index], method))
    families = [run.families.get(name, "other") for name in line.fitted]
    for family in dict.fromkeys(families):
        inside = [index for index, other in enumerate(families) if other == family]
        members = [line.fitted[index] for index in inside]
        summary = _summary(found, own[inside].mean(), others[:, inside].mean(axis=1), *members)
        yield record(RESIDUAL, ALL, summary, family=family)


def _summary(found: Comparison, value: float, drawn: Float[np.ndarray, "draws"], *methods: str) -> Summary:
    """A number with its percentile interval; `n` are the images after the shift, the most of a method."""
    low, high = found.interval(drawn)
    counts = found.after.scores[found.after.scores["number"].notna()].groupby("method").size()
    n = max((int(counts.get(name, 0)) for name in methods), default=0)
    return Summary(float(value), math.nan, low, high, n)


class _Recorder:
    """Makes the records of a shift.

    Attributes:
        measure: name of the quantity that is compared.
    """

    def __init__(self, run: ScoredRun, found: Comparison, experiment: Shift) -> None:
        self._run, self._word, self.measure = run, experiment.word, experiment.quantity
        self._row: dict[str, str | int | float] = {
            "measure": self.measure,
            **found.before.row(),
            **found.after.row("_after"),
        }
        if experiment.least_snr is not None:
            self._row["least_snr"] = experiment.least_snr
        self._quantities = own_quantities(run.quantity(self.measure, self._word))

    def __call__(self, quantity: str, method: str, found: Summary, missing: int = 0, **row: Any) -> Record:
        return record_of(
            self._run,
            found,
            table=self._word,
            quantity=quantity,
            row=self._row | row,
            method=method,
            unit=self._quantities[quantity].unit,
            missing=missing,
        )

"""What a shift of distribution costs every method, and the line that the methods lie on."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.comparison import Comparison, compared
from mrilib.experiments.conditions import Condition, Conditioned, Given, condition_of
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
        records = []
        for method in found.methods:
            numbers = {name: side.summary(method, run.seed) for name, side in _sides(found)}
            numbers[CHANGE] = found.change(method)
            missing = found.missing(method)
            for name, summary in numbers.items():
                records.append(self._record(run, found, name, method, summary, missing))
        return [*records, *self._of_line(run, found)]

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
        told = {(each.method, each.quantity): each for each in records}
        rows = []
        for method in found.methods:
            row: dict[str, Any] = {"method": method, "family": run.families.get(method, "other")}
            row["fitted"] = method not in found.pinned
            for name, quantity in (("x", BEFORE), ("y", AFTER)):
                own = told[method, quantity]
                row |= {name: own.value, f"{name}_low": own.low, f"{name}_high": own.high}
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

    def _of_line(self, run: ScoredRun, found: Comparison) -> Iterator[Record]:
        """Records of the line, and of how far methods and families are from it."""
        line = line_of(found)
        fitted = line.fitted
        record = partial(self._record, run, found)
        yield record(SLOPE, ALL, found.told(line.slope, line.slopes, *fitted))
        yield record(OFFSET, ALL, found.told(line.offset, line.offsets, *fitted))
        columns = [list(found.methods).index(name) for name in fitted]
        x, y = (each[columns] for each in found.means)
        first, second = (each[:, columns] for each in found.drawn)
        if fitted:
            sign = 1.0 if run.quantities[self.quantity].higher_is_better else -1.0
            better, drawn = (sign * (y - x) > 0).mean(), (sign * (second - first) > 0).mean(axis=1)
            yield record(BETTER, ALL, found.told(float(better), drawn, *fitted))
        if not math.isfinite(line.slope):
            return
        own = orthogonal_distances(x, y, np.array(line.slope), np.array(line.offset))
        others = orthogonal_distances(first, second, line.slopes, line.offsets)
        for index, method in enumerate(fitted):
            yield record(RESIDUAL, method, found.told(own[index], others[:, index], method))
        families = [run.families.get(name, "other") for name in fitted]
        for family in dict.fromkeys(families):
            inside = [index for index, other in enumerate(families) if other == family]
            members = [fitted[index] for index in inside]
            summary = found.told(own[inside].mean(), others[:, inside].mean(axis=1), *members)
            yield record(RESIDUAL, ALL, summary, family=family)

    def _record(
        self,
        run: ScoredRun,
        found: Comparison,
        quantity: str,
        method: str,
        summary: Summary,
        missing: int = 0,
        **row: str,
    ) -> Record:
        about: dict[str, Any] = {"measure": self.quantity, **found.before.row(), **found.after.row("_after")}
        about |= {} if self.least_snr is None else {"least_snr": self.least_snr}
        return record_of(
            run,
            summary,
            table=self.word,
            quantity=quantity,
            row=about | row,
            method=method,
            unit=own_quantities(run.quantity(self.quantity, self.word))[quantity].unit,
            missing=missing,
        )

    def _compared(self, run: ScoredRun) -> Comparison:
        return compared(run, self.before, self.after, self.quantity, self.word, least_snr=self.least_snr)


def _sides(found: Comparison) -> tuple[tuple[str, Conditioned], tuple[str, Conditioned]]:
    return (BEFORE, found.before), (AFTER, found.after)


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

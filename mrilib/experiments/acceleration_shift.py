"""What methods that were tuned and trained at one acceleration lose at others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.comparison import compared
from mrilib.experiments.conditions import Condition, Conditioned, conditioned
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

THERE, HOME, LOSS = "tuned_there", "tuned_at_home", "change"


class AccelerationShift(Experiment):
    """A quantity against acceleration: of methods tuned and trained there, and of those of one home mask.

    - `tuned_there`: mean of the methods whose domain is the source under that very mask, with its interval;
    - `tuned_at_home`: that of the methods of the source under the mask `home`;
    - `change`: the latter less the former, on the same images, patients resampled; only where there are both.

    Methods that are neither tuned nor trained are the same in both.

    Args:
        source: of images.
        home: the mask that methods were tuned and trained under.
        masks: the others, in order.
        quantity: of reconstructions.

    Raises:
        ValueError: if the source was not reconstructed under a mask.

    Source: our choice; the papers fix one acceleration.
    """

    word: ClassVar[str] = "acceleration-shift"
    title: ClassVar[str] = "Methods tuned at one acceleration, at others"
    table: ClassVar[str] = "mrilib.report.tables_acceleration:acceleration_table"
    figure: ClassVar[str | None] = "mrilib.report.figures_acceleration:acceleration_figure"

    def __init__(self, *, source: str, home: str, masks: list[str], quantity: str = "ssim") -> None:
        if not masks or home in masks or len(set(masks)) < len(masks):
            raise ValueError(f"{self.word}: expected masks beside the home {home!r}, each once, got {masks}")
        self.source, self.home, self.masks, self.quantity = source, home, list(masks), quantity

    @property
    def conditions(self) -> Mapping[str, Condition]:
        kept = {
            f"masks.{number}": Condition(source=self.source, mask=mask, domain=f"{self.source}@{self.home}")
            for number, mask in enumerate(self.masks)
        }
        return {"home": Condition(source=self.source, mask=self.home)} | kept

    def records(self, run: ScoredRun) -> list[Record]:
        found = []
        for number, mask in enumerate(self.masks):
            there, kept = Condition(source=self.source, mask=mask), self.conditions[f"masks.{number}"]
            for name, condition in ((THERE, there), (HOME, kept)):
                found += self._means(run, name, conditioned(run, condition, self.quantity, self.word))
            both = compared(run, there, kept, self.quantity, self.word)
            found += [
                self._record(run, LOSS, method, both.after, both.change(method), both.missing(method))
                for method in both.methods
            ]
        # At home both are one; methods that are nowhere else have nothing to compare.
        home = conditioned(run, self.conditions["home"], self.quantity, self.word)
        elsewhere = {each.method for each in found}
        own = [each for each in self._means(run, THERE, home) if each.method in elsewhere]
        return [*own, *(replace(each, quantity=HOME) for each in own), *found]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "quantities": {**run.quantities, **self._shown(run)},
            "mask_labels": run.mask_labels,
            "home": run.mask_labels.get(self.home, self.home),
            "heading": run.quantity(self.quantity, self.word).heading,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """Means: `method`, `family`, `tuned`, `acceleration`, `mean`, `low`, `high`, `n`."""
        rows = [
            {
                "method": each.method,
                "family": run.families.get(each.method, "other"),
                "tuned": each.quantity,
                "acceleration": each.row["acceleration"],
            }
            | {"mean": each.value, "low": each.low, "high": each.high, "n": each.n}
            for each in records
            if each.quantity in (THERE, HOME)
        ]
        columns = ["method", "family", "tuned", "acceleration", "mean", "low", "high", "n"]
        return pd.DataFrame(rows, columns=columns)

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        simulated = run.scores.loc[run.scores["source"] == self.source, "simulated"].any()
        source = f"{self.source} (simulated)" if simulated else self.source
        return {
            "axis": run.quantity(self.quantity, self.word).heading,
            "home": run.mask_labels.get(self.home, self.home),
            "methods": list(run.methods),
            "labels": run.labels,
            "title": f"{source}: methods tuned at {run.mask_labels.get(self.home, self.home)}, at others",
        }

    def _means(self, run: ScoredRun, name: str, side: Conditioned) -> list[Record]:
        return [
            self._record(run, name, method, side, side.summary(method, run.seed), side.missing(method))
            for method in side.methods
        ]

    def _record(
        self, run: ScoredRun, name: str, method: str, side: Conditioned, found: Summary, missing: int
    ) -> Record:
        row = {
            "measure": self.quantity,
            "source": self.source,
            "mask": str(side.condition.mask),
            "acceleration": float(side.scores["acceleration"].mean()),
            "home": self.home,
        }
        return record_of(
            run,
            found,
            table=self.word,
            quantity=name,
            row=row,
            method=method,
            unit=self._shown(run)[name].unit,
            missing=missing,
        )

    def _shown(self, run: ScoredRun) -> dict[str, Quantity]:
        shown = run.quantity(self.quantity, self.word)
        return {
            THERE: Quantity("tuned there", shown.unit, decimals=shown.decimals),
            HOME: Quantity("tuned at home", shown.unit, decimals=shown.decimals),
            LOSS: Quantity("change", shown.unit, decimals=shown.decimals + 1),
        }

"""The probability that a signal is recovered, by the number of frequencies and the size or the sparsity."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import record_of
from mrilib.experiments.recoveries import QUANTITIES, UNDECIDED, cases, chosen, labels, open_draws, row_of
from mrilib.metrics.statistics import Summary, wilson_interval
from mrilib.store.records import Record

# Numbers of frequencies that the probability is told at, between the smallest and the largest threshold.
STEPS = 12
NOTE = (
    "Share of draws whose threshold is at most m [95 % Wilson interval]; sets of one draw are nested, so "
    "that neighbouring rows have draws in common. What recovers x + ρ recovers x, so that x + ρ alone has "
    "the probability of both. "
)


class PhaseTransition(Experiment):
    """Probability that `x`, and that both `x` and `x + ρ`, are recovered, against `m`.

    Args:
        entry: name of an entry of the theory.
        by: what the other axis has: `size`, at the smallest sparsity of the entry, or `sparsity`, at its
            largest size.

    Source: the phase transition in the manner of [candes2006]; [alaifari2023], section 5, for both signals.
    """

    word: ClassVar[str] = "phase-transition"
    title: ClassVar[str] = "Probability of exact recovery"
    names_theory: ClassVar[tuple[str, ...]] = ("entry",)
    figure: ClassVar[str | None] = "mrilib.report.figures_theory:phase_transition"

    def __init__(self, *, entry: str, by: Literal["size", "sparsity"] = "size") -> None:
        self.entry, self.by = entry, by

    def records(self, run: ScoredRun) -> list[Record]:
        found = self._shown(run)
        records = []
        for _, sparsity, size, group in cases(found):
            for count in _grid(group):
                row = row_of(sparsity, size, m=str(count))
                for name, column in (("probability_x", "x_recovered"), ("probability", "recovered")):
                    successes = int((group[column] <= count).sum())
                    low, high = wilson_interval(successes, len(group))
                    share = Summary(successes / len(group), np.nan, low, high, len(group))
                    flagged = open_draws(run, self.entry, group)
                    records.append(
                        record_of(
                            run,
                            share,
                            table=self.word,
                            quantity=name,
                            row=row,
                            method=self.entry,
                            flagged=flagged,
                        )
                    )
        return records

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "labels": labels(run, [self.entry]),
            "quantities": QUANTITIES,
            "note": NOTE + UNDECIDED,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row a draw: `size`, `sparsity`, `x_recovered`, `recovered`, `refuted`."""
        return self._shown(run)[["size", "sparsity", "draw", "x_recovered", "recovered", "refuted"]]

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        found = self._shown(run)
        fixed = "sparsity" if self.by == "size" else "size"
        told = {"sparsity": "s", "size": "n"}[fixed]
        value = int(found[fixed].iloc[0])
        return {"by": self.by, "title": f"{labels(run, [self.entry])[self.entry]}, {told} = {value}"}

    def _shown(self, run: ScoredRun) -> pd.DataFrame:
        found = chosen(run, [self.entry], self.word)
        if self.by == "size":
            return found[found["sparsity"] == found["sparsity"].min()]
        return found[found["size"] == found["size"].max()]


def _grid(group: pd.DataFrame) -> list[int]:
    """Different numbers of frequencies, about equally spaced."""
    low, high = int(group["x_recovered"].min()), int(group["recovered"].max())
    return sorted({round(each) for each in np.linspace(low, high, STEPS)})

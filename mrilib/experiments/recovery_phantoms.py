"""Two dimensions: what total variation makes of phantoms with and without a spike, by size and lines."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import record_of
from mrilib.experiments.recoveries import QUANTITIES, chosen, labels
from mrilib.metrics.statistics import summarise
from mrilib.store.records import Record

SHOWN = ("least", "spike_amplification", "amplification", "severity", "distance", "artifact_distance", "gap")
NOTE = (
    "Mean ± sd over phantoms, the same at every size [95 % bootstrap interval]. Distances are relative, to x "
    "and to x + δ; they are of the order of λ where the signals are recovered. No uniqueness is proved. "
    "Missing: a solver gave up."
)


class RecoveryPhantoms(Experiment):
    """Distances to `x` and `x + δ`, and amplification of a spike and of the localized attack, by size.

    Args:
        entries: names of entries of the theory of kind `phantoms`.

    Source: [alaifari2023], section 5, whose theorems are of one dimension.
    """

    word: ClassVar[str] = "recovery-phantoms"
    title: ClassVar[str] = "Phantoms by total variation"
    names_theory: ClassVar[tuple[str, ...]] = ("entries",)
    figure: ClassVar[str | None] = "mrilib.report.figures_theory:recovery_phantoms"

    def __init__(self, *, entries: Sequence[str]) -> None:
        self.entries = list(entries)

    def records(self, run: ScoredRun) -> list[Record]:
        found = chosen(run, self.entries, self.word)
        records = []
        for (entry, size, lines), group in found.groupby(["entry", "size", "lines"], sort=False):
            solved = group[group["failed"] == ""]
            for name in SHOWN:
                records.append(
                    record_of(
                        run,
                        summarise(solved[name].tolist(), seed=run.seed),
                        table=self.word,
                        quantity=name,
                        row={"size": f"{size:g}", "lines": f"{lines:g}"},
                        method=str(entry),
                        missing=len(group) - len(solved),
                    )
                )
        return records

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "labels": labels(run, self.entries),
            "quantities": QUANTITIES,
            "note": NOTE,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row an entry, size and quantity: `mean`, `low`, `high`."""
        return pd.DataFrame(
            {
                "entry": record.method,
                "size": int(str(record.row["size"])),
                "quantity": record.quantity,
                "mean": record.value,
                "low": record.low,
                "high": record.high,
            }
            for record in records
        )

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return {"labels": labels(run, self.entries)}

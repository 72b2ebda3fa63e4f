"""Other artifacts than spikes: how much they are amplified where both signals are recovered."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import record_of
from mrilib.experiments.recoveries import (
    QUANTITIES,
    UNDECIDED,
    cases,
    chosen,
    labels,
    open_draws,
    resampled,
    row_of,
)
from mrilib.store.records import Record

SHOWN = ("amplification", "least", "amplification_l2", "flatness")
NOTE = (
    "Median over draws, each at its own threshold of recovery of x and x + ρ; [95 % bootstrap interval]. The "
    "spike's flatness is 1, and no data of its norm have a smaller largest entry. "
)


class RecoveryArtifacts(Experiment):
    """Amplification of spikes, plateaus and sparse artifacts, beside its lower bound `(‖ρ‖∞/‖ρ‖₁)·n/m`.

    Args:
        entries: names of entries of the theory, which differ by their artifact.

    Source: [alaifari2023], section 5, remarks on other artifacts.
    """

    word: ClassVar[str] = "recovery-artifacts"
    title: ClassVar[str] = "Artifacts that exact recovery implies"
    names_theory: ClassVar[tuple[str, ...]] = ("entries",)
    figure: ClassVar[str | None] = "mrilib.report.figures_theory:recovery_artifacts"

    def __init__(self, *, entries: Sequence[str]) -> None:
        self.entries = list(entries)

    def records(self, run: ScoredRun) -> list[Record]:
        records = []
        for entry, sparsity, size, group in cases(chosen(run, self.entries, self.word)):
            for name in SHOWN:
                values = group[name].to_numpy(dtype=float)
                found = resampled([values], lambda given: float(np.median(given[0])), run.seed)
                records.append(
                    record_of(
                        run,
                        found,
                        table=self.word,
                        quantity=name,
                        row=row_of(sparsity, size),
                        method=entry,
                        flagged=open_draws(run, entry, group),
                    )
                )
        return records

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "labels": labels(run, self.entries),
            "quantities": QUANTITIES,
            "note": NOTE + UNDECIDED,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row an entry, sparsity, size and quantity: `value`, `low`, `high`."""
        rows = [
            {"entry": record.method, "sparsity": int(record.row["s"]), "size": int(record.row["size"])}
            | {"quantity": record.quantity, "value": record.value, "low": record.low, "high": record.high}
            for record in records
        ]
        return pd.DataFrame(rows)

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return {"labels": labels(run, self.entries)}

"""How amplification falls with the weight and the level of noise, where exact data would give n/m."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import record_of
from mrilib.experiments.recoveries import QUANTITIES, chosen, labels, resampled
from mrilib.store.records import Record

CASE = ["size", "sparsity", "level", "weight"]
# Gaps above it are of a solver that gave up.
SOLVED = 1e-6
NOTE = (
    "Median over draws [95 % bootstrap interval], at the surplus of frequencies over each draw's threshold. "
    "Share: amplification over n/m, 1 without a weight. Missing: the solver stopped above a relative gap of "
    "1e-6."
)


class RecoveryNoise(Experiment):
    """Amplification, and its share of `n/m`, against `λ/‖r‖∞` and the level `‖e‖₂/‖Ax‖₂`.

    Args:
        entry: name of an entry of the theory of kind `noisy`.

    Source: [alaifari2023], section 5, for exact data; weight and noise are our question.
    """

    word: ClassVar[str] = "recovery-noise"
    title: ClassVar[str] = "Amplification of a spike by weight and noise"
    names_theory: ClassVar[tuple[str, ...]] = ("entry",)
    figure: ClassVar[str | None] = "mrilib.report.figures_theory:recovery_noise"

    def __init__(self, *, entry: str) -> None:
        self.entry = entry

    def records(self, run: ScoredRun) -> list[Record]:
        found = chosen(run, [self.entry], self.word)
        found = found.assign(share=found["amplification"] * found["samples"] / found["size"])
        records = []
        for case in found[CASE].drop_duplicates().sort_values(CASE).itertuples(index=False):
            size, sparsity, level, weight = (float(each) for each in case)
            group = found[(found[CASE] == [size, sparsity, level, weight]).all(axis=1)]
            solved = group[group["gap"] <= SOLVED]
            row = {"s": f"{sparsity:g}", "size": f"{size:g}", "level": level, "weight": weight}
            for name in ("amplification", "share", "distance"):
                values = solved[name].to_numpy(dtype=float)
                records.append(
                    record_of(
                        run,
                        resampled([values], lambda given: float(np.median(given[0])), run.seed),
                        table=self.word,
                        quantity=name,
                        row=row,
                        method=self.entry,
                        missing=len(group) - len(solved),
                    )
                )
        return records

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "labels": labels(run, [self.entry]),
            "quantities": QUANTITIES,
            "note": NOTE,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row a size, level and weight: `share`, with its interval, as `mean`, `low` and `high`."""
        return pd.DataFrame(
            {
                "size": int(str(record.row["size"])),
                "level": record.row["level"],
                "weight": record.row["weight"],
                "mean": record.value,
                "low": record.low,
                "high": record.high,
            }
            for record in records
            if record.quantity == "share"
        )

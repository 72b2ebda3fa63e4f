"""How the number of frequencies, and with it the amplification, grows with the size: P1's section 5."""

import math
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
    quantile,
    resampled,
    row_of,
)
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

# Probability that is asked for; theorem 5.1 has it as 1 − ε.
HIGH = 0.95
NOTE = (
    "Thresholds of draws of signal and frequencies, with proofs; [95 % bootstrap interval over draws; none "
    "where all resamples agree]. What recovers x + ρ recovers x. ln: natural logarithm. The change is the "
    "slope of a line through all sizes against log₂ n, over the mean; a ratio is flat if its interval has 0. "
)


class RecoveryGrowth(Experiment):
    """Amplification at the least number of frequencies that recovers both `x` and `x + ρ`, by the size `n`.

    - `recovered_half`, `recovered_95`: the least `m` at which both are recovered in half and in 95 % of the
      draws; `x_recovered_half` of `x` alone; `refuted_half`: the `m` up to which half of the draws are
      refuted, one less than `recovered_half` unless sets between stayed undecided;
    - `amplification` `‖ρ‖∞/‖AᴴAρ‖∞` there: `n/m_½` for a spike, and the median over draws at their own
      thresholds for other artifacts; `amplification_l2` likewise, `√(n/m_½)` for a spike;
    - `ratio` `m_½/(s·ln n)`, and `ratio_95`: constant if the number of frequencies grows as theorem 5.1 has
      it. `change`, `change_95`: of that per doubling of `n`, relative; its interval has 0 if they are flat;
    - `constant`: the `C` of theorem 5.1, `m ≥ C·s·ln n·ln(1/ε)`, that was needed at `ε = 5 %`: the largest
      over the sizes.

    Args:
        entries: names of entries of the theory.

    Source: [alaifari2023], section 5. Local slopes on logarithmic axes are not fitted: `n/ln n` has the slope
    `1 − 1/ln n`, which changes.
    """

    word: ClassVar[str] = "recovery-growth"
    title: ClassVar[str] = "Frequencies that recover x and x + ρ, and the amplification that follows"
    names_theory: ClassVar[tuple[str, ...]] = ("entries",)
    figure: ClassVar[str | None] = "mrilib.report.figures_theory:recovery_growth"

    def __init__(self, *, entries: Sequence[str]) -> None:
        self.entries = list(entries)

    def records(self, run: ScoredRun) -> list[Record]:
        found = chosen(run, self.entries, self.word)
        records: list[Record] = []
        lines: dict[tuple[str, int], dict[int, pd.DataFrame]] = {}
        for entry, sparsity, size, group in cases(found):
            lines.setdefault((entry, sparsity), {})[size] = group
        for (entry, sparsity), sizes in lines.items():
            for size in sorted(sizes):
                records += self._of_size(run, entry, sparsity, size, sizes[size])
            if len(sizes) > 1:
                records += self._of_all(run, entry, sparsity, sizes)
        return records

    def _record(
        self, run: ScoredRun, quantity: str, row: dict[str, Any], entry: str, found: Summary, flagged: int
    ) -> Record:
        return record_of(
            run, found, table=self.word, quantity=quantity, row=row, method=entry, flagged=flagged
        )

    def _of_size(
        self, run: ScoredRun, entry: str, sparsity: int, size: int, group: pd.DataFrame
    ) -> list[Record]:
        both, alone, against = (
            group[name].to_numpy(dtype=float) for name in ("recovered", "x_recovered", "refuted")
        )
        flagged = open_draws(run, entry, group)
        scale = sparsity * math.log(size)
        numbers = {
            "x_recovered_half": resampled([alone], lambda given: quantile(given[0], 0.5), run.seed),
            "refuted_half": resampled([against], lambda given: quantile(given[0], 0.5), run.seed),
            "recovered_half": resampled([both], lambda given: quantile(given[0], 0.5), run.seed),
            "recovered_95": resampled([both], lambda given: quantile(given[0], HIGH), run.seed),
            "ratio": resampled([both], lambda given: quantile(given[0], 0.5) / scale, run.seed),
            "ratio_95": resampled([both], lambda given: quantile(given[0], HIGH) / scale, run.seed),
        }
        if self._is_spike(run, entry):
            numbers["amplification"] = resampled(
                [both], lambda given: size / quantile(given[0], 0.5), run.seed
            )
            numbers["amplification_l2"] = resampled(
                [both], lambda given: math.sqrt(size / quantile(given[0], 0.5)), run.seed
            )
        else:
            for name in ("amplification", "amplification_l2"):
                values = group[name].to_numpy(dtype=float)
                numbers[name] = resampled([values], lambda given: float(np.median(given[0])), run.seed)
        row = row_of(sparsity, size)
        return [self._record(run, name, row, entry, found, flagged) for name, found in numbers.items()]

    def _of_all(
        self, run: ScoredRun, entry: str, sparsity: int, sizes: dict[int, pd.DataFrame]
    ) -> list[Record]:
        names = np.array(sorted(sizes), dtype=float)
        samples = [sizes[size]["recovered"].to_numpy(dtype=float) for size in names]
        scale = sparsity * np.log(names)
        doublings = np.log2(names) - np.log2(names).mean()

        def ratios(given: Sequence[np.ndarray], share: float) -> np.ndarray:
            return np.array([quantile(one, share) for one in given]) / scale

        def change(given: Sequence[np.ndarray], share: float) -> float:
            found = ratios(given, share)
            return float(doublings @ found / (doublings @ doublings) / found.mean())

        flagged = sum(open_draws(run, entry, each) for each in sizes.values())
        numbers = {
            "change": resampled(samples, lambda given: change(given, 0.5), run.seed),
            "change_95": resampled(samples, lambda given: change(given, HIGH), run.seed),
            "constant": resampled(
                samples, lambda given: float(ratios(given, HIGH).max() / math.log(1 / (1 - HIGH))), run.seed
            ),
        }
        row = row_of(sparsity, n_range(sizes))
        return [self._record(run, name, row, entry, found, flagged) for name, found in numbers.items()]

    def _is_spike(self, run: ScoredRun, entry: str) -> bool:
        return run.theory.get(entry, {}).get("width", 1) == 1

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "labels": labels(run, self.entries),
            "quantities": QUANTITIES,
            "note": NOTE + UNDECIDED,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row an entry, sparsity and size: the quantities of one size, with `_low` and `_high` of each."""
        rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        for record in records:
            if record.quantity in ("change", "change_95", "constant"):
                continue
            sparsity, size = str(record.row["s"]), str(record.row["size"])
            row = rows.setdefault(
                (record.method, sparsity, size),
                {"entry": record.method, "sparsity": int(sparsity), "size": int(size)},
            )
            row |= {record.quantity: record.value}
            row |= {f"{record.quantity}_low": record.low, f"{record.quantity}_high": record.high}
        return pd.DataFrame(list(rows.values()))

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return {"labels": labels(run, self.entries)}


def n_range(sizes: dict[int, pd.DataFrame]) -> str:
    """The sizes of a line, as a row of a table has them."""
    return f"{min(sizes)} to {max(sizes)}"

"""Table of what amplification is held to be: independent of the level, and that of the spike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.style import number
from mrilib.report.tables import NOTHING, Table, cell, long_form, put, with_notes
from mrilib.store.records import Record

SLOPE, P_VALUE, RATIO = "level_slope", "level_p", "spike_ratio"
ALL = -1.0
# A hypothesis is refuted below.
SIGNIFICANT = 0.05
NOTE = (
    "Images with an α at every level, paired by image. Slope of log α over log level: least squares for each "
    "image, mean ± sd [95 % bootstrap interval of the mean, resampled by patient]. p: Friedman's statistic "
    "over the levels, by permutations within patients; refuted if p < 0.05. α/(n²/m): mean over levels, then "
    "over images; refuted if 1 is outside of its interval; by level: smallest and largest mean. What is not "
    "refuted is not shown to hold: with few images little is refuted. No correction for the number of rows. "
    "—: fewer than two patients, one level, equal values, or several coils, where n²/m is no spike's."
)


def hypotheses_table(
    records: Sequence[Record],
    *,
    title: str,
    labels: Mapping[str, str],
    note: str,
    mask_labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity],
) -> Table:
    """Table of two hypotheses on `α`: a row for each source, mask and method.

    Args:
        records: of `mrilib.experiments.amplification_hypotheses`; none make a table without rows.
        title: what the table shows.
        labels: method to the name to print.
        note: printed below.
        mask_labels: mask to the name to print.
        quantities: how numbers are shown.

    Raises:
        ValueError: if a cell is given twice.
    """
    rows: dict[tuple[Any, ...], dict[tuple[str, float], Record]] = {}
    for record in records:
        row = record.row
        key = (record.quantity, float(row.get("level", ALL)))
        group = (row["source"], record.method, row["mask"])
        put(rows.setdefault(group, {}), key, record, "hypotheses_table")
    lines = []
    for (source, method, mask), found in rows.items():
        slope, p, ratio = (found.get((name, ALL)) for name in (SLOPE, P_VALUE, RATIO))
        by_level = [each.value for (name, level), each in found.items() if name == RATIO and level != ALL]
        lines.append(
            {
                "images": source,
                "method": method_label(method, labels),
                "mask": (mask_labels or {}).get(mask, mask),
                "n": str(next(iter(found.values())).n),
                "slope of log α over log level": _cell(slope, quantities),
                "p": NOTHING if p is None else f"{p.value:.4f}",
                "does not depend on the level": NOTHING if p is None else _verdict(p.value < SIGNIFICANT),
                "α/(n²/m)": _cell(ratio, quantities),
                "by level": f"{number(min(by_level))} to {number(max(by_level))}" if by_level else NOTHING,
                "equals n²/m": _equals(ratio),
            }
        )
    heads = ["images", "method", "mask", "n"]
    wide = pd.DataFrame(lines) if lines else pd.DataFrame(columns=heads)
    return Table(title, long_form(records), wide, with_notes(NOTE, records, note))


def _cell(record: Record | None, quantities: Mapping[str, Quantity]) -> str:
    return NOTHING if record is None else cell(record, quantities)


def _verdict(refuted: bool) -> str:
    return "refuted" if refuted else "not refuted"


def _equals(ratio: Record | None) -> str:
    """Whether an interval leaves out 1; `—` without one."""
    if ratio is None or not math.isfinite(ratio.low):
        return NOTHING
    return _verdict(not ratio.low <= 1.0 <= ratio.high)

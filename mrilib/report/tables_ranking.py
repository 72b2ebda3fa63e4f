"""Table of how methods rank before and after a shift."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.experiments.ranking import BEST, DRAWS, ENDS, RANK, TAU, VALUE, WORST
from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.tables import Table, cell, long_form, put, with_notes
from mrilib.store.records import Record

NOTE = (
    "Mean ± sd over images [95 % bootstrap interval of the mean, resampled by patient; none for fewer than "
    "two patients, or for equal values]."
)


def ranking_table(
    records: Sequence[Record],
    *,
    title: str,
    labels: Mapping[str, str],
    note: str,
    quantities: Mapping[str, Quantity],
) -> Table:
    """Table of two rankings: a row for each method, the best before first, with its means and its ranks.

    A rank reads `2–4` where ties leave several open. Kendall's τ of the two rankings stands below.

    Args:
        records: of `mrilib.experiments.ranking`; none make a table without rows.
        title: what the table shows.
        labels: method to the name to print.
        note: printed below: the conditions, and what makes a tie.
        quantities: how numbers are shown.

    Raises:
        ValueError: if a cell is given twice.
    """
    rows: dict[str, dict[str, Record]] = {}
    tau = None
    for record in records:
        if record.quantity == TAU:
            tau = record
        elif "than" not in record.row:
            put(rows.setdefault(record.method, {}), record.quantity, record, "ranking_table")
    lines = []
    for method, found in sorted(rows.items(), key=lambda item: item[1][f"{RANK}_{ENDS[0]}"].value):
        line = {"method": method_label(method, labels)}
        for end in ENDS:
            line[f"mean {end}"] = cell(found[f"{VALUE}_{end}"], quantities)
            line[f"rank {end}"] = _rank(found[f"{BEST}_{end}"], found[f"{WORST}_{end}"])
        lines.append(line)
    heads = ["method", *(f"{name} {end}" for end in ENDS for name in ("mean", "rank"))]
    wide = pd.DataFrame(lines, columns=heads)
    told = "No method has a value in both conditions." if tau is None else _tau(tau)
    return Table(title, long_form(records), wide, with_notes(told, records, NOTE, note))


def _rank(best: Record, worst: Record) -> str:
    return f"{best.value:.0f}" if best.value == worst.value else f"{best.value:.0f}–{worst.value:.0f}"


def _tau(record: Record) -> str:
    """τ with its interval, or why there is none."""
    if not math.isfinite(record.value):
        return "Kendall’s τ-b of the two rankings: none, for in one condition no two methods are told apart."
    text = f"Kendall’s τ-b of the two rankings: {record.value:.2f}"
    if not math.isfinite(record.low):
        return (
            f"{text}, without an interval: there are fewer than two patients in a condition, or almost all "
            "resamples of the patients have the same τ, or too many have none."
        )
    return (
        f"{text} [{record.low:.2f}, {record.high:.2f}] (95 % percentile interval over {DRAWS} "
        "resamples of the patients, in which those of both conditions are drawn alike)."
    )

"""Table of the smallest contrasts or levels, whose numbers may lie beyond the ends that were searched."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.experiments.smallest import ABOVE
from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.tables import NOTHING, Table, image_count, long_form, put
from mrilib.store.records import Record


def smallest_table(
    records: Sequence[Record],
    *,
    title: str,
    marks: Callable[[dict[str, Any]], str],
    labels: Mapping[str, str],
    quantity: Quantity,
    note: str,
) -> Table:
    """A row a method, a column for each of what stands beside each other: `median [low, high]`.

    Args:
        records: of `mrilib.experiments.smallest`; none make a table without rows.
        title: what the table shows.
        marks: what a record's row is called.
        labels: method to the name to print.
        quantity: how the number is shown.
        note: printed below.

    Raises:
        ValueError: if a cell is given twice.
    """
    heads = list(dict.fromkeys(mark for record in records if (mark := marks(record.row))))
    rows: dict[str, dict[str, Record]] = {}
    for record in records:
        put(rows.setdefault(record.method, {}), marks(record.row), record, "smallest_table")
    lines = [
        [
            method_label(method, labels),
            image_count(found.values()),
            *(smallest_cell(found[head], quantity) if head in found else NOTHING for head in heads),
            str(max(record.missing for record in found.values())),
        ]
        for method, found in rows.items()
    ]
    return Table(
        title, long_form(records), pd.DataFrame(lines, columns=["method", "n", *heads, "missing"]), note
    )


def smallest_cell(record: Record, quantity: Quantity) -> str:
    """`0.120 [0.050, > 1.000]`: `>` and `<` where a number is beyond an end."""
    if record.n == 0:
        return NOTHING
    row = record.row

    def text(value: float, beyond: object) -> str:
        if beyond:
            end, sign = ("most", "> ") if beyond == ABOVE else ("least", "< ")
            return f"{sign}{quantity.scale * float(row[end]):.{quantity.decimals}f}"
        return f"{quantity.scale * value:.{quantity.decimals}f}"

    found = text(record.value, row["beyond"])
    ends = [(record.low, row["low_beyond"]), (record.high, row["high_beyond"])]
    if any(beyond or math.isfinite(value) for value, beyond in ends):
        found += f" [{', '.join(text(*end) for end in ends)}]"
    return found

"""A table of any records: what an experiment shows that brings no table of its own."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report.names import method_label
from mrilib.report.style import percent
from mrilib.report.tables import NOTHING, Table, cell, image_count, long_form, put, with_notes
from mrilib.store.records import Record


def records_table(
    records: Sequence[Record],
    *,
    title: str,
    labels: Mapping[str, str],
    note: str,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> Table:
    """Table of records: a row for each `row` of theirs and each quantity, a column for each method.

    The columns before are the keys of the rows, the quantity where there are several, and the number of
    images. Cells read `mean ± sd [low, high]`.

    Args:
        records: in order; none make a table without rows.
        title: what the table shows.
        labels: method to the name to print.
        note: printed below.
        quantities: how numbers are shown; others have their own name and two decimals.

    Raises:
        ValueError: if a cell is given twice.
    """
    keys = list(dict.fromkeys(key for record in records for key in record.row))
    methods = list(dict.fromkeys(record.method for record in records))
    several = len({record.quantity for record in records}) > 1
    rows: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in records:
        place = (record.quantity, *(_text(key, record.row.get(key, "")) for key in keys))
        put(rows.setdefault(place, {}), record.method, record, "records_table")
    lines = []
    for (quantity, *texts), found in rows.items():
        name = quantities[quantity].heading if quantity in quantities else quantity
        told = [record for record in found.values() if record.n + record.missing]
        cells = [cell(found[method], quantities) if method in found else NOTHING for method in methods]
        lines.append([*texts, *[name] * several, image_count(told), *cells])
    heads = [*keys, *["quantity"] * several, "n", *(method_label(method, labels) for method in methods)]
    wide = pd.DataFrame(lines, columns=heads)
    return Table(title, long_form(records), wide, with_notes(note, records))


def _text(key: str, value: object) -> str:
    """A value of a row as it is read: levels in per cent, numbers without needless digits."""
    if isinstance(value, float):
        if math.isnan(value):
            return NOTHING
        return percent(100.0 * value) if key == "level" else f"{value:g}"
    return str(value) or NOTHING

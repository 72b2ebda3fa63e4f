"""Table of what an attack reaches by the effort of its search."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.style import number, percent
from mrilib.report.tables import NOTHING, Table, cell, image_count, long_form, put, with_notes
from mrilib.store.records import Record


def effort_table(
    records: Sequence[Record],
    *,
    title: str,
    quantity: str,
    labels: Mapping[str, str],
    note: str,
    quantities: Mapping[str, Quantity],
) -> Table:
    """Table of a study of effort: a row for each source, mask, level and method, a column for each effort.

    Cells read `mean ± sd [low, high]` of the share of what the largest effort reaches, and the mean number of
    gradient evaluations. The last columns are what the last doubling adds, and the effort after which a
    doubling adds less than 1 %.

    Args:
        records: of `mrilib.experiments.effort_study`; none make a table without rows.
        title: what the table shows.
        quantity: what is reached.
        labels: method to the name to print.
        note: printed below.
        quantities: how numbers are shown.

    Raises:
        ValueError: if a cell is given twice.
    """
    rows: dict[tuple[Any, ...], dict[tuple[str, float], Record]] = {}
    for record in records:
        row = record.row
        place = (row["source"], row["mask"], row["level"], row["varied"], record.method)
        value = float(row.get("value", -1.0))
        put(rows.setdefault(place, {}), (record.quantity, value), record, "effort_table")
    efforts = sorted({value for found in rows.values() for _, value in found if value >= 0})
    varied = sorted({str(place[3]) for place in rows})
    name = varied[0] if len(varied) == 1 else "effort"
    lines = []
    for (source, mask, level, _, method), found in rows.items():
        here = [value for kind, value in found if kind == "share_of_largest"]
        shares = [each for (kind, _), each in found.items() if kind == "share_of_largest"]
        gains = {value: each for (kind, value), each in found.items() if kind == "doubling_gain"}
        last = cell(gains[max(gains)], quantities) if gains else NOTHING
        cells = [_share(found, value, quantities) for value in efforts]
        enough = found.get(("enough", -1.0))
        sufficient = f"more than {max(here):g}" if here else NOTHING
        if enough is not None:
            sufficient = f"{enough.value:g} ({_evaluations(found, enough.value)})"
        described = [source, method_label(method, labels), mask, percent(100.0 * float(level))]
        lines.append([*described, image_count(shares), *cells, last, sufficient])
    heads = ["images", "method", "mask", "level", "n", *(f"{name} {value:g}" for value in efforts)]
    wide = pd.DataFrame(lines, columns=[*heads, "the last doubling adds, %", "enough"])
    shown = quantities[quantity].title if quantity in quantities else quantity
    told = (
        f"{shown}: over that of the largest effort on the same image, with the gradient evaluations (mean "
        "over images). enough: the smallest effort from which on every later doubling adds less than 1 % on "
        "average over the images."
    )
    return Table(title, long_form(records), wide, with_notes(told, records, note))


def _share(
    found: Mapping[tuple[str, float], Record], value: float, quantities: Mapping[str, Quantity]
) -> str:
    share = found.get(("share_of_largest", value))
    return NOTHING if share is None else f"{cell(share, quantities)} ({_evaluations(found, value)})"


def _evaluations(found: Mapping[tuple[str, float], Record], value: float) -> str:
    record = found.get(("gradient_evaluations", value))
    return "n/a" if record is None or not record.n else number(record.value)

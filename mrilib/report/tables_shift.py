"""Table of what a shift of distribution costs every method."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.experiments.shift import AFTER, BEFORE, BETTER, CHANGE, OFFSET, RESIDUAL, SLOPE
from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.tables import NOTHING, Table, cell, long_form, put
from mrilib.store.records import Record

NOTE = (
    "Mean ± sd over images [95 % interval, patients resampled, the same ones before and after, so that "
    "changes are paired where both have the same patients; none for fewer than two]. "
    "Line: after = offset + slope · before, by orthogonal distance to the methods; distances from it are "
    "positive above."
)


def shift_table(
    records: Sequence[Record],
    *,
    title: str,
    heads: tuple[str, str],
    labels: Mapping[str, str],
    families: Mapping[str, str],
    quantities: Mapping[str, Quantity],
    controls: Sequence[str],
    counted: str,
) -> Table:
    """Table of a shift: a row a method, then its line below.

    Args:
        records: of `mrilib.experiments.shift`; none make a table without rows.
        title: what is compared.
        heads: what the two conditions are called.
        labels: method to the name to print.
        families: method to its family.
        quantities: how numbers are shown.
        controls: methods that are the same under both conditions, and no part of the line.
        counted: how many images and patients there are.

    Raises:
        ValueError: if a cell is given twice.
    """
    rows: dict[str, dict[str, Record]] = {}
    whole: dict[str, Record] = {}
    by_family: dict[str, Record] = {}
    for record in records:
        if "family" in record.row:
            put(by_family, record.row["family"], record, "shift_table")
        elif record.quantity in (SLOPE, OFFSET, BETTER):
            put(whole, record.quantity, record, "shift_table")
        else:
            put(rows.setdefault(record.method, {}), record.quantity, record, "shift_table")
    names = {BEFORE: f"before: {heads[0]}", AFTER: f"after: {heads[1]}", CHANGE: "change"}
    names |= {RESIDUAL: "distance from the line"}
    lines = [
        {
            "method": method_label(method, labels) + (" (control)" if method in controls else ""),
            "family": families.get(method, "other"),
            "n": str(found[AFTER].n),
        }
        | {head: cell(found[name], quantities) if name in found else NOTHING for name, head in names.items()}
        for method, found in rows.items()
    ]
    wide = pd.DataFrame(lines) if lines else pd.DataFrame(columns=["method", "family", "n", *names.values()])
    note = " ".join(
        filter(None, [NOTE, _line(whole, quantities), _families(by_family, quantities), f"{counted}."])
    )
    return Table(title, long_form(records), wide, note)


def _line(whole: Mapping[str, Record], quantities: Mapping[str, Quantity]) -> str:
    """The line in words; empty without records."""
    if SLOPE not in whole:
        return ""
    if not math.isfinite(whole[SLOPE].value):
        found = "fewer than three methods are affected by the shift: no line"
    else:
        found = ", ".join(f"{name} {cell(whole[name], quantities)}" for name in (SLOPE, OFFSET))
    better = (
        f"; share of methods that are better after {cell(whole[BETTER], quantities)}"
        if BETTER in whole
        else ""
    )
    return f"Here: {found}{better}."


def _families(found: Mapping[str, Record], quantities: Mapping[str, Quantity]) -> str:
    if not found:
        return ""
    parts = [f"{family} {cell(record, quantities)}" for family, record in found.items()]
    return f"Mean distance by family: {', '.join(parts)}."

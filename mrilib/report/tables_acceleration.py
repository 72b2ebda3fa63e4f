"""Table of methods that were tuned at one acceleration, at others."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.experiments.acceleration_shift import HOME, LOSS, THERE
from mrilib.metrics.quantities import Quantity
from mrilib.report.names import method_label
from mrilib.report.tables import NOTHING, Table, cell, image_count, long_form, put, with_notes
from mrilib.store.records import Record

NOTE = (
    "Mean ± sd over images [95 % bootstrap interval of the mean, resampled by patient; none for fewer than "
    "two]; the change is that of the same images. Acceleration: entries of k-space over sampled ones, the "
    "mean over images. —: not tuned there. Methods without a parameter or training are the same in both."
)


def acceleration_table(
    records: Sequence[Record],
    *,
    title: str,
    labels: Mapping[str, str],
    note: str,
    quantities: Mapping[str, Quantity],
    mask_labels: Mapping[str, str],
    home: str,
    heading: str,
) -> Table:
    """A row a method and mask: tuned there, tuned at home, and what the difference is.

    Args:
        records: of `mrilib.experiments.acceleration_shift`; none make a table without rows.
        title: what the table shows.
        labels: method to the name to print.
        note: of tables of attacks; left out.
        quantities: how numbers are shown.
        mask_labels: mask to the name to print.
        home: what the mask is called that methods were tuned under.
        heading: of the quantity.

    Raises:
        ValueError: if a cell is given twice.
    """
    rows: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        place = (record.method, str(record.row["mask"]))
        put(rows.setdefault(place, {}), record.quantity, record, "acceleration_table")
    order = list(dict.fromkeys(method for method, _ in rows))
    heads = {THERE: f"{heading}, tuned there", HOME: f"{heading}, tuned at {home}", LOSS: "change"}
    lines = []
    for (method, mask), found in sorted(rows.items(), key=lambda each: order.index(each[0][0])):
        some = next(iter(found.values()))
        cells = {
            head: cell(found[name], quantities) if name in found else NOTHING for name, head in heads.items()
        }
        lines.append(
            {
                "method": method_label(method, labels),
                "mask": mask_labels.get(mask, mask),
                "acceleration": f"{float(some.row['acceleration']):.2f}",
                "n": image_count(found.values()),
            }
            | cells
        )
    wide = pd.DataFrame(lines, columns=["method", "mask", "acceleration", "n", *heads.values()])
    return Table(title, long_form(records), wide, with_notes(NOTE, records))

"""Table of how well methods reconstruct clean data."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.report.names import mask_label, method_label
from mrilib.report.style import number
from mrilib.report.tables import NOTHING, Table, cell, image_count, long_form, put
from mrilib.store.records import Record

COLUMNS = {
    "ssim": "SSIM",
    "ssim_slice": "SSIM (range of the slice)",
    "psnr": "PSNR (dB)",
    "nmse": "NMSE",
    "relative_error": "relative error (%)",
    "seconds": "s a slice (median)",
}
NOTE = (
    "Mean ± sd over slices [95 % bootstrap interval of the mean, resampled by patient; none for fewer than "
    "two patients]. Scores of moduli on the central crop that the reference image has; data range of SSIM "
    "and PSNR: maximum of the reference volume, where nothing else is said. n: slices."
)


def simulated_label(source: str, simulated: Mapping[str, bool]) -> str:
    """The source's name, with `(simulated)` where its raw data was made from images."""
    return f"{source} (simulated)" if simulated.get(source, False) else source


def quality_table(
    records: Sequence[Record],
    *,
    labels: Mapping[str, str],
    note: str = NOTE,
    simulated: Mapping[str, bool] | None = None,
) -> Table:
    """Table of several quantities: a row for each source, mask and method, a column for each quantity.

    Cells read `mean ± sd [low, high]`; where all slices failed `—`, with their number. Seconds are the
    median alone. The paper's `mean ± sd` of SSIM stands in the last column where there is one.

    Args:
        records: of `quality_records`, of any of its quantities.
        labels: method to the name to print.
        note: printed below.
        simulated: sources whose raw data was made from images.

    Raises:
        ValueError: if there is no record, if a quantity has no column, or if a cell is given twice.
    """
    if not records:
        raise ValueError("quality_table: expected at least one record, got none")
    rows: dict[tuple[str, str, str], dict[str, Record]] = {}
    for record in records:
        if record.quantity not in COLUMNS:
            raise ValueError(
                f"quality_table: expected a quantity of {list(COLUMNS)}, got {record.quantity!r}"
            )
        key = (str(record.row["source"]), str(record.row["mask"]), record.method)
        put(rows.setdefault(key, {}), record.quantity, record, "quality_table")
    shown = [name for name in COLUMNS if any(name in found for found in rows.values())]
    lines = []
    for (source, mask, method), found in rows.items():
        line = {
            "images": simulated_label(source, simulated or {}),
            "mask": mask_label(mask),
            "method": method_label(method, labels),
        }
        line |= {COLUMNS[name]: _text(found[name]) if name in found else NOTHING for name in shown}
        line["n"] = image_count(each for name, each in found.items() if name != "seconds" or len(found) == 1)
        reported = found.get("ssim")
        if reported is not None and math.isfinite(reported.paper):
            line["paper’s SSIM"] = f"{reported.paper:.3f} ± {reported.paper_sd:.3f}"
        lines.append(line)
    wide = pd.DataFrame(lines).fillna(NOTHING)
    return Table("Quality of reconstructions", long_form(records), wide, note)


def _text(record: Record) -> str:
    if record.quantity != "seconds" or not record.n:
        return cell(record)
    return number(record.value, zeros=True)

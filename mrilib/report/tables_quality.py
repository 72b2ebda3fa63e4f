"""Table of how well methods reconstruct clean data."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report.names import method_label
from mrilib.report.style import number, percent
from mrilib.report.tables import NOTHING, Table, cell, domain_name, image_count, long_form, put, tuned_on
from mrilib.store.records import Record

NOTE = (
    "Mean ± sd over images [95 % bootstrap interval of the mean, resampled by patient; none for fewer than "
    "two patients, or for equal values]. Scores of moduli on the central crop that the reference image has; "
    "data range of SSIM and PSNR: maximum of the reference image, of scans that of the volume, where nothing "
    "else is said. n: images, of scans slices."
)
TUNED_NOTE = "tuned at: the noise level for which the method's parameter was tuned, the lowest that there is."


def simulated_label(source: str, simulated: Mapping[str, bool]) -> str:
    """The source's name, with `(simulated)` where its raw data was made from images."""
    return f"{source} (simulated)" if simulated.get(source, False) else source


def quality_table(
    records: Sequence[Record],
    *,
    labels: Mapping[str, str],
    title: str = "Quality of reconstructions",
    note: str = NOTE,
    simulated: Mapping[str, bool] | None = None,
    mask_labels: Mapping[str, str] | None = None,
    domain_labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> Table:
    """Table of several quantities: a row for each source, mask, domain and method, a column a quantity.

    Cells read `mean ± sd [low, high]`; where all images failed `—`, with their number. Seconds are the
    median alone. Columns stand in the order of `quantities`, those alone that say `in_quality_table`. The
    paper's `mean ± sd` of SSIM stands in the last column where there is one. What a method was tuned on has a
    column where one was tuned elsewhere than usual, and at which level where one was tuned by level.

    Args:
        records: of `quality_records` or of volumes, of any quantities; none make a table without rows.
        labels: method to the name to print.
        title: what the table shows.
        note: printed below.
        simulated: sources whose raw data was made from images.
        mask_labels: mask to the name to print.
        domain_labels: domain to the name to print.
        quantities: how numbers are shown.

    Raises:
        ValueError: if a quantity is none of reconstructions, or if a cell is given twice.
    """
    known = [name for name, each in quantities.items() if each.of == "reconstruction"]
    if strangers := sorted({record.quantity for record in records} - set(known)):
        raise ValueError(f"quality_table: expected a quantity of {known}, got {strangers[0]!r}")
    records = [record for record in records if quantities[record.quantity].in_quality_table]
    rows: dict[tuple[str, ...], dict[str, Record]] = {}
    for record in records:
        row = record.row
        place = [row["source"], row["mask"], row.get("domain", ""), row.get("tuned", "")]
        put(rows.setdefault((*map(str, place), record.method), {}), record.quantity, record, "quality_table")
    shown = [name for name in known if any(name in found for found in rows.values())]
    by_level, tuned = any("tuned" in record.row for record in records), tuned_on(records)
    lines = []
    for (source, mask, domain, level, method), found in rows.items():
        line = {
            "images": simulated_label(source, simulated or {}),
            "mask": (mask_labels or {}).get(mask, mask),
            "method": method_label(method, labels),
        }
        if tuned:
            line["tuned on"] = domain_name(domain, domain_labels)
        if by_level:
            line["tuned at"] = percent(100.0 * float(level)) if level else NOTHING
        line |= {
            quantities[name].heading: _text(found[name], quantities) if name in found else NOTHING
            for name in shown
        }
        # What a method does not have, of no image, says nothing of how many there are.
        means = [
            each
            for name, each in found.items()
            if not quantities[name].median
            and (each.n or each.missing or not quantities[name].of_complex_images)
        ]
        line["n"] = image_count(means or found.values())
        reported = found.get("ssim")
        if reported is not None and math.isfinite(reported.paper):
            line["paper’s SSIM"] = f"{reported.paper:.3f} ± {reported.paper_sd:.3f}"
        lines.append(line)
    wide = pd.DataFrame(lines) if lines else pd.DataFrame(columns=["images", "mask", "method", "n"])
    note = f"{note} {TUNED_NOTE}" if by_level else note
    return Table(title, long_form(records), wide.fillna(NOTHING), note)


def _text(record: Record, quantities: Mapping[str, Quantity]) -> str:
    if not quantities[record.quantity].median or not record.n:
        return cell(record, quantities)
    return number(quantities[record.quantity].scale * record.value, zeros=True)

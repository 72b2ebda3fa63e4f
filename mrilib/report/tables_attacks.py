"""Tables of attacks: by method, by the method that they were made for, and in the layout of the paper's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report.names import NO_ATTACK, About, method_label, remarks
from mrilib.report.tables import (
    NOTHING,
    Table,
    cell,
    domain_name,
    image_count,
    long_form,
    put,
    tuned_on,
    with_notes,
)
from mrilib.store.records import Record

# Heading of the reconstructions of clean data.
CLEAN = "clean"
FIXED = ("images", "method", "mask", "tuned on", "level", "n", CLEAN, "paper", "attack", "made for")
OBJECT_NOTE = "object: the places of the attack are those of the grid inside the object."
MODULI_NOTE = "moduli: the attack looks for differences of moduli."
FULL_NOTE = "full k-space: levels are relative to the norm of k-space before it was undersampled."


def localized_table(
    records: Sequence[Record],
    *,
    quantity: str,
    labels: Mapping[str, str],
    note: str,
    attacks: Mapping[str, About] | None = None,
    domain_labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> Table:
    """Table of one quantity: a row for each source, method, mask and level, a column for each attack.

    Cells read `mean ± sd [low, high]` with the 95 % bootstrap interval of the mean, and the paper's
    `mean ± sd` in the last column where it has one. Missing values are `—`, with their number; so are those
    of methods for which the quantity has no meaning, without a number. Reconstructions of clean data have a
    column of their own, whatever attacks are called.

    Args:
        records: of that quantity; none make a table without rows.
        quantity: one of `quantities`.
        labels: method to the name to print.
        note: printed below.
        attacks: attack to what it is, in order; a region or an artifact that is not the usual one stands in
            its heading.
        domain_labels: domain to the name to print, for methods tuned and trained elsewhere than usual.
        quantities: how numbers are shown.

    Raises:
        ValueError: if records are of another quantity, or a cell is given twice.
    """
    _check(records, quantity, "localized_table")
    columns = _headings(records, attacks or {})
    tuned = tuned_on(records)
    rows: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in records:
        row = record.row
        key = (row["source"], record.method, row["mask"], row.get("domain", ""), _level(record))
        put(rows.setdefault(key, {}), str(row["attack"]), record, "localized_table")
    with_paper = any(math.isfinite(record.paper) for record in records)
    lines = []
    for (source, method, mask, domain, level), found in rows.items():
        domains = [domain_name(domain, domain_labels)] * tuned
        line = [source, method_label(method, labels), mask, *domains, level, _count(found.values())]
        line += [cell(found[attack], quantities) if attack in found else NOTHING for attack in columns]
        papers = [_paper(each) for each in found.values() if math.isfinite(each.paper)]
        lines.append(line + [f"{papers[-1]} (n = 50)" if papers else NOTHING] * with_paper)
    heads = ["images", "method", "mask", *["tuned on"] * tuned, "level", "n", *columns.values()]
    wide = pd.DataFrame(lines, columns=[*heads, *["paper"] * with_paper])
    note = _note(" ".join(filter(None, [quantities[quantity].remark, note])), columns, attacks, records)
    return Table(quantities[quantity].title, long_form(records), wide, note)


def transfer_table(
    records: Sequence[Record],
    *,
    quantity: str,
    labels: Mapping[str, str],
    note: str,
    attacks: Mapping[str, About] | None = None,
    domain_labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> Table:
    """Table of one quantity: a row for each perturbation, a column for each method that reconstructs.

    A perturbation is known by its source, mask, level, attack and the method that it was made for
    (`made_for` of a record's row); the record's `method` is the one that reconstructs. Cells and arguments
    are those of `localized_table`.
    """
    _check(records, quantity, "transfer_table")
    methods = list(dict.fromkeys(record.method for record in records))
    headings = _headings(records, attacks or {})
    tuned = tuned_on(records)
    groups: dict[tuple[str, ...], dict[str, Record]] = {}
    for record in records:
        row = record.row
        place = [row["source"], row["mask"], row.get("domain", ""), row["attack"], row["made_for"]]
        put(
            groups.setdefault((*map(str, place), _level(record)), {}), record.method, record, "transfer_table"
        )
    lines = []
    for (source, mask, domain, attack, made_for, level), found in groups.items():
        domains = [domain_name(domain, domain_labels)] * tuned
        described = [source, mask, *domains, level, headings[attack], method_label(made_for, labels)]
        cells = [cell(found[method], quantities) if method in found else NOTHING for method in methods]
        lines.append([*described, _count(found.values()), *cells])
    columns = ["images", "mask", *["tuned on"] * tuned, "level", "attack", "made for", "n"]
    wide = pd.DataFrame(lines, columns=columns + [method_label(method, labels) for method in methods])
    title = f"Transfer of perturbations. {quantities[quantity].title}"
    return Table(title, long_form(records), wide, _note(note, headings, attacks, records))


def table_1(
    records: Sequence[Record],
    *,
    quantity: str,
    source: str,
    labels: Mapping[str, str],
    note: str,
    mask_labels: Mapping[str, str] | None = None,
    attacks: Mapping[str, About] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> Table:
    """One quantity for one source of images, in the layout of the paper's Table 1.

    A row is a level with an attack, or with the paper's own numbers where it has some; a column is a method
    with a mask. Methods that were tuned elsewhere than usual are left out.

    Args:
        records: of that quantity and source; none make a table without rows.
        quantity, labels, note, attacks, quantities: as in `localized_table`.
        source: of images.
        mask_labels: mask to the name to print.

    Raises:
        ValueError: if records are of another quantity or source, or if a cell is given twice.

    Source: [alaifari2023], Table 1.
    """
    _check(records, quantity, "table_1")
    if strangers := sorted({str(record.row["source"]) for record in records} - {source}):
        raise ValueError(f"table_1: expected records of source {source!r}, got {strangers}; leave them out")
    usual = [record for record in records if "domain" not in record.row]
    columns = list(dict.fromkeys((record.method, str(record.row["mask"])) for record in usual))
    headings = _headings(usual, attacks or {})
    ours: dict[tuple[str, str], dict[Any, Record]] = {}
    papers: dict[str, dict[Any, str]] = {}
    for record in sorted(usual, key=lambda record: float(record.row["level"])):
        level, column = _level(record), (record.method, str(record.row["mask"]))
        put(ours.setdefault((level, str(record.row["attack"])), {}), column, record, "table_1")
        printed = papers.setdefault(level, {})
        if math.isfinite(record.paper):
            printed[column] = _paper(record)
    rows = []
    for level, printed in papers.items():
        for attack, heading in headings.items():
            found = ours.get((level, attack), {})
            if found:
                cells = [
                    cell(found[column], quantities) if column in found else NOTHING for column in columns
                ]
                rows.append([f"{level}, {heading}", *cells])
        if printed:
            rows.append([f"{level}, paper", *(printed.get(column, NOTHING) for column in columns)])
    names = [
        f"{method_label(method, labels)} {(mask_labels or {}).get(mask, mask)}" for method, mask in columns
    ]
    title = f"{quantities[quantity].title}: {source}, n = {image_count(usual)}"
    if any(papers.values()):
        title += "; paper: n = 50"
    wide = pd.DataFrame(rows, columns=["level, attack", *names])
    return Table(title, long_form(usual), wide, _note(note, headings, attacks, usual))


def _count(records: Iterable[Record]) -> str:
    """Number of images of a row; a method for which the quantity has no meaning has none and is left out."""
    return image_count(record for record in records if record.n + record.missing)


def _check(records: Iterable[Record], quantity: str, where: str) -> None:
    found = sorted({record.quantity for record in records} - {quantity})
    if found:
        raise ValueError(f"{where}: expected records of {quantity!r}, got {found}; choose one of them")


def _headings(records: Iterable[Record], attacks: Mapping[str, About]) -> dict[str, str]:
    """Attacks in order, clean reconstructions first, with their headings."""
    kinds = {str(record.row["attack"]): str(record.row.get("kind", "")) for record in records}
    known = list(attacks)
    found = {NO_ATTACK: CLEAN} if kinds.pop(NO_ATTACK, None) is not None else {}
    for name in sorted(kinds, key=lambda each: known.index(each) if each in known else len(known)):
        # An attack may be called what it is.
        said = [fact for fact in remarks(attacks.get(name, {})) if fact != name]
        facts = [kinds[name]] * (name in FIXED) + said
        found[name] = f"{name} ({', '.join(facts)})" if facts else name
    return found


def _note(
    note: str, names: Iterable[str], attacks: Mapping[str, About] | None, records: Iterable[Record]
) -> str:
    """The note with what is said of the attacks in headings, and of marks in cells."""
    facts = {fact for name in names for fact in remarks((attacks or {}).get(name, {}))}
    told = {"object": OBJECT_NOTE, "moduli": MODULI_NOTE, "full k-space": FULL_NOTE}
    return with_notes(note, records, *(text for word, text in told.items() if word in facts))


def _level(record: Record) -> str:
    level = float(record.row["level"])
    return NOTHING if math.isnan(level) else f"{100 * level:g} %"


def _paper(record: Record) -> str:
    return f"{record.paper:.2f} ± {record.paper_sd:.2f}"

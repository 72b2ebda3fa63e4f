"""Tables made from records: CSV with every number, Markdown and LaTeX to read."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from mrilib.report.names import mask_label, method_label
from mrilib.store.records import Record

TITLES = {
    "amplification": "Amplification α = ‖ρ‖∞/‖r‖∞",
    "amplification_of_moduli": "Amplification of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞/‖r‖∞",
    "severity": "Severity ‖ρ‖∞, in units of the image maximum",
    "severity_of_moduli": "Severity of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞, in units of the image maximum",
    "relative_error": "Relative ℓ2 error of the reconstruction, %",
}
PERCENT = {"relative_error"}
# Other quantities have two.
DECIMALS = {"ssim": 3, "ssim_slice": 3, "nmse": 4}
NOTHING = "—"

# What LaTeX reads otherwise, or has no letter for.
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": "$|$",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "—": "---",
    "–": "--",
    "…": r"\dots{}",
    "’": "'",
    "α": r"$\alpha$",
    "η": r"$\eta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "φ": r"$\varphi$",
    "ℓ": r"$\ell$",
    "‖": r"$\|$",
    "∞": r"$_\infty$",
    "†": r"$^\dagger$",
    "₁": "$_1$",
    "₂": "$_2$",
    "²": "$^2$",
    "½": r"$\frac12$",
}


@dataclass(frozen=True)
class Table:
    """A table in its two forms.

    Args:
        title: what it shows.
        long: every record, one a row, full precision.
        wide: text cells as they are read.
        note: what a reader must know beside the numbers.
    """

    title: str
    long: pd.DataFrame
    wide: pd.DataFrame
    note: str


def localized_table(records: Sequence[Record], *, labels: Mapping[str, str], note: str) -> Table:
    """Table of one quantity: a row for each source, method, mask and level, a column for each attack.

    Cells read `mean ± sd [low, high]` with the 95 % bootstrap interval of the mean, and the paper's
    `mean ± sd` in the last column where it has one. Missing values are `—`, with their number.

    Args:
        records: of one quantity.
        labels: method to the name to print.
        note: printed below.
    """
    quantity = records[0].quantity
    attacks = list(dict.fromkeys(str(record.row["attack"]) for record in records))
    rows: dict[tuple[object, ...], dict[str, str]] = {}
    for record in records:
        key = (record.row["source"], record.method, record.row["mask"], record.row["level"])
        cells = rows.setdefault(
            key,
            {
                "images": str(record.row["source"]),
                "method": method_label(record.method, labels),
                "mask": str(record.row["mask"]),
                "level": _level(record),
                "n": str(record.n),
            }
            | dict.fromkeys(attacks, NOTHING),
        )
        cells[str(record.row["attack"])] = cell(record)
        if math.isfinite(record.paper):
            cells["paper"] = f"{_paper(record)} (n = 50)"
    wide = pd.DataFrame(list(rows.values())).fillna(NOTHING)
    return Table(TITLES[quantity], long_form(records), wide, note)


def transfer_table(records: Sequence[Record], *, labels: Mapping[str, str], note: str) -> Table:
    """Table of one quantity: a row for each perturbation, a column for each method that reconstructs.

    A perturbation is known by its source, mask, level, attack and the method that it was made for
    (`made_for` of a record's row); the record's `method` is the one that reconstructs. Cells are those of
    `localized_table`.

    Args:
        records: of one quantity.
        labels: method to the name to print.
        note: printed below.

    Raises:
        ValueError: if there is no record, if they are of several quantities, or if a cell is given twice.
    """
    quantity = _one((record.quantity for record in records), "transfer_table", "quantity")
    methods = list(dict.fromkeys(record.method for record in records))
    groups: dict[tuple[str | int | float, ...], dict[str, Record]] = {}
    for record in records:
        key = tuple(record.row[name] for name in ("source", "mask", "level", "attack", "made_for"))
        put(groups.setdefault(key, {}), record.method, record, "transfer_table")
    columns = ["images", "mask", "level", "attack", "made for", "n"]
    rows = []
    for perturbation, found in groups.items():
        source, mask, _, attack, made_for = map(str, perturbation)
        first = next(iter(found.values()))
        described = [source, mask, _level(first), attack, method_label(made_for, labels)]
        cells = [cell(found[method]) if method in found else NOTHING for method in methods]
        rows.append([*described, image_count(found.values()), *cells])
    names = [method_label(method, labels) for method in methods]
    wide = pd.DataFrame(rows, columns=columns + names)
    return Table(f"Transfer of perturbations. {TITLES[quantity]}", long_form(records), wide, note)


def table_1(records: Sequence[Record], *, labels: Mapping[str, str], note: str) -> Table:
    """One quantity for one source of images, in the layout of the paper's Table 1.

    A row is a level with an attack, or with the paper's own numbers where it has some; a column is a method
    with a mask. Cells are those of `localized_table`.

    Args:
        records: of one quantity and one source.
        labels: method to the name to print.
        note: printed below.

    Raises:
        ValueError: if there is no record, if they are of several quantities or sources, or if a cell is
            given twice.

    Source: [alaifari2023], Table 1.
    """
    quantity = _one((record.quantity for record in records), "table_1", "quantity")
    source = _one((str(record.row["source"]) for record in records), "table_1", "source")
    columns = list(dict.fromkeys((record.method, str(record.row["mask"])) for record in records))
    attacks = list(dict.fromkeys(str(record.row["attack"]) for record in records))
    ours: dict[tuple[str, str], dict[object, Record]] = {}
    papers: dict[str, dict[object, str]] = {}
    for record in sorted(records, key=lambda record: float(record.row["level"])):
        level, column = _level(record), (record.method, str(record.row["mask"]))
        put(ours.setdefault((level, str(record.row["attack"])), {}), column, record, "table_1")
        printed = papers.setdefault(level, {})
        if math.isfinite(record.paper):
            printed[column] = _paper(record)
    rows = []
    for level, printed in papers.items():
        for attack in attacks:
            found = ours.get((level, attack), {})
            if found:
                cells = [cell(found[column]) if column in found else NOTHING for column in columns]
                rows.append([f"{level}, {attack}", *cells])
        if printed:
            rows.append([f"{level}, paper", *(printed.get(column, NOTHING) for column in columns)])
    names = [f"{method_label(method, labels)} {mask_label(mask)}" for method, mask in columns]
    title = f"{TITLES[quantity]}: {source}, n = {image_count(records)}"
    if any(papers.values()):
        title += "; paper: n = 50"
    return Table(title, long_form(records), pd.DataFrame(rows, columns=["level, attack", *names]), note)


def _one(values: Iterable[str], where: str, name: str) -> str:
    """The value that all have."""
    found = list(dict.fromkeys(values))
    if len(found) != 1:
        raise ValueError(f"{where}: expected records of one {name}, got {found}; choose one of them")
    return found[0]


def put(cells: dict[Any, Record], key: object, record: Record, where: str) -> None:
    """Put `record` into the cell `key`; `ValueError`, in the name of `where`, if one is there."""
    if key in cells:
        raise ValueError(
            f"{where}: expected one record a cell, got several of method {record.method!r} for {record.row}"
        )
    cells[key] = record


def long_form(records: Sequence[Record]) -> pd.DataFrame:
    """Every record, one a row, with a column for each key of its `row`."""
    return pd.DataFrame(
        [
            {**{key: value for key, value in asdict(record).items() if key != "row"}, **record.row}
            for record in records
        ]
    )


def _level(record: Record) -> str:
    return f"{100 * float(record.row['level']):g} %"


def image_count(records: Iterable[Record]) -> str:
    """Number of images, or the range of their numbers."""
    counts = {record.n for record in records}
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _paper(record: Record) -> str:
    return f"{record.paper:.2f} ± {record.paper_sd:.2f}"


def cell(record: Record) -> str:
    """`mean ± sd [low, high]` as far as there is each, and how many are missing or flagged."""
    missing = f" ({record.missing} missing)" if record.missing else ""
    if record.n == 0:
        return f"{NOTHING}{missing}"
    scale = 100.0 if record.quantity in PERCENT else 1.0
    digits = DECIMALS.get(record.quantity, 2)
    text = f"{scale * record.value:.{digits}f}"
    if math.isfinite(record.sd):
        text += f" ± {scale * record.sd:.{digits}f}"
    if math.isfinite(record.low):
        text += f" [{scale * record.low:.{digits}f}, {scale * record.high:.{digits}f}]"
    return text + missing + (f" †{record.flagged}" if record.flagged else "")


def render(table: Table) -> dict[str, str]:
    """The table as `csv`, `md` and `tex`."""
    cells = table.wide.map(_in_markdown)
    cells.columns = [_in_markdown(column) for column in cells.columns]
    body = cells.to_markdown(index=False, disable_numparse=True)
    return {
        "csv": table.long.to_csv(index=False),
        "md": f"**{table.title}**\n\n{body}\n\n{table.note}\n",
        "tex": _latex(table),
    }


def _in_markdown(text: object) -> str:
    return str(text).replace("|", r"\|")


def _latex(table: Table) -> str:
    body = table.wide.map(_escaped)
    body.columns = [_escaped(column) for column in body.columns]
    tabular = body.to_latex(index=False, escape=False, column_format="l" * body.shape[1])
    return (
        "% needs booktabs\n\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{_escaped(table.title)}. {_escaped(table.note)}}}\n{tabular}\\end{{table}}\n"
    )


def _escaped(text: object) -> str:
    """`text` with the signs of `LATEX` written as LaTeX reads them, `ℓ2` with a lowered number."""
    return re.sub(
        r"ℓ(\d)|.",
        lambda found: rf"$\ell_{found[1]}$" if found[1] else LATEX.get(found[0], found[0]),
        str(text),
        flags=re.DOTALL,
    )

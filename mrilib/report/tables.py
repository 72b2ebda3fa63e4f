"""Tables made from records: CSV with every number, Markdown and LaTeX to read."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report.style import DOUBTFUL
from mrilib.store.records import Record

NOTHING = "—"
DOUBTFUL_NOTE = (
    f"{DOUBTFUL}k: for k images the largest pixel of the artifact is less than ten times what the method is "
    "accurate to, or no larger than what another fit to the clean data changes; these numbers may be "
    "rounding, where a solver stopped, or how a fit began."
)

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
    "τ": r"$\tau$",
    "φ": r"$\varphi$",
    "ℓ": r"$\ell$",
    "‖": r"$\|$",
    "∞": r"$_\infty$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
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


def put(cells: dict[Any, Record], key: object, record: Record, where: str) -> None:
    """Put `record` into the cell `key`; `ValueError`, in the name of `where`, if one is there."""
    if key in cells:
        raise ValueError(
            f"{where}: expected one record a cell, got several of method {record.method!r} for {record.row}"
        )
    cells[key] = record


def long_form(records: Sequence[Record]) -> pd.DataFrame:
    """Every record, one a row, with a column for each key of its `row`: see `Record.flat`."""
    names = [each.name for each in fields(Record) if each.name != "row"]
    rows = [record.flat for record in records]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=names)


def image_count(records: Iterable[Record]) -> str:
    """Number of images, or the range of their numbers; 0 without a record."""
    counts = {record.n for record in records} or {0}
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def with_notes(note: str, records: Iterable[Record], *more: str) -> str:
    """The note with what is said of marks in cells, and more."""
    marks = [DOUBTFUL_NOTE] if any(record.doubtful for record in records) else []
    return " ".join(filter(None, [note, *more, *marks]))


def tuned_on(records: Iterable[Record]) -> bool:
    """Whether a method was tuned and trained elsewhere than usual, so that tables say where."""
    return any("domain" in record.row for record in records)


def domain_name(domain: str, labels: Mapping[str, str] | None) -> str:
    """What a domain is called; `—` for the usual one, whose name is empty."""
    return (labels or {}).get(domain, domain) or NOTHING


def cell(record: Record, quantities: Mapping[str, Quantity] = QUANTITIES) -> str:
    """`mean ± sd [low, high]` as far as there is each, and how many are missing, flagged or doubtful.

    Args:
        record: of any quantity; one that is not among `quantities` has two decimals.
        quantities: how numbers are shown.
    """
    missing = f" ({record.missing} missing)" if record.missing else ""
    if record.n == 0:
        return f"{NOTHING}{missing}"
    quantity = quantities.get(record.quantity, Quantity(record.quantity))
    scale, digits = quantity.scale, quantity.decimals
    text = f"{scale * record.value:.{digits}f}"
    if math.isfinite(record.sd):
        text += f" ± {scale * record.sd:.{digits}f}"
    if math.isfinite(record.low):
        text += f" [{scale * record.low:.{digits}f}, {scale * record.high:.{digits}f}]"
    marks = [
        f" †{record.flagged}" if record.flagged else "",
        f" {DOUBTFUL}{record.doubtful}" if record.doubtful else "",
    ]
    return text + missing + "".join(marks)


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

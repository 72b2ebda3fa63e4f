"""Tables made from records: CSV with every number, Markdown and LaTeX to read."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from mrilib.store.records import Record

TITLES = {
    "amplification": "Amplification α = ‖ρ‖∞/‖r‖∞",
    "severity": "Severity ‖ρ‖∞, in units of the image maximum",
    "relative_error": "Relative ℓ2 error of the reconstruction, %",
}
PERCENT = {"relative_error"}


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


def localized_table(records: Sequence[Record], *, labels: dict[str, str], note: str) -> Table:
    """Table of one quantity: a row for each source, method, mask and level, a column for each attack.

    Cells read `mean ± sd [low, high]` with the 95 % bootstrap interval of the mean, and the paper's
    `mean ± sd` in the last column where it has one. Missing values are `—`, with their number.

    Args:
        records: of one quantity.
        labels: method to the name to print.
        note: printed below.
    """
    quantity = records[0].quantity
    scale = 100.0 if quantity in PERCENT else 1.0
    attacks = list(dict.fromkeys(str(record.row["attack"]) for record in records))
    rows: dict[tuple[object, ...], dict[str, str]] = {}
    for record in records:
        key = (record.row["source"], record.method, record.row["mask"], record.row["level"])
        cells = rows.setdefault(
            key,
            {
                "images": str(record.row["source"]),
                "method": labels.get(record.method, record.method),
                "mask": str(record.row["mask"]),
                "level": f"{100 * float(record.row['level']):g} %",
                "n": str(record.n),
            }
            | dict.fromkeys(attacks, "—"),
        )
        cells[str(record.row["attack"])] = _cell(record, scale)
        if math.isfinite(record.paper):
            cells["paper"] = f"{record.paper:.2f} ± {record.paper_sd:.2f} (n = 50)"
    wide = pd.DataFrame(list(rows.values())).fillna("—")
    long = pd.DataFrame(
        [
            {**{key: value for key, value in asdict(record).items() if key != "row"}, **record.row}
            for record in records
        ]
    )
    return Table(TITLES[quantity], long, wide, note)


def _cell(record: Record, scale: float) -> str:
    missing = f" ({record.missing} missing)" if record.missing else ""
    if record.n == 0:
        return f"—{missing}"
    digits = 2
    text = f"{scale * record.value:.{digits}f}"
    if math.isfinite(record.sd):
        text += f" ± {scale * record.sd:.{digits}f}"
    if math.isfinite(record.low):
        text += f" [{scale * record.low:.{digits}f}, {scale * record.high:.{digits}f}]"
    return text + missing


def render(table: Table) -> dict[str, str]:
    """The table as `csv`, `md` and `tex`."""
    body = table.wide.to_markdown(index=False, disable_numparse=True)
    return {
        "csv": table.long.to_csv(index=False),
        "md": f"**{table.title}**\n\n{body}\n\n{table.note}\n",
        "tex": _latex(table),
    }


def _latex(table: Table) -> str:
    body = table.wide.map(_escaped)
    body.columns = [_escaped(column) for column in body.columns]
    tabular = body.to_latex(index=False, escape=False, column_format="l" * body.shape[1])
    return (
        "% needs booktabs\n\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{_escaped(table.title)}. {_escaped(table.note)}}}\n{tabular}\\end{{table}}\n"
    )


def _escaped(text: object) -> str:
    replacements = {
        "\\": r"\textbackslash{}",
        "%": r"\%",
        "_": r"\_",
        "&": r"\&",
        "#": r"\#",
        "±": r"$\pm$",
        "—": "---",
        "α": r"$\alpha$",
        "λ": r"$\lambda$",
        "ρ": r"$\rho$",
        "ℓ2": r"$\ell_2$",
        "‖": r"$\|$",
        "∞": r"$_\infty$",
    }
    return "".join(replacements.get(sign, sign) for sign in str(text).replace("ℓ2", "\0")).replace(
        "\0", r"$\ell_2$"
    )

"""Tables that come back from CSV as they went: what was text stays text, whatever it looks like."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

# What the cells of a column are. An empty cell of a `number` is NaN, one of an `index` is missing; a `count`
# has none.
Kind = Literal["text", "flag", "count", "index", "number"]
FLAGS = {"True": True, "False": False}
TYPES: Mapping[Kind, Any] = {
    "text": object,
    "flag": bool,
    "count": "int64",
    "index": "Int64",
    "number": "float64",
}


def read_table(
    path: str | Path, kinds: Mapping[str, Kind], *, others: Kind = "text", separator: str = ","
) -> pd.DataFrame:
    """Read a CSV of this project: every column becomes what `kinds` says, and nothing is guessed.

    A patient `0012`, a method `NA` and a source `1e5` stay as they are, and an empty text stays empty.
    Numbers come back to the last bit. Columns of `kinds` that the file does not have are not there.

    Args:
        path: the file, in UTF-8.
        kinds: what the columns hold, by name.
        others: what columns hold that `kinds` does not name.
        separator: between cells.

    Raises:
        ValueError: if the file is empty, or a cell is not of its column's kind; says where.
    """
    try:
        texts = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, na_filter=False)
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"{path}: expected a table with a header, got an empty file; make it again"
        ) from error
    return pd.DataFrame(
        {name: _column(texts[name], kinds.get(name, others), path) for name in texts.columns},
        columns=texts.columns,
    )


def empty_table(kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """A table without rows, with the columns of `kinds` and their types."""
    return pd.DataFrame({name: pd.Series([], dtype=TYPES[kind]) for name, kind in kinds.items()})


def _column(texts: pd.Series, kind: Kind, path: str | Path) -> pd.Series:
    values = []
    for row, text in enumerate(texts, start=1):
        try:
            values.append(_VALUES[kind](text))
        except (KeyError, ValueError):
            raise ValueError(
                f"{path}: expected {_EXPECTED[kind]} in the column {texts.name!r}, got {text!r} in row {row}"
                "; make the table again"
            ) from None
    return pd.Series(values, dtype=TYPES[kind], name=texts.name)


def _whole(text: str) -> int:
    # A column of whole numbers that once had a gap has them as 3.0.
    value = float(text)
    if value != int(value):
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdigit() else int(value)


_VALUES: Mapping[Kind, Callable[[str], Any]] = {
    "text": str,
    "flag": FLAGS.__getitem__,
    "count": _whole,
    "index": lambda text: _whole(text) if text else pd.NA,
    "number": lambda text: float(text) if text else math.nan,
}
_EXPECTED: Mapping[Kind, str] = {
    "text": "texts",
    "flag": "True or False",
    "count": "whole numbers",
    "index": "whole numbers",
    "number": "numbers",
}

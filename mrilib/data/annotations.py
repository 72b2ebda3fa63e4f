"""Boxes that radiologists drew around findings, in pixels of the stored target."""

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, overload

import pandas as pd

Shape = tuple[int, int]

COLUMNS = ("file", "slice", "row", "column", "height", "width", "label", "study_level", "source")
FASTMRI_PLUS = ("file", "slice", "study_level", "x", "y", "width", "height", "label")
CALIVA = ("filename", "slice", "numBBs", "labels", "coords")
# The boxes of Caliva et al. are given in images of this shape only.
CALIVA_SHAPE = (320, 320)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
REASONS_SHOWN = 10


class _Box(NamedTuple):
    """Edges in the flipped view, `x` to the right and `y` down from its top; `None` of a whole study."""

    file: str
    slice: int
    edges: tuple[float, float, float, float] | None
    label: str


@dataclass(frozen=True)
class _Row:
    """Cells of one line, without blanks around them."""

    cells: dict[str, str]

    def text(self, column: str) -> str:
        if not self.cells[column]:
            raise _unfit(column, "a text", "an empty cell")
        return self.cells[column]

    def number(self, column: str) -> float:
        return _number(column, self.cells[column])

    def count(self, column: str, *, first: int) -> int:
        value = self.number(column)
        if value != int(value) or value < first:
            raise _unfit(column, f"a whole number from {first} on", repr(self.cells[column]))
        return int(value)


_Parse = Callable[[_Row], Iterator[_Box]]


@overload
def read_annotations(
    path: str | Path, *, shapes: Shape | Mapping[str, Shape], strict: Literal[True] = True
) -> pd.DataFrame: ...


@overload
def read_annotations(
    path: str | Path, *, shapes: Shape | Mapping[str, Shape], strict: Literal[False]
) -> tuple[pd.DataFrame, list[str]]: ...


def read_annotations(
    path: str | Path, *, shapes: Shape | Mapping[str, Shape], strict: bool = True
) -> pd.DataFrame | tuple[pd.DataFrame, list[str]]:
    """Read a CSV of boxes, fastMRI+ or Caliva et al., told apart by their columns: one row a box.

    Both were drawn in the target (`reconstruction_rss`) flipped vertically, in which anatomy stands
    upright. With `x` and `y` there and `H` rows in the target, the box covers the stored pixels

        row … row + height − 1,    row = H − (y + height),    column = x,

    so that `target[slice, row : row + height, column : column + width]` is what the reader saw.

    - fastMRI+: `file, slice, study_level, x, y, width, height, label`; slices from 0, whole pixels. A label
      of a whole study has no box.
    - Caliva et al.: `filename, slice, numBBs, labels, coords`; slices from 1, `labels` like
      `['Med_Men' 'Cyst']`, and `coords` like `[[x0 x1 y0 y1] [x0 x1 y0 y1]]`, without commas and with line
      breaks; edges in [0, 320] of images of 320×320. Our choice: a box has every pixel that it touches.

    Args:
        path: the CSV file.
        shapes: rows and columns of the target: of all files, or by the name of the file, with or without
            `.h5`. Rows about files that are not among the names are left out.
        strict: whether a row that does not fit is an error.

    Returns:
        A table of the columns `file` (without `.h5`), `slice` (from 0), `row`, `column`, `height`, `width`
        (whole pixels; missing for a whole study), `label`, `study_level` (bool) and `source` (`fastmri+` or
        `caliva`), in the order of the file. With `strict=False` also one reason for every line left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no such table, or, if `strict`, with the line, the column, what was
            expected and what was found: for cells that do not parse, boxes that are empty or not inside the
            image, and lines that repeat another.

    Source: [zhao2022] (whose knee file has 12 such lines, and the brain file 3) and [caliva2020].
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_annotations: {path}: expected a CSV file, got none; correct the path")
    found: list[tuple] = []
    rejected: list[str] = []
    lines: dict[tuple, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            source, parse = _format(path, header)
            line = reader.line_num + 1
            for cells in reader:
                try:
                    boxes = _read_row(parse, header, cells, shapes, source)
                    for box in boxes:
                        if box in lines:
                            raise ValueError(f"expected every box once, got that of line {lines[box]} again")
                    found += boxes
                    lines |= dict.fromkeys(boxes, line)
                except ValueError as reason:
                    rejected.append(f"line {line}: {reason}")
                line = reader.line_num + 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"read_annotations: {path}: expected a CSV file in UTF-8, got {error}") from error
    if strict and rejected:
        more = len(rejected) - REASONS_SHOWN
        shown = rejected[:REASONS_SHOWN] + ([f"and {more} more lines"] if more > 0 else [])
        raise ValueError(
            f"read_annotations: {path}: {len(rejected)} lines do not fit; correct them, or leave them out "
            "with strict=False\n  " + "\n  ".join(shown)
        )
    table = pd.DataFrame(found, columns=list(COLUMNS))
    pixels = dict.fromkeys(("row", "column", "height", "width"), "Int64")
    table = table.astype({"slice": "int64", "study_level": "bool", **pixels})
    return table if strict else (table, rejected)


def _format(path: Path, header: list[str]) -> tuple[str, _Parse]:
    if set(header) >= set(FASTMRI_PLUS):
        return "fastmri+", _parse_fastmri_plus
    if set(header) >= set(CALIVA):
        return "caliva", _parse_caliva
    raise ValueError(
        f"read_annotations: {path}: expected the columns {', '.join(FASTMRI_PLUS)} (fastMRI+) or "
        f"{', '.join(CALIVA)} (Caliva et al.), got {', '.join(header) or 'an empty file'}"
    )


def _read_row(
    parse: _Parse, header: list[str], cells: list[str], shapes: Shape | Mapping[str, Shape], source: str
) -> list[tuple]:
    """Rows of the table from one line of the file; none from a blank line or for a file without a shape."""
    if not any(cell.strip() for cell in cells):
        return []
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} cells, got {len(cells)}")
    row = _Row({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    table = []
    for box in parse(row):
        file = box.file.removesuffix(".h5")
        shape = shapes.get(file, shapes.get(f"{file}.h5")) if isinstance(shapes, Mapping) else shapes
        if shape is None:
            return []
        if source == "caliva" and tuple(shape) != CALIVA_SHAPE:
            raise ValueError(
                f"expected a target of 320×320 for these boxes, got {shape[0]}×{shape[1]} of {file}"
            )
        pixels = (None,) * 4 if box.edges is None else _stored_pixels(box.edges, shape)
        table.append((file, box.slice, *pixels, box.label, box.edges is None, source))
    return table


def _parse_fastmri_plus(row: _Row) -> Iterator[_Box]:
    file, number, label = row.text("file"), row.count("slice", first=0), row.text("label")
    level = row.text("study_level").lower()
    if level not in ("yes", "no"):
        raise _unfit("study_level", "Yes or No", repr(row.cells["study_level"]))
    if level == "yes":
        extra = [column for column in ("x", "y", "width", "height") if row.cells[column]]
        if extra:
            raise _unfit(extra[0], "an empty cell for a whole study", repr(row.cells[extra[0]]))
        yield _Box(file, number, None, label)
        return
    x, y = row.number("x"), row.number("y")
    yield _Box(file, number, (x, x + row.number("width"), y, y + row.number("height")), label)


def _parse_caliva(row: _Row) -> Iterator[_Box]:
    file, number = row.text("filename"), row.count("slice", first=1) - 1
    boxes, labels = row.count("numBBs", first=1), re.findall(r"'([^']+)'", row.text("labels"))
    inside = re.findall(r"\[([^\[\]]*)\]", row.text("coords"))
    if len(labels) != boxes:
        raise _unfit("labels", f"{boxes} labels, as numBBs says", repr(row.cells["labels"]))
    if len(inside) != boxes:
        raise _unfit("coords", f"{boxes} boxes, as numBBs says", repr(row.cells["coords"]))
    for label, text in zip(labels, inside, strict=True):
        edges = [_number("coords", number) for number in text.split()]
        if len(edges) != 4:
            raise _unfit("coords", "four numbers x0 x1 y0 y1", repr(text))
        yield _Box(file, number, (edges[0], edges[1], edges[2], edges[3]), label)


def _stored_pixels(edges: tuple[float, float, float, float], shape: Shape) -> tuple[int, int, int, int]:
    """Row, column, height and width in the stored target, of all pixels that the box touches."""
    x0, x1, y0, y1 = edges
    seen = f"x from {x0:g} to {x1:g}, y from {y0:g} to {y1:g}"
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"expected a box of some height and width, got {seen}")
    if x0 < 0 or y0 < 0 or x1 > shape[1] or y1 > shape[0]:
        raise ValueError(f"expected a box inside the image of {shape[0]}×{shape[1]}, got {seen}")
    left, right, top, bottom = math.floor(x0), math.ceil(x1), math.floor(y0), math.ceil(y1)
    return shape[0] - bottom, left, bottom - top, right - left


def _number(column: str, text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise _unfit(column, "a number", repr(text) if text else "an empty cell")
    return value


def _unfit(column: str, expected: str, found: str) -> ValueError:
    return ValueError(f"column {column!r}: expected {expected}, got {found}")

"""Tables of scored boxes: their columns, and how they are written and read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mrilib.store.tables import Kind, empty_table, read_table

PLACE = ("row", "column", "height", "width")
NUMBERS = (
    *("box_error", "relative_box_error", "contrast_before", "contrast_after"),
    *("sharpness_before", "sharpness_after"),
)
# In the order of the file.
KINDS: dict[str, Kind] = {
    "source": "text",
    "mask": "text",
    "method": "text",
    "domain": "text",
    "position": "count",
    "volume": "text",
    "slice": "number",
    "patient": "text",
    "annotation": "text",
    "label": "text",
    **dict.fromkeys(PLACE, "count"),
    "failed": "text",
    **dict.fromkeys(NUMBERS, "number"),
}


def boxes_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `mrilib.experiments.box_scoring.score_boxes` as the text of a file; without rows the header alone."""
    return pd.DataFrame(list(rows), columns=list(KINDS)).to_csv(index=False)


def read_boxes(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of `boxes_csv` as one table."""
    frames = [read_table(path, KINDS) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(KINDS)

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
    """Rows of `box_scoring.score_boxes` as the text of a file; without rows the header alone."""
    return pd.DataFrame(list(rows), columns=list(KINDS)).to_csv(index=False)


def read_boxes(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of `boxes_csv` as one table."""
    frames = [read_table(path, KINDS) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(KINDS)


def first_boxes(boxes: pd.DataFrame, most: int = 2) -> list[pd.DataFrame]:
    """Of the first images that have boxes, by position, the first box: its rows, one a method.

    Args:
        boxes: of one source and mask, a file a method.
        most: how many images.
    """
    place = ["annotation", "label", *PLACE]
    found = []
    for position in sorted(set(boxes["position"]))[:most]:
        own = boxes[boxes["position"] == position]
        first = own.iloc[0]
        found.append(own[(own[place] == first[place]).all(axis=1)])
    return found

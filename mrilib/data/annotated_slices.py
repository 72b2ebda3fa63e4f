"""Annotated boxes of the slices of a set, in pixels of the reference."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mrilib.data.catalogue import target_shape
from mrilib.operators.coil_images import crop_corner
from mrilib.store.tables import Kind, empty_table, read_table

# Of `results/{run}/annotations/{name}.csv`: what `read_annotations` returns.
KINDS: dict[str, Kind] = {
    "file": "text",
    "slice": "count",
    **dict.fromkeys(("row", "column", "height", "width"), "index"),
    "label": "text",
    "study_level": "flag",
    "source": "text",
}
# Of boxes on slices: those with a place in the reference.
PLACED: dict[str, Kind] = {
    "position": "count",
    "volume": "text",
    "slice": "count",
    "annotation": "text",
    "label": "text",
    **dict.fromkeys(("row", "column", "height", "width"), "count"),
}


def read_placed(path: str | Path) -> pd.DataFrame:
    """A table of `read_annotations` that was written as CSV."""
    return read_table(path, KINDS)


def boxes_on_slices(
    slices: pd.DataFrame, annotations: Mapping[str, pd.DataFrame]
) -> tuple[pd.DataFrame, list[str]]:
    """The boxes on the slices of a set, in pixels of the reference.

    Boxes are given in the stored target, `T` rows by `U` columns. The reference is the middle of k-space's
    image with the size of the target, and where k-space is smaller with that of k-space, `R × S`. Both have
    one centre (our choice: where the target is the larger of the two, nothing else is known), so that a row
    of the target is the row less `(T − R) // 2` of the reference, as `center_crop` cuts.

    Args:
        slices: a set, as `read_catalogue` reads it: `position`, `volume`, `slice`, `rows`, `columns`,
            `target_rows`, `target_columns`.
        annotations: name of an entry of the config to its table, as `read_annotations` gives it. Labels of a
            whole study have no box and do not count.

    Returns:
        One row a box with the columns of `PLACED`, by position and then as in the tables; and one line for
        every box that leaves the reference, which has no row.
    """
    found, left_out = [], []
    for one in slices.sort_values("position").to_dict("records"):
        rows, columns, *target = (
            int(one[name]) for name in ("rows", "columns", "target_rows", "target_columns")
        )
        height, width = target_shape(rows, columns, *target)
        top, left = crop_corner(tuple(target), (height, width))
        for name, table in annotations.items():
            own = table[(table["file"] == one["volume"]) & (table["slice"] == one["slice"])]
            for box in own[~own["study_level"].astype(bool)].to_dict("records"):
                row, column = int(box["row"]) - top, int(box["column"]) - left
                size = int(box["height"]), int(box["width"])
                about = (one["position"], one["volume"], one["slice"], name, box["label"])
                if row < 0 or column < 0 or row + size[0] > height or column + size[1] > width:
                    left_out.append(
                        f"{one['volume']}, slice {one['slice']}: {box['label']!r} of {name} at row {row}, "
                        f"column {column}, {size[0]}×{size[1]}, leaves the reference of {height}×{width}: "
                        "left out"
                    )
                    continue
                found.append((*about, row, column, *size))
    table = pd.DataFrame(found, columns=list(PLACED)) if found else empty_table(PLACED)
    return table, left_out

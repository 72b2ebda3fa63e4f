"""The history of a training, as its file has it."""

from pathlib import Path

import pandas as pd

from mrilib.store.tables import Kind, read_table

# What the columns hold: those of `fit`, then whose training it is, and the error of the zero-filled image.
KINDS: dict[str, Kind] = {
    "phase": "count",
    "epoch": "count",
    "loss": "number",
    "validation_error": "number",
    "seconds": "number",
    "samples_per_second": "number",
    "best": "flag",
    "method": "text",
    "domain": "text",
    "source": "text",
    "mask": "text",
    "zero_filled": "number",
}


def read_history(path: str | Path) -> pd.DataFrame:
    """What `mrilib.jobs.train.write_fit` wrote: an epoch a row.

    Raises:
        ValueError: if columns are missing, or a cell is not what its column holds.
    """
    history = read_table(path, KINDS)
    if missing := [name for name in KINDS if name not in history]:
        raise ValueError(f"{path}: no columns {missing}; delete it and run again")
    return history

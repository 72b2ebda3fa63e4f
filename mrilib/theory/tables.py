"""Files of thresholds: what their columns hold."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mrilib.store.tables import Kind, empty_table, read_table

# A draw of an entry at a size `n` and a sparsity `s`. `x_recovered`, `recovered`: from how many frequencies
# `x`, and both `x` and `x + ρ`, are recovered, with the greatest number at which that is refuted, and how
# many sets stayed undecided. The others are of `x + ρ` at its threshold: see `Thresholds`, `amplification`
# and `product_margin`.
KINDS: dict[str, Kind] = {
    "size": "count",
    "sparsity": "count",
    "draw": "count",
    "x_recovered": "count",
    "x_refuted": "count",
    "recovered": "count",
    "refuted": "count",
    "undecided": "count",
    "bound": "number",
    "smallest": "number",
    "log_margin": "number",
    "amplification": "number",
    "least": "number",
    "amplification_l2": "number",
    "flatness": "number",
}


def read_recoveries(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of one or several entries as one table, with `entry`: the folder that each lies in."""
    kinds = {"entry": "text", **KINDS}
    frames = [read_table(path, KINDS, others="number").assign(entry=Path(path).parent.name) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(kinds)

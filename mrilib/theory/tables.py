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


# The same draws under a weight and a level of noise: `samples` `m`, `weight` `λ/‖r‖∞`, `level` `‖e‖₂/‖Ax‖₂`,
# with the amplification, the relative error of the clean reconstruction, and the larger gap of both.
NOISY_KINDS: dict[str, Kind] = {
    **{name: KINDS[name] for name in ("size", "sparsity", "draw", "amplification")},
    "samples": "count",
    "weight": "number",
    "level": "number",
    "distance": "number",
    "gap": "number",
}
# Phantoms: an image at a size under a number of lines. `distance` of the reconstruction of `x` and
# `artifact_distance` of that of `x + δ`, relative, with their larger gap; `least` is n²/m.
PLANE_KINDS: dict[str, Kind] = {
    "size": "count",
    "lines": "count",
    "draw": "count",
    "samples": "count",
    "weight": "number",
    "level": "number",
    "least": "number",
    "distance": "number",
    "artifact_distance": "number",
    "gap": "number",
    "spike_amplification": "number",
    "amplification": "number",
    "severity": "number",
    "failed": "text",
}


def read_recoveries(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of one or several entries as one table, with `entry`: the folder that each lies in."""
    kinds = {"entry": "text", **KINDS}
    known = {**KINDS, **NOISY_KINDS, **PLANE_KINDS}
    frames = [read_table(path, known).assign(entry=Path(path).parent.name) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(kinds)

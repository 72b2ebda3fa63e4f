"""Data of the curve figures, from scores, records and tunings. Levels and errors in per cent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.localized import clean_scores, own_scores, summarise_scores
from mrilib.metrics.statistics import summarise
from mrilib.store.records import Record


def error_curves(scores: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Relative error against level for every source, method, mask and kind of perturbation."""
    own = own_scores(scores)
    both = pd.concat([clean_scores(own), own], ignore_index=True)
    by = ["source", "method", "mask", "attack", "level"]
    frame = summarise_scores(both, "relative_error", by=by, seed=seed).rename(columns={"attack": "kind"})
    frame[["level", "mean", "low", "high"]] *= 100.0
    return frame


def amplification_curves(
    records: Sequence[Record], *, attack: str, spikes: Mapping[str, float]
) -> pd.DataFrame:
    """Mean α of one attack against level, with the paper's values and the spike's `n²/m` of each mask."""
    rows = [
        {
            "method": record.method,
            **{key: record.row[key] for key in ("mask", "source")},
            "level": 100.0 * float(record.row["level"]),
            "mean": record.value,
            "low": record.low,
            "high": record.high,
            "n": record.n,
            "paper_mean": record.paper,
            "paper_sd": record.paper_sd,
            "spike": spikes[str(record.row["mask"])],
        }
        for record in records
        if record.row["attack"] == attack
    ]
    return pd.DataFrame(rows)


def weight_choice(tunings: Mapping[str, Mapping[str, Any]], *, seed: int) -> pd.DataFrame:
    """Mean error over the weights that were tried, for every mask and level."""
    rows = []
    for mask, tuning in tunings.items():
        for level, found in tuning["levels"].items():
            for weight, errors in zip(found["weights"], found["errors"], strict=True):
                summary = summarise(errors, seed=seed)
                rows.append(
                    {"mask": mask, "level": 100.0 * float(level), "weight": weight}
                    | {key: 100.0 * getattr(summary, key) for key in ("mean", "low", "high")}
                    | {"chosen": weight == found["chosen"]}
                )
    return pd.DataFrame(rows)


def radius_study(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of the radius study: `disk-σ` at radius σ, `peak` at 0, `global` at infinity."""
    radii = {"peak": 0.0, "global": math.inf}
    radius = [
        radii[name] if name in radii else float(name.removeprefix("disk-")) for name in scores["attack"]
    ]
    names = {"amplification": "alpha", "artifact_norm": "error_norm"}
    frame = scores.assign(radius=radius).rename(columns=names)
    return frame[["source", "position", "radius", "severity", "alpha", "error_norm"]]


def weight_study(scores: pd.DataFrame, *, reference: Sequence[str]) -> pd.DataFrame:
    """Scores of the weight study; attacks named in `reference` are the reference's, others coupled."""
    search = np.where(scores["attack"].isin(list(reference)), "reference", "coupled")
    frame = scores.assign(search=search, level=100.0 * scores["level"]).rename(
        columns={"amplification": "alpha"}
    )
    columns = ["level", "factor", "weight", "search", "source", "position", "severity", "alpha"]
    return frame[[*columns, "amplification_to_truth"]]


def transfer_matrix(records: Sequence[Record], *, source: str, mask: str, attack: str) -> pd.DataFrame:
    """Means of a quantity by the method a perturbation was made for and the one it was given to.

    Levels and relative errors are in per cent.
    """
    scale = {record.quantity: 100.0 if record.quantity == "relative_error" else 1.0 for record in records}
    wanted = {"source": source, "mask": mask, "attack": attack}
    rows = [
        {
            "made_for": record.row["made_for"],
            "reconstructed_by": record.method,
            "level": 100.0 * float(record.row["level"]),
            **{
                name: scale[record.quantity] * value
                for name, value in (("mean", record.value), ("low", record.low), ("high", record.high))
            },
            "n": record.n,
        }
        for record in records
        if {key: record.row[key] for key in wanted} == wanted
    ]
    columns = ["made_for", "reconstructed_by", "level", "mean", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)

"""What a study of small features found under a mask, as experiments take it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.columns import FEATURE_MAPS, FEATURES
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import summarise
from mrilib.store.records import Record
from mrilib.store.tables import Kind, empty_table, read_table

# What is measured of a window, with how it is shown.
MEASURES = {
    "loss": Quantity(
        "Information loss ‖(m_f − m) − (x_f − x)‖²/‖x_f − x‖² in the window",
        axis="information loss",
        column="loss",
        decimals=3,
    ),
    "error": Quantity(
        "Error ‖m_f − x_f‖²/‖x_f − x‖² in the window, with the feature",
        axis="error with the feature",
        column="error",
        decimals=3,
    ),
    "before": Quantity(
        "Error ‖m − x‖²/‖x_f − x‖² in the window, without the feature",
        axis="error without the feature",
        column="error without",
        decimals=3,
    ),
}


def read_features(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Tables of studies as one; a column of a study's own is of numbers, or of texts if one cell is none."""
    return _together(paths, FEATURES)


def read_maps(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of maps as one table."""
    return _together(paths, FEATURE_MAPS)


def _together(paths: Iterable[str | Path], kinds: Mapping[str, Kind]) -> pd.DataFrame:
    frames = [frame for path in paths if len(frame := read_table(path, kinds))]
    if not frames:
        return empty_table(kinds)
    whole = pd.concat(frames, ignore_index=True)
    for name in whole.columns.difference(list(kinds)):
        # Studies that do not have a column leave it empty.
        numbers = pd.to_numeric(whole[name].replace("", math.nan), errors="coerce")
        if bool((numbers.notna() | whole[name].isin(["", math.nan]) | whole[name].isna()).all()):
            whole[name] = numbers.astype(float)
    return whole


def studied_rows(run: ScoredRun, feature: str, *, source: str, mask: str | None, where: str) -> pd.DataFrame:
    """Rows of a study on the images of a source, by methods of the usual domain, in the run's order.

    Raises:
        ValueError: if there are none, or if the mask is not given and there are several.
    """
    rows = run.features
    rows = rows[(rows["feature"] == feature) & (rows["source"] == source) & (rows["domain"] == "")]
    masks = list(dict.fromkeys(rows["mask"]))
    if mask is None and len(masks) > 1:
        raise ValueError(f"{where}: {feature} was studied under {masks}; name the mask meant")
    mask = masks[0] if mask is None and masks else mask
    rows = rows[rows["mask"] == mask]
    if rows.empty:
        raise ValueError(
            f"{where}: no image of {source} under {mask or 'any mask'} was studied by {feature}; look at "
            "features of the config"
        )
    return in_run_order(run, rows)


def in_run_order(run: ScoredRun, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the methods in the order of the run, strangers last."""
    ranks = {name: rank for rank, name in enumerate(run.methods)}
    ranked = rows["method"].map(ranks).fillna(len(ranks))
    return rows.assign(_rank=ranked).sort_values("_rank", kind="stable").drop(columns="_rank")


def study_records(
    run: ScoredRun, rows: pd.DataFrame, column: str, *, by: Sequence[str], table: str
) -> list[Record]:
    """Means over images of a column of a study, by method and other columns, resampled by patient.

    An image that a method failed on, or whose number is not finite, is missing.
    """
    found = []
    failed = rows[rows["failed"] != ""].groupby("method").size()
    told = rows[rows["failed"] == ""]
    for key, group in told.groupby(["method", *by], sort=False):
        method, *values = key
        usable = group[np.isfinite(group[column].astype(float))]
        summary = summarise(
            usable[column].astype(float).tolist(), groups=usable["patient"].tolist(), seed=run.seed
        )
        missing = int(failed.get(method, 0)) + len(group) - len(usable)
        row = about(group) | dict(zip(by, map(plain, values), strict=True))
        found.append(
            record_of(
                run,
                summary,
                table=table,
                quantity=column,
                row=row,
                method=str(method),
                missing=missing,
            )
        )
    return sorted(found, key=lambda record: [record.row[name] for name in by])


def curve_frame(records: Sequence[Record], x: str) -> pd.DataFrame:
    """Records as curves: `measure`, `method`, a key of their rows, `mean`, `low`, `high`, `n`."""
    return pd.DataFrame(
        [
            {"measure": each.quantity, "method": each.method, x: each.row[x]}
            | {"mean": each.value, "low": each.low, "high": each.high, "n": each.n}
            for each in records
        ]
    )


def about(rows: pd.DataFrame) -> dict[str, Any]:
    """Study, source and mask of rows, for records."""
    return {name: str(rows[name].iloc[0]) for name in ("feature", "source", "mask")}


def plain(value: Any) -> Any:
    """A number of a frame as a record has it: whole ones without a fraction."""
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else float(value)

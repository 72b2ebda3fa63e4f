"""Quality of reconstructions of clean data: summaries of the scores of slices, and paired comparisons."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mrilib.metrics.statistics import summarise
from mrilib.store.records import Record

# What is reported of every reconstruction, with its unit.
QUANTITIES = {
    "ssim": "1",
    "ssim_slice": "1",
    "psnr": "dB",
    "nmse": "1",
    "relative_error": "1",
    "seconds": "s",
}
HIGHER_IS_BETTER = {"ssim", "ssim_slice", "psnr"}
GROUP = ["source", "mask", "method"]
SLICE = ["volume", "position"]

Paper = tuple[float, float]


def quality_records(
    scores: pd.DataFrame,
    *,
    quantity: str,
    methods: Sequence[str],
    masks: Sequence[str],
    source_hash: str,
    seed: int,
    papers: Mapping[tuple[str, str, str], Paper] | None = None,
) -> list[Record]:
    """Records of one quantity for every source, mask and method.

    The value is the mean over slices with its 95 % bootstrap interval, resampled by patient, or by volume
    where the patient is not known; for `seconds` it is the median, without sd and interval. Slices that
    failed, or whose value is not finite, are counted as missing.

    Args:
        scores: one row a slice: `source`, `mask`, `method`, `position`, `volume`, `patient`, `failed`
            (text, or NaN), and the quantity.
        quantity: one of `QUANTITIES`.
        methods: all methods, in the order of the table.
        masks: all masks, in the order of the table; sources stand in the order in which they come.
        source_hash: hash of the code.
        seed: of the resampling.
        papers: mean and sd that a paper has, by source, mask and method.

    Raises:
        ValueError: if the quantity or a method or mask is unknown, or a slice is given twice.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quality_records: expected one of {list(QUANTITIES)}, got {quantity!r}")
    scores = _valued(scores, quantity, "quality_records")
    for name, known in (("method", methods), ("mask", masks)):
        if strangers := set(scores[name]) - set(known):
            raise ValueError(f"quality_records: expected a {name} of {list(known)}, got {sorted(strangers)}")
    sources = list(dict.fromkeys(scores["source"]))
    groups: dict[tuple[Any, ...], pd.DataFrame] = dict(list(scores.groupby(GROUP)))
    records = []
    for source, mask, method in sorted(
        groups, key=lambda key: (sources.index(key[0]), masks.index(key[1]), methods.index(key[2]))
    ):
        paper, paper_sd = (papers or {}).get((source, mask, method), (math.nan, math.nan))
        found = _summary(groups[source, mask, method], seed)
        if quantity == "seconds":
            median = float(groups[source, mask, method]["value"].median())
            found |= {"mean": median, "sd": math.nan, "low": math.nan, "high": math.nan}
        records.append(
            Record(
                table="quality",
                quantity=quantity,
                row={"source": source, "mask": mask},
                method=method,
                value=found["mean"],
                sd=found["sd"],
                low=found["low"],
                high=found["high"],
                n=found["n"],
                missing=found["missing"],
                flagged=0,
                unit=QUANTITIES[quantity],
                paper=paper,
                paper_sd=paper_sd,
                source_hash=source_hash,
                seed=seed,
            )
        )
    return records


def best_first(records: Iterable[Record]) -> list[Record]:
    """Records of one quantity with the best mean first within each source and mask, those without one last.

    Means over different images are not comparable: see `paired_differences` where a record misses some.
    """
    found = list(records)
    places = list(dict.fromkeys((each.row["source"], each.row["mask"]) for each in found))

    def place(record: Record) -> tuple[int, bool, float]:
        value = -record.value if record.quantity in HIGHER_IS_BETTER else record.value
        index = places.index((record.row["source"], record.row["mask"]))
        return index, math.isnan(value), 0.0 if math.isnan(value) else value

    return sorted(found, key=place)


def paired_differences(scores: pd.DataFrame, quantity: str, baseline: str, *, seed: int = 0) -> pd.DataFrame:
    """Mean difference of every method to a baseline, over the slices that both have under the same mask.

    Args:
        scores: as in `quality_records`.
        quantity: one of `QUANTITIES`.
        baseline: the method that is subtracted.
        seed: of the resampling by patient.

    Returns:
        One row a source, mask and other method: `source`, `mask`, `method`, `mean`, `sd`, `low`, `high`,
        `n` (pairs), `missing` (slices of either without a pair of values).

    Raises:
        ValueError: if the quantity or the baseline is unknown, or a slice is given twice.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"paired_differences: expected one of {list(QUANTITIES)}, got {quantity!r}")
    scores = _valued(scores, quantity, "paired_differences")
    methods = list(dict.fromkeys(scores["method"]))
    if baseline not in methods:
        raise ValueError(f"paired_differences: expected a baseline of {methods}, got {baseline!r}")
    image = ["source", "mask", *SLICE]
    reference = scores.loc[scores["method"] == baseline, [*image, "patient", "value"]]
    rows = []
    for method in methods:
        if method == baseline:
            continue
        other = scores.loc[scores["method"] == method, [*image, "patient", "value"]]
        both = other.merge(reference, on=image, how="outer", suffixes=("", "_of_baseline"))
        both["patient"] = both["patient"].fillna(both["patient_of_baseline"])
        both["value"] = both["value"] - both["value_of_baseline"]
        # only where the method was tried at all
        for source, mask in other[["source", "mask"]].drop_duplicates().itertuples(index=False):
            group = both[(both["source"] == source) & (both["mask"] == mask)]
            rows.append({"source": source, "mask": mask, "method": method} | _summary(group, seed))
    columns = ["source", "mask", "method", "mean", "sd", "low", "high", "n", "missing"]
    return pd.DataFrame(rows, columns=columns)


def _valued(scores: pd.DataFrame, quantity: str, where: str) -> pd.DataFrame:
    """Rows with `value`, NaN where the slice failed, and with a patient."""
    keys = [*GROUP, *SLICE]
    columns = [*keys, "patient", "failed", quantity]
    if absent := [name for name in columns if name not in scores.columns]:
        raise ValueError(f"{where}: expected columns {columns}, got none named {absent}")
    if scores.duplicated(keys).any():
        first = scores.loc[scores.duplicated(keys), keys].iloc[0].to_dict()
        raise ValueError(f"{where}: expected one row a slice, got several of {first}; drop all but one")
    value = scores[quantity].astype(float)
    usable = (scores["failed"].isna() | (scores["failed"] == "")) & np.isfinite(value)
    patient = scores["patient"].astype(object)
    return scores[keys].assign(
        value=value.where(usable), patient=patient.where(patient.notna(), scores["volume"])
    )


def _summary(group: pd.DataFrame, seed: int) -> dict[str, Any]:
    finite = group[group["value"].notna()]
    found = summarise(finite["value"].tolist(), groups=finite["patient"].tolist(), seed=seed)
    return {name: getattr(found, name) for name in ("mean", "sd", "low", "high", "n")} | {
        "missing": len(group) - len(finite)
    }

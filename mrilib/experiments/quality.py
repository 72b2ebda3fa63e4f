"""Quality of reconstructions of clean data: records, and paired comparisons of methods."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from mrilib.experiments.localized import Order, records_of
from mrilib.experiments.scores import lowest_tuned, summarise_scores, valued
from mrilib.experiments.stored import CLEAN
from mrilib.metrics.quantities import QUALITY, QUANTITIES
from mrilib.store.records import Record

SLICE = ["volume", "position"]

Paper = tuple[float, float]


def quality_records(
    scores: pd.DataFrame,
    *,
    quantity: str,
    order: Order,
    code_hash: str,
    seed: int,
    papers: Mapping[tuple[str, str, str], Paper] | None = None,
) -> list[Record]:
    """Records of one quantity for every source, mask, domain and method.

    The value is the mean over images with its 95 % bootstrap interval, resampled by patient, or by volume
    where the patient is not known; for `seconds` it is the median, without sd and interval. Images that
    failed, or whose value is not finite, are counted as missing. A method that is tuned by level counts with
    the parameter of the lowest one, which stands as `tuned` in the row.

    Args:
        scores: of `read_scores`; rows of perturbed data are left out.
        quantity: one of `metrics.quantities.QUALITY`.
        order: of the rows.
        code_hash: hash of the code.
        seed: of the resampling.
        papers: mean and sd that a paper has, by source, mask and method.

    Raises:
        ValueError: if the quantity is unknown, or an image is given twice.
    """
    _check(quantity, "quality_records")
    chosen = lowest_tuned(scores)
    _check_single(chosen, "quality_records")
    by = ["source", "mask", "domain", "tuned"]
    found = records_of("quality", chosen, quantity, by=by, order=order, code_hash=code_hash, seed=seed)
    records = []
    for record in found:
        row = {key: value for key, value in record.row.items() if (key, value) != ("tuned", CLEAN)}
        key = (str(row["source"]), str(row["mask"]), record.method)
        paper, paper_sd = (papers or {}).get(key, (math.nan, math.nan))
        records.append(replace(record, row=row, paper=paper, paper_sd=paper_sd))
    return records


def best_first(records: Iterable[Record]) -> list[Record]:
    """Records of one quantity with the best mean first within each source and mask, those without one last.

    Means over different images are not comparable: see `paired_differences` where a record misses some.
    """
    found = list(records)
    places = list(dict.fromkeys((each.row["source"], each.row["mask"]) for each in found))

    def place(record: Record) -> tuple[int, bool, float]:
        value = -record.value if QUANTITIES[record.quantity].higher_is_better else record.value
        index = places.index((record.row["source"], record.row["mask"]))
        return index, math.isnan(value), 0.0 if math.isnan(value) else value

    return sorted(found, key=place)


def paired_differences(scores: pd.DataFrame, quantity: str, baseline: str, *, seed: int = 0) -> pd.DataFrame:
    """Mean difference of every method to a baseline, over the images that both have under the same mask.

    Args:
        scores: as in `quality_records`.
        quantity: one of `metrics.quantities.QUALITY`.
        baseline: the method that is subtracted.
        seed: of the resampling by patient.

    Returns:
        One row a source, mask, domain and other method: `source`, `mask`, `domain`, `method`, `mean`, `sd`,
        `low`, `high`, `n` (pairs), `missing` (images of either without a pair of values).

    Raises:
        ValueError: if the quantity or the baseline is unknown, or an image is given twice.
    """
    _check(quantity, "paired_differences")
    chosen = lowest_tuned(scores)
    _check_single(chosen, "paired_differences")
    chosen = valued(chosen, quantity)
    methods = list(dict.fromkeys(chosen["method"]))
    if baseline not in methods:
        raise ValueError(f"paired_differences: expected a baseline of {methods}, got {baseline!r}")
    group = ["source", "mask", "domain"]
    image = [*group, *SLICE]
    reference = chosen.loc[chosen["method"] == baseline, [*image, "patient", "number"]]
    differences = []
    for method in methods:
        if method == baseline:
            continue
        other = chosen.loc[chosen["method"] == method, [*image, "patient", "number"]]
        # only where the method was tried at all
        tried = reference.merge(other[group].drop_duplicates())
        both = other.merge(tried, on=image, how="outer", suffixes=("", "_of_baseline"))
        both["patient"] = both["patient"].fillna(both["patient_of_baseline"])
        both["number"] = both["number"] - both["number_of_baseline"]
        differences.append(both.assign(method=method))
    columns = [*group, "method", "mean", "sd", "low", "high", "n", "missing"]
    if not differences:
        return pd.DataFrame(columns=columns)
    frame = pd.concat(differences, ignore_index=True).drop(columns=["patient_of_baseline"])
    frame = frame.assign(failed="", weaker_than="").rename(columns={"number": quantity})
    return summarise_scores(frame, quantity, by=[*group, "method"], seed=seed)[columns]


def _check(quantity: str, where: str) -> None:
    if quantity not in QUALITY:
        raise ValueError(f"{where}: expected one of {list(QUALITY)}, got {quantity!r}")


def _check_single(scores: pd.DataFrame, where: str) -> None:
    keys: Sequence[str] = ["source", "mask", "domain", "method", *SLICE]
    if scores.duplicated(keys).any():
        first = scores.loc[scores.duplicated(keys), keys].iloc[0].to_dict()
        raise ValueError(f"{where}: expected one row an image, got several of {first}; drop all but one")

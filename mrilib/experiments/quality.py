"""Quality of reconstructions of clean data: records, and paired comparisons of methods."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import NO_PAPER, Paper, records_of
from mrilib.experiments.scores import check_once, lowest_tuned, summarise_scores, valued
from mrilib.experiments.stored import CLEAN
from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.store.records import Record

SLICE = ["volume", "position"]


class Quality(Experiment):
    """Every measure of quality for every source, mask, domain and method.

    A method that is tuned by level counts with the parameter of the lowest one, which stands as `tuned` in
    the row.

    Raises:
        ValueError: if an image is given twice.
    """

    word: ClassVar[str] = "quality"
    table: ClassVar[str] = "mrilib.report.tables_quality:quality_table"

    def records(self, run: ScoredRun) -> list[Record]:
        names = [name for name, each in run.quantities.items() if each.of == "reconstruction"]
        return [record for name in names for record in quality_records(run, name)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return {
            "labels": run.labels,
            "simulated": run.scores.groupby("source")["simulated"].any().to_dict(),
            "mask_labels": run.mask_labels,
            "domain_labels": run.domain_labels,
            "quantities": run.quantities,
        }


def quality_records(
    run: ScoredRun, quantity: str, *, papers: Mapping[tuple[str, str, str], Paper] | None = None
) -> list[Record]:
    """Records of one measure of quality for every source, mask, domain and method.

    Args:
        run: rows of perturbed data are left out of its scores.
        quantity: one of reconstructions.
        papers: mean and sd that a paper has, by source, mask and method.

    Raises:
        ValueError: if the quantity is none of reconstructions, or an image is given twice.
    """
    _check(run.quantities, quantity, "quality_records")
    chosen = lowest_tuned(run.scores)
    _check_single(chosen, "quality_records")
    records = []
    for record in tuned_records(run, chosen, quantity, table="quality"):
        key = (str(record.row["source"]), str(record.row["mask"]), record.method)
        paper, paper_sd = (papers or {}).get(key, NO_PAPER)
        records.append(replace(record, paper=paper, paper_sd=paper_sd))
    return records


def tuned_records(run: ScoredRun, scores: pd.DataFrame, quantity: str, *, table: str) -> list[Record]:
    """Records for every source, mask, domain and method; `tuned` stands in the row where it is a level.

    Args:
        run: for the order of rows, the seed and the code hash.
        scores: those that count.
        quantity: name of a column of them.
        table: the table that the records stand in.
    """
    found = records_of(run, scores, quantity, by=["source", "mask", "domain", "tuned"], table=table)
    return [
        replace(each, row={key: told for key, told in each.row.items() if (key, told) != ("tuned", CLEAN)})
        for each in found
    ]


def best_first(records: Iterable[Record], quantities: Mapping[str, Quantity] = QUANTITIES) -> list[Record]:
    """Records of one quantity with the best mean first within each source and mask, those without one last.

    Means over different images are not comparable: see `paired_differences` where a record misses some.
    """
    found = list(records)
    places = list(dict.fromkeys((each.row["source"], each.row["mask"]) for each in found))

    def place(record: Record) -> tuple[int, bool, float]:
        value = -record.value if quantities[record.quantity].higher_is_better else record.value
        index = places.index((record.row["source"], record.row["mask"]))
        return index, math.isnan(value), 0.0 if math.isnan(value) else value

    return sorted(found, key=place)


def paired_differences(scores: pd.DataFrame, quantity: str, baseline: str, *, seed: int = 0) -> pd.DataFrame:
    """Mean difference of every method to a baseline, over the images that both have under the same mask.

    Args:
        scores: of `read_scores`; rows of perturbed data are left out.
        quantity: one of `metrics.quantities.QUALITY`.
        baseline: the method that is subtracted.
        seed: of the resampling by patient.

    Returns:
        One row a source, mask, domain and other method: `source`, `mask`, `domain`, `method`, `mean`, `sd`,
        `low`, `high`, `n` (pairs), `missing` (images of either without a pair of values).

    Raises:
        ValueError: if the quantity or the baseline is unknown, or an image is given twice.
    """
    _check(QUANTITIES, quantity, "paired_differences")
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
    frame = frame.assign(failed="", weaker_than="", weaker_than_transfer="").rename(
        columns={"number": quantity}
    )
    return summarise_scores(frame, quantity, by=[*group, "method"], seed=seed)[columns]


def _check(quantities: Mapping[str, Quantity], name: str, where: str) -> None:
    known = [each for each, quantity in quantities.items() if quantity.of == "reconstruction"]
    if name not in known:
        raise ValueError(f"{where}: expected one of {known}, got {name!r}")


def _check_single(scores: pd.DataFrame, where: str) -> None:
    check_once(scores, ["source", "mask", "domain", "method", *SLICE], where)

"""Records from scores: one for each group of rows, in the order of the run."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.columns import NO_ATTACK
from mrilib.experiments.published import published_amplification
from mrilib.experiments.scores import summarise_scores
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

Paper = tuple[float, float]
NO_PAPER: Paper = (math.nan, math.nan)
# The paper's masks.
RADIAL = "mrilib.data.sampling.radial:Radial"


def records_of(
    run: ScoredRun,
    scores: pd.DataFrame,
    quantity: str,
    *,
    by: Sequence[str],
    table: str,
    with_paper: bool = False,
) -> list[Record]:
    """Records of one quantity for each group of `by` and method, in the order of the table.

    The row of a record has `by`, without an empty domain. The value is the mean over images with its 95 %
    bootstrap interval, resampled by patient, or by volume where the patient is not known; where the quantity
    says so it is the median, without sd and interval. Images that failed, or whose value is not finite, are
    counted as missing.

    Args:
        run: for the order of rows, the seed and the code hash.
        scores: those of the run's that count.
        quantity: name of a column of the scores.
        by: columns.
        table: the table that the records stand in.
        with_paper: whether the paper's amplification stands beside ours where it has one.

    Raises:
        ValueError: if the run has no such quantity.
    """
    shown = run.quantity(quantity, "records_of")
    found = summarise_scores(scores, quantity, by=[*by, "method"], seed=run.seed)
    records = []
    for row in sorted(found.to_dict("records"), key=lambda row: place(run, row)):
        paper, paper_sd = published(run, row) if with_paper else NO_PAPER
        records.append(
            Record(
                table=table,
                quantity=quantity,
                row={key: row[key] for key in by if key != "domain" or row[key]},
                method=row["method"],
                value=row["median" if shown.median else "mean"],
                sd=math.nan if shown.median else row["sd"],
                low=math.nan if shown.median else row["low"],
                high=math.nan if shown.median else row["high"],
                n=int(row["n"]),
                missing=int(row["missing"]),
                flagged=int(row["flagged"]),
                unit=shown.unit,
                paper=paper,
                paper_sd=paper_sd,
                code_hash=run.code_hash,
                seed=run.seed,
                doubtful=int(row["doubtful"]),
            )
        )
    return records


def record_of(
    run: ScoredRun,
    found: Summary,
    *,
    table: str,
    quantity: str,
    row: Mapping[str, Any],
    method: str,
    unit: str = "1",
    missing: int = 0,
    flagged: int = 0,
    doubtful: int = 0,
) -> Record:
    """A record of a number that was computed already, and that no paper has."""
    return Record(
        table=table,
        quantity=quantity,
        row=dict(row),
        method=method,
        value=found.mean,
        sd=found.sd,
        low=found.low,
        high=found.high,
        n=found.n,
        missing=missing,
        flagged=flagged,
        unit=unit,
        paper=math.nan,
        paper_sd=math.nan,
        code_hash=run.code_hash,
        seed=run.seed,
        doubtful=doubtful,
    )


def place(run: ScoredRun, row: Mapping[Hashable, Any]) -> tuple[Any, ...]:
    """Sorting key; tables of attacks go by method and mask, those of transfer and quality by mask."""
    level, value = (float(row.get(key, math.nan)) for key in ("level", "value"))
    method = _rank(row["method"], run.methods)
    return (
        _rank(row.get("source", ""), run.sources),
        method if "level" in row and "made_for" not in row else 0,
        _rank(row.get("mask", ""), run.masks),
        row.get("domain", ""),
        -1.0 if math.isnan(level) else level,
        _rank(row.get("made_for", row["method"]), run.methods),
        -1 if row.get("attack") == NO_ATTACK else _rank(row.get("attack", NO_ATTACK), run.attacks),
        -math.inf if math.isnan(value) else value,
        method,
    )


def published(run: ScoredRun, row: Mapping[Hashable, Any]) -> Paper:
    """The paper's mean and sd of α for a row: of attacks that say they compare with it, on phantoms.

    What a class says of itself decides, and no name: neither that of an attack or a mask, nor the short word
    of somebody else's class.
    """
    about, mask = run.attacks.get(row["attack"], {}), run.masks.get(row["mask"], {})
    comparable = about.get("table_1", False) and row["kind"] == about.get("kind")
    like = row["source"] in run.published_sources and not row["domain"]
    if not comparable or not like or mask.get("class") != RADIAL:
        return NO_PAPER
    return published_amplification(run.methods.get(row["method"]), mask.get("lines"), row["level"])


def _rank(name: Any, names: Sequence[str] | Mapping[str, Any]) -> int:
    """Place of a name, after all others where it is not among them."""
    known = list(names)
    return known.index(name) if name in known else len(known)

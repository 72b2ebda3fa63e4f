"""Summaries of the scores of attacks over images, and their records."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.published import published_amplification
from mrilib.metrics.statistics import Summary, summarise
from mrilib.store.records import Record

# What is reported of every perturbation, with its unit.
QUANTITIES = {
    "amplification": "1",
    "amplification_of_moduli": "1",
    "amplification_to_truth": "1",
    "severity": "image maximum",
    "severity_of_moduli": "image maximum",
    "relative_error": "1",
    "artifact_norm": "1",
}


def own_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of perturbations that were made for the method that they are given to."""
    return scores[scores["made_for"] == scores["method"]]


def summarise_scores(scores: pd.DataFrame, quantity: str, *, by: Sequence[str], seed: int) -> pd.DataFrame:
    """Mean, sd and interval of `quantity` over the images of each group, resampled by patient.

    Returns:
        One row a group: `by`, `mean`, `sd`, `low`, `high`, `n`, `missing`, `flagged` (images whose first
        search was weaker than something else).
    """
    rows = []
    for key, group in scores.groupby(list(by), sort=False):
        finite = group[np.isfinite(group[quantity])]
        summary: Summary = summarise(finite[quantity].tolist(), groups=finite["patient"].tolist(), seed=seed)
        rows.append(
            dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
            | {name: getattr(summary, name) for name in ("mean", "sd", "low", "high", "n")}
            | {"missing": len(group) - len(finite), "flagged": int((finite["weaker_than"] != "").sum())}
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Order:
    """How rows of tables are ordered, and what the paper's table has of them.

    Args:
        published: column of the paper's table for each method, in order.
        lines: lines of each radial mask, in order.
        attacks: in the order in which they are to stand; others come before.
        published_sources: sources of images like the paper's, phantoms.
    """

    published: dict[str, str | None]
    lines: dict[str, int | None]
    attacks: Sequence[str]
    published_sources: Sequence[str]

    def place(self, row: Mapping[Hashable, Any]) -> tuple[Any, ...]:
        methods, masks, attacks = list(self.published), list(self.lines), list(self.attacks)
        made_for = row.get("made_for", row["method"])
        return (
            row["source"],
            methods.index(row["method"]) if "made_for" not in row else 0,
            masks.index(row["mask"]),
            row["level"],
            methods.index(made_for),
            attacks.index(row["attack"]) if row["attack"] in attacks else -1,
            methods.index(row["method"]),
        )

    def paper(self, row: Mapping[Hashable, Any]) -> tuple[float, float]:
        """The paper's mean and sd of α for a row."""
        if row["attack"] in ("gaussian", "global") or row["source"] not in self.published_sources:
            return math.nan, math.nan
        return published_amplification(
            self.published.get(row["method"]), self.lines.get(row["mask"]), row["level"]
        )


def table_records(
    scores: pd.DataFrame, *, quantity: str, order: Order, source_hash: str, seed: int
) -> list[Record]:
    """Records of one quantity for every source, method, mask, level and attack.

    Args:
        scores: rows of `score_attacks`; those of perturbations made for other methods are left out.
        quantity: one of `QUANTITIES`.
        order: of the rows, and the paper's values.
        source_hash: hash of the code.
        seed: of the resampling.
    """
    by = ["source", "mask", "level", "attack"]
    return _records("localized", own_scores(scores), quantity, by, order, source_hash, seed)


def transfer_records(
    scores: pd.DataFrame, *, quantity: str, order: Order, source_hash: str, seed: int
) -> list[Record]:
    """Records of one quantity for every source, mask, level, attack, method that a perturbation was made for,
    and method that it was given to; arguments as those of `table_records`.

    Masks with a single method have no transfer and no record. Source: [alaifari2023], Figs. 6 and 7.
    """
    carried = scores[scores["made_for"] != scores["method"]]
    chosen = scores.merge(carried[["mask", "attack"]].drop_duplicates())
    by = ["source", "mask", "level", "attack", "made_for"]
    return _records("transfer", chosen, quantity, by, order, source_hash, seed)


def _records(
    table: str,
    scores: pd.DataFrame,
    quantity: str,
    by: list[str],
    order: Order,
    source_hash: str,
    seed: int,
) -> list[Record]:
    rows = summarise_scores(scores, quantity, by=[*by, "method"], seed=seed).to_dict("records")
    records = []
    for row in sorted(rows, key=order.place):
        with_paper = quantity == "amplification" and table == "localized"
        paper, paper_sd = order.paper(row) if with_paper else (math.nan, math.nan)
        records.append(
            Record(
                table=table,
                quantity=quantity,
                row={key: row[key] for key in by},
                method=row["method"],
                value=row["mean"],
                sd=row["sd"],
                low=row["low"],
                high=row["high"],
                n=int(row["n"]),
                missing=int(row["missing"]),
                flagged=int(row["flagged"]),
                unit=QUANTITIES[quantity],
                paper=paper,
                paper_sd=paper_sd,
                source_hash=source_hash,
                seed=seed,
            )
        )
    return records


def clean_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """One row an image and level for the clean reconstruction, as an attack named `clean`."""
    keys = ["source", "position", "patient", "method", "mask", "level"]
    clean = scores[scores["failed"] == ""].drop_duplicates(keys)[[*keys, "clean_error"]]
    clean = clean.rename(columns={"clean_error": "relative_error"})
    return clean.assign(attack="clean", failed="", weaker_than="", made_for=clean["method"])


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Score files of several jobs as one frame."""
    frame = pd.concat([pd.read_csv(path, keep_default_na=True) for path in paths], ignore_index=True)
    texts = {name: frame[name].fillna("") for name in ("failed", "weaker_than")}
    return frame.assign(**texts, patient=frame["patient"].astype(str))

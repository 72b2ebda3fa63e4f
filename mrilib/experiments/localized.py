"""Scores of stored attacks, and their summaries over images."""

import math
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mrilib.experiments.published import published_amplification
from mrilib.metrics.artifacts import amplification, severity
from mrilib.metrics.quality import relative_error
from mrilib.metrics.statistics import Summary, summarise
from mrilib.operators.base import ifft2c
from mrilib.store.arrays import group_names, read_group
from mrilib.store.records import Record

# What is reported of every perturbation, with its unit.
QUANTITIES = {
    "amplification": "1",
    "amplification_of_moduli": "1",
    "amplification_to_truth": "1",
    "severity": "image maximum",
    "relative_error": "1",
    "artifact_norm": "1",
}


def score_attacks(path: str | Path) -> list[dict[str, Any]]:
    """Score every perturbation that an attack job stored: one row each.

    With the image `x`, `ρ = rec(y + e) − rec(y)` and `r = A†e`:

    - `severity` `‖ρ‖∞`; `amplification` `‖ρ‖∞/‖r‖∞`; `amplification_of_moduli` the same with
      `|rec(y + e)| − |rec(y)|`; `amplification_to_truth` with `|rec(y + e)| − |x|`, as the reference's
      code has it;
    - `relative_error` `‖|rec(y + e)| − |x|‖/‖x‖`, and of the clean reconstruction `clean_error`;
    - `artifact_norm` `‖ρ‖₂/‖x‖₂`.

    Units that failed come with NaN and their reason in `failed`.

    Source: [alaifari2023], section 4.
    """
    root = read_group(path)
    image = torch.from_numpy(root.arrays["image"])
    identity = {key: root.attributes[key] for key in ("source", "position", "patient", "method", "mask")}
    rows = []
    for name in group_names(path):
        if not name.startswith("perturbed/"):
            continue
        unit = read_group(path, name)
        row = identity | {"attack": name.split("/")[1], "failed": unit.attributes.get("failed", "")}
        row |= {key: unit.attributes.get(key, math.nan) for key in ("level", "factor", "weight")}
        if row["failed"]:
            rows.append(row | dict.fromkeys((*QUANTITIES, "clean_error"), math.nan))
            continue
        level, factor = unit.attributes["level"], unit.attributes["factor"]
        clean = read_group(path, f"clean/{level:g}/{factor:g}", ["reconstruction"])
        perturbation = torch.from_numpy(unit.arrays["perturbation"])
        reconstruction = torch.from_numpy(unit.arrays["reconstruction"])
        before = torch.from_numpy(clean.arrays["reconstruction"])
        image_perturbation = ifft2c(perturbation)
        artifact = reconstruction - before
        row |= {
            "severity": float(severity(artifact)),
            "amplification": float(amplification(artifact, image_perturbation)),
            "amplification_of_moduli": float(
                amplification(reconstruction.abs() - before.abs(), image_perturbation)
            ),
            "amplification_to_truth": float(
                amplification(reconstruction.abs() - image.abs(), image_perturbation)
            ),
            "relative_error": float(relative_error(reconstruction, image)),
            "clean_error": float(relative_error(before, image)),
            "artifact_norm": float(artifact.norm() / image.norm()),
            "row": unit.attributes.get("row", -1),
            "column": unit.attributes.get("column", -1),
            "gap": unit.attributes.get("gap", math.nan),
            "seconds": unit.attributes.get("seconds", math.nan),
            "solver_steps": unit.attributes.get("solver_steps", math.nan),
        }
        rows.append(row)
    return rows


def summarise_scores(scores: pd.DataFrame, quantity: str, *, by: Sequence[str], seed: int) -> pd.DataFrame:
    """Mean, sd and interval of `quantity` over the images of each group, resampled by patient.

    Returns:
        One row a group: `by`, `mean`, `sd`, `low`, `high`, `n`, `missing`.
    """
    rows = []
    for key, group in scores.groupby(list(by), sort=False):
        finite = group[np.isfinite(group[quantity])]
        summary: Summary = summarise(finite[quantity].tolist(), groups=finite["patient"].tolist(), seed=seed)
        rows.append(
            dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
            | {name: getattr(summary, name) for name in ("mean", "sd", "low", "high", "n")}
            | {"missing": len(group) - len(finite)}
        )
    return pd.DataFrame(rows)


def table_records(
    scores: pd.DataFrame,
    *,
    quantity: str,
    lines: dict[str, int | None],
    published: dict[str, str | None],
    published_sources: Sequence[str],
    attacks: Sequence[str],
    source_hash: str,
    seed: int,
) -> list[Record]:
    """Records of one quantity for every source, method, mask, level and attack.

    Args:
        scores: rows of `score_attacks`.
        quantity: one of `QUANTITIES`.
        lines: lines of each radial mask.
        published: column of the paper's table for each method.
        published_sources: sources of images like the paper's, phantoms.
        attacks: in the order in which they are to stand; others come before.
        source_hash: hash of the code.
        seed: of the resampling.
    """
    by = ["source", "method", "mask", "level", "attack"]
    records = []
    order = {name: index for index, name in enumerate(attacks)}
    scores = scores.sort_values(by="attack", key=lambda names: names.map(order).fillna(-1), kind="stable")
    rows = summarise_scores(scores, quantity, by=by, seed=seed).to_dict("records")
    methods, masks = list(published), list(lines)

    def place(row: dict[Hashable, Any]) -> tuple[Any, ...]:
        return row["source"], methods.index(row["method"]), masks.index(row["mask"]), row["level"]

    for row in sorted(rows, key=place):
        paper, paper_sd = math.nan, math.nan
        localized = row["attack"] not in ("gaussian", "global")
        if quantity == "amplification" and localized and row["source"] in published_sources:
            paper, paper_sd = published_amplification(
                published.get(row["method"]), lines.get(row["mask"]), row["level"]
            )
        records.append(
            Record(
                table="localized",
                quantity=quantity,
                row={key: row[key] for key in ("source", "mask", "level", "attack")},
                method=row["method"],
                value=row["mean"],
                sd=row["sd"],
                low=row["low"],
                high=row["high"],
                n=int(row["n"]),
                missing=int(row["missing"]),
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
    return clean.rename(columns={"clean_error": "relative_error"}).assign(attack="clean", failed="")


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Score files of several jobs as one frame."""
    frame = pd.concat([pd.read_csv(path, keep_default_na=True) for path in paths], ignore_index=True)
    return frame.assign(failed=frame["failed"].fillna(""), patient=frame["patient"].astype(str))

"""Scores of stored attacks."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrilib.experiments.localized import QUANTITIES
from mrilib.metrics.artifacts import amplification, severity
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import ifft2c
from mrilib.store.arrays import Group, group_names, read_group

# What a search stores about its own effort.
EFFORT = {"row": -1, "column": -1, "gap": math.nan, "seconds": math.nan, "solver_steps": math.nan}


def score_attacks(path: str | Path, transfer: str | Path | None = None) -> list[dict[str, Any]]:
    """Score every perturbation that an attack job stored, and those made for other methods: one row each.

    With the image `x`, `ρ = rec(y + e) − rec(y)` and `r = A†e`:

    - `severity` `‖ρ‖∞`; `amplification` `‖ρ‖∞/‖r‖∞`; `…_of_moduli` the same with
      `|rec(y + e)| − |rec(y)|`; `amplification_to_truth` with `|rec(y + e)| − |x|`, as the reference's
      code has it;
    - `relative_error` `‖|rec(y + e)| − |x|‖/‖x‖`, and of the clean reconstruction `clean_error`;
    - `artifact_norm` `‖ρ‖₂/‖x‖₂`;
    - `made_for`, the method that the perturbation was made for; `weaker_than`, what was stronger than its
      first search (a spike, noise, the perturbation of another method), after which the search was
      repeated.

    Units that failed come with NaN and their reason in `failed`.

    Args:
        path: what the attack job stored.
        transfer: what the method makes of other methods' perturbations, and its own attacks as far as
            those made it repeat them: where it has a unit, that one counts.

    Source: [alaifari2023], section 4.
    """
    root = read_group(path)
    image = torch.from_numpy(root.arrays["image"])
    identity = {key: root.attributes[key] for key in ("source", "position", "patient", "method", "mask")}
    shared = [] if transfer is None else group_names(transfer)
    rows = []
    for name in group_names(path):
        if name.startswith("perturbed/"):
            unit = read_group(transfer if transfer is not None and name in shared else path, name)
            attack = name.split("/")[1]
            row = identity | {"attack": attack, "made_for": identity["method"]}
            rows.append(row | _scored(unit, unit.arrays.get("perturbation"), path, image))
    for name in shared:
        if name.startswith("carried/"):
            _, rival, attack, *_ = name.split("/")
            unit = read_group(str(transfer), name)
            row = identity | {"attack": attack, "made_for": rival}
            rows.append(row | _scored(unit, unit.arrays.get("perturbation"), path, image))
    return rows


def _scored(
    unit: Group, perturbation: np.ndarray | None, path: str | Path, image: torch.Tensor
) -> dict[str, Any]:
    """What `score_attacks` says of one unit; clean reconstructions stand in the file at `path`."""
    attributes = unit.attributes
    row: dict[str, Any] = {key: attributes.get(key, math.nan) for key in ("level", "factor", "weight")}
    row |= {key: attributes.get(key, default) for key, default in EFFORT.items()}
    row["failed"] = attributes.get("failed", "")
    row["weaker_than"] = attributes.get("weaker_than_transfer") or attributes.get("weaker_than", "")
    if row["failed"] or perturbation is None:
        return row | dict.fromkeys((*QUANTITIES, "clean_error"), math.nan)
    clean = read_group(path, f"clean/{row['level']:g}/{row['factor']:g}", ["reconstruction"])
    reconstruction = torch.from_numpy(unit.arrays["reconstruction"])
    before = torch.from_numpy(clean.arrays["reconstruction"])
    image_perturbation = ifft2c(torch.from_numpy(perturbation))
    artifact, moduli = reconstruction - before, reconstruction.abs() - before.abs()
    return row | {
        "severity": float(severity(artifact)),
        "severity_of_moduli": float(severity(moduli)),
        "amplification": float(amplification(artifact, image_perturbation)),
        "amplification_of_moduli": float(amplification(moduli, image_perturbation)),
        "amplification_to_truth": float(
            amplification(reconstruction.abs() - image.abs(), image_perturbation)
        ),
        "relative_error": float(relative_error(reconstruction, image)),
        "clean_error": float(relative_error(before, image)),
        "artifact_norm": float(artifact.norm() / image.norm()),
    }

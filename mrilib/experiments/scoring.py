"""Scores of what is stored of an image: a row for every reconstruction, clean or of perturbed data."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrilib.experiments.assessment import OURS, assess
from mrilib.experiments.columns import ABOUT, empty_row
from mrilib.experiments.scores import RECONSTRUCTION
from mrilib.experiments.stored import CLEAN, ImageResults, Perturbed, read_results
from mrilib.metrics.artifacts import amplification, severity
from mrilib.metrics.base import Metric
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import norm2
from mrilib.store.arrays import Group


def score_image(
    measurement: str | Path,
    reconstructions: str | Path,
    attacks: str | Path | None = None,
    transfer: str | Path | None = None,
    *,
    metrics: Mapping[str, Metric] | None = None,
) -> list[dict[str, Any]]:
    """Score all that a method made of one image: clean reconstructions, its own attacks, others' attacks.

    With the reference `x`, what the method returned as coils see it `rec`, `ρ = rec(y + e) − rec(y)` and
    `r = A†e` (one coil) or `Aᴴe` (several):

    - `severity` `‖ρ‖∞/max x`, on the whole grid; `amplification` `‖ρ‖∞/‖r‖∞`; `…_of_moduli` the same with
      `|rec(y + e)| − |rec(y)|`; `amplification_to_truth` with `|rec(y + e)| − |x|`, as the reference's
      code has it, in the middle that `x` shows;
    - `artifact_norm` `‖ρ‖₂/‖x‖₂`;
    - `data_residual` `‖A rec(y + e) − (y + e)‖₂/η`, of methods that return complex images: 1 where `rec`
      solves [alaifari2023], eq. (2), whose constraint allows `η` (see `ImageResults.data_residual`);
    - `gradient_evaluations` of the search, where it was counted;
    - `relative_error` `‖|rec| − |x|‖₂/‖x‖₂`; `clean_error`, that of the clean reconstruction;
    - `null_space_share` of the error `rec − x` of a clean reconstruction, of methods that return complex
      images, as the job of the reconstruction stored it;
    - `ssim`, `ssim_slice`, `psnr`, `nmse` as `assess`, and every further metric under its name.

    On several coils a method that does not see its data through `Aᴴy` has no amplification: `r` may vanish
    while the method responds. Nor has another fit to the clean data, without a perturbation. Cells are empty.

    Other columns: `kind`, `reconstruction` for clean data and else that of the attack; `made_for`, the method
    that the perturbation was made for; `tuned`, the level that the parameter was tuned for, or `clean`;
    `weaker_than`, what was stronger than the attack's first search (a spike or noise), and
    `weaker_than_transfer`, the method whose perturbation was, after which the search was repeated; `failed`,
    why there is no number; `accuracy`, what of the artifact's largest pixel may be the solver's own, in units
    of the image's maximum (`mrilib.attacks.accuracy`); `fit_to_fit`, of methods with a seed instead, what
    another fit to the clean data changes in its largest pixel; `perturbation_norm` `‖e‖₂/‖y‖₂`;
    `reference_norm` `‖x‖₂` in the units that all slices of a volume share, the scanner's.

    Args:
        measurement: file of the measurement.
        reconstructions: file of the method's clean reconstructions.
        attacks: file of the method's attacks.
        transfer: file of what the method makes of other methods' perturbations.
        metrics: metrics beside ours, by the names of their columns.

    Returns:
        Rows with `COLUMNS` and a number for each of `metrics`; none where the set has no image at this
        position.

    Source: [alaifari2023], section 4.
    """
    found = read_results(measurement, reconstructions, attacks, transfer)
    if found is None:
        return []
    every = {**OURS, **(metrics or {})}
    shared = empty_row() | dict.fromkeys(metrics or {}, math.nan)
    shared |= {key: found.root[key] for key in ABOUT if key in found.root}
    shared["reference_norm"] = float(norm2(found.measurement.reference)) * found.measurement.scale
    clean = {tuned: _of_clean(found, tuned, every) for tuned in found.tunings}
    errors = {tuned: row.get("relative_error", math.nan) for tuned, row in clean.items()}
    rows = [shared | row for row in clean.values()]
    return rows + [shared | _of_perturbed(found, each, errors, every) for each in found.perturbations()]


def _of_clean(found: ImageResults, tuned: str, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    unit = found.clean(tuned)
    about = unit.attributes
    row = {
        "kind": RECONSTRUCTION,
        "tuned": tuned,
        "level": about.get("level", math.nan if tuned == CLEAN else float(tuned)),
        "factor": about.get("factor", 1.0),
        "solver_steps": about.get("steps", math.nan),
        "failed": about.get("failed", ""),
    }
    row |= {key: about.get(key, math.nan) for key in ("weight", "gap", "seconds")}
    row |= _quality(found, unit, row, metrics)
    if not row["failed"] and found.is_complex:
        row["null_space_share"] = about.get("null_space_share", math.nan)
    return row


def _of_perturbed(
    found: ImageResults, perturbed: Perturbed, errors: dict[str, float], metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    unit, about = perturbed.unit, perturbed.unit.attributes
    row: dict[str, Any] = {"attack": perturbed.attack, "made_for": perturbed.made_for}
    row |= {
        key: about.get(key, "") for key in ("kind", "region", "artifact", "relative_to", "tuned", "varied")
    }
    numbers = ("level", "factor", "value", "weight", "gap", "seconds", "solver_steps", "gradient_evaluations")
    row |= {key: about.get(key, math.nan) for key in numbers}
    row |= {key: about.get(key, -1) for key in ("row", "column")}
    row |= {key: about.get(key, "") for key in ("weaker_than", "weaker_than_transfer")}
    row["failed"] = perturbed.failed
    before = found.clean_before(perturbed)
    if not row["failed"] and "failed" in before.attributes:
        row["failed"] = f"clean reconstruction failed: {before.attributes['failed']}"
    row |= _quality(found, unit, row, metrics)
    if row["failed"]:
        return row
    reference = found.measurement.reference
    peak = float(reference.abs().max())
    norm = found.operator.kspace_norm
    perturbation = torch.from_numpy(unit.arrays["perturbation"])
    artifact, moduli = found.artifact(unit, before)
    row |= {
        "severity": float(severity(artifact)) / peak,
        "severity_of_moduli": float(severity(moduli)) / peak,
        "accuracy": about.get("accuracy", math.nan) / peak,
        "fit_to_fit": about.get("fit_to_fit", math.nan) / peak,
        "perturbation_norm": float(norm(perturbation) / norm(found.measurement.kspace)),
        "artifact_norm": float(artifact.norm() / reference.norm()),
        "data_residual": found.data_residual(perturbed) if found.is_complex else math.nan,
        # Of the tuned weight it is known; the weight study has others.
        "clean_error": errors[about["tuned"]] if about["factor"] == 1.0 else _error(found, before),
    }
    if not found.has_amplification or not bool(perturbation.any()):
        return row
    picture = found.picture(perturbed)
    reconstruction = found.measurement.compared(torch.from_numpy(unit.arrays["reconstruction"]))
    return row | {
        "amplification": float(amplification(artifact, picture)),
        "amplification_of_moduli": float(amplification(moduli, picture)),
        "amplification_to_truth": float(severity(reconstruction.abs() - reference.abs()) / severity(picture)),
    }


def _quality(
    found: ImageResults, unit: Group, row: dict[str, Any], metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    """Quality of a reconstruction; `failed` where it has no finite one."""
    if row["failed"]:
        return {}
    if not np.isfinite(unit.arrays["reconstruction"]).all():
        return {"failed": "the reconstruction is not finite"}
    scores = assess(
        unit.arrays["reconstruction"],
        found.measurement.reference.numpy(),
        maximum=found.measurement.maximum,
        metrics=metrics,
    )
    return scores | {"relative_error": _error(found, unit)}


def _error(found: ImageResults, unit: Group) -> float:
    image = found.measurement.compared(torch.from_numpy(unit.arrays["reconstruction"]))
    return float(relative_error(image, found.measurement.reference))

"""Score files: read with text as text, chosen from, and summarised over images."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.metrics.quantities import AMPLIFICATIONS
from mrilib.metrics.statistics import summarise

# Kind of the rows of clean data; those of perturbed data have the kind of their attack.
RECONSTRUCTION = "reconstruction"
NAMES = (
    *("source", "mask", "method", "domain", "volume", "patient", "anatomy", "kind", "attack"),
    *("region", "artifact", "made_for", "tuned", "failed", "weaker_than"),
)
FLAGS = ("simulated", "through_adjoint")
COUNTS = ("position", "coils", "row", "column")
NUMBERS = (
    *("slice", "acceleration", "level", "factor", "weight", "gap", "seconds", "solver_steps"),
    *("severity", "severity_of_moduli", "amplification", "amplification_of_moduli"),
    *("amplification_to_truth", "relative_error", "clean_error", "artifact_norm"),
    *("ssim", "ssim_slice", "psnr", "nmse"),
)
COLUMNS = (
    *("source", "mask", "method", "domain", "position", "volume", "slice", "patient", "anatomy"),
    *("simulated", "acceleration", "coils", "through_adjoint", "kind", "attack", "region", "artifact"),
    *("made_for", "level", "tuned", "factor", "weight", "row", "column", "failed", "weaker_than"),
    *("gap", "seconds", "solver_steps", "severity", "severity_of_moduli"),
    *("amplification", "amplification_of_moduli", "amplification_to_truth", "relative_error"),
    *("clean_error", "artifact_norm", "ssim", "ssim_slice", "psnr", "nmse"),
)
# What tells one row of a clean reconstruction from another.
IMAGE = ["source", "mask", "method", "domain", "position", "tuned"]


def scores_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `score_image` as the text of a score file; without rows the header alone."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS)).to_csv(index=False)


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Score files of several jobs as one frame; names stay text, a patient `0012` too.

    Raises:
        ValueError: if a file is no score file; says which columns it lacks.
    """
    frames = [_read(path) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else _typed(pd.DataFrame(columns=list(COLUMNS)))


def _read(path: str | Path) -> pd.DataFrame:
    texts = dict.fromkeys(NAMES, str)
    blank = {key: [""] for key in NUMBERS}
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=blank)
    if absent := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"{path}: expected a score file, got none of the columns {absent}; score again")
    return _typed(frame)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    types: dict[str, Any] = dict.fromkeys(NAMES, object) | dict.fromkeys(FLAGS, bool)
    return frame.astype(types | dict.fromkeys(COUNTS, int) | dict.fromkeys(NUMBERS, float))


def with_usual_domains(
    scores: pd.DataFrame, usual: Mapping[str, Mapping[str, str]] | None = None
) -> pd.DataFrame:
    """The scores with an empty `domain` where a method was tuned and trained on the usual one.

    Args:
        scores: of `read_scores`.
        usual: source to mask to the domain that the config gives them; `source@mask` where it has none.
    """
    pairs = zip(scores["source"], scores["mask"], strict=True)
    expected = [(usual or {}).get(source, {}).get(mask, f"{source}@{mask}") for source, mask in pairs]
    return scores.assign(domain=np.where(scores["domain"] == expected, "", scores["domain"]))


def own_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Perturbations that were made for the method that they are given to, at its tuned parameter."""
    perturbed = (scores["kind"] != RECONSTRUCTION) & (scores["factor"] == 1.0)
    return scores[perturbed & (scores["made_for"] == scores["method"])]


def reconstructions(scores: pd.DataFrame) -> pd.DataFrame:
    """Clean reconstructions at the tuned parameter."""
    return scores[(scores["kind"] == RECONSTRUCTION) & (scores["factor"] == 1.0)]


def lowest_tuned(scores: pd.DataFrame) -> pd.DataFrame:
    """One clean reconstruction an image: that tuned on clean data, or else for the lowest level."""
    clean = reconstructions(scores)
    keys = [name for name in IMAGE if name != "tuned"]
    lowest = clean["level"].fillna(0.0).groupby([clean[key] for key in keys]).transform("min")
    return clean[clean["level"].fillna(0.0) == lowest]


def clean_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Clean reconstructions that perturbations started from: one row an image and level of an attack.

    Those of methods that nothing attacks on a source and mask have the level that they were tuned for.
    """
    clean, own = reconstructions(scores), own_scores(scores)
    levels = own[[*IMAGE, "level"]].drop_duplicates()
    started = levels.merge(clean.drop(columns="level"), on=IMAGE)
    place = IMAGE[:4]
    attacked = pd.MultiIndex.from_frame(own[place].drop_duplicates())
    rest = clean[~pd.MultiIndex.from_frame(clean[place]).isin(attacked)]
    return pd.concat([started[clean.columns], rest], ignore_index=True)


def valued(scores: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The scores with `value`, NaN where there is none, `missing`, and a `patient` in every row.

    A value is missing if its unit failed or if it is not finite. An amplification is not missing where a
    method has none: on several coils, unless it sees its data through `Aᴴy`. Where no patient is known the
    volume stands for it.
    """
    value = scores[quantity].astype(float)
    usable = (scores["failed"] == "") & np.isfinite(value)
    applies = pd.Series(True, index=scores.index)
    if quantity in AMPLIFICATIONS:
        applies = (scores["coils"] == 0) | scores["through_adjoint"]
    return scores.assign(
        value=value.where(usable & applies),
        missing=applies & ~usable,
        patient=scores["patient"].where(scores["patient"] != "", scores["volume"]),
    )


def summarise_scores(scores: pd.DataFrame, quantity: str, *, by: Sequence[str], seed: int) -> pd.DataFrame:
    """Mean, sd and interval of `quantity` over the images of each group, resampled by patient.

    Returns:
        One row a group: `by`, `mean`, `median`, `sd`, `low`, `high`, `n`, `missing`, `flagged` (images whose
        first search was weaker than something else).
    """
    columns = [*by, "mean", "sd", "low", "high", "n", "median", "missing", "flagged"]
    rows = []
    for key, group in valued(scores, quantity).groupby(list(by), sort=False, dropna=False):
        told = group[group["value"].notna()]
        found = summarise(told["value"].tolist(), groups=told["patient"].tolist(), seed=seed)
        rows.append(
            dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
            | {name: getattr(found, name) for name in ("mean", "sd", "low", "high", "n")}
            | {"median": float(told["value"].median()), "missing": int(group["missing"].sum())}
            | {"flagged": int((told["weaker_than"] != "").sum())}
        )
    return pd.DataFrame(rows, columns=columns)

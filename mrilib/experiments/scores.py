"""Score files: read with text as text, chosen from, and summarised over images."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.columns import COLUMNS, KINDS, NO_ATTACK
from mrilib.metrics.quantities import QUANTITIES
from mrilib.metrics.statistics import summarise
from mrilib.store.tables import empty_table, read_table

# Kind of the rows of clean data; those of perturbed data have the kind of their attack, which a stranger may
# have called so as well. What tells them apart is that clean data has no attack.
RECONSTRUCTION = "reconstruction"
# An artifact below so many times the accuracy of its method may be the solver's own. Our choice.
STANDS_OUT = 10.0
# What tells one row of a clean reconstruction from another.
IMAGE = ["source", "mask", "method", "domain", "position", "tuned"]


def scores_csv(rows: Sequence[Mapping[str, Any]], metrics: Iterable[str] = ()) -> str:
    """Rows of `score_image` as the text of a score file; without rows the header alone.

    Args:
        rows: with `COLUMNS`, and a number for each further metric.
        metrics: names of the metrics beside ours, whose columns come last.
    """
    return pd.DataFrame(list(rows), columns=[*COLUMNS, *metrics]).to_csv(index=False)


def read_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Score files of several jobs as one frame; names stay text, a patient `0012` too.

    Columns beside `COLUMNS` are numbers, those of further metrics; they are NaN in the rows of files that do
    not have them.

    Raises:
        ValueError: if a file is no score file; says which columns it lacks, or which one holds no numbers.
    """
    frames = [_read(path) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(KINDS)


def _read(path: str | Path) -> pd.DataFrame:
    frame = read_table(path, KINDS, others="number")
    if absent := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"{path}: expected a score file, got none of the columns {absent}; score again")
    return frame


def with_usual_domains(
    scores: pd.DataFrame, usual: Mapping[str, Mapping[str, str]] | None = None
) -> pd.DataFrame:
    """The scores with an empty `domain` where a method was tuned and trained on the usual one.

    Args:
        scores: of `read_scores`.
        usual: source to mask to the domain that the config gives them; `source@mask` where it has none.
    """
    pairs = zip(scores["source"], scores["mask"], strict=True)
    expected = [usual_domain(usual or {}, source, mask) for source, mask in pairs]
    return scores.assign(domain=np.where(scores["domain"] == expected, "", scores["domain"]))


def usual_domain(usual: Mapping[str, Mapping[str, str]], source: str, mask: str) -> str:
    """The domain that the config gives a source under a mask; `source@mask` where it has none."""
    return usual.get(source, {}).get(mask, f"{source}@{mask}")


def check_once(scores: pd.DataFrame, keys: Sequence[str], where: str, *, what: str = "an image") -> None:
    """Raise `ValueError`, in the name of `where`, if two rows agree in all keys."""
    twice = scores.duplicated(list(keys))
    if twice.any():
        first = scores.loc[twice, list(keys)].iloc[0].to_dict()
        raise ValueError(f"{where}: expected one row {what}, got several of {first}; drop all but one")


def own_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Perturbations that were made for the method that they are given to, at its tuned parameter.

    Those of an attack of which something is varied are left out: see `varied_scores`.
    """
    perturbed = ordinary(scores)
    chosen = (perturbed["factor"] == 1.0) & (perturbed["made_for"] == perturbed["method"])
    return perturbed[chosen]


def ordinary(scores: pd.DataFrame) -> pd.DataFrame:
    """Perturbations of all attacks but those of which something is varied."""
    return scores[(scores["attack"] != NO_ATTACK) & (scores["varied"] == "")]


def varied_scores(scores: pd.DataFrame, attacks: Iterable[str]) -> pd.DataFrame:
    """Perturbations of attacks of which something is varied, made for the method that they are given to.

    The column `varied` says what, `factor` for multiples of the tuned parameter, and `value` its value.
    """
    perturbed = scores[(scores["attack"] != NO_ATTACK) & (scores["varied"] != "")]
    chosen = perturbed["attack"].isin(list(attacks)) & (perturbed["made_for"] == perturbed["method"])
    return perturbed[chosen]


def reconstructions(scores: pd.DataFrame) -> pd.DataFrame:
    """Clean reconstructions at the tuned parameter."""
    tuned = (scores["factor"] == 1.0) & (scores["varied"] == "")
    return scores[(scores["attack"] == NO_ATTACK) & tuned]


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
    """The scores with `number`, NaN where there is none, `missing`, and a `patient` in every row.

    A number is missing if its unit failed or if it is not finite. It is not missing where a method has none:
    an amplification on several coils, unless the method sees its data through `Aᴴy`, or where nothing was
    perturbed (`mrilib.attacks.kinds.refit`), and what needs a phase of methods that return magnitudes. Where
    no patient is known the volume stands for it.
    """
    number = scores[quantity].astype(float)
    usable = (scores["failed"] == "") & np.isfinite(number)
    applies = pd.Series(True, index=scores.index)
    if quantity in QUANTITIES and QUANTITIES[quantity].relative_to_perturbation:
        applies = ((scores["coils"] == 0) | scores["through_adjoint"]) & (scores["perturbation_norm"] != 0)
    if quantity in QUANTITIES and QUANTITIES[quantity].of_complex_images:
        applies = scores["output"] != "magnitude"
    return scores.assign(
        number=number.where(usable & applies),
        missing=applies & ~usable,
        patient=scores["patient"].where(scores["patient"] != "", scores["volume"]),
    )


def doubtful(scores: pd.DataFrame, quantity: str) -> pd.Series:
    """Which rows' artifact is not well above what its method is accurate to: `‖ρ‖∞ < 10·accuracy`.

    What is made of such an artifact may be rounding, or where a solver happened to stop. `accuracy` is that
    of `mrilib.attacks.accuracy`; where it is not known nothing is doubted. Of methods with a seed
    `‖ρ‖∞ ≤ fit_to_fit` is doubted: another fit to the clean data changes as much. One fit measures that, and
    what it changes is no bound that lags, so that no factor is on it. Quantities that are not made of the
    artifact are not doubted (`size` of `Quantity`).
    """
    size = QUANTITIES[quantity].size if quantity in QUANTITIES else ""
    if not size:
        return pd.Series(False, index=scores.index)
    return (scores[size] < STANDS_OUT * scores["accuracy"]) | (scores[size] <= scores["fit_to_fit"])


def summarise_scores(scores: pd.DataFrame, quantity: str, *, by: Sequence[str], seed: int) -> pd.DataFrame:
    """Mean, sd and interval of `quantity` over the images of each group, resampled by patient.

    Returns:
        One row a group: `by`, `mean`, `median`, `sd`, `low`, `high`, `n`, `missing`, `flagged` (images whose
        first search was weaker than something else), `doubtful` (images whose artifact may be rounding).
    """
    columns = [*by, "mean", "sd", "low", "high", "n", "median", "missing", "flagged", "doubtful"]
    rows = []
    scores = scores.assign(doubtful=doubtful(scores, quantity))
    for key, group in valued(scores, quantity).groupby(list(by), sort=False, dropna=False):
        told = group[group["number"].notna()]
        found = summarise(told["number"].tolist(), groups=told["patient"].tolist(), seed=seed)
        rows.append(
            dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
            | {name: getattr(found, name) for name in ("mean", "sd", "low", "high", "n")}
            | {"median": float(told["number"].median()), "missing": int(group["missing"].sum())}
            | {"flagged": int(((told["weaker_than"] != "") | (told["weaker_than_transfer"] != "")).sum())}
            | {"doubtful": int(told["doubtful"].sum())}
        )
    return pd.DataFrame(rows, columns=columns)

"""Data of the curve figures, from scores, records and tunings. Levels and errors in per cent."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mrilib.experiments.scores import clean_scores, own_scores, summarise_scores
from mrilib.experiments.stored import CLEAN
from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.metrics.statistics import summarise
from mrilib.store.records import Record

Spikes = Mapping[tuple[str, str], float]


def level_curves(
    scores: pd.DataFrame,
    quantity: str = "relative_error",
    *,
    attacks: Iterable[str] | None = None,
    seed: int,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> pd.DataFrame:
    """A quantity against level for every source, method, mask and attack.

    Clean reconstructions, which quantities of reconstructions have as well, have no attack. Scores of methods
    that were tuned elsewhere than usual are left out: see `with_usual_domains`.

    Args:
        scores: of `read_scores`.
        quantity: one of `quantities`.
        attacks: those to show; by default all.
        seed: of the resampling.
        quantities: how numbers are shown.
    """
    usual = scores[scores["domain"] == ""]
    own, clean = own_scores(usual), clean_scores(usual)
    own = own if attacks is None else own[own["attack"].isin(list(attacks))]
    shown = [own] if quantities[quantity].of == "perturbation" else [clean, own]
    by = ["source", "method", "mask", "kind", "attack", "level"]
    frame = summarise_scores(pd.concat(shown, ignore_index=True), quantity, by=by, seed=seed)
    frame[["mean", "low", "high"]] *= quantities[quantity].scale
    frame["level"] *= 100.0
    # Methods that nothing attacks have no level.
    return frame.assign(level=frame["level"].fillna(0.0))


def spikes_of(scores: pd.DataFrame) -> dict[tuple[str, str], float]:
    """`n²/m`, the amplification of a spike, by source and mask; of a single coil only.

    Masks that are drawn anew for every image have the mean of theirs.
    """
    single = scores[scores["coils"] == 0]
    means = single.groupby(["source", "mask"], sort=False)["acceleration"].agg(["min", "max", "mean"])
    # All alike: the mean of equal numbers would round.
    return {
        (str(source), str(mask)): float(low if low == high else mean)
        for (source, mask), low, high, mean in means.itertuples(name=None)
    }


def amplification_curves(records: Sequence[Record], *, attack: str | None, spikes: Spikes) -> pd.DataFrame:
    """Mean α of one attack against level, with the paper's values, the spike's `n²/m`, and what is doubtful.

    Methods without amplification, and those that were tuned elsewhere than usual, are left out. A run whose
    attacks all vary something has no attack to show (`None`): then there is no row.
    """
    rows = [
        {
            "method": record.method,
            **{key: record.row[key] for key in ("mask", "source")},
            "level": 100.0 * float(record.row["level"]),
            "mean": record.value,
            "low": record.low,
            "high": record.high,
            "n": record.n,
            "paper_mean": record.paper,
            "paper_sd": record.paper_sd,
            "spike": spikes.get((str(record.row["source"]), str(record.row["mask"])), math.nan),
            "doubtful": record.doubtful,
        }
        for record in records
        if record.row["attack"] == attack and "domain" not in record.row and record.n + record.missing
    ]
    columns = ["method", "mask", "source", "level", "mean", "low", "high", "n", "paper_mean", "paper_sd"]
    return pd.DataFrame(rows, columns=[*columns, "spike", "doubtful"])


def weight_choice(tunings: Mapping[str, Mapping[str, Any]], *, seed: int) -> pd.DataFrame:
    """Mean error over the weights that were tried, for every mask and level; clean data has level 0."""
    rows = []
    for mask, tuning in tunings.items():
        for level, found in tuning["tuned"].items():
            for weight, errors in zip(found["weights"], found["errors"], strict=True):
                summary = summarise(errors, seed=seed)
                rows.append(
                    {"mask": mask, "level": 0.0 if level == CLEAN else 100.0 * float(level), "weight": weight}
                    | {key: 100.0 * getattr(summary, key) for key in ("mean", "low", "high")}
                    | {"chosen": weight == found["chosen"]}
                )
    return pd.DataFrame(rows, columns=["mask", "level", "weight", "mean", "low", "high", "chosen"])


def transfer_matrix(
    records: Sequence[Record],
    *,
    source: str,
    mask: str,
    attack: str,
    quantities: Mapping[str, Quantity] = QUANTITIES,
) -> pd.DataFrame:
    """Means of a quantity by the method a perturbation was made for and the one it was given to.

    Levels and relative errors are in per cent. `doubtful` counts the images whose artifact may be rounding.
    """
    wanted = {"source": source, "mask": mask, "attack": attack}
    rows = []
    for record in records:
        if "domain" in record.row or {key: record.row[key] for key in wanted} != wanted:
            continue
        scale = quantities[record.quantity].scale
        rows.append(
            {
                "made_for": record.row["made_for"],
                "reconstructed_by": record.method,
                "level": 100.0 * float(record.row["level"]),
                "mean": scale * record.value,
                "low": scale * record.low,
                "high": scale * record.high,
                "n": record.n,
                "doubtful": record.doubtful,
            }
        )
    columns = ["made_for", "reconstructed_by", "level", "mean", "low", "high", "n", "doubtful"]
    return pd.DataFrame(rows, columns=columns)

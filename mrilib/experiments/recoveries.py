"""What experiments on exact recovery share: their entries, thresholds with intervals, and labels."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mrilib.experiments.base import ScoredRun
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary, percentile_interval

# Fewer than of other means: thresholds are whole numbers, whose quantiles take few values.
RESAMPLES = 1999
CASE = ["entry", "sparsity", "size"]
QUANTITIES = {
    "recovered_half": Quantity("m_½: frequencies from which half are recovered", decimals=0),
    "refuted_half": Quantity("m up to which half are refuted", decimals=0),
    "recovered_95": Quantity("m at which 95 % are recovered", decimals=0),
    "x_recovered_half": Quantity("m at which half of x alone are recovered", decimals=0),
    "amplification": Quantity("α = ‖ρ‖∞/‖r‖∞"),
    "amplification_l2": Quantity("‖ρ‖₂/‖r‖₂"),
    "ratio": Quantity("m_½/(s ln n)", decimals=3),
    "ratio_95": Quantity("m_95/(s ln n)", decimals=3),
    "change": Quantity("change of m_½/(s ln n) a doubling of n, %", percent=True, decimals=1),
    "change_95": Quantity("change of m_95/(s ln n) a doubling of n, %", percent=True, decimals=1),
    "constant": Quantity("C: largest m_95/(s ln n ln 20)", decimals=3),
    "least": Quantity("least α that the shape allows; of a spike n/m, n²/m"),
    "share": Quantity("α/(n/m)", decimals=3),
    "spike_amplification": Quantity("α of the closed-form spike"),
    "severity": Quantity("severity of the attack", decimals=3),
    "distance": Quantity("relative distance to x", decimals=5),
    "artifact_distance": Quantity("relative distance to x + δ", decimals=5),
    "gap": Quantity("largest relative gap", decimals=6),
    "flatness": Quantity("√m·‖e‖∞/‖e‖₂"),
    "probability_x": Quantity("x recovered", decimals=2),
    "probability": Quantity("x and x + ρ recovered", decimals=2),
}
UNDECIDED = (
    "†k: for k draws some set of frequencies just below the threshold stayed undecided: neither proved nor "
    "refuted. Their thresholds are upper bounds; everything from them on is proved."
)


def chosen(run: ScoredRun, entries: Sequence[str], where: str) -> pd.DataFrame:
    """Recoveries of these entries, in order.

    Raises:
        ValueError: if one of them has none.
    """
    known = list(dict.fromkeys(run.recoveries["entry"]))
    if absent := [name for name in entries if name not in known]:
        raise ValueError(f"{where}: expected entries of the theory {known}, got {absent}; run them first")
    return run.recoveries[run.recoveries["entry"].isin(entries)].reset_index(drop=True)


def cases(frame: pd.DataFrame) -> list[tuple[str, int, int, pd.DataFrame]]:
    """Entry, sparsity, size and draws of every case, in the order of the entries."""
    found = frame[CASE].drop_duplicates().to_dict("records")
    return [
        (
            str(case["entry"]),
            int(case["sparsity"]),
            int(case["size"]),
            frame[(frame[CASE] == pd.Series(case)[CASE]).all(axis=1)],
        )
        for case in found
    ]


def labels(run: ScoredRun, entries: Sequence[str]) -> dict[str, str]:
    """What tables and figures call the entries."""
    return {name: run.theory.get(name, {}).get("label") or name for name in entries}


def open_draws(run: ScoredRun, entry: str, frame: pd.DataFrame) -> int:
    """Draws whose threshold is proved from above alone: the next smaller set is not refuted."""
    step = 2 if run.theory.get(entry, {}).get("sampling") == "centre" else 1
    return int((frame["recovered"] - frame["refuted"] > step).sum())


def quantile(values: Float[np.ndarray, "draws"], share: float) -> float:
    """The least threshold at which this share of the draws is recovered."""
    # Rounding of the product must not ask for a draw more.
    place = max(0, math.ceil(share * values.size - 1e-9) - 1)
    return float(np.partition(values, place)[place])


def resampled(
    samples: Sequence[Float[np.ndarray, "draws"]],
    number: Callable[[Sequence[np.ndarray]], float],
    seed: int,
) -> Summary:
    """A number of several samples with its 95 % bootstrap interval: the draws of each are resampled."""
    generator = np.random.default_rng(seed)
    drawn = np.array(
        [
            number([one[generator.integers(one.size, size=one.size)] for one in samples])
            for _ in range(RESAMPLES)
        ]
    )
    low, high = percentile_interval(drawn)
    return Summary(number(samples), np.nan, low, high, int(sum(one.size for one in samples)))


def row_of(sparsity: int, size: int | str, **more: str) -> dict[str, str | int | float]:
    """The row of a record: sparsity, size, and more."""
    return {"s": str(sparsity), "size": str(size), **more}

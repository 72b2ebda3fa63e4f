"""Slices that are hard for methods which are not under test, and others that are not, of the same SNR."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mrilib.data.catalogue import signal_to_noise

# What tells a slice from every other one.
SLICE = ["dataset", "volume", "slice"]


def hardest_slices(
    pool: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    by: Sequence[str],
    higher_is_better: bool,
    count: int,
    fewer: bool = False,
) -> tuple[pd.DataFrame, list[str]]:
    """Choose the slices of a pool that some methods reconstruct worst.

    The `difficulty` of a slice is the mean over the methods of `by` of one measure of quality. The worst come
    first, and of equal ones that which stands first in the pool. At most half of the slices that can be
    judged are taken, so that each may have a control: see `matched_control`.

    Args:
        pool: a set of slices, as `select_slices` gives it.
        scores: columns `position`, of a slice in the pool, `method` and `number`, the measure of the method's
            clean reconstruction; one row a slice and method at most. What is not finite is missing.
        by: the methods. They should be none of those that are tested.
        higher_is_better: whether the measure is high for good reconstructions, such as SSIM.
        count: number of slices.
        fewer: take half of the slices where that is less than `count`.

    Returns:
        Rows of the pool in order, with their `position` from 0 and `difficulty`, and one line for each slice
        that is left out because a method has no number of it.

    Raises:
        ValueError: if half of the slices that can be judged are fewer than `count`, or none.

    Source: [darestani2021], Figs. 14 and 15; rule and count are not published. Our choice: the mean over
    several methods that are not under test, for the failures of one are its own.
    """
    methods = list(by)
    judging = scores[scores["method"].isin(methods)]
    table = judging.pivot(index="position", columns="method", values="number")
    numbers = table.reindex(index=pool["position"], columns=methods).to_numpy(dtype=float)
    finite = np.isfinite(numbers)
    left_out = []
    for row, known in zip(pool.to_dict("records"), finite, strict=True):
        if silent := [method for method, has in zip(methods, known, strict=True) if not has]:
            left_out.append(
                f"{row['volume']}, slice {row['slice']}: left out, no number of {', '.join(silent)}"
            )
    usable = finite.all(axis=1)
    most = int(usable.sum()) // 2
    if most == 0 or (count > most and not fewer):
        raise ValueError(
            f"hardest_slices: expected {count} slices, at most half of those that {' and '.join(by)} "
            f"reconstructed, found {usable.sum()} such slices of {len(pool)} in the pool; enlarge it, "
            "lower the count, or allow fewer"
        )
    judged = pool.assign(difficulty=numbers.mean(axis=1))[usable]
    worst = judged.sort_values("difficulty", ascending=higher_is_better, kind="stable")
    return _numbered(worst.iloc[: min(count, most)]), left_out


def matched_control(pool: pd.DataFrame, hard: pd.DataFrame, *, count: int) -> tuple[pd.DataFrame, pd.Series]:
    """Choose for each hard slice another one of the pool, which is not hard, of the same anatomy and SNR.

    With the SNR `s`, `signal_to_noise` of the catalogue's row, the
    control slices `c` of the hard slices `h` are those that minimise `Σ |log s_c − log s_h|`, each taken
    once. A slice whose noise is not known has no SNR, and its control has none either.

    Args:
        pool: the set that the hard slices were chosen from. Slices that no method could judge belong to it.
        hard: slices of the pool, as `hardest_slices` gives them.
        count: of the first hard slices, to be matched; all of them where there are fewer.

    Returns:
        Rows of the pool in the order of the hard slices, with their `position` from 0, and
        `|log s_c − log s_h|` of each, NaN without an SNR.

    Raises:
        ValueError: if hard slices are not in the pool, or if it has too few others of an anatomy, with an SNR
            or without.

    Source: [darestani2021], Figs. 14 and 15; no rule is published. Our choice: one to one, within an anatomy,
    and by logarithms, for a ratio of two means the same at any SNR.
    """
    from scipy.optimize import linear_sum_assignment

    slices, taken = pd.MultiIndex.from_frame(pool[SLICE]), pd.MultiIndex.from_frame(hard[SLICE])
    if absent := int((~taken.isin(slices)).sum()):
        raise ValueError(
            f"matched_control: expected hard slices of this pool, found {absent} of {len(hard)} that are not "
            "in it; choose them anew"
        )
    others, wanted = pool[~slices.isin(taken)], hard.iloc[:count]
    log_others, log_wanted = _log_snr(others), _log_snr(wanted)
    matches = np.empty(len(wanted), dtype=int)
    for anatomy, known in dict.fromkeys(zip(wanted["anatomy"], np.isfinite(log_wanted), strict=True)):
        rows, candidates = (
            np.flatnonzero((frame["anatomy"] == anatomy).to_numpy() & (np.isfinite(logs) == known))
            for frame, logs in ((wanted, log_wanted), (others, log_others))
        )
        if len(candidates) < len(rows):
            raise ValueError(
                f"matched_control: expected {len(rows)} slices that are not hard, of the anatomy {anatomy!r} "
                f"and of {'known' if known else 'unknown'} noise, found {len(candidates)} in the pool; "
                "enlarge it, or lower the count"
            )
        distances = np.abs(log_wanted[rows, None] - log_others[None, candidates])
        found, chosen = linear_sum_assignment(np.nan_to_num(distances))
        matches[rows[found]] = candidates[chosen]
    distances = pd.Series(np.abs(log_others[matches] - log_wanted), name="distance")
    return _numbered(others.iloc[matches]), distances


def _log_snr(slices: pd.DataFrame) -> np.ndarray:
    """Logarithm of the SNR of each slice; NaN where it has none."""
    return np.log([signal_to_noise(row) for row in slices.to_dict("records")])


def _numbered(slices: pd.DataFrame) -> pd.DataFrame:
    """The slices in this order, with positions from 0."""
    return slices.assign(position=np.arange(len(slices))).reset_index(drop=True)

"""The same methods under two conditions: means, differences, and what resampling patients makes of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.conditions import (
    IMAGE,
    Conditioned,
    Given,
    conditioned,
    drawn_means,
    resampled_patients,
)
from mrilib.metrics.statistics import Summary, percentile_interval

DRAWS = 1999


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods that have values under both conditions.

    Args:
        before, after: the conditions. Where both are of one source under one mask, a method's image counts
            in both or in none.
        methods: in the order of the run.
        pinned: those whose reconstructions are the very same under both: the images are, and the method is
            neither tuned nor trained.
        seed: of the resampling.
    """

    before: Conditioned
    after: Conditioned
    methods: Sequence[str]
    pinned: Sequence[str]
    seed: int

    @cached_property
    def drawn(self) -> tuple[Float[np.ndarray, "draws methods"], Float[np.ndarray, "draws methods"]]:
        """Means of every method before and after, of patients drawn with replacement, alike for all."""
        sides = (self.before, self.after)
        names, weights = resampled_patients(*[side.patients for side in sides], draws=DRAWS, seed=self.seed)
        first, second = (drawn_means(side.scores, self.methods, names, weights) for side in sides)
        return first, second

    @property
    def means(self) -> tuple[Float[np.ndarray, "methods"], Float[np.ndarray, "methods"]]:
        """Of all images, before and after."""
        first, second = (
            side.scores.groupby("method")["number"].mean().reindex(list(self.methods)).to_numpy(dtype=float)
            for side in (self.before, self.after)
        )
        return first, second

    @property
    def resampled(self) -> bool:
        """Whether there are two patients or more under both conditions, so that intervals say something."""
        return all(len(side.patients) > 1 for side in (self.before, self.after))

    def missing(self, method: str) -> int:
        """Images of either condition that count for the method in neither, since it failed on them."""
        return self.before.missing(method) + self.after.missing(method)

    def change(self, method: str) -> Summary:
        """`y − x` of a method, with the interval of the same patients before and after."""
        index = list(self.methods).index(method)
        (x, y), (first, second) = self.means, self.drawn
        return self.told(y[index] - x[index], second[:, index] - first[:, index], method)

    def told(self, value: float, drawn: Float[np.ndarray, "draws"], *methods: str) -> Summary:
        """A number with its percentile interval; `n` are the images after the shift, the most of a method."""
        low, high = self.interval(drawn)
        counts = self.after.scores[self.after.scores["number"].notna()].groupby("method").size()
        n = max((int(counts.get(name, 0)) for name in methods), default=0)
        return Summary(float(value), math.nan, low, high, n)

    def interval(self, drawn: Float[np.ndarray, "draws"]) -> tuple[float, float]:
        """95 % percentile interval of a number that was computed of every draw; NaN where there is none."""
        return percentile_interval(drawn) if self.resampled else (math.nan, math.nan)

    @property
    def heads(self) -> tuple[str, str]:
        """What the two conditions are called; without a mask that both have."""
        sides = (self.before, self.after)
        if self.common_mask:
            return sides[0].without_mask, sides[1].without_mask
        return sides[0].label, sides[1].label

    @property
    def common_mask(self) -> str:
        """What the mask is called that both conditions have; else empty."""
        same = self.before.condition.mask == self.after.condition.mask
        return self.before.mask_label if same else ""

    @property
    def counted(self) -> str:
        """How many images and patients there are, for notes and titles."""
        texts = []
        for side in (self.before, self.after):
            images = len(side.scores[IMAGE].drop_duplicates())
            patients = len(side.patients)
            texts.append(f"{images} image{'s' * (images != 1)} of {patients} patient{'s' * (patients != 1)}")
        return texts[0] if texts[0] == texts[1] else " and ".join(texts)


def compared(
    run: ScoredRun, before: Given, after: Given, quantity: str, where: str, *, least_snr: float | None = None
) -> Comparison:
    """Compare all methods that have values under both conditions.

    Args:
        run: with its scores.
        before, after: the conditions.
        quantity: of reconstructions.
        where: who asks, for messages.
        least_snr: leave out images whose reference has less signal to noise (`snr` of the scores), and those
            of which that is not known.

    Raises:
        ValueError: as `conditioned`, and if there is no such method.
    """
    sides = [conditioned(run, given, quantity, where) for given in (before, after)]
    if least_snr is not None:
        sides = [replace(side, scores=side.scores[side.scores["snr"] >= least_snr]) for side in sides]
    first, second = (side.condition for side in sides)
    same = (first.source, first.mask) == (second.source, second.mask)
    if same:
        sides = _paired(sides)
    told = [set(_told(side.scores)["method"]) for side in sides]
    methods = [name for name in sides[0].methods if name in told[0] & told[1]]
    if not methods:
        raise ValueError(
            f"{where}: expected methods with {quantity} under both {sides[0].label} and {sides[1].label}, "
            "got none"
        )
    sides = [replace(side, scores=side.scores[side.scores["method"].isin(methods)]) for side in sides]
    pinned = [name for name in methods if same and name not in run.adapted]
    return Comparison(sides[0], sides[1], methods, pinned, run.seed)


def _told(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["number"].notna()]


def _paired(sides: list[Conditioned]) -> list[Conditioned]:
    """Both with the values alone that the method has in both; the others become missing."""
    keys = [pd.MultiIndex.from_frame(_told(side.scores)[["method", *IMAGE]]) for side in sides]
    both = keys[0].intersection(keys[1])
    found = []
    for side in sides:
        here = pd.MultiIndex.from_frame(side.scores[["method", *IMAGE]]).isin(both)
        found.append(replace(side, scores=side.scores.assign(number=side.scores["number"].where(here))))
    return found

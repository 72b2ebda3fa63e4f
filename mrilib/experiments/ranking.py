"""Whether the ranking of methods survives a shift from one condition to another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.conditions import (
    IMAGE,
    Condition,
    Conditioned,
    Given,
    condition_of,
    conditioned,
    patient_sums,
    resampled_patients,
)
from mrilib.experiments.records import record_of
from mrilib.metrics.ranking import PairedMeans, kendall_tau, open_ranks, paired_means, tau_interval
from mrilib.metrics.statistics import EQUAL, Summary
from mrilib.store.records import Record

TAU, DIFFERENCE, ALL = "kendall_tau", "paired_difference", "all"
VALUE, RANK, BEST, WORST = "value", "rank", "best_rank", "worst_rank"
ENDS = ("before", "after")
DRAWS = 999
RULE = (
    "Two methods are tied in a condition if the 95 % interval of their mean paired difference, over the "
    "images on which both have a value, covers 0 or cannot be had: cluster-robust t interval over patients. "
    "A rank such as 2–4 says which ranks ties leave open. Methods stand in the order of their means before. "
    "τ is 1 if both conditions order every pair of methods alike, −1 if every pair is reversed. A pair that "
    "is tied in one condition alone brings τ nearer to 0, so that τ and its interval may lie below the τ of "
    "the orders that more images would show."
)


@dataclass(frozen=True)
class Standing:
    """How a method stands under a condition.

    Args:
        mean: over its images.
        missing: images that it failed on.
        rank: of the mean, 1 the best.
        best: rank that ties leave open.
        worst: the other end of these.
    """

    mean: Summary
    missing: int
    rank: int
    best: int
    worst: int

    @property
    def numbers(self) -> dict[str, Summary]:
        """All of them, by what records call them."""
        ranks = {RANK: self.rank, BEST: self.best, WORST: self.worst}
        n = self.mean.n
        bare = {name: Summary(float(rank), math.nan, math.nan, math.nan, n) for name, rank in ranks.items()}
        return {VALUE: self.mean, **bare}


@dataclass(frozen=True, eq=False)
class Side:
    """The compared methods under one condition.

    Args:
        about: the condition.
        methods: in the order of the run.
        values: of every image and method, NaN where there is none.
        tried: whether a method was given an image.
        patients: of the images.
    """

    about: Conditioned
    methods: Sequence[str]
    values: Float[np.ndarray, "images methods"]
    tried: Bool[np.ndarray, "images methods"]
    patients: Sequence[str]

    @cached_property
    def counted(self) -> Bool[np.ndarray, "images"]:
        """Images on which two methods at least have a value, so that they compare some."""
        found: np.ndarray = np.isfinite(self.values).sum(axis=1) >= 2
        return found

    @cached_property
    def compared_patients(self) -> list[str]:
        """Patients of these images."""
        pairs = zip(self.patients, self.counted, strict=True)
        return list(dict.fromkeys(patient for patient, counted in pairs if counted))

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.methods)), 2))

    @cached_property
    def differences(self) -> Float[np.ndarray, "images pairs"]:
        """First less second method of every pair, NaN where one has no value."""
        first, second = ([pair[end] for pair in self.pairs] for end in (0, 1))
        return self.values[:, first] - self.values[:, second]

    def means(self, weights: Float[np.ndarray, "draws patients"]) -> PairedMeans:
        """Paired differences where `compared_patients` are drawn with these weights."""
        names = [str(index) for index in range(len(self.pairs))]
        frame = pd.DataFrame(self.differences, columns=names).assign(patient=list(self.patients))
        long = frame.melt("patient", var_name="method", value_name="number")
        return paired_means(*patient_sums(long, names, self.compared_patients), weights)

    @cached_property
    def estimate(self) -> PairedMeans:
        return self.means(np.ones((1, len(self.compared_patients))))

    def standings(self, higher_is_better: bool, seed: int) -> list[Standing]:
        """How every method stands, with intervals of means that are resampled with this seed."""
        means = [self.about.summary(method, seed) for method in self.methods]
        ranks = pd.Series([each.mean for each in means]).rank(method="min", ascending=not higher_is_better)
        signs = np.zeros((len(means), len(means)))
        signs[np.triu_indices(len(means), 1)] = self.estimate.signs[0] * (1.0 if higher_is_better else -1.0)
        missing = self.about.scores.groupby("method")["missing"].sum()
        return [
            Standing(mean, int(missing[method]), int(rank), *ends)
            for method, mean, rank, ends in zip(
                self.methods, means, ranks, open_ranks(signs - signs.T), strict=True
            )
        ]


class Ranking(Experiment):
    """Does the ranking of methods survive a shift?

    Methods are compared that have values in both conditions, within each condition on the images that both
    methods of a pair have. Differences are tied or decided by `mrilib.metrics.ranking.paired_means`.

    - `value_before`, `value_after`: mean over the images of each method.
    - `rank_before`, `rank_after`: rank of that mean, 1 the best. `best_rank_…` and `worst_rank_…`: ranks that
      ties leave open.
    - `paired_difference` in each condition: `method` less `than`, with the interval that decides.
    - `kendall_tau`, one record of the method `all`: τ-b of the decided differences before and after, with a
      percentile interval over 999 resamples of the patients, in which patients of both conditions are drawn
      alike. There is no interval with fewer than two patients in either. There is no number, and `n` is 0, if
      one of the conditions ties all methods. Otherwise `n` is the number of images before. τ and its interval
      are about what is decided by this many images: a pair that is tied in one condition alone brings τ
      nearer to 0, and with methods close to each other there are such pairs although both orders are one.

    Args:
        before: condition before the shift.
        after: condition after it.
        quantity: of reconstructions.

    Raises:
        ValueError: if the run has no reconstruction under a condition, or no such quantity.

    Source: our choice.
    """

    word: ClassVar[str] = "ranking"
    title: ClassVar[str] = "Ranking of methods"
    table: ClassVar[str] = "mrilib.report.tables_ranking:ranking_table"

    def __init__(self, *, before: Given, after: Given, quantity: str = "ssim") -> None:
        self.before, self.after, self.quantity = condition_of(before), condition_of(after), quantity

    @property
    def conditions(self) -> Mapping[str, Condition]:
        return {"before": self.before, "after": self.after}

    def records(self, run: ScoredRun) -> list[Record]:
        shown = run.quantity(self.quantity, self.word)
        before, after = self._conditioned(run)
        methods = _compared(before, after)
        if not methods:
            return []
        row = {"measure": self.quantity, **before.row(), **after.row("_after")}
        sides = [_side(each, methods) for each in (before, after)]
        standings = [side.standings(shown.higher_is_better, run.seed) for side in sides]

        def record(quantity: str, method: str, summary: Summary, missing: int, **more: str) -> Record:
            return record_of(
                run,
                summary,
                table=self.word,
                quantity=quantity,
                row={**row, **more},
                method=method,
                unit=shown.unit if quantity.startswith((VALUE, DIFFERENCE)) else "1",
                missing=missing,
            )

        found: list[Record] = []
        for index in sorted(range(len(methods)), key=lambda index: standings[0][index].rank):
            for end, each in zip(ENDS, standings, strict=True):
                for name, summary in each[index].numbers.items():
                    found.append(record(f"{name}_{end}", methods[index], summary, each[index].missing))
        for end, side in zip(ENDS, sides, strict=True):
            for first, second, difference, missing in _paired(side):
                found.append(record(DIFFERENCE, first, difference, missing, condition=end, than=second))
        incomparable = int((~sides[0].counted).sum())
        return [*found, record(TAU, ALL, _tau(*sides, seed=run.seed), incomparable)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        shown = run.quantity(self.quantity, self.word)
        before, after = self._conditioned(run)
        simulated = any(each.scores["simulated"].any() for each in (before, after))
        heading = f"{self.title} by {shown.heading}{' (simulated data)' if simulated else ''}"
        return super().table_arguments(run) | {
            "title": f"{heading}, before: {before.label}; after: {after.label}",
            "note": _note(run, before, after),
            "quantities": {**run.quantities, **{f"{VALUE}_{end}": shown for end in ENDS}},
        }

    def _conditioned(self, run: ScoredRun) -> tuple[Conditioned, Conditioned]:
        before, after = (
            conditioned(run, each, self.quantity, self.word) for each in (self.before, self.after)
        )
        return before, after


def _compared(before: Conditioned, after: Conditioned) -> list[str]:
    """Methods that have a value in both conditions, in the order of the run."""
    first, second = (
        set(each.scores.loc[each.scores["number"].notna(), "method"]) for each in (before, after)
    )
    return [name for name in before.methods if name in first & second]


def _side(each: Conditioned, methods: Sequence[str]) -> Side:
    scores = each.scores[each.scores["method"].isin(list(methods))]
    scores = scores.assign(image=scores.groupby(IMAGE, sort=False, dropna=False).ngroup(), tried=1.0)
    values, tried = (
        scores.pivot(index="image", columns="method", values=name).reindex(columns=list(methods))
        for name in ("number", "tried")
    )
    patients = scores.drop_duplicates("image").set_index("image")["patient"].reindex(values.index)
    return Side(
        each, methods, values.to_numpy(dtype=float), tried.notna().to_numpy(dtype=bool), patients.tolist()
    )


def _paired(side: Side) -> Iterator[tuple[str, str, Summary, int]]:
    """Both methods of every pair, their mean difference, and how many of their images miss a value."""
    means = side.estimate
    for index, (first, second) in enumerate(side.pairs):
        differences = side.differences[:, index]
        told = differences[np.isfinite(differences)]
        mean, half = float(means.mean[0, index]), float(means.half[0, index])
        # An interval of equal differences has no length.
        half = half if half > EQUAL * abs(mean) else math.nan
        sd = float(told.std(ddof=1)) if len(told) > 1 else math.nan
        tried = int((side.tried[:, first] | side.tried[:, second]).sum())
        summary = Summary(mean, sd, mean - half, mean + half, len(told))
        yield side.methods[first], side.methods[second], summary, tried - len(told)


def _tau(before: Side, after: Side, *, seed: int) -> Summary:
    """τ of two conditions, with its interval over patients, resampled jointly; `n` are the images before."""
    tau = float(kendall_tau(before.estimate.signs, after.estimate.signs)[0])
    if not math.isfinite(tau):
        return Summary(math.nan, math.nan, math.nan, math.nan, 0)
    low = high = math.nan
    first, second = before.compared_patients, after.compared_patients
    if min(len(first), len(second)) >= 2:
        names, weights = resampled_patients(first, second, draws=DRAWS, seed=seed)
        columns = {name: index for index, name in enumerate(names)}
        one = before.means(weights[:, [columns[name] for name in first]])
        other = after.means(weights[:, [columns[name] for name in second]])
        low, high = tau_interval(kendall_tau(one.signs, other.signs))
    return Summary(tau, math.nan, low, high, int(before.counted.sum()))


def _note(run: ScoredRun, before: Conditioned, after: Conditioned) -> str:
    """What is said of the conditions below the table."""
    methods = _compared(before, after)
    told = [RULE]
    for end, each in zip(ENDS, (before, after), strict=True):
        side = _side(each, methods)
        patients = len(side.compared_patients)
        told.append(f"{end}: {side.counted.sum()} images of {patients} patient{'s' * (patients != 1)}.")
        if patients < 2:
            told.append(f"With fewer than two patients {end} the sign of the mean decides, not an interval.")
    if left_out := dict.fromkeys(name for name in (*before.methods, *after.methods) if name not in methods):
        names = ", ".join(run.labels.get(name, name) for name in left_out)
        told.append(f"Left out, for they have no value in one of the two conditions: {names}.")
    return " ".join(told)

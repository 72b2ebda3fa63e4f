"""Two statements on amplification as hypotheses: it does not depend on the level, and it equals n²/m."""

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import place, record_of
from mrilib.experiments.scores import doubtful, own_scores, valued
from mrilib.metrics.paired import friedman_permutation, log_slopes
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary, summarise
from mrilib.store.records import Record

ALPHA = "amplification"
SLOPE, P_VALUE, RATIO = "level_slope", "level_p", "spike_ratio"
OWN = {
    SLOPE: Quantity("Slope of log α over log level", decimals=3),
    P_VALUE: Quantity("p of no dependence on the level", decimals=4),
    RATIO: Quantity("α/(n²/m)", decimals=3),
}
ROW = ["source", "mask", "kind", "attack"]


@dataclass(frozen=True)
class Group:
    """The images of a method on a source under a mask.

    Args:
        row: who they are, with `method`.
        alphas: `(images, levels)`, of images that have a positive one at every level.
        levels: relative.
        patients: of the images.
        spikes: `n²/m` of the images; NaN on several coils.
        missing: images without a number at some level.
        flagged: images in `alphas` whose first search was weaker than something else at some level.
        doubted: images in `alphas` whose artifact may be rounding at some level.
    """

    row: Mapping[Hashable, Any]
    alphas: np.ndarray
    levels: np.ndarray
    patients: list[str]
    spikes: np.ndarray
    missing: int
    flagged: int
    doubted: int


class AmplificationHypotheses(Experiment):
    """Does `α` depend on the level, and is it the spike's? For every source, mask and method.

    Images count that have `α > 0` at every level; they are paired by image, and dependent within a patient.

    - `level_slope`: slope of `log α` over `log level` of every image, mean over images with its 95 %
      bootstrap interval, resampled by patient. 0 where `α` does not depend on the level.
    - `level_p`: p of Friedman's statistic over the levels, of means of `log α` over a patient's images, by
      permutations within patients (`mrilib.metrics.paired`). It sees dependence of any shape.
    - `spike_ratio`: `α/(n²/m)`, mean over levels and then over images with its interval, and at each level
      alone. 1 where `α` is that of the spike. Of a single coil only.

    None is corrected for the number of rows.

    Args:
        attack: name of an attack, which does not vary anything.

    Source: the remarks on Table 1 in [alaifari2023], section 4, as hypotheses; the tests are our choice.
    """

    word: ClassVar[str] = "amplification-hypotheses"
    title: ClassVar[str] = "Amplification: does it depend on the level, and is it n²/m?"
    names_attacks: ClassVar[tuple[str, ...]] = ("attack",)
    table: ClassVar[str] = "mrilib.report.tables_hypotheses:hypotheses_table"

    def __init__(self, *, attack: str) -> None:
        self.attack = attack

    def records(self, run: ScoredRun) -> list[Record]:
        if self.attack not in run.attacks:
            raise ValueError(f"{self.word}: expected an attack of {list(run.attacks)}, got {self.attack!r}")
        return [record for group in self._groups(run) for record in self._tested(run, group)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        shown = {"quantities": {**run.quantities, **OWN}, "mask_labels": run.mask_labels}
        return super().table_arguments(run) | shown

    def _groups(self, run: ScoredRun) -> Iterator[Group]:
        own = own_scores(run.scores)
        own = own[(own["domain"] == "") & (own["attack"] == self.attack)]
        scores = valued(own.assign(doubted=doubtful(own, ALPHA)), ALPHA)
        # A method that has no amplification misses none.
        scores = scores[scores["number"].notna() | scores["missing"]]
        rows = scores[[*ROW, "method"]].drop_duplicates().to_dict("records")
        # By method and then by mask, as tables of attacks.
        for row in sorted(rows, key=lambda each: place(run, {**each, "level": math.nan})):
            yield _group(row, scores.merge(pd.DataFrame([row])))

    def _tested(self, run: ScoredRun, group: Group) -> Iterator[Record]:
        def record(quantity: str, found: Summary, **more: float) -> Record:
            return record_of(
                run,
                found,
                table=self.word,
                quantity=quantity,
                row={key: group.row[key] for key in ROW} | more,
                method=group.row["method"],
                missing=group.missing,
                flagged=group.flagged,
                doubtful=group.doubted,
            )

        def summary(values: np.ndarray) -> Summary:
            return summarise(values.tolist(), groups=group.patients, seed=run.seed)

        if len(group.levels) > 1:
            slopes = log_slopes(group.levels, group.alphas)
            yield record(SLOPE, summary(slopes))
            if len(set(group.patients)) > 1:
                logs = pd.DataFrame(np.log(group.alphas)).groupby(group.patients).mean()
                p = friedman_permutation(logs.to_numpy(), seed=run.seed)
                yield record(P_VALUE, Summary(p, math.nan, math.nan, math.nan, len(group.alphas)))
        ratios = group.alphas / group.spikes[:, None]
        if len(ratios) and np.isfinite(ratios).all():
            yield record(RATIO, summary(ratios.mean(axis=1)))
            for level, column in zip(group.levels, ratios.T, strict=True):
                yield record(RATIO, summary(column), level=float(level))


def _group(row: Mapping[Hashable, Any], scores: pd.DataFrame) -> Group:
    """Images of one method, source and mask that have a number at every level."""
    wide = scores.pivot(index="position", columns="level", values="number")
    complete = wide[(np.isfinite(wide) & (wide > 0)).all(axis=1)]
    inside = scores[scores["position"].isin(complete.index)]
    first = inside.drop_duplicates("position").set_index("position").loc[complete.index]
    weaker = (inside["weaker_than"] != "") | (inside["weaker_than_transfer"] != "")
    return Group(
        row=row,
        alphas=complete.to_numpy(dtype=float),
        levels=complete.columns.to_numpy(dtype=float),
        patients=first["patient"].tolist(),
        spikes=np.where(first["coils"] == 0, first["acceleration"].astype(float), math.nan),
        missing=len(wide) - len(complete),
        flagged=int(inside.loc[weaker, "position"].nunique()),
        doubted=int(inside.loc[inside["doubted"], "position"].nunique()),
    )

"""The study of effort: how strong the attack on each method becomes the longer its search is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import records_of
from mrilib.experiments.studies import studied, study_records, told_apart
from mrilib.metrics.quantities import Quantity
from mrilib.store.records import Record

EVALUATIONS = "gradient_evaluations"
SHARE, GAIN, ENOUGH = "share_of_largest", "doubling_gain", "enough"
# What the study reports beside the numbers of the scores.
OWN = {
    SHARE: Quantity("Share of what the largest effort reaches", decimals=3),
    GAIN: Quantity("What a doubling of the effort adds, %", percent=True, decimals=1),
    ENOUGH: Quantity("Effort after which a doubling adds less than 1 %", decimals=0),
}
# A doubling that adds less is not worth its work.
LEAST_GAIN = 0.01
PLACE = ["source", "mask", "level", "kind", "attack", "varied", "method"]
IMAGE = [*PLACE, "position"]
PANEL = ["source", "mask", "level"]


class EffortStudy(Experiment):
    """What an attack reaches against the effort of its search, for every method.

    The effort is what the attack varies, such as `steps`; beside it stand the gradient evaluations that the
    search counted. For the effort `v`, the one `u < v` before it and a number `q` of an image under a method:

    - `share_of_largest` `q(v)/q(v_max)`;
    - `doubling_gain` `(q(v)/q(u))^(1/log₂(v/u)) − 1`, what a doubling adds;
    - `enough`, the smallest `v` from which on every later doubling adds less than 1 % on average over the
      images; no record where there is none.

    Every effort has starts of its own, so that a larger one may end lower.

    Args:
        attack: name of an attack that varies its effort.
        quantity: of perturbations: by default `severity`. A global attack maximises `artifact_norm`.

    Source: our choice; attacks that stop too early make methods look robust.
    """

    word: ClassVar[str] = "effort-study"
    title: ClassVar[str] = "Attack by the effort of its search"
    names_attacks: ClassVar[tuple[str, ...]] = ("attack",)
    names_varied: ClassVar[tuple[str, ...]] = ("attack",)
    table: ClassVar[str] = "mrilib.report.tables_effort:effort_table"
    figure: ClassVar[str | None] = "mrilib.report.figures_searches:effort_study"

    def __init__(self, *, attack: str, quantity: str = "severity") -> None:
        self.attack, self.quantity = attack, quantity

    def records(self, run: ScoredRun) -> list[Record]:
        run = replace(run, quantities={**run.quantities, **OWN})
        scores = self._scores(run)
        found = study_records(run, scores, (self.quantity, EVALUATIONS, SHARE), self.word)
        later = scores[scores["value"] > scores.groupby(IMAGE)["value"].transform("min")]
        return [*found, *study_records(run, later, (GAIN,), self.word), *self._sufficient(run, scores)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return super().table_arguments(run) | {
            "quantity": self.quantity,
            "quantities": {**run.quantities, **OWN},
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """One row an image, method and effort.

        `panel` is what tells source, mask and level apart; `evaluations` are a mean over images; `enough`
        says at which effort a doubling adds too little.
        """
        scores = self._scores(run)
        _, panels = told_apart(run, scores, PANEL)
        chosen = [_key(each.row, each.method, each.value) for each in records if each.quantity == ENOUGH]
        keys = (_key(row, row["method"], row["value"]) for row in scores.to_dict("records"))
        frame = scores.assign(
            panel=panels,
            evaluations=scores.groupby([*PLACE, "value"])[EVALUATIONS].transform("mean"),
            enough=[key in chosen for key in keys],
        )
        return frame[["panel", "method", "source", "position", "value", "evaluations", SHARE, "enough"]]

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        heading, _ = told_apart(run, self._scores(run), PANEL)
        return {
            "methods": list(run.methods),
            "labels": run.labels,
            "title": ", ".join(
                filter(None, [run.quantity(self.quantity, self.word).title, f"attack {self.attack}", heading])
            ),
        }

    def _scores(self, run: ScoredRun) -> pd.DataFrame:
        """Rows of the attack with `share_of_largest` and `doubling_gain`, NaN where there is none."""
        if run.quantity(self.quantity, self.word).of != "perturbation":
            raise ValueError(
                f"{self.word}: expected a quantity of perturbations, such as severity, got {self.quantity!r}"
            )
        scores = studied(run, [self.attack], self.word).sort_values([*IMAGE, "value"], kind="stable")
        if (scores["varied"] == "factor").any():
            raise ValueError(
                f"{self.word}: expected an attack that varies its effort, such as its steps, and "
                f"{self.attack!r} varies the method's parameter; give it vary: {{steps: [...]}}"
            )
        scores = scores.reset_index(drop=True)
        groups = scores.groupby(IMAGE, sort=False)
        reached = scores[self.quantity].astype(float)
        before, effort = groups[self.quantity].shift().astype(float), groups["value"].shift()
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = (reached / before) ** (1.0 / np.log2(scores["value"] / effort)) - 1.0
        # The last row and not the last number: what failed at the largest effort has no share.
        largest = groups[self.quantity].transform(lambda values: values.iloc[-1])
        return scores.assign(**{SHARE: reached / largest, GAIN: gain})

    def _sufficient(self, run: ScoredRun, scores: pd.DataFrame) -> list[Record]:
        """The effort of each method that is enough, where there is one."""
        found = []
        usable = scores.assign(**{ENOUGH: math.nan})
        for _, group in scores[scores["failed"] == ""].groupby(PLACE, sort=False):
            gains = group.groupby("value")[GAIN].mean().iloc[1:]
            too_little = (gains < LEAST_GAIN).to_numpy()
            # of the last steps, those that all add too little
            steps = int(too_little[::-1].cumprod().sum())
            if steps:
                efforts = sorted(set(group["value"]))
                usable.loc[group.index, ENOUGH] = efforts[-steps - 1]
        told = usable[usable[ENOUGH].notna()].drop_duplicates(IMAGE)
        by = [name for name in PLACE if name != "method"]
        # One number for all images: it has no spread.
        for record in records_of(run, told, ENOUGH, by=by, table=self.word):
            found.append(replace(record, sd=math.nan, low=math.nan, high=math.nan))
        return found


def _key(row: Mapping[Any, Any], method: str, value: float) -> tuple[Any, ...]:
    return (*(row[name] for name in PLACE if name != "method"), method, value)

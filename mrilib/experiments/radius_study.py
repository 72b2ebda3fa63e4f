"""The study of the radius: a localized attack between its limits, on one pixel and on the whole image."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import records_of
from mrilib.experiments.scores import own_scores
from mrilib.experiments.studies import places_of, studied, study_records, told_apart
from mrilib.store.records import Record

SHOWN = ("severity", "amplification", "artifact_norm")
PLACE = ["method", "mask", "source", "level", "position"]


class RadiusStudy(Experiment):
    """Severity, amplification and norm of the artifact against what is varied of an attack.

    Args:
        attack: name of a varied attack, whose disk has several radii.
        limits: names of ordinary attacks to hold it against, such as one on a pixel and a global one. They
            count where the varied attack has a row: on its images, at its levels.

    Source: the remark on the radius in [alaifari2023], section 4.
    """

    word: ClassVar[str] = "radius-study"
    title: ClassVar[str] = "Localized attack by the radius of its disk"
    names_attacks: ClassVar[tuple[str, ...]] = ("attack", "limits")
    names_varied: ClassVar[tuple[str, ...]] = ("attack",)
    figure: ClassVar[str | None] = "mrilib.report.figures_studies:radius_study"

    def __init__(self, *, attack: str, limits: Sequence[str] = ()) -> None:
        self.attack, self.limits = attack, list(limits)

    def records(self, run: ScoredRun) -> list[Record]:
        varied, limits = self._scores(run)
        by = ["source", "mask", "level", "kind", "attack"]
        beside = [
            record
            for quantity in SHOWN
            for record in records_of(run, limits, quantity, by=by, table=self.word)
        ]
        return [*study_records(run, varied, SHOWN, self.word), *beside]

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """One row an image and value: `series`, `source`, `position`, `limit`, `value`, and the quantities.

        `limit` is the name of the limit, whose rows have no value; it is empty for the varied attack.
        """
        varied, limits = self._scores(run)
        both = pd.concat([varied.assign(limit=""), limits.assign(limit=limits["attack"])])
        both = both.reset_index(drop=True)
        _, names = told_apart(run, both, PLACE[:-1])
        series = names.where(names != "", both["source"])
        return both.assign(series=series)[["series", "source", "position", "limit", "value", *SHOWN]]

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        varied, _ = self._scores(run)
        heading, _ = told_apart(run, varied, PLACE[:-1])
        return {
            "varied": next(iter(varied["varied"]), ""),
            "attacks": run.attacks,
            "title": ", ".join(filter(None, [heading, places_of(run, [self.attack])])),
        }

    def _scores(self, run: ScoredRun) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of the varied attack, and those of its limits at the same places."""
        varied = studied(run, [self.attack], self.word)
        # That they are known is checked; ordinary attacks have no varied rows.
        studied(run, self.limits, self.word)
        own = own_scores(run.scores)
        own = own[(own["domain"] == "") & own["attack"].isin(self.limits)]
        limits = own.merge(varied[PLACE].drop_duplicates())
        # In the order in which the entry names them.
        return varied, limits.sort_values(
            "attack", kind="stable", key=lambda names: names.map(self.limits.index)
        )

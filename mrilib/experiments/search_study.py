"""The study of a search's argument: what an attack does on validation images, by the argument's value."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.columns import empty_row
from mrilib.experiments.records import place, record_of, records_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.statistics import Summary
from mrilib.store.records import Record

SHOWN = ("severity", "artifact_norm")
CHOSEN = "chosen"
PLACE = ("source", "mask", "level", "kind", "attack", "varied")
NOTE = (
    "Mean ± sd over validation images [95 % bootstrap interval of the mean; none for fewer than two "
    "patients]; n images. Missing: the attack failed, such as by numbers that are not finite. Chosen is the "
    "value with the largest mean of what the attack maximises (of a whole image the artifact's norm, at a "
    "place severity), of those with which no attack failed. Test images have no part "
    "in it."
)


class SearchStudy(Experiment):
    """Severity and norm of the artifact against an argument of the search, on validation images.

    The value that was chosen for every method, source and mask is a record as well (`chosen`); where with
    every value some attack failed there is none, and its images are missing.

    Args:
        attack: name of an attack that tunes an argument of its search.

    Source: [darestani2021] says that larger `β` gives larger perturbations.
    """

    word: ClassVar[str] = "search-study"
    title: ClassVar[str] = "Attacks on validation images by an argument of the search"
    names_attacks: ClassVar[tuple[str, ...]] = ("attack",)
    names_tuned: ClassVar[tuple[str, ...]] = ("attack",)
    figure: ClassVar[str | None] = "mrilib.report.figures_searches:search_study"

    def __init__(self, *, attack: str) -> None:
        self.attack = attack

    def records(self, run: ScoredRun) -> list[Record]:
        scores = self._scores(run)
        tried = [
            record
            for quantity in SHOWN
            for record in records_of(run, scores, quantity, by=[*PLACE, "value"], table=self.word)
        ]
        return [*tried, *(self._chosen(run, each) for each in self._tunings(run))]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        shown = {CHOSEN: Quantity("value chosen", decimals=4)}
        return super().table_arguments(run) | {"quantities": dict(run.quantities) | shown, "note": NOTE}

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """One row a method, image and value: `place`, `method`, `position`, `value`, `reached`, `chosen`.

        A place is a source and a mask; `reached` is what the attack maximises, and `chosen` says whether it
        is the value that was chosen.
        """
        scores = self._scores(run)
        masks = scores["mask"].map(lambda mask: run.mask_labels.get(mask, mask))
        reached = scores[self._maximised(run)]
        frame = scores.assign(place=scores["source"] + ", " + masks, reached=reached)
        return frame[["place", "method", "position", "value", "reached", CHOSEN]]

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        found = self._tunings(run)
        levels = {f"level {100 * each['level']:g} %" for each in found}
        search = str(run.specs.get(self.attack, {}).get("search_label") or "")
        return {
            "parameter": next((str(each["parameter"]) for each in found), ""),
            "reached": run.quantity(self._maximised(run), self.word).axis,
            "methods": list(run.methods),
            "labels": run.labels,
            "title": ", ".join(filter(None, [search, *sorted(levels), "validation images"])),
        }

    def _tunings(self, run: ScoredRun) -> list[Mapping[str, Any]]:
        found = [each for each in run.searches if each["name"] == self.attack]
        return sorted(found, key=lambda each: place(run, _identity(each) | {"method": each["method"]}))

    def _maximised(self, run: ScoredRun) -> str:
        """The quantity by which the value was chosen: of one attack it is always the same."""
        return next((str(each["maximised"]) for each in self._tunings(run)), SHOWN[0])

    def _scores(self, run: ScoredRun) -> pd.DataFrame:
        """What was tried, as rows of scores."""
        rows = [
            empty_row()
            | _identity(tuning)
            | {"method": tuning["method"], "made_for": tuning["method"], "factor": 1.0}
            | {CHOSEN: row["value"] == tuning["chosen"], "failed": ""}
            | row
            for tuning in self._tunings(run)
            for row in tuning["rows"]
        ]
        return pd.DataFrame(rows, columns=[*empty_row(), CHOSEN])

    def _chosen(self, run: ScoredRun, tuning: Mapping[str, Any]) -> Record:
        images = len({row["position"] for row in tuning["rows"]})
        none = tuning["chosen"] is None
        value = math.nan if none else tuning["chosen"]
        return record_of(
            run,
            Summary(value, math.nan, math.nan, math.nan, 0 if none else images),
            table=self.word,
            quantity=CHOSEN,
            row={key: value for key, value in _identity(tuning).items() if key in PLACE},
            method=tuning["method"],
            missing=images if none else 0,
        )


def _identity(tuning: Mapping[str, Any]) -> dict[str, Any]:
    """Whose an attack on validation images is, as scores have it; the domain is the usual one."""
    found = {key: tuning[key] for key in ("source", "mask", "level", "kind")}
    return found | {"attack": tuning["name"], "varied": tuning["parameter"], "domain": ""}

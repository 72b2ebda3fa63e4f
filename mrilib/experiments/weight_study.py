"""The study of the weight: attacks on a method at multiples of its tuned parameter, by several searches."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import Field

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.curves import spikes_of
from mrilib.experiments.studies import places_of, studied, study_records, told_apart
from mrilib.store.records import Record

SHOWN = ("severity", "amplification", "amplification_to_truth")
VARIED = "factor"


class WeightStudy(Experiment):
    """Severity and amplification against the weight over the tuned one, for several searches.

    Args:
        attacks: names of attacks that are varied by `factor`. Each is called as its search; where two have
            one search, or the methods or masks are several, these are named as well.

    Source: our choice; it asks how far Table 1 of [alaifari2023] depends on its unpublished weights.
    """

    word: ClassVar[str] = "weight-study"
    title: ClassVar[str] = "Attacks by the weight over the tuned one"
    names_attacks: ClassVar[tuple[str, ...]] = ("attacks",)
    names_varied: ClassVar[tuple[str, ...]] = ("attacks",)
    figure: ClassVar[str | None] = "mrilib.report.figures_studies:weight_study"

    def __init__(self, *, attacks: Annotated[Sequence[str], Field(min_length=1)]) -> None:
        self.attacks = list(attacks)

    def records(self, run: ScoredRun) -> list[Record]:
        return study_records(run, self._scores(run), SHOWN, self.word)

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """One row an image, level and factor: `search` is what each line is called, `level` in per cent."""
        chosen = self._scores(run)
        _, names = told_apart(run, chosen, ["method", "mask"])
        searches = chosen["attack"].map(self._searches(run))
        search = names.where(names == "", names + ": ") + searches
        frame = chosen.assign(search=search, level=100.0 * chosen["level"])
        return frame[["level", "factor", "weight", "search", "source", "position", *SHOWN]]

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        chosen = self._scores(run)
        heading, _ = told_apart(run, chosen, ["method", "mask", "source"])
        spikes = set(spikes_of(chosen).values())
        return {
            "spike": spikes.pop() if len(spikes) == 1 else None,
            "title": ", ".join(filter(None, [heading, places_of(run, self.attacks)])),
        }

    def _scores(self, run: ScoredRun) -> pd.DataFrame:
        found = studied(run, self.attacks, self.word)
        return found[found["varied"] == VARIED]

    def _searches(self, run: ScoredRun) -> dict[str, str]:
        """What the search of each attack is called, with the attack where several have one search."""
        labels = {name: str(run.specs.get(name, {}).get("search_label") or name) for name in self.attacks}
        alike = list(labels.values())
        return {
            name: label if alike.count(label) == 1 else f"{label}: {name}" for name, label in labels.items()
        }

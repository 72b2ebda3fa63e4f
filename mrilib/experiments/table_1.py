"""The experiment of the paper's Table 1: amplification on phantoms, beside the paper's own numbers."""

from typing import Any, ClassVar

from mrilib.experiments.attacks import PUBLISHED, attack_arguments, attack_records
from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.store.records import Record


class Table1(Experiment):
    """Amplification of one source of images for every mask, method, level and attack, in the paper's layout.

    Args:
        source: of images; by default the first one of images like the paper's.

    Source: [alaifari2023], Table 1.
    """

    word: ClassVar[str] = "table-1"
    table: ClassVar[str] = "mrilib.report.tables_attacks:table_1"

    def __init__(self, *, source: str | None = None) -> None:
        self.source = source

    def records(self, run: ScoredRun) -> list[Record]:
        return attack_records(run, run.scores[run.scores["source"] == self._source(run)], PUBLISHED)

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        shown = {"source": self._source(run), "mask_labels": run.mask_labels}
        return attack_arguments(run, PUBLISHED) | shown

    def _source(self, run: ScoredRun) -> str:
        source = self.source or next(iter(run.published_sources), None)
        if source is None:
            raise ValueError(
                "table-1: expected a source of phantoms in the run, got none; name a source of images in the "
                "experiment's entry"
            )
        return source

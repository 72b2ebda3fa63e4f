"""The experiment of attacks: how much each one harms each method."""

from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import records_of
from mrilib.experiments.scores import clean_scores, own_scores
from mrilib.store.records import Record

# The number that Table 1 of [alaifari2023] has.
PUBLISHED = "amplification"


class Attacks(Experiment):
    """One quantity for every source, mask, method, level and attack, under attacks made for that method.

    Of a quantity of reconstructions, such as the relative error, there are also records of the clean
    reconstructions that the attacks started from: their `kind` is `reconstruction`, and they have no
    `attack`.

    Args:
        quantity: a reported number, or a metric of the config.
    """

    word: ClassVar[str] = "attacks"
    table: ClassVar[str] = "mrilib.report.tables_attacks:localized_table"

    def __init__(self, *, quantity: str) -> None:
        self.quantity = quantity

    def records(self, run: ScoredRun) -> list[Record]:
        return attack_records(run, run.scores, self.quantity)

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return attack_arguments(run, self.quantity) | {"domain_labels": run.domain_labels}


def attack_records(run: ScoredRun, scores: pd.DataFrame, quantity: str) -> list[Record]:
    """Records of one quantity for every source, mask, domain, level and attack, from some of the scores."""
    chosen = own_scores(scores)
    if run.quantity(quantity, "attacks").of == "reconstruction":
        chosen = pd.concat([clean_scores(scores), chosen], ignore_index=True)
    by = ["source", "mask", "domain", "level", "kind", "attack"]
    with_paper = quantity == PUBLISHED
    return records_of(run, chosen, quantity, by=by, table="localized", with_paper=with_paper)


def attack_arguments(run: ScoredRun, quantity: str) -> dict[str, Any]:
    """What all tables of attacks take."""
    return {
        "quantity": quantity,
        "labels": run.labels,
        "note": run.note,
        "attacks": run.attacks,
        "quantities": run.quantities,
    }

"""The experiment of transfer: every method under the perturbations made for every other."""

from typing import Any, ClassVar

from mrilib.experiments.attacks import attack_arguments
from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.records import records_of
from mrilib.experiments.scores import ordinary
from mrilib.store.records import Record


class Transfer(Experiment):
    """One quantity for every source, mask, level, attack, method that a perturbation was made for, and method
    that it was given to.

    Attacks that are given to no other method under a mask have no record.

    Args:
        quantity: a reported number, or a metric of the config.

    Source: [alaifari2023], Figs. 6 and 7.
    """

    word: ClassVar[str] = "transfer"
    table: ClassVar[str] = "mrilib.report.tables_attacks:transfer_table"

    def __init__(self, *, quantity: str) -> None:
        self.quantity = quantity

    def records(self, run: ScoredRun) -> list[Record]:
        run.quantity(self.quantity, "transfer")
        perturbed = ordinary(run.scores)
        carried = perturbed[perturbed["made_for"] != perturbed["method"]]
        chosen = perturbed.merge(carried[["source", "mask", "attack"]].drop_duplicates())
        by = ["source", "mask", "domain", "level", "kind", "attack", "made_for"]
        return records_of(run, chosen, self.quantity, by=by, table="transfer")

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return attack_arguments(run, self.quantity) | {"domain_labels": run.domain_labels}

"""What every experiment offers, and what it is given."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from mrilib.data.spectra import KINDS as SPECTRA
from mrilib.experiments.box_table import KINDS as BOXES
from mrilib.experiments.columns import FEATURE_MAPS, FEATURES
from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.store.classes import load_class
from mrilib.store.records import Record
from mrilib.store.tables import empty_table
from mrilib.theory.tables import read_recoveries

About = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """All that is known of a run when its scores are there.

    Args:
        scores: of `read_scores`, with an empty `domain` where it is the usual one: see `with_usual_domains`.
        methods: method to its column of the paper's Table 1, or to `None`; in order.
        masks: mask to what it is (`about` of its sampling: `class`, `kind`, `lines` or `acceleration`); in
            order.
        attacks: attack to what it is (`about` of its kind: `kind`, and where it has them `sort`, `region`,
            `artifact`, and `table_1`, whether its α stands in the paper's Table 1); in order.
        sources: of images, in order; others come after.
        published_sources: sources of images like the paper's, phantoms.
        specs: attack to its `class`, `arguments`, `search` (an import path, or `None`) and `search_label`.
        adapted: methods that are tuned or trained, so that their domain makes a difference.
        families: method to what it is, as its class says: see `Reconstructor.family`.
        usual: source to mask to its usual domain; `source@mask` for those left out.
        labels: method to the name to print.
        mask_labels: mask to the name to print.
        domains: domain to its `source` and `mask`, as far as the run knows them.
        domain_labels: domain to the name to print, for methods tuned and trained elsewhere than usual.
        quantities: every number in the scores that is reported, with how it is shown: ours, then those of
            further metrics.
        searches: what was tried to choose an argument of an attack's search, one for each attack, method and
            domain: `name` (of the attack), `method`, `domain`, `source`, `mask`, `kind`, and what
            `mrilib.jobs.tune_search` returns.
        features: what studies of small features found, of those that an experiment names in
            `names_features`: see `mrilib.experiments.feature_tables`. `domain` as of the scores.
        feature_maps: sums over their windows by place.
        spectra: of the sources that an experiment names in `names_spectra`: see `mrilib.data.spectra`.
        boxes: of the sources that an experiment names in `names_boxes`: see `mrilib.experiments.box_table`;
            an empty `domain` is the usual one, as in `scores`.
        recoveries: of the entries of the theory that an experiment names in `names_theory`: see
            `mrilib.theory.tables`.
        theory: entry of the theory to what it is: see the config.
        note: printed below tables of attacks: where the numbers come from.
        code_hash: hash of the experiment's code, for records.
        seed: of the resampling.
    """

    scores: pd.DataFrame
    methods: Mapping[str, str | None] = field(default_factory=dict)
    masks: Mapping[str, About] = field(default_factory=dict)
    attacks: Mapping[str, About] = field(default_factory=dict)
    sources: Sequence[str] = ()
    published_sources: Sequence[str] = ()
    specs: Mapping[str, About] = field(default_factory=dict)
    adapted: Sequence[str] = ()
    families: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mask_labels: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    domain_labels: Mapping[str, str] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: QUANTITIES)
    searches: Sequence[Mapping[str, Any]] = ()
    features: pd.DataFrame = field(default_factory=lambda: empty_table(FEATURES))
    feature_maps: pd.DataFrame = field(default_factory=lambda: empty_table(FEATURE_MAPS))
    spectra: pd.DataFrame = field(default_factory=lambda: empty_table(SPECTRA))
    boxes: pd.DataFrame = field(default_factory=lambda: empty_table(BOXES))
    recoveries: pd.DataFrame = field(default_factory=lambda: read_recoveries([]))
    theory: Mapping[str, About] = field(default_factory=dict)
    note: str = ""
    code_hash: str = ""
    seed: int = 0

    def quantity(self, name: str, where: str) -> Quantity:
        """How a reported number is shown.

        Raises:
            ValueError: if no number of the scores has this name.
        """
        if name not in self.quantities:
            raise ValueError(f"{where}: expected a quantity of {list(self.quantities)}, got {name!r}")
        return self.quantities[name]


class Experiment(ABC):
    """Turns the scores of a run into records, and says how they are shown.

    A config names a subclass by a short word of ours, or by `class: package.module:Name`; what else stands in
    the entry are the arguments of its constructor. The files are called as the entry:
    `records/{name}.json`, `tables/{name}.{csv,md,tex}`, and with a figure `figures/{name}.{pdf,png}`.

    A subclass needs `records` alone: the table then has a row for each row of the records and a column for
    each method.

    Attributes:
        word: what a config calls the class; classes outside this repository need none.
        title: of the default table.
        table: import path of the function that makes the table from the records and the arguments of
            `table_arguments`; returns a `mrilib.report.tables.Table`. A literal, for the workflow reads it
            from the text.
        names_attacks: arguments that are names of attacks, one or several, which the config must have.
        names_spectra: those that are names of sources, whose spectra are read.
        names_theory: those that are names of entries of the theory, whose recoveries are read.
        names_varied: those of them whose attacks must vary something; the others may not.
        names_tuned: those of them of whose search an argument must be tuned; the files of that are read.
        names_spectra: arguments that are names of sources, whose spectra are read.
        names_features: arguments that are names of studies of small features, one or several.
        names_boxes: arguments that are names of sources, the scores of whose annotated boxes are read.
        figure: import path of the function that makes a figure from `frame` and the arguments of
            `figure_arguments`, or `None`. A literal as well.
    """

    word: ClassVar[str]
    title: ClassVar[str] = ""
    table: ClassVar[str] = "mrilib.report.tables_records:records_table"
    figure: ClassVar[str | None] = None
    names_attacks: ClassVar[tuple[str, ...]] = ()
    names_spectra: ClassVar[tuple[str, ...]] = ()
    names_features: ClassVar[tuple[str, ...]] = ()
    names_boxes: ClassVar[tuple[str, ...]] = ()
    names_theory: ClassVar[tuple[str, ...]] = ()
    names_varied: ClassVar[tuple[str, ...]] = ()
    names_tuned: ClassVar[tuple[str, ...]] = ()

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Argument to the `mrilib.experiments.conditions.Condition` that the config must have.

        A source under a mask, and where it says so methods of a domain applied there. The argument is empty
        where the experiment's own arguments describe the condition.
        """
        return {}

    @abstractmethod
    def records(self, run: ScoredRun) -> list[Record]:
        """One record for every measured number, in the order of the table: see `records.records_of`."""

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        """What the table's function takes beside the records."""
        return {
            "title": self.title or type(self).__name__,
            "labels": run.labels,
            "note": run.note,
            "quantities": run.quantities,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """What the figure shows; by default the records, one a row, with a column for each key of `row`."""
        return pd.DataFrame([record.flat for record in records])

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        """What the figure's function takes beside the frame."""
        return {}


def experiment_from(described: Mapping[str, Any]) -> Experiment:
    """An experiment, from `class`, an import path, and the `arguments` of its constructor."""
    found: Experiment = load_class(described["class"], Experiment)(**described["arguments"])
    return found

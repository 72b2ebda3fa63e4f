"""The configuration of metrics and experiments: each entry is a class and its arguments."""

from typing import ClassVar

from workflow_scripts.config.entries import Entry


class MetricEntry(Entry):
    """A measure of quality beside ours: a column of scores and of the table of quality, under its name."""

    family: ClassVar[str] = "metric"


class ExperimentEntry(Entry):
    """An experiment beside those of every run: records, a table and perhaps a figure, under its name."""

    family: ClassVar[str] = "experiment"

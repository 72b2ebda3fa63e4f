"""Table and figure of the smallest contrasts and levels."""

import math

import pytest

from mrilib.experiments.pattern import SmallestLevel
from mrilib.experiments.worst_feature import MARKS, SmallestContrast
from mrilib.report.figures_smallest import smallest_figure
from mrilib.report.tables import render
from mrilib.report.tables_smallest import smallest_table
from tests.experiments.test_smallest import contrasts, scored

LABELS = {"tv": "TV", "l1-wavelet": "ℓ1 wavelet", "unet": "U-net (reduced)", "varnet": "VarNet (reduced)"}
BASE = {"zero-filled": 0.3, "tv": 0.08, "l1-wavelet": 0.12, "unet": 0.06, "varnet": 0.03}


def many(**changes):
    """Five methods of nine patients, one of which never loses, one always, and one that failed."""
    rows = []
    for method, base in BASE.items():
        for index, (place, shape) in enumerate(MARKS):
            values = [base * (1.5 - 0.3 * index) * 1.2**each for each in range(-4, 5)]
            if method == "zero-filled":
                values = [value if index > 1 and each < 6 else math.inf for each, value in enumerate(values)]
            if method == "varnet" and index == 3:
                values = [-math.inf] * 9
            rows.append(contrasts(values, method=method, place=place, shape=shape))
    rows.append(contrasts([math.nan] * 9, method="convdecoder", failed="not_finite", place="", shape=""))
    methods = dict.fromkeys([*BASE, "convdecoder"])
    run = scored(*rows, methods=methods, labels=LABELS)
    experiment = SmallestContrast(feature="small", source="set")
    return experiment, run, experiment.records(run)


def drawn(experiment, run, records):
    return smallest_figure(experiment.frame(run, records), **experiment.figure_arguments(run))


def test_the_figure_can_be_read(unreadable, texts):
    figure = drawn(*many())
    assert unreadable(figure) == []
    told = set(texts(figure))
    assert {"VarNet (reduced)", "worst place, worst shape", "beyond an end", "missing (failed)"} <= told


def test_dots_stand_at_the_medians_and_open_ones_outside_of_the_ends():
    experiment, run, records = many()
    axes = drawn(experiment, run, records).axes[0]
    dots = [line for line in axes.lines if len(line.get_xdata()) == 1 and line.get_marker() in "vos^"]
    frame = experiment.frame(run, records)
    inside = frame[(frame["beyond"] == "") & (frame["n"] > 0)]
    filled = sorted(float(line.get_xdata()[0]) for line in dots if line.get_markerfacecolor() != "white")
    assert filled == pytest.approx(sorted(inside["mean"]))
    outside = [float(line.get_xdata()[0]) for line in dots if line.get_markerfacecolor() == "white"]
    assert len(outside) == (frame["beyond"] != "").sum() == 3
    assert sum(value < 0.02 for value in outside) == 1
    assert sum(value > 1.0 for value in outside) == 2
    # No two dots cover each other.
    assert len({float(line.get_ydata()[0]) for line in dots}) == len(dots)


def test_levels_are_shown_in_per_cent(unreadable, texts):
    rows = [
        row | {"level": row["contrast"], "least": 1e-3, "most": 0.3}
        for method, base in BASE.items()
        for row in contrasts([0.1 * base * 1.2**each for each in range(5)], method=method, kind="hide")
    ]
    run = scored(rows, methods=dict.fromkeys(BASE), labels=LABELS)
    experiment = SmallestLevel(feature="small", source="set")
    records = experiment.records(run)
    figure = drawn(experiment, run, records)
    assert unreadable(figure) == []
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert max(float(line.get_xdata()[0]) for line in dots) == pytest.approx(
        100 * max(each.value for each in records)
    )
    assert "an annotated feature is hidden" in texts(figure)


def test_the_table_says_what_lies_beyond():
    experiment, run, records = many()
    table = smallest_table(records, **experiment.table_arguments(run))
    cells = table.wide.set_index("method")
    assert cells.loc["zero-filled", "worst place, worst shape"] == "> 1.000"
    assert cells.loc["VarNet (reduced)", "best place, full window"] == "< 0.020"
    assert cells.loc["TV", "worst place, worst shape"].startswith("0.120 [")
    assert cells.loc["zero-filled", "median place, full window"].endswith("> 1.000]")
    assert (cells.loc["convdecoder", "n"], cells.loc["convdecoder", "missing"]) == ("0", "9")
    assert set(render(table)) == {"csv", "md", "tex"}


def test_no_records_make_a_table_without_rows():
    experiment, run, _ = many()
    assert smallest_table([], **experiment.table_arguments(run)).wide.empty

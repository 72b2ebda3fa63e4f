"""Table and figures of shifts of distribution."""

import math

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.difficulty import HARD, POOL
from mrilib.report.figures_acceleration import acceleration_figure
from mrilib.report.figures_difficulty import difficulty_figure
from mrilib.report.figures_shift import shift_figure
from mrilib.report.tables import render
from mrilib.report.tables_shift import shift_table
from tests.experiments import test_shift as shifts

FAMILIES = {"zero": "linear", "tv": "sparse", "l1": "sparse", "unet": "trained", "varnet": "trained"}
LABELS = {"tv": "TV", "l1": "ℓ1 wavelet", "unet": "U-net (reduced)", "varnet": "VarNet (reduced)"}


def moved(**changes):
    """A shift to methods of another domain, in which one is a control."""
    worse = shifts.rows(shifts.ELSEWHERE, lambda value: 0.9 * value, methods=list(shifts.METHODS)[1:])
    scored = shifts.run(shifts.rows(shifts.HERE), worse)
    experiment = shifts.Shift(before=shifts.HERE, after=shifts.ELSEWHERE)
    records = experiment.records(scored)
    arguments = experiment.figure_arguments(scored) | {"labels": LABELS} | changes
    return experiment, scored, records, shift_figure(experiment.frame(scored, records), **arguments)


def test_the_figure_of_a_shift_can_be_read(unreadable, texts):
    *_, figure = moved()
    assert unreadable(figure) == []
    told = texts(figure)
    assert {"U-net (reduced)", "control, not fitted", "no change", "its 95 % band"} <= set(told)


def test_points_stand_where_the_means_are_and_controls_are_open():
    experiment, scored, records, figure = moved()
    frame = experiment.frame(scored, records).set_index("method")
    drawn = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): line
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 1
    }
    assert set(drawn) == set(zip(frame["x"], frame["y"], strict=True))
    faces = {
        name: drawn[row["x"], row["y"]].get_markerfacecolor() for name, row in frame.to_dict("index").items()
    }
    assert [name for name, face in faces.items() if face == "white"] == ["zero"]


def test_a_shift_without_a_line_or_a_method_is_drawn(unreadable):
    none = pd.DataFrame(columns=["x", "y", "low", "high"], dtype=float)
    experiment, scored, records, figure = moved(band=none)
    assert unreadable(figure) == []
    frame = experiment.frame(scored, records)
    empty = shift_figure(frame.iloc[:0], band=none, heads=("one", "other"), axis="SSIM", title="none")
    assert unreadable(empty) == []


def test_the_table_of_a_shift_says_what_the_line_is():
    experiment, scored, records, _ = moved()
    table = shift_table(records, **experiment.table_arguments(scored))
    assert list(table.wide["method"]) == ["zero (control)", "tv", "l1", "unet", "varnet"]
    assert "slope 0.900" in table.note
    assert "12 images of 6 patients" in table.note
    assert set(render(table)) == {"csv", "md", "tex"}


@pytest.mark.parametrize("families", [["sparse"], ["linear", "sparse", "trained"]])
def test_the_figure_of_accelerations_can_be_read(families, unreadable, texts):
    names = {"linear": ["zero"], "sparse": ["tv", "l1"], "trained": ["unet", "varnet"]}
    rows = [
        {"method": method, "family": family, "tuned": tuned, "acceleration": acceleration}
        | {"mean": 0.9 - 0.03 * acceleration, "low": 0.85 - 0.03 * acceleration, "high": 0.92, "n": 4}
        for family in families
        for method in names[family]
        for tuned in ("tuned_there", "tuned_at_home")
        for acceleration in (2.0, 4.0, 8.0)
        if not (method == "unet" and tuned == "tuned_there" and acceleration == 2.0)
    ]
    figure = acceleration_figure(
        pd.DataFrame(rows), axis="SSIM", home="random 4×", labels=LABELS, title="brain: methods tuned at 4×"
    )
    assert unreadable(figure) == []
    assert "tuned and trained at random 4×" in texts(figure)
    assert sum(panel.get_visible() and panel.axison for panel in figure.axes) == len(families)


def spread(count=30):
    generator = np.random.default_rng(2)
    frame = pd.DataFrame({"position": range(count), "score": generator.uniform(0.5, 0.9, count)})
    frame["share"] = 0.2 + 0.5 * frame["score"]
    return frame.assign(
        energy=generator.lognormal(5, 1, count),
        hard=frame["position"] < 8,
        control=frame["position"].between(8, 15),
        noisy=frame["position"] % 5 == 0,
    )


def spectra():
    frequency = np.arange(40)
    share = 1.0 / (1 + frequency) ** 2
    return pd.concat(
        pd.DataFrame({"set": name, "frequency": frequency, "share": share * factor}).assign(
            low=0.9 * share * factor, high=1.1 * share * factor
        )
        for name, factor in ((POOL, 1.0), (HARD, 1.2))
    )


@pytest.mark.parametrize("crossing", [9.0, math.nan])
def test_the_figure_of_hard_images_can_be_read(crossing, unreadable, texts):
    figure = difficulty_figure(
        spread(),
        spectra=spectra(),
        crossing=crossing,
        correlation=0.43,
        score="SSIM, mean of\nzero-filled, SENSE (Tikhonov)",
        center_fraction=0.08,
        title="Hard images and others: brain-pool, random 4× (random-4-b) (simulated)",
    )
    assert unreadable(figure) == []
    told = texts(figure)
    assert ("crossing" in told) == math.isfinite(crossing)
    assert "noisy reference" in told
    first, *_ = figure.axes
    assert sum(len(line.get_xdata()) for line in first.lines) == 30


def test_no_images_at_all_are_told(texts):
    figure = difficulty_figure(
        spread().iloc[:0],
        spectra=spectra().iloc[:0],
        crossing=math.nan,
        correlation=math.nan,
        score="SSIM",
        center_fraction=0.08,
    )
    assert len(texts(figure)["no data"]) == 3

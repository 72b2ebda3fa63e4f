"""Figure and panel of annotated boxes, and the stages that score and draw them."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mrilib.data.annotations import COLUMNS
from mrilib.data.catalogue import Entry, to_frame
from mrilib.data.measurement_files import read_measurement
from mrilib.experiments.box_table import first_boxes, read_boxes
from mrilib.experiments.boxes import Boxes
from mrilib.experiments.pictures import clean_pictures
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.report import figures_reconstructions
from mrilib.report.figures_boxes import boxes_figure
from mrilib.report.tables import render
from mrilib.report.tables_records import records_table
from tests.experiments import test_boxes as boxes
from tests.experiments.scenes import Stored, scan
from workflow_scripts.stages import box_panel, score_boxes

FAMILIES = {"zero": "linear", "tv": "sparse", "unet": "trained", "varnet": "trained"}
few_draws = boxes.few_draws


@pytest.fixture
def findings():
    """The experiment, its run and its records."""
    run = boxes.known(worse="Cyst")
    experiment = Boxes(source="set")
    return experiment, run, experiment.records(run)


def test_the_figure_of_boxes_can_be_read(findings, unreadable, texts):
    experiment, run, records = findings
    frame = experiment.frame(run, records).assign(family=lambda rows: rows["method"].map(FAMILIES))
    arguments = experiment.figure_arguments(run) | {"labels": {"varnet": "VarNet (reduced)"}}
    figure = boxes_figure(frame, **arguments)
    assert unreadable(figure) == []
    told = texts(figure)
    assert "rank correlation of the methods -1.00" in told
    assert {"VarNet (reduced)", "Cyst\nn = 12", "Lesion\nn = 12", "all\nn = 24"} <= set(told)
    points = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 1
    }
    whole = frame[frame["label"] == "all"]
    assert points == set(zip(whole["x"], whole["mean"], strict=True))


def test_many_long_labels_and_no_boxes_are_drawn(unreadable, texts):
    names = [f"Nonspecific white matter lesion {number}" for number in range(9)]
    rows = [
        {"method": method, "family": family, "label": label, "n": 40 - place, "mean": 0.1 + 0.01 * place}
        | {"low": 0.05, "high": 0.3, "x": 0.8, "x_low": 0.7, "x_high": 0.9}
        for place, label in enumerate(["all", *names])
        for method, family in FAMILIES.items()
    ]
    frame = pd.DataFrame(rows)
    figure = boxes_figure(frame, axis="SSIM", correlation=math.nan, title="Annotated boxes")
    assert unreadable(figure) == []
    assert "label, and number of boxes (3 more left out)" in texts(figure)
    none = boxes_figure(frame.iloc[:0], axis="SSIM", correlation=math.nan)
    assert len(texts(none)["no data"]) == 2


def test_the_table_of_boxes_has_a_row_a_label_and_size(findings):
    experiment, run, records = findings
    table = records_table(records, **experiment.table_arguments(run))
    assert "24 boxes on 12 images of 6 patients" in table.note
    assert "at most 60 pixels" in table.note
    error = table.wide[table.wide["quantity"] == "Error in the box"]
    assert list(zip(error["label"], error["size"], strict=True)) == [
        ("all", "all"),
        ("Cyst", "all"),
        ("Lesion", "all"),
        ("all", "small"),
        ("all", "large"),
    ]
    assert set(render(table)) == {"csv", "md", "tex"}


METHODS = {"zero": ZeroFilled(), "sense": Tikhonov(weight=0.1, tolerance=1e-6)}
# Of the reference of 16×14: row, column, height, width.
PLACED = ((3, 4, 5, 6), (9, 2, 4, 4))


@pytest.fixture
def scored(tmp_path):
    """What the stage of scores is given, and its output, of two methods on two slices."""
    slices = [
        Entry("d", "v", "", "knee", rows=24, columns=20, target_rows=16, target_columns=14, slice=number)
        for number in (4, 5)
    ]
    to_frame(slices).assign(position=[0, 1]).to_csv(tmp_path / "test.csv", index=False)
    rows = [("v", 4, *place, "Cyst", False, "fastmri+") for place in PLACED]
    rows += [("v", 5, 12, 10, 9, 3, "outside", False, "fastmri+"), ("w", 4, *PLACED[0], "other", False, "")]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(tmp_path / "plus.csv", index=False)
    inputs = {}
    for name, method in METHODS.items():
        measured = scan()
        about = [dict(measured.about) | {"slice": number} for number in (4, 5)]
        stored = [
            Stored(tmp_path, _with(measured, each), method, name=name, position=position)
            for position, each in enumerate(about)
        ]
        inputs[name] = {
            "slices": tmp_path / "test.csv",
            "annotations": [tmp_path / "plus.csv"],
            "measurements": [each.path for each in stored],
            "reconstructions": [each.folder / "reconstruction.h5" for each in stored],
        }
        score_boxes.main(inputs[name], {"boxes": tmp_path / f"{name}.csv"}, {"annotations": ["plus"]})
    return inputs, [tmp_path / f"{name}.csv" for name in METHODS]


def _with(measured, about):
    return replace(measured, about=about)


def test_the_stage_scores_the_boxes_inside_and_reports_the_others(scored, capsys):
    inputs, files = scored
    score_boxes.main(inputs["zero"], {"boxes": files[0]}, {"annotations": ["plus"]})
    told = capsys.readouterr().out
    assert "'outside' of plus at row 12, column 10, 9×3, leaves the reference of 16×14" in told
    assert "2 boxes on 1 of 2 slices scored, 0 on failed reconstructions; 1 left out" in told
    table = read_boxes(files)
    assert list(table["method"]) == ["zero"] * 2 + ["sense"] * 2
    assert set(table["annotation"]) == {"plus"}
    places = table[["row", "column", "height", "width"]]
    assert places.to_numpy().tolist() == [list(place) for place in PLACED] * 2
    assert np.isfinite(table["box_error"]).all()


def test_the_panel_shows_the_box_where_it_was_drawn(scored, unreadable, texts):
    inputs, files = scored
    (scores,) = first_boxes(read_boxes(files))
    measurement = inputs["zero"]["measurements"][0]
    paths = [inputs[name]["reconstructions"][0] for name in METHODS]
    shown = [(read_measurement(measurement), clean_pictures(measurement, paths), scores)]
    figure = figures_reconstructions.box_panel(shown, labels={"sense": "SENSE"}, title="Boxes on knee")
    assert unreadable(figure) == []
    told = " ".join(texts(figure))
    assert "SENSE" in told
    assert f"error {scores['box_error'].iloc[1]:.3g}"[:9] in told
    reference = shown[0][0].reference.numpy()
    row, column, height, width = PLACED[0]
    for panel in figure.axes[:3]:
        (frame,) = panel.patches
        left, top = (round(value + 0.5) for value in frame.get_xy())
        image = np.asarray(panel.images[0].get_array())
        # Upright, and smaller than a close-up would be: the whole image.
        assert image.shape == reference.shape
        assert (left, top) == (column, 16 - row - height)
        assert (round(frame.get_width()), round(frame.get_height())) == (width, height)
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(drawn, np.flipud(reference) / reference.max(), rtol=1e-6)


def test_many_methods_take_several_blocks_and_a_failed_one_says_so(scored, unreadable, texts):
    inputs, files = scored
    (scores,) = first_boxes(read_boxes(files[:1]))
    scores = scores.assign(label="Nonspecific white matter hyperintensity")
    measurement = inputs["zero"]["measurements"][0]
    (picture,) = clean_pictures(measurement, inputs["zero"]["reconstructions"][:1]).values()
    names = [f"convdecoder-{number}" for number in range(8)]
    rows = pd.concat([scores.assign(method=name, failed="why" * (name == names[3])) for name in names])
    pictures = {name: replace(picture, image=None) if name == names[3] else picture for name in names}
    shown = [(read_measurement(measurement), pictures, rows)] * 2
    figure = figures_reconstructions.box_panel(shown, labels={}, title="Boxes on knee")
    assert unreadable(figure) == []
    told = texts(figure)
    assert {name for name in names if any(text.startswith(name) for text in told)} == set(names)
    assert len(told["missing"]) == 2
    assert sum("failed" in text for text in told) == 2


def test_the_stage_draws_the_first_boxes_and_says_where_there_are_none(scored, tmp_path):
    inputs, files = scored
    given = {
        "boxes": files,
        "measurements": inputs["zero"]["measurements"],
        "reconstructions": [inputs[name]["reconstructions"][each] for each in (0, 1) for name in METHODS],
    }
    about = {"class": "mrilib.data.sampling.columns:Random", "kind": "random", "acceleration": 4}
    params = {"labels": {}, "source_name": "knee", "mask": "random-4", "about": about}
    box_panel.main(given, {"pdf": tmp_path / "boxes.pdf"}, params)
    assert (tmp_path / "boxes.png").stat().st_size > 1000
    for file in files:
        read_boxes([file]).iloc[:0].to_csv(file, index=False)
    box_panel.main(given, {"pdf": tmp_path / "none.pdf"}, params)
    assert (tmp_path / "none.png").exists()

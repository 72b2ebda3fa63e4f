"""A metric and an experiment from a package outside the repository, from the scores to the figure."""

import math
import sys

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.attacks import Attacks
from mrilib.experiments.base import experiment_from
from mrilib.experiments.columns import COLUMNS
from mrilib.experiments.quality import Quality
from mrilib.experiments.scores import read_scores, scores_csv
from mrilib.experiments.scoring import score_image
from mrilib.metrics.base import metric_from
from mrilib.metrics.quantities import QUANTITIES
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.report.tables import render
from mrilib.report.tables_quality import quality_table
from mrilib.report.tables_records import records_table
from mrilib.store.functions import load_function
from mrilib.store.records import read_records
from tests.experiments.frames import clean, peak, run_of
from tests.experiments.scenes import Stored, phantom
from workflow_scripts.provenance import class_attribute
from workflow_scripts.stages import experiment as stage

PACKAGE = """
from typing import ClassVar

from matplotlib.figure import Figure

from mrilib.experiments.base import Experiment
from mrilib.experiments.records import records_of
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import Quantity


class Largest(Metric):
    quantity: ClassVar[Quantity] = Quantity("largest error", column="largest", decimals=1)

    def __init__(self, *, factor=1.0):
        self.factor = factor

    def __call__(self, image, reference, *, maximum):
        return self.factor * float((image - reference).abs().max()) / maximum


class Plain(Experiment):
    title = "A plain one"

    def records(self, run):
        return records_of(run, run.scores, "severity", by=["source", "level"], table="plain")


class Drawn(Plain):
    figure = "own_package.parts:picture"

    def figure_arguments(self, run):
        return {"title": run.labels["m"]}


def picture(frame, title):
    figure = Figure()
    figure.subplots().set(title=f"{title}: {len(frame)}")
    return figure
"""
LARGEST = {"class": "own_package.parts:Largest", "arguments": {"factor": 2.0}}


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch, forget):
    folder = tmp_path / "elsewhere/own_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(folder.parent)
    for name in ("own_package", "own_package.parts"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_metric_has_a_column_in_the_scores(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    files = stored.attacked(gaussian={"kind": "gaussian"})
    metrics = {"largest": metric_from(LARGEST)}
    rows = score_image(*files, metrics=metrics)
    assert [row["kind"] for row in rows] == ["reconstruction", "gaussian"]
    reference = stored.measurement.reference.numpy()
    image = np.abs(stored.clean.value.numpy())
    expected = 2.0 * np.abs(image - reference).max() / stored.measurement.maximum
    assert rows[0]["largest"] == pytest.approx(expected, rel=1e-5)
    ours = score_image(*files)
    for mine, own in zip(ours, rows, strict=True):
        assert mine == pytest.approx({key: own[key] for key in COLUMNS}, nan_ok=True)
    (tmp_path / "own.csv").write_text(scores_csv(rows, metrics))
    (tmp_path / "ours.csv").write_text(scores_csv(ours))
    frame = read_scores([tmp_path / "own.csv", tmp_path / "ours.csv"])
    assert frame.columns.tolist() == [*COLUMNS, "largest"]
    assert frame["largest"].tolist()[:2] == [row["largest"] for row in rows]
    assert frame["largest"].isna().tolist() == [False, False, True, True]


def test_a_further_column_that_holds_text_is_refused(tmp_path):
    text = scores_csv([peak(1.0) | {"remark": "none"}], ["remark"])
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(ValueError, match=r"scores\.csv: expected numbers in the column 'remark'"):
        read_scores([tmp_path / "scores.csv"])


def test_a_metric_has_records_and_a_column_after_ours():
    rows = [clean(0.1, ssim=0.9, psnr=30.0, nmse=0.01) | {"largest": 0.25}]
    rows += [clean(0.2, ssim=0.8, psnr=29.0, nmse=0.02, position=1) | {"largest": math.nan}]
    quantities = QUANTITIES | {"largest": metric_from(LARGEST).quantity}
    run = run_of(rows, quantities=quantities)
    found = Quality().records(run)
    assert [each.quantity for each in found] == [
        *("ssim", "ssim_slice", "psnr", "nmse", "relative_error", "null_space_share", "seconds", "largest")
    ]
    assert (found[-1].value, found[-1].n, found[-1].missing) == (0.25, 1, 1)
    wide = quality_table(found, **Quality().table_arguments(run)).wide
    assert wide.columns.tolist() == [
        *("images", "mask", "method", "SSIM", "PSNR (dB)", "NMSE", "null-space share (%)"),
        *("s a reconstruction (median)", "largest", "n"),
    ]
    assert wide["largest"].tolist() == ["0.2 (1 missing)"]


def test_a_metric_has_a_table_under_attack():
    run = run_of(
        [clean(0.1) | {"largest": 0.1}, peak(2.0) | {"largest": 0.5}],
        quantities=QUANTITIES | {"largest": metric_from(LARGEST).quantity},
    )
    attacks = Attacks(quantity="largest")
    found = attacks.records(run)
    assert [(each.row["kind"], each.value) for each in found] == [
        ("reconstruction", 0.1),
        ("localized", 0.5),
    ]
    table = load_function(attacks.table)(found, **attacks.table_arguments(run))
    assert table.title == "largest error"
    with pytest.raises(ValueError, match=r"attacks: expected a quantity of \['amplification', .*'longest'"):
        Attacks(quantity="longest").records(run)


def test_an_experiment_needs_its_records_alone():
    run = run_of([peak(1.0), peak(3.0, method="other", made_for="other", severity=0.123)], labels={"m": "TV"})
    experiment = experiment_from({"class": "own_package.parts:Plain", "arguments": {}})
    table = load_function(experiment.table)(experiment.records(run), **experiment.table_arguments(run))
    assert table.wide.columns.tolist() == ["source", "level", "n", "TV", "other"]
    assert table.wide.to_numpy().tolist() == [["set", "1 %", "1", "2.00", "0.12"]]
    assert "**A plain one**" in render(table)["md"]
    assert class_attribute("own_package.parts:Plain", "figure") is None
    assert class_attribute("own_package.parts:Drawn", "figure") == "own_package.parts:picture"


def test_records_of_several_quantities_and_rows_make_one_table():
    run = run_of([peak(1.0), peak(3.0, method="other", made_for="other"), clean(0.02)])
    found = [*Attacks(quantity="severity").records(run), *Attacks(quantity="relative_error").records(run)]
    wide = records_table(found, title="", labels={}, note="").wide
    assert wide["quantity"].tolist() == [QUANTITIES["severity"].title, *["relative error (%)"] * 2]
    assert wide["attack"].tolist() == ["peak", "—", "peak"]
    assert wide["other"].tolist() == ["2.00", "—", "3.00"]
    with pytest.raises(ValueError, match="records_table: expected one record a cell"):
        records_table([*found, found[0]], title="", labels={}, note="")
    assert records_table([], title="", labels={}, note="").wide.empty


@pytest.mark.parametrize("name", ["Plain", "Drawn"])
def test_the_stage_makes_all_files_of_an_experiment(tmp_path, name):
    (tmp_path / "scores.csv").write_text(scores_csv([peak(1.0)]))
    endings = ("json", "csv", "md", "tex", *(("pdf", "png") if name == "Drawn" else ()))
    outputs = {each: str(tmp_path / f"one.{each}") for each in endings}
    outputs["records"] = outputs.pop("json")
    known = {"methods": {"m": None}, "masks": {}, "attacks": {}, "labels": {"m": "TV"}}
    params = {
        "experiment": {"class": f"own_package.parts:{name}", "arguments": {}},
        "metrics": {"largest": LARGEST},
        "run": known,
        "usual": {},
        "code": "abc",
        "seed": 1,
    }
    stage.main({"scores": [str(tmp_path / "scores.csv")]}, outputs, params)
    assert all((tmp_path / f"one.{each}").stat().st_size for each in endings)
    (record,) = read_records(outputs["records"])
    assert (record.table, record.value, record.code_hash, record.seed) == ("plain", 2.0, "abc", 1)
    assert pd.read_csv(outputs["csv"])["method"].tolist() == ["m"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("own_package.parts", "expected package.module:function"),
        ("own_package.parts:absent", "has no attribute 'absent'"),
        ("own_package.nothing:absent", "No module named"),
        ("own_package.parts:__name__", "expected a function, got"),
    ],
)
def test_a_path_that_leads_to_no_function_is_refused(path, message):
    with pytest.raises(ValueError, match=message):
        load_function(path)

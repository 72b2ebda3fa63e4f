"""Boxes around findings: placed on slices, scored, and held against overall quality."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.data.annotated_slices import PLACED, boxes_on_slices
from mrilib.experiments.box_scoring import score_boxes
from mrilib.experiments.box_table import KINDS, NUMBERS, boxes_csv, read_boxes
from mrilib.experiments.boxes import ALL, CONTRAST, CORRELATION, ERROR, SHARPNESS, Boxes, box_errors
from mrilib.experiments.scores import with_usual_domains
from mrilib.metrics.boxes import Box, box_contrast, box_error, box_sharpness
from mrilib.metrics.ranking import spearman
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.store.arrays import Group
from tests.experiments.frames import clean, run_of
from tests.experiments.scenes import Stored, scan

METHODS = {"zero": None, "tv": None, "unet": None, "varnet": None}
PLACE = {"row": 3, "column": 4, "height": 5, "width": 6}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("mrilib.experiments.boxes.DRAWS", 199)
    monkeypatch.setattr("mrilib.metrics.statistics.RESAMPLES", 499)


def slices(**changes):
    about = {"position": 0, "volume": "v", "slice": 4, "rows": 24, "columns": 20}
    return pd.DataFrame([about | {"target_rows": 16, "target_columns": 14} | changes])


def annotated(*boxes, volume="v", number=4):
    rows = [
        {"file": volume, "slice": number, "study_level": False, "source": "fastmri+"} | box for box in boxes
    ]
    return pd.DataFrame(rows)


def test_boxes_are_moved_to_the_middle_that_the_reference_shows():
    box = PLACE | {"label": "Cyst"}
    placed, left_out = boxes_on_slices(slices(), {"plus": annotated(box)})
    assert placed.to_dict("records") == [
        {"position": 0, "volume": "v", "slice": 4, "annotation": "plus", "label": "Cyst"} | PLACE
    ]
    assert left_out == []
    # A target wider than k-space: its middle is the reference, as an image of it shows.
    wide = slices(target_columns=27, columns=20)
    target = torch.zeros(16, 27)
    target[Box(**PLACE).slices] = 1.0
    placed, _ = boxes_on_slices(wide, {"plus": annotated(box)})
    moved = Box(*(int(placed.iloc[0][name]) for name in PLACE))
    assert moved == Box(3, 1, 5, 6)
    np.testing.assert_array_equal(np.argwhere(target[:, 3:23].numpy())[0], moved[:2])


def test_boxes_that_leave_the_reference_are_reported():
    boxes = [PLACE | {"label": "in"}, PLACE | {"column": 1, "label": "out"}]
    placed, left_out = boxes_on_slices(slices(target_columns=27, columns=20), {"plus": annotated(*boxes)})
    assert list(placed["label"]) == ["in"]
    (told,) = left_out
    assert "v, slice 4: 'out' of plus at row 3, column -2, 5×6, leaves the reference of 16×20" in told


def test_labels_of_a_study_and_other_slices_have_no_box():
    study = annotated(dict.fromkeys(PLACE, pd.NA) | {"label": "Motion", "study_level": True})
    other = annotated(PLACE | {"label": "Cyst"}, number=5)
    placed, left_out = boxes_on_slices(slices(), {"study": study, "other": other})
    assert (len(placed), left_out) == (0, [])
    assert list(placed.columns) == list(PLACED)


@pytest.fixture
def stored(tmp_path):
    return Stored(tmp_path, scan(), ZeroFilled(), name="zero")


def placed(*boxes, **changes):
    about = {"position": 0, "volume": "v", "slice": 4, "annotation": "plus", "label": "Cyst"}
    return pd.DataFrame([about | box | changes for box in boxes], columns=list(PLACED))


def test_a_box_is_scored_in_the_middle_of_the_reconstruction(stored, tmp_path):
    files = stored.path, stored.folder / "reconstruction.h5"
    other = PLACE | {"row": 8}
    rows = score_boxes(*files, placed(PLACE, other))
    image = stored.measurement.compared(stored.clean.value).abs().double().numpy()
    reference = stored.measurement.reference.double().numpy()
    for row, place in zip(rows, (PLACE, other), strict=True):
        box = Box(**place)
        sharp = box_sharpness(image, reference, box)
        assert row["box_error"] == pytest.approx(box_error(image, reference, box)) != 0
        assert (row["contrast_before"], row["contrast_after"]) == pytest.approx(
            (box_contrast(reference, box), box_contrast(image, box))
        )
        assert (row["sharpness_before"], row["sharpness_after"]) == pytest.approx(sharp)
    assert {rows[0][name] for name in ("patient", "method", "domain")} == {"0012", "zero", "set@mask"}
    path = tmp_path / "boxes.csv"
    path.write_text(boxes_csv(rows))
    found = read_boxes([path])
    assert list(found.columns) == list(KINDS)
    assert found["patient"].tolist() == ["0012"] * 2
    assert found["box_error"].tolist() == [row["box_error"] for row in rows]


def test_slices_without_boxes_give_a_header(stored, tmp_path):
    files = stored.path, stored.folder / "reconstruction.h5"
    assert score_boxes(*files, placed(PLACE, position=3)) == []
    path = tmp_path / "boxes.csv"
    path.write_text(boxes_csv([]))
    assert list(read_boxes([path, path]).columns) == list(KINDS)
    assert read_boxes([path]).empty


def test_boxes_of_another_slice_are_refused(stored):
    files = stored.path, stored.folder / "reconstruction.h5"
    with pytest.raises(ValueError, match="expected boxes on slice 4 of v, got one on slice 5"):
        score_boxes(*files, placed(PLACE, slice=5))


def test_a_failed_reconstruction_is_no_number(stored):
    from mrilib.store.arrays import write_groups

    path = stored.folder / "failed.h5"
    write_groups(path, {"": Group(attributes=stored.root), "clean": Group(attributes={"failed": "why"})})
    (row,) = score_boxes(stored.path, path, placed(PLACE))
    assert row["failed"] == "why"
    assert all(math.isnan(row[name]) for name in NUMBERS)


# Of a run: 6 patients with two slices each, on each of which are two boxes.
PATIENTS, BOXES = 6, {"Lesion": (10, 10), "Cyst": (4, 5)}


def known(*, worse=None, faithful=True):
    """Scores and boxes in which the box error follows the quality of an image, or not."""
    generator = np.random.default_rng(3)
    scores, boxes = [], []
    for rank, method in enumerate(METHODS):
        for patient in range(PATIENTS):
            for number in range(2):
                about = {"method": method, "position": 2 * patient + number, "volume": f"v{patient}"}
                about |= {"slice": float(number), "patient": f"p{patient}"}
                quality = 0.6 + 0.08 * rank + 0.02 * generator.random()
                scores.append(clean(0.1, ssim=quality, **about))
                for label, (height, width) in BOXES.items():
                    error = (1 - quality) if faithful else generator.random()
                    error *= 2.0 if label == worse else 1.0
                    row = dict.fromkeys(KINDS, "") | about | {"source": "set", "mask": "mask"}
                    row |= {"domain": "set@mask", "annotation": "plus", "label": label, "row": 1, "column": 2}
                    row |= {"height": height, "width": width, "box_error": error, "relative_box_error": 1.5}
                    before = 1e-6 if (patient, number) == (0, 0) else 4.0
                    row |= {"contrast_before": before, "contrast_after": before * 0.5 + 0.01 * rank}
                    row |= {"sharpness_before": 1.0, "sharpness_after": 0.8}
                    boxes.append(row)
    frame = pd.DataFrame(boxes, columns=list(KINDS))
    return run_of(scores, methods=METHODS, boxes=with_usual_domains(frame), sources=["set"])


def found(run, **more):
    records = Boxes(source="set", **more).records(run)
    return {(each.quantity, each.method, each.row["label"], each.row["size"]): each for each in records}


def test_errors_that_follow_the_quality_are_found():
    records = found(known())
    for method in METHODS:
        correlation = records[CORRELATION, method, "all", "all"]
        assert correlation.value == pytest.approx(-1)
        assert correlation.n == 2 * PATIENTS
        assert math.isnan(correlation.low)  # every draw is −1
    assert records[CORRELATION, ALL, "all", "all"].value == pytest.approx(-1)
    assert records[CORRELATION, ALL, "all", "all"].n == len(METHODS)


def test_errors_that_do_not_follow_it_are_told_apart():
    records = found(known(faithful=False))
    for method in METHODS:
        correlation = records[CORRELATION, method, "all", "all"]
        assert correlation.low < correlation.value < correlation.high
        assert abs(correlation.value) < 0.9
        assert correlation.high - correlation.low > 0.3


def test_a_label_that_fares_worse_and_the_size_of_its_boxes_are_found():
    run = known(worse="Cyst")
    records = found(run)
    for method in METHODS:
        cyst, lesion = (records[ERROR, method, label, "all"] for label in ("Cyst", "Lesion"))
        assert cyst.value == pytest.approx(2 * lesion.value)
        assert cyst.low < cyst.value < cyst.high
        assert records[ERROR, method, "all", "small"].value == cyst.value
        assert records[ERROR, method, "all", "large"].value == lesion.value
        assert records[ERROR, method, "all", "all"].n == 4 * PATIENTS
    only = found(run, labels=["Cyst"])
    assert only[ERROR, "tv", "all", "all"].value == records[ERROR, "tv", "Cyst", "all"].value
    assert {key[2:] for key in only} == {("all", "all")}


def test_what_is_kept_is_of_sums_so_that_no_contrast_decides_nothing():
    run = known()
    kept = found(run)[CONTRAST, "varnet", "all", "all"]
    own = run.boxes[run.boxes["method"] == "varnet"]
    assert kept.value == pytest.approx(own["contrast_after"].sum() / own["contrast_before"].sum())
    assert 0.5 < kept.value < 0.52
    assert kept.low < kept.value < kept.high
    assert found(run)[SHARPNESS, "tv", "all", "all"].value == pytest.approx(0.8)


def test_intervals_are_of_patients():
    run = known(faithful=False)
    one = replace(run, scores=run.scores[run.scores["patient"] == "p2"])
    records = found(one)
    assert all(math.isnan(each.low) and math.isnan(each.high) for each in records.values())
    assert records[ERROR, "tv", "all", "all"].n == 4
    # Of two images there is no rank correlation.
    assert records[CORRELATION, "tv", "all", "all"].n == 0
    assert math.isnan(records[CORRELATION, "tv", "all", "all"].value)


def test_failed_reconstructions_are_missing():
    run = known()
    gone = (run.boxes["method"] == "tv") & (run.boxes["position"] == 3)
    boxes = run.boxes.assign(failed=np.where(gone, "why", "")).copy()
    boxes.loc[gone, list(NUMBERS)] = math.nan
    lost = (run.scores["method"] == "tv") & (run.scores["position"] == 3)
    scores = run.scores.assign(failed=np.where(lost, "why", ""))
    records = found(replace(run, boxes=boxes, scores=scores))
    for name in (ERROR, CONTRAST):
        assert (records[name, "tv", "all", "all"].n, records[name, "tv", "all", "all"].missing) == (22, 2)
    assert (records["ssim", "tv", "all", "all"].n, records["ssim", "tv", "all", "all"].missing) == (11, 1)
    assert records[CORRELATION, "tv", "all", "all"].missing == 1


def test_the_boxes_of_a_condition_come_with_their_quality():
    run = known()
    frame = box_errors(run, {"source": "set"}, ["Lesion"])
    assert list(dict.fromkeys(frame["method"])) == list(METHODS)
    assert len(frame) == 2 * PATIENTS * len(METHODS)
    assert set(frame["label"]) == {"Lesion"}
    np.testing.assert_allclose(frame["number"], 1 - frame["quality"])
    assert {"patient", "volume", "slice", "number"} <= set(frame.columns)
    with pytest.raises(ValueError, match=r"no box of \['Cist'\]"):
        box_errors(run, {"source": "set"}, ["Cist"])
    with pytest.raises(ValueError, match="no box on the images of set"):
        box_errors(replace(run, boxes=run.boxes.iloc[:0]), {"source": "set"})


def test_methods_of_another_domain_are_apart():
    run = known()
    away = run.scores["method"] == "tv"
    scores = pd.concat([run.scores, run.scores[away].assign(domain="there", ssim=0.1)], ignore_index=True)
    there = run.boxes[run.boxes["method"] == "tv"].assign(domain="there", box_error=7.0)
    both = replace(run, scores=scores, boxes=pd.concat([run.boxes, there]), adapted=["tv"])
    moved = box_errors(both, {"source": "set", "domain": "there"})
    assert set(moved.loc[moved["method"] == "tv", "number"]) == {7.0}
    assert set(moved["method"]) == set(METHODS)
    assert 7.0 not in set(box_errors(both, {"source": "set"})["number"])


def test_spearman_is_that_of_scipy():
    from scipy.stats import spearmanr

    first, second = np.random.default_rng(1).integers(0, 5, (2, 20)).astype(float)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert math.isnan(spearman(first[:2], second[:2]))
    assert math.isnan(spearman(first, np.ones(20)))
    assert math.isnan(spearman(first, np.where(second > 3, math.nan, second)))

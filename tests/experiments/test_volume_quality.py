"""Quality per volume: that of fastMRI's evaluation on whole volumes, and what is left out or missing."""

import math

import h5py
import numpy as np
import pandas as pd
import pytest
from fastmri import evaluate

from mrilib.data.catalogue import to_frame
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.measurement_files import read_measurement
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.simulated import simulate_volume
from mrilib.experiments.assessment import cropped_modulus
from mrilib.experiments.base import experiment_from
from mrilib.experiments.scores import read_scores, scores_csv, with_usual_domains
from mrilib.experiments.scoring import score_image
from mrilib.experiments.volume_quality import volume_rows
from mrilib.metrics.statistics import summarise
from mrilib.metrics.volume import volume_scores
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.report.tables import render
from mrilib.store.arrays import read_group
from mrilib.store.functions import load_function
from tests.experiments.frames import clean, run_of
from tests.experiments.scenes import Stored
from workflow_scripts.stages import measure_scan

# Of the slices of each volume: what their own scale or their own maximum would show.
SCALES = {"file1": (1.0, 4.0, 0.5), "file2": (30.0, 10.0)}
METHODS = {"zero": ZeroFilled(), "sense": Tikhonov(weight=0.05)}
SAMPLING = {
    "class": "mrilib.data.sampling.columns:EquispacedFraction",
    "arguments": {"acceleration": 3, "center_fraction": 0.16},
}
DESCRIBED = {"class": "mrilib.experiments.volume_quality:VolumeQuality", "arguments": {}}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Scores of two volumes by two methods, and the images of both as one array a volume, in one unit."""
    folder = tmp_path_factory.mktemp("volumes")
    entries = []
    for seed, (name, scales) in enumerate(SCALES.items()):
        phantoms = ellipse_phantoms(len(scales), size=48, seed=seed).numpy().clip(0)
        images = [scale * image for scale, image in zip(scales, phantoms, strict=True)]
        # Readout and columns are larger than the images that are stored.
        simulate_volume(images, folder / f"{name}.h5", coils=3, rows=64, columns=56, noise=0.01, seed=seed)
        with Worker() as worker:
            entries.append(
                to_frame(inspect_volume(folder / f"{name}.h5", dataset="d", anatomy="a", worker=worker))
            )
    pd.concat(entries).to_csv(folder / "slices.csv", index=False)
    found, images = [], {}
    for position in range(sum(map(len, SCALES.values()))):
        params = {"identity": {"source": "set", "position": position}, "sampling": SAMPLING}
        outputs = {"measurement": folder / f"{position}.h5"}
        measure_scan.main({"slices": folder / "slices.csv"}, outputs, params)
        measurement = read_measurement(outputs["measurement"])
        for name, method in METHODS.items():
            stored = Stored(folder, measurement, method, name=name, mask="columns", position=position)
            file = stored.folder / "reconstruction.h5"
            found += score_image(stored.path, file)
            image = read_group(file, "clean").arrays["reconstruction"]
            image = cropped_modulus(image, measurement.reference.shape) * measurement.scale
            images.setdefault((measurement.about["volume"], name), []).append(image)
        truth = measurement.reference.double().numpy() * measurement.scale
        images.setdefault((measurement.about["volume"], "truth"), []).append(truth)
    return folder, found, {key: np.stack(each) for key, each in images.items()}


def frame_of(rows, folder):
    (folder / "scores.csv").write_text(scores_csv(rows))
    return read_scores([folder / "scores.csv"])


def answered(scores, **more):
    run = run_of(scores, **{"methods": dict.fromkeys(METHODS), "seed": 3} | more)
    experiment = experiment_from(DESCRIBED)
    records = experiment.records(run)
    table = load_function(experiment.table)(records, **experiment.table_arguments(run))
    return {(each.quantity, each.method): each for each in records}, table


def test_values_per_volume_are_fastmris(scored, tmp_path):
    folder, rows, images = scored
    frame = frame_of(rows, tmp_path)
    found = volume_rows(frame).set_index(["volume", "method"])
    assert len(found) == 4
    for (volume, method), row in found.iterrows():
        truth, image = images[volume, "truth"], images[volume, method]
        with h5py.File(folder / f"{volume}.h5") as file:
            # In one unit, the scanner's.
            assert truth == pytest.approx(file["reconstruction_rss"][()], rel=1e-5, abs=1e-6 * truth.max())
        expected = {name: getattr(evaluate, name)(truth, image).item() for name in ("nmse", "psnr", "ssim")}
        assert row[list(expected)].to_dict() == pytest.approx(expected, rel=1e-6)
        # Means over slices are others.
        here = frame[(frame["volume"] == volume) & (frame["method"] == method)]
        assert len(set(here["reference_norm"])) == len(here) == row["slices"] == len(SCALES[volume])
        assert abs(row["psnr"] - here["psnr"].mean()) > 0.1
        assert row["nmse"] != pytest.approx(here["nmse"].mean(), rel=0.01)


def test_the_table_has_means_over_volumes(scored, tmp_path):
    _, rows, _ = scored
    frame = frame_of(rows, tmp_path)
    values = volume_rows(frame)
    records, table = answered(frame, mask_labels={"columns": "columns 3×"}, labels={"sense": "SENSE"})
    for (quantity, method), record in records.items():
        own = values.loc[values["method"] == method, quantity].tolist()
        expected = summarise(own, groups=["1", "2"], seed=3)
        assert (record.value, record.sd, record.n) == (expected.mean, expected.sd, 2)
        assert (record.low, record.high) == pytest.approx((expected.low, expected.high), nan_ok=True)
        assert (record.missing, record.table) == (0, "volume-quality")
        assert record.row == {"source": "set", "mask": "columns"}
    assert records["psnr", "zero"].unit == "dB"
    assert table.title == "Quality of reconstructions per volume"
    assert table.wide.columns.tolist() == ["images", "mask", "method", "NMSE", "PSNR (dB)", "SSIM", "n"]
    assert table.wide.iloc[:, :3].to_numpy().tolist() == [
        ["set (simulated)", "columns 3×", "zero"],
        ["set (simulated)", "columns 3×", "SENSE"],
    ]
    assert table.wide["SSIM"].iloc[0].startswith(f"{records['ssim', 'zero'].value:.3f} ±")
    assert table.wide["n"].tolist() == ["2", "2"]
    assert "eft out" not in table.note
    assert render(table)["tex"].isascii()


def slices(volume, count, *, there=None, method="zero", **changes):
    """Slices of a volume: all, or some of them."""
    return [
        clean(0.1, **about | changes)
        for about in (
            {
                "volume": volume,
                "slice": number,
                "slices": count,
                "position": 100 * int(volume[1:]) + number,
                "patient": f"p{volume}",
                "method": method,
                "reference_norm": 1.0 + number,
                "ssim": 0.9 - 0.1 * number,
                "psnr": 30.0 + number,
                "nmse": 0.01 * (1 + number),
            }
            for number in (range(count) if there is None else there)
        )
    ]


def test_volumes_with_a_failed_slice_are_missing_and_incomplete_ones_are_left_out(tmp_path):
    rows = slices("v1", 3) + slices("v2", 3) + slices("v3", 4, there=(1, 2)) + slices("v4", 2)
    rows += slices("v1", 3, method="sense") + slices("v2", 3, method="sense")
    rows += slices("v5", 1, slices=math.nan)
    rows[4] |= {"failed": "max_steps", "ssim": math.nan, "psnr": math.nan, "nmse": math.nan}
    rows[6] |= {"failed": "max_steps"}
    frame = frame_of(rows, tmp_path)
    found = volume_rows(frame)
    assert found[["volume", "method"]].to_numpy().tolist() == [
        *(["v1", "zero"], ["v2", "zero"], ["v4", "zero"]),
        *(["v1", "sense"], ["v2", "sense"]),
    ]
    assert found["failed"].tolist() == ["", "slice 1: max_steps", "", "", ""]
    assert np.isfinite(found["ssim"]).tolist() == [True, False, True, True, True]
    records, table = answered(frame)
    zero, sense = records["ssim", "zero"], records["ssim", "sense"]
    assert (zero.n, zero.missing) == (2, 1)
    assert zero.value == pytest.approx((0.8 + 0.85) / 2)
    assert (sense.n, sense.missing) == (2, 0)
    assert "Left out, for the set does not have all of their slices: 2 of 5 volumes of set." in table.note
    assert "(1 missing)" in table.wide["NMSE"].iloc[0]
    expected = volume_scores(frame[:3][["ssim", "psnr", "nmse"]].to_dict("records"), [1.0, 2.0, 3.0])
    assert found.iloc[0][list(expected)].to_dict() == expected


def test_patients_are_resampled_and_volumes_stand_for_them_where_they_are_not_known():
    rows = [row for volume in ("v1", "v2", "v3") for row in slices(volume, 2)]
    rows = [row | {"ssim": row["ssim"] + 0.02 * int(row["volume"][1:])} for row in rows]
    unknown, _ = answered([row | {"patient": ""} for row in rows])
    known, _ = answered(rows)
    assert known["ssim", "zero"].low == unknown["ssim", "zero"].low < known["ssim", "zero"].value
    one, _ = answered([row | {"patient": "p"} for row in rows])
    assert math.isnan(one["ssim", "zero"].low)


def test_perfect_volumes_have_an_infinite_psnr_which_is_missing():
    records, table = answered(slices("v1", 2, psnr=math.inf, nmse=0.0, ssim=1.0))
    assert (records["psnr", "zero"].n, records["psnr", "zero"].missing) == (0, 1)
    assert (records["ssim", "zero"].value, records["nmse", "zero"].value) == (1.0, 0.0)
    assert table.wide[["PSNR (dB)", "SSIM"]].iloc[0].tolist() == ["— (1 missing)", "1.000"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], ""),
        ([clean(0.1, ssim=0.9)], ""),
        (slices("v1", 3, there=(0, 1)), ": 1 of 1 volumes of set."),
        (
            slices("v1", 3, there=(0,)) + slices("v2", 3, there=(2,), source="b"),
            ": 1 of 1 volumes of b, 1 of",
        ),
    ],
)
def test_without_a_complete_volume_there_is_a_table_without_rows(rows, told, tmp_path):
    records, table = answered(frame_of(rows, tmp_path), sources=["b", "set"])
    assert records == {}
    assert table.wide.empty
    assert "No set of test images has all slices of a volume." in table.note
    assert ("Left out" in table.note) is bool(told)
    assert told in table.note
    text = render(table)["md"]
    assert "per volume" in text
    assert "images" in text


def test_domains_and_levels_of_tuning_have_rows_of_their_own():
    elsewhere = slices("v1", 2, domain="brain@random-4", tuned="0.01", level=0.01)
    frame = pd.DataFrame(slices("v1", 2) + elsewhere + slices("v1", 2, tuned="0.04", level=0.04))
    run = run_of(with_usual_domains(frame), methods=dict.fromkeys(METHODS))
    records = experiment_from(DESCRIBED).records(run)
    assert [each.row for each in records if each.quantity == "ssim"] == [
        {"source": "set", "mask": "mask"},
        {"source": "set", "mask": "mask", "domain": "brain@random-4", "tuned": "0.01"},
    ]
    _, table = answered(frame, domain_labels={"brain@random-4": "the brain"})
    assert table.wide["tuned on"].tolist() == ["—", "the brain"]
    assert table.wide["tuned at"].tolist() == ["—", "1 %"]


def test_a_slice_that_is_given_twice_is_refused():
    rows = slices("v1", 2)
    with pytest.raises(ValueError, match=r"volume_rows: expected one row a slice, got several of .*'v1'"):
        volume_rows(pd.DataFrame([*rows, rows[0] | {"position": 7}]))

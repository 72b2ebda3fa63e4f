import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import (
    read_catalogue,
    rejected,
    summarise_volumes,
    to_frame,
    without_copies,
)
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.simulated import simulate_volume

ABOUT = {"dataset": "brains", "anatomy": "brain"}


@pytest.fixture
def volume(tmp_path):
    y, x = np.mgrid[-1:1:48j, -1:1:40j]
    images = [np.exp(-((y / 0.6) ** 2 + (x / 0.4) ** 2)), np.exp(-((y / 0.3) ** 2 + (x / 0.4) ** 2))]
    path = tmp_path / "volume.h5"
    simulate_volume(images, path, coils=4, rows=48, columns=40, noise=0.1, seed=1, patient="someone")
    return path


def test_every_slice_is_described(volume, worker):
    entries = inspect_volume(volume, worker=worker, **ABOUT)
    assert [entry.slice for entry in entries] == [0, 1]
    first = entries[0]
    assert (first.slices, first.coils, first.rows, first.columns) == (2, 4, 48, 40)
    assert (first.patient, first.simulated, first.accepted, first.reason) == ("someone", True, True, "")
    assert (first.center_row, first.center_column) == (24, 20)
    assert (first.moved_rows, first.moved_columns) == (0, 0)
    assert (first.first_row, first.end_row, first.first_column, first.end_column) == (0, 48, 0, 40)
    assert (first.used_coils, first.silent_coils, first.coil_share, first.notes) == (4, "", None, "")
    ratios = (first.target_ratio, first.maximum_ratio, first.norm_ratio)
    assert ratios == pytest.approx((1, 1, 1), abs=1e-5)
    assert first.maximum == pytest.approx(max(entry.scale for entry in entries), rel=1e-6)
    assert first.hash != entries[1].hash
    with h5py.File(volume) as file:
        images = np.fft.fftshift(
            np.fft.ifft2(np.fft.ifftshift(file["kspace"][0], axes=(1, 2)), norm="ortho"), axes=(1, 2)
        )
    energy = (abs(images) ** 2).sum(axis=0)
    assert first.scale == pytest.approx(np.sqrt(energy.max()), rel=1e-5)
    # `noise`² of the volume's energy, over all parts.
    total = sum(
        np.square(np.exp(-((y / w) ** 2 + (x / 0.4) ** 2))).sum() for w in (0.6, 0.3) for y, x in [grid()]
    )
    assert first.noise == pytest.approx(0.1 * np.sqrt(total / (2 * 2 * 4 * 48 * 40)), rel=0.1)


def grid():
    return np.mgrid[-1:1:48j, -1:1:40j]


def test_the_csv_says_the_same(volume, worker, tmp_path):
    entries = inspect_volume(volume, worker=worker, **ABOUT) + rejected(
        "brains", "0123", "brain", 'no, "why"'
    )
    path = tmp_path / "catalogue.csv"
    to_frame(entries).to_csv(path, index=False)
    read = read_catalogue(path)
    assert list(read["volume"]) == ["volume", "volume", "0123"]
    assert list(read["slice"].isna()) == [False, False, True]
    assert list(read["accepted"]) == [True, True, False]
    assert read["reason"].tolist() == ["", "", 'no, "why"']
    table = summarise_volumes(read)
    assert table["accepted"].tolist() == ["yes", 'no: no, "why"']
    assert table["acquisition"].tolist()[0].endswith("(simulated)")
    pd.DataFrame({"volume": ["v"]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"no columns .*'dataset'"):
        read_catalogue(path)


def damage(volume, how):
    with h5py.File(volume, "r+") as file:
        kspace = file["kspace"][()]
        if how == "mask":
            mask = np.arange(40) % 2 == 0
            file["mask"] = mask.astype(np.float32)
            kspace *= mask
        elif how == "lines":
            kspace[:, :, :, 7:30:4] = 0
        elif how == "units":
            kspace[1] *= 100
        else:
            kspace[1, 2, 3, 4] = np.nan
        file["kspace"][...] = kspace


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("mask", "20: undersampled (a mask in the file)"),
        ("lines", "6 columns of zeros between others (column 7, 11, 15, 19, 23, 27)"),
        ("units", "stored images of 0.01 to 1 times their RSS"),
        ("nan", "kspace, slice 1: expected finite values"),
    ],
)
def test_a_volume_that_cannot_be_used_is_one_row_with_its_reason(volume, worker, how, reason):
    damage(volume, how)
    (entry,) = inspect_volume(volume, worker=worker, **ABOUT)
    assert not entry.accepted
    assert reason in entry.reason
    assert str(volume) not in entry.reason
    assert (entry.rows, entry.columns, entry.patient) == (48, 40, "someone")
    with pytest.raises(VolumeError, match=re.escape(reason)):
        inspect_volume(volume, worker=worker, **ABOUT, throw=True)


def test_without_a_stored_image_the_rss_of_kspace_is_taken(volume, worker):
    complete = inspect_volume(volume, worker=worker, **ABOUT)
    with h5py.File(volume, "r+") as file:
        del file["reconstruction_rss"], file.attrs["max"]
        file["mask"] = np.arange(40) % 2 == 0
    entries = inspect_volume(volume, worker=worker, **ABOUT)
    assert [(each.maximum, each.scale, each.hash) for each in entries] == [
        (each.maximum, each.scale, each.hash) for each in complete
    ]
    assert (entries[0].target_rows, entries[0].target_columns, entries[0].target_ratio) == (48, 40, None)
    assert "no stored image" in entries[0].notes
    assert "a mask in the file, which k-space does not follow: not used" in entries[0].notes


def test_a_copy_under_another_name_is_rejected(volume, worker, tmp_path):
    copy = tmp_path / "copy.h5"
    shutil.copy(volume, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["patient_id"] = "someone else"
    entries = [each for path in (volume, copy) for each in inspect_volume(path, worker=worker, **ABOUT)]
    kept = without_copies(entries)
    assert [(each.volume, each.slice, each.accepted) for each in kept] == [
        ("volume", 0, True),
        ("volume", 1, True),
        ("copy", None, False),
    ]
    assert "slice 0 of volume again" in kept[-1].reason


@pytest.mark.parametrize(("name", "patient"), [("Anonymous", "volume"), ("N/A", "volume"), ("0012", "0012")])
def test_a_word_for_every_patient_is_no_patient(volume, worker, name, patient):
    with h5py.File(volume, "r+") as file:
        file.attrs["patient_id"] = name
    entry = inspect_volume(volume, worker=worker, **ABOUT)[0]
    assert entry.patient == patient
    assert ("is nobody" in entry.notes) == (patient == "volume")


def test_no_file(tmp_path, worker):
    with pytest.raises(FileNotFoundError):
        inspect_volume(tmp_path / "none.h5", worker=worker, **ABOUT)

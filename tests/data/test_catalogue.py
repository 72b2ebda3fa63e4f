import h5py
import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import (
    read_catalogue,
    rejected,
    summarise_volumes,
    to_frame,
)
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.simulated import simulate_volume

ABOUT = {"dataset": "brains", "anatomy": "brain"}


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


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
    assert first.center_column == 20
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
        if how == "mask":
            file["mask"] = np.ones(40, np.float32)
        elif how == "target":
            del file["reconstruction_rss"]
        else:
            kspace = file["kspace"][()]
            kspace[1, 2, 3, 4] = np.nan
            file["kspace"][...] = kspace


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("mask", "undersampled (a mask in the file)"),
        ("target", "without a target"),
        ("nan", "kspace"),
    ],
)
def test_a_volume_that_cannot_be_used_is_one_row_with_its_reason(volume, worker, how, reason):
    damage(volume, how)
    (entry,) = inspect_volume(volume, worker=worker, **ABOUT)
    assert not entry.accepted
    assert reason in entry.reason
    assert str(volume) not in entry.reason


def test_no_file(tmp_path, worker):
    with pytest.raises(FileNotFoundError):
        inspect_volume(tmp_path / "none.h5", worker=worker, **ABOUT)

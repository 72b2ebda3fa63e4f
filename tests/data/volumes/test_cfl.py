"""Arrays of BART are read as BART wrote them, and become volumes whose images equal a direct computation."""

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from mrilib.data.volumes.cfl import convert_cfl, read_cfl
from mrilib.data.volumes.fastmri import check_volume, read_slice
from mrilib.data.volumes.foreign import VolumeError
from tests.data.volumes.peak_memory import peak_growth
from tests.data.volumes.raw_files import direct_ifft, noise_kspace, write_cfl


def direct_rss(kspace: np.ndarray) -> np.ndarray:
    return np.sqrt((abs(direct_ifft(kspace, (-2, -1))) ** 2).sum(axis=-3))


def kspace_of(path: Path) -> np.ndarray:
    check_volume(path)
    with h5py.File(path) as file:
        return file["kspace"][()]


@pytest.mark.parametrize("ending", ["", ".cfl", ".hdr"])
def test_an_array_is_read_by_either_name(tmp_path, ending):
    values = noise_kspace(6, 5, 1, 3)
    write_cfl(tmp_path / "a", values)
    found = read_cfl(tmp_path / f"a{ending}")
    assert found.shape == (6, 5, 1, 3) + (1,) * 12
    np.testing.assert_array_equal(found.reshape(values.shape), values)


@pytest.mark.skipif(shutil.which("bart") is None, reason="no BART")
def test_what_bart_writes_is_read(tmp_path):
    subprocess.run(["bart", "phantom", "-x", "32", "-s", "4", "-k", tmp_path / "k"], check=True)
    subprocess.run(["bart", "fft", "-i", "-u", "3", tmp_path / "k", tmp_path / "i"], check=True)
    subprocess.run(["bart", "rss", "8", tmp_path / "i", tmp_path / "r"], check=True)
    convert_cfl(tmp_path / "k", tmp_path / "v.h5")
    expected = abs(read_cfl(tmp_path / "r")).squeeze()
    found = read_slice(tmp_path / "v.h5", 0)
    assert found.kspace.shape == (4, 32, 32)
    np.testing.assert_allclose(found.target, expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.data
def test_a_measured_brain(data_folder, tmp_path):
    header = convert_cfl(data_folder / "brain_noise.cfl", tmp_path / "v.h5")
    assert (header.shape, header.target_shape) == ((1, 8, 230, 180), (1, 230, 180))
    stored = np.fromfile(data_folder / "brain_noise.cfl", "complex64").reshape(8, 180, 230)
    kspace = stored.transpose(0, 2, 1)
    found = read_slice(tmp_path / "v.h5", 0)
    np.testing.assert_array_equal(found.kspace, kspace)
    expected = direct_rss(kspace)
    np.testing.assert_allclose(found.target, expected, rtol=0, atol=1e-5 * expected.max())
    assert convert_cfl(data_folder / "brain_noise", tmp_path / "w.h5", rows=1).shape == (1, 8, 180, 230)


@pytest.mark.parametrize(
    ("dims", "options", "axes"),
    [
        ((6, 5, 1, 3), {}, (2, 3, 0, 1)),
        ((6, 5, 4, 3), {}, (2, 3, 0, 1)),
        ((6, 5, 4, 3), {"rows": 1}, (2, 3, 1, 0)),
        ((6, 5, 4, 3), {"rows": 2}, (1, 3, 2, 0)),
        ((6, 5, 3), {}, (13, 2, 0, 1)),
        ((6, 5, 4), {"coils": 3}, (2, 3, 0, 1)),
        ((6, 5, 1, 3) + (1,) * 9 + (4,), {}, (13, 3, 0, 1)),
        ((6, 5, 1, 1, 3), {"coils": 4}, (2, 4, 0, 1)),
    ],
)
def test_dimensions_go_where_they_belong(tmp_path, dims, options, axes):
    values = noise_kspace(*dims)
    header = convert_cfl(write_cfl(tmp_path / "a", values), tmp_path / "v.h5", **options)
    padded = values.reshape(dims + (1,) * (16 - len(dims)))
    expected = np.transpose(padded, axes + tuple(i for i in range(16) if i not in axes)).squeeze(
        axis=tuple(range(4, 16))
    )
    np.testing.assert_array_equal(kspace_of(tmp_path / "v.h5"), expected)
    assert header.shape == expected.shape


@pytest.mark.parametrize("partitions", [4, 5])
def test_partitions_become_slices(tmp_path, partitions):
    values = noise_kspace(6, 5, partitions, 3)
    convert_cfl(write_cfl(tmp_path / "a", values), tmp_path / "v.h5", transform=True)
    expected = direct_ifft(values, (2,)).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(kspace_of(tmp_path / "v.h5"), expected, atol=1e-5)


def test_the_volume_says_what_it_is(tmp_path):
    path = write_cfl(tmp_path / "a", noise_kspace(6, 5, 1, 3))
    header = convert_cfl(path, tmp_path / "v.h5", acquisition="T1", field_strength=3.0, simulated=True)
    assert (header.acquisition, header.patient, header.field_strength) == ("T1", "a", 3.0)
    assert header.simulated
    assert "simulated" in header.source
    assert convert_cfl(path, tmp_path / "v.h5", patient="p").patient == "p"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("", "lengths in the line after"),
        ("# Dimensions\n", "lengths in the line after"),
        ("# Dimensions\n6 5 1 -3\n", "lengths in the line after"),
        ("# Dimensions\n6 5 1 3.0\n", "lengths in the line after"),
        ("# Dimensions\n" + "1 " * 17, "lengths in the line after"),
        ("# Dimensions\n6 5 1 4\n", "expected 960 bytes from the header, got 720"),
        ("# Dimensions\n2000000000 2000000000 2000000000\n", "bytes from the header, got 720"),
    ],
)
def test_a_bad_header_says_what_is_wrong(tmp_path, header, problem):
    write_cfl(tmp_path / "a", noise_kspace(6, 5, 1, 3))
    (tmp_path / "a.hdr").write_text(header)
    with pytest.raises(VolumeError, match=problem):
        read_cfl(tmp_path / "a")


def test_bad_data_says_what_is_wrong(tmp_path):
    values = noise_kspace(6, 5, 1, 3)
    values[2, 3, 0, 1] = np.nan
    write_cfl(tmp_path / "a", values)
    with pytest.raises(VolumeError, match="finite values, got 1 that are not"):
        read_cfl(tmp_path / "a")
    with pytest.raises(VolumeError, match="slice 0: expected finite"):
        convert_cfl(tmp_path / "a", tmp_path / "v.h5")
    values[:, 3] = 0
    write_cfl(tmp_path / "a", values)
    with pytest.raises(VolumeError, match="5 columns, all sampled, got 4"):
        convert_cfl(tmp_path / "a", tmp_path / "v.h5")
    write_cfl(tmp_path / "a", noise_kspace(6, 5, 4, 3, 2))
    with pytest.raises(VolumeError, match="length 1 but for slices, coils, rows, columns"):
        convert_cfl(tmp_path / "a", tmp_path / "v.h5")
    with pytest.raises(VolumeError, match="dimension 0, 1 or 2 for rows"):
        convert_cfl(tmp_path / "a", tmp_path / "v.h5", rows=5)
    (tmp_path / "a.hdr").unlink()
    with pytest.raises(FileNotFoundError, match="expected a pair of"):
        read_cfl(tmp_path / "a.cfl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.cfl"]


@pytest.mark.slow
def test_memory_stays_below_two_volumes(tmp_path):
    write_cfl(tmp_path / "a", noise_kspace(128, 128, 160, 8))
    size = (tmp_path / "a.cfl").stat().st_size
    grown = peak_growth(
        "mrilib.data.volumes.cfl:convert_cfl", tmp_path / "a", tmp_path / "v.h5", transform=True
    )
    assert grown < 1.6 * size

"""One call from Python reads what the workflow reads."""

import numpy as np
import pytest
import torch

import mrilib.data.volumes
from mrilib.data.coil_compression import CoilCompression
from mrilib.data.intensity import rss_target
from mrilib.data.masks import column_mask
from mrilib.data.volumes import read_volume
from mrilib.data.volumes.cfl import Bart
from mrilib.data.volumes.foreign import VolumeError
from tests.data.volumes.raw_files import cartesian_scan, write_cfl
from tests.data.volumes.scans import rss_of, scan_kspace, write_scan


def test_a_volume_of_fastmri(tmp_path):
    kspace = scan_kspace()
    kspace[1, 2] = 0
    found = read_volume(write_scan(tmp_path / "scan.h5", np.roll(kspace, 5, 3)))
    assert [len(each) for each in found.kspace] == [4, 3, 4]
    np.testing.assert_array_equal(found.kspace[0], kspace[0])
    np.testing.assert_allclose(found.reference, rss_of(kspace), rtol=1e-4, atol=1e-9)
    assert found.maximum == pytest.approx(rss_of(kspace).max(), rel=1e-5)
    assert found.acquired is None
    assert [note.partition(":")[0] for note in found.notes] == [
        "centre at column 37 instead of 32",
        "coil 2 is zero in slice 1",
    ]
    mask = column_mask(64, acceleration=4, center_fraction=0.16, kind="random", seed=1)
    measured = found.measured(1, mask)
    assert measured.maximum * measured.scale == pytest.approx(found.maximum)
    torch.testing.assert_close(measured.reference * measured.scale, rss_target(found.kspace[1], (48, 64)))
    assert measured.about["volume"] == "scan"


@pytest.mark.parametrize("shift", [8, -3])
def test_a_repetition_of_m4raw(tmp_path, shift):
    """Four coils, and k-space that lies off its centre along the readout, with the image of that k-space."""
    kspace = scan_kspace(slices=2, rows=64)
    path = write_scan(
        tmp_path / "2022061003_T101.h5", np.roll(kspace, shift, 2), attributes={"acquisition": "T1"}
    )
    found = read_volume(path)
    np.testing.assert_array_equal(found.kspace[1], kspace[1])
    np.testing.assert_allclose(found.reference, rss_of(kspace), rtol=1e-4, atol=1e-9)
    assert found.notes == (f"centre at row {32 + shift} instead of 32: moved",)


def test_a_mask_is_emptied_where_nothing_was_acquired(tmp_path):
    kspace = scan_kspace()
    kspace[..., :10] = 0
    found = read_volume(write_scan(tmp_path / "scan.h5", kspace))
    measured = found.measured(0, torch.ones(64, dtype=torch.bool))
    assert measured.mask.sum() == 54
    assert measured.acceleration == 1


def test_raw_scans_are_converted(tmp_path):
    kspace = scan_kspace(slices=2, rows=24, columns=20)
    scan = cartesian_scan(kspace.transpose(0, 3, 1, 2)[:, None])
    found = read_volume(scan.write(tmp_path / "raw.h5"))
    assert len(found.kspace) == 2
    np.testing.assert_allclose(found.reference, rss_of(kspace), rtol=1e-4, atol=1e-9)
    assert found.entries[0].patient == "someone"


def test_arrays_of_bart_are_converted(tmp_path):
    kspace = scan_kspace(slices=1)[0]
    write_cfl(tmp_path / "array.cfl", np.moveaxis(kspace, 0, -1)[:, :, None, :])
    for ending in (".cfl", ".hdr"):
        found = read_volume(tmp_path / f"array{ending}")
        np.testing.assert_allclose(found.reference[0], rss_of(kspace[None])[0], rtol=1e-4, atol=1e-9)
    turned = read_volume(tmp_path / "array.cfl", reader=Bart(rows=1))
    assert turned.reference.shape == (1, 64, 48)


def test_many_coils_become_few_if_that_is_wanted(tmp_path):
    path = write_scan(tmp_path / "scan.h5", scan_kspace(coils=8))
    found = read_volume(path, compression=CoilCompression(share=0.99, from_coils=4))
    assert max(len(each) for each in found.kspace) < 8
    assert found.entries[0].coil_share == 0.99


def test_what_the_workflow_rejects_is_refused(tmp_path):
    kspace = scan_kspace()
    kspace[..., 5:50:3] = 0
    path = write_scan(tmp_path / "scan.h5", kspace)
    with pytest.raises(VolumeError, match=r"scan.h5: kspace: .*15 columns of zeros between others"):
        read_volume(path)
    with pytest.raises(FileNotFoundError):
        read_volume(tmp_path / "none.h5")


def test_the_package_has_nothing_else():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mrilib.data.volumes.nothing  # noqa: B018  # the access is what is tried

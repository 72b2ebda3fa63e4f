"""Volumes of the fastMRI schema: what is written is what fastMRI's own classes read; bad files say why."""

import os
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest
from fastmri.data.mri_data import SliceDataset
from fastmri.data.subsample import EquiSpacedMaskFunc
from fastmri.data.transforms import UnetDataTransform, VarNetDataTransform

from mrilib.data.volumes.centered_fft import centered_fft, centered_ifft, rss
from mrilib.data.volumes.fastmri import (
    VolumeWriter,
    check_volume,
    read_header,
    read_slice,
    write_volume,
)
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.scan_header import edit_header, new_header, parse_header
from tests.data.volumes.crashing import crash
from tests.data.volumes.peak_memory import peak_growth
from tests.data.volumes.raw_files import direct_ifft, middle, noise_kspace

SHAPE, TARGET = (3, 4, 24, 20), (16, 12)


def about(**changes) -> dict:
    header = new_header(matrix=SHAPE[2:], target=TARGET, coils=SHAPE[1], field_strength=2.89)
    found = {"target": TARGET, "header": header, "acquisition": "CORPD_FBK", "patient": "p"}
    return found | {"source": "a test", "simulated": False} | changes


def written(path: Path, **changes) -> Path:
    write_volume(path, noise_kspace(*SHAPE), shape=SHAPE, **about(**changes))
    return path


@pytest.fixture
def volume(tmp_path) -> Path:
    return written(tmp_path / "volumes" / "a.h5")


def direct_rss(kspace: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    images = direct_ifft(kspace, (-2, -1))
    return np.sqrt((abs(middle(middle(images, size[0], -2), size[1], -1)) ** 2).sum(axis=-3))


# Writing and reading


@pytest.mark.parametrize("sides", [(8, 6), (7, 6), (8, 5), (9, 7)])
def test_transforms_are_the_centred_dft(sides):
    values = noise_kspace(2, *sides).astype(np.complex128)
    found = centered_ifft(values, (1, 2))
    np.testing.assert_allclose(found, direct_ifft(values, (1, 2)), atol=1e-12)
    np.testing.assert_allclose(centered_fft(found, (1, 2)), values, atol=1e-12)
    assert centered_ifft(values.astype(np.complex64), (1,)).dtype == np.complex64


def test_a_volume_keeps_its_kspace_and_gets_the_rss_image(volume):
    kspace = noise_kspace(*SHAPE)
    expected = direct_rss(kspace, TARGET)
    for position in range(SHAPE[0]):
        found = read_slice(volume, position)
        np.testing.assert_array_equal(found.kspace, kspace[position])
        np.testing.assert_allclose(found.target, expected[position], rtol=1e-5)
        assert found.mask is None
    header = check_volume(volume)
    assert header == read_header(volume)
    assert (header.shape, header.target_shape) == (SHAPE, (SHAPE[0], *TARGET))
    assert (header.maximum, header.norm) == pytest.approx((expected.max(), np.linalg.norm(expected)))
    assert (header.acquisition, header.patient, header.source) == ("CORPD_FBK", "p", "a test")
    assert (header.field_strength, header.padding, header.simulated) == (2.89, (0, 20), False)


def test_arrays_carry_units_and_equal_content_makes_equal_files(volume, tmp_path):
    with h5py.File(volume) as file:
        assert {name: item.attrs["units"] for name, item in file.items()}.keys() == set(file)
        assert file["kspace"].id.get_type().get_class() == h5py.h5t.COMPOUND
    again = written(tmp_path / "b.h5")
    assert again.read_bytes() == volume.read_bytes()
    assert again.stat().st_mode & 0o044 == 0o044 & ~os.umask(os.umask(0o022))


def test_rss_crops_where_fastmri_crops():
    from fastmri.data.transforms import center_crop

    kspace = noise_kspace(2, 9, 8)
    np.testing.assert_allclose(rss(kspace, (4, 3)), center_crop(rss(kspace, (9, 8)), (4, 3)), rtol=1e-6)
    with pytest.raises(ValueError, match=r"size within \(9, 8\)"):
        rss(kspace, (10, 8))


def test_fastmris_own_classes_read_our_files(volume):
    plain = SliceDataset(volume.parent, "multicoil")
    assert len(plain) == SHAPE[0]
    kspace, mask, _, attributes, name, position = plain[1]
    np.testing.assert_array_equal(kspace, noise_kspace(*SHAPE)[1])
    assert (mask, name, position) == (None, "a.h5", 1)
    assert attributes["max"] == read_header(volume).maximum
    assert (attributes["padding_left"], attributes["padding_right"]) == (0, 20)
    assert attributes["encoding_size"] == (24, 20, 1)
    assert attributes["recon_size"] == (16, 12, 1)
    masks = EquiSpacedMaskFunc([0.2], [4])
    unet = SliceDataset(volume.parent, "multicoil", UnetDataTransform("multicoil", masks))[0]
    assert unet.target.shape == unet.image.shape == TARGET
    varnet = SliceDataset(volume.parent, "multicoil", VarNetDataTransform(masks))[0]
    assert varnet.masked_kspace.shape == (*SHAPE[1:], 2)
    assert varnet.crop_size == TARGET


@pytest.mark.parametrize(
    ("slices", "problem"),
    [
        (np.zeros(SHAPE, np.complex64), "slice 0: expected finite k-space that is not all zero"),
        (noise_kspace(*SHAPE) * np.float32(np.nan), "expected finite k-space"),
        (noise_kspace(*SHAPE) * np.float32(1e30), "expected an image within float32"),
        (noise_kspace(2, *SHAPE[1:]), "expected 3 slices, got 2"),
        (noise_kspace(4, *SHAPE[1:]), "one more"),
        (noise_kspace(3, 4, 24, 21), r"one more of shape \(4, 24, 21\)"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, slices, problem):
    with pytest.raises(ValueError, match=problem):
        write_volume(tmp_path / "a.h5", slices, shape=SHAPE, **about())
    assert list(tmp_path.iterdir()) == []


def test_a_target_larger_than_kspace_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"target within \(24, 20\)"):
        VolumeWriter(tmp_path / "a.h5", shape=SHAPE, **about(target=(16, 21)))


# Files of fastMRI itself, as they come


def foreign_volume(path: Path, **changes) -> Path:
    """A file as fastMRI's are: knees with oversampled rows, contiguous, made by another h5py."""
    kspace = noise_kspace(2, 3, 32, 18)
    header = new_header(matrix=(32, 18), target=(16, 16), coils=3)
    contents = {
        "kspace": kspace,
        "reconstruction_rss": direct_rss(kspace, (16, 16)).astype(np.float32),
        "ismrmrd_header": header.encode(),
    }
    contents |= changes
    with h5py.File(path, "w", libver="earliest") as file:
        for name, values in contents.items():
            if values is not None:
                file[name] = values
        target = contents["reconstruction_rss"]
        file.attrs["acquisition"] = np.bytes_("AXT2")
        file.attrs["patient_id"] = "0123abcd"
        if isinstance(target, np.ndarray) and target.dtype == np.float32:
            file.attrs["max"], file.attrs["norm"] = target.max(), np.float64(np.linalg.norm(target))
    return path


def test_a_knee_as_fastmri_stores_it_is_read(tmp_path, worker):
    path = foreign_volume(tmp_path / "a.h5")
    header = check_volume(path, worker=worker)
    assert (header.shape, header.target_shape) == ((2, 3, 32, 18), (2, 16, 16))
    assert (header.acquisition, header.patient, header.simulated) == ("AXT2", "0123abcd", False)
    assert header.field_strength is None
    assert header.sampled_fraction is None


@pytest.mark.parametrize("text", [np.bytes_(b"%s"), "%s", [b"%s"]])
def test_any_kind_of_string_is_read(tmp_path, text):
    header = new_header(matrix=(32, 18), target=(16, 16), coils=3)
    if isinstance(text, str):
        value = header
    elif isinstance(text, list):
        value = np.array([header.encode()], dtype="S2000")
    else:
        value = np.bytes_(header.encode())
    assert read_header(foreign_volume(tmp_path / "a.h5", ismrmrd_header=value)).padding == (0, 18)


def test_a_test_file_without_target_has_its_mask(tmp_path):
    mask = np.arange(18) % 4 == 0
    path = foreign_volume(tmp_path / "a.h5", reconstruction_rss=None, mask=mask)
    assert (check_volume(path).target_shape, read_header(path).masked) == (None, True)
    found = read_slice(path, 1)
    assert found.target is None
    np.testing.assert_array_equal(found.mask, mask)
    path = foreign_volume(tmp_path / "b.h5", mask=mask.astype(np.float32)[None])
    np.testing.assert_array_equal(read_slice(path, 0).mask, mask)


def test_a_target_wider_than_kspace_is_read(tmp_path):
    wide = np.ones((2, 16, 20), np.float32)
    assert check_volume(foreign_volume(tmp_path / "a.h5", reconstruction_rss=wide)).target_shape == wide.shape


KSPACE = noise_kspace(2, 3, 32, 18)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kspace": None}, "kspace: expected a dataset, got none"),
        ({"kspace": KSPACE[0]}, "reconstruction_rss: expected 3 slices as kspace, got 2"),
        ({"kspace": KSPACE[0, 0]}, r"kspace: expected complex64 .* got complex64 of shape \(32, 18\)"),
        ({"kspace": abs(KSPACE)}, "kspace: expected complex64"),
        ({"kspace": np.zeros((0, 3, 32, 18), np.complex64)}, "sides from 1"),
        (
            {"kspace": KSPACE * np.where(np.arange(18) == 3, np.nan, 1).astype("f4")},
            "slice 0: expected finite",
        ),
        ({"kspace": KSPACE * np.array([1, 0], "f4")[:, None, None, None]}, "slice 1: expected finite"),
        ({"reconstruction_rss": np.ones((3, 16, 16), np.float32)}, "expected 2 slices as kspace, got 3"),
        ({"reconstruction_rss": np.ones((2, 16, 16), np.int32)}, "reconstruction_rss: expected float32"),
        ({"reconstruction_rss": -np.ones((2, 16, 16), np.float32)}, ">= 0"),
        ({"mask": np.ones(17)}, "mask: expected 18 numbers, one a column"),
        ({"mask": np.zeros(18)}, "expected a sampled column"),
        ({"ismrmrd_header": None}, "ismrmrd_header: expected a dataset"),
        ({"ismrmrd_header": b"<ismrmrdHeader>"}, "an ISMRMRD header in XML"),
        ({"ismrmrd_header": b"<a/>"}, "ismrmrd_header: encoding: expected one, got none"),
        ({"ismrmrd_header": b"<!DOCTYPE a><a/>"}, "document type definition"),
        ({"ismrmrd_header": 3}, "ismrmrd_header: expected text"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, worker, changes, problem):
    path = foreign_volume(tmp_path / "bad.h5", **changes)
    with pytest.raises(VolumeError, match=problem) as caught:
        check_volume(path, worker=worker)
    assert caught.value.path.endswith("bad.h5")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("encodedSpace/matrixSize/y", "-3", "an integer from 1 to 65535, got -3"),
        ("encodedSpace/matrixSize/x", "1e9", "got 1e9"),
        ("reconSpace/matrixSize/z", "99999999999", "integer"),
        ("encodingLimits/kspace_encoding_step_1/minimum", "40", "minimum <= maximum"),
    ],
)
def test_a_wild_number_in_the_header_is_named(tmp_path, name, text, problem):
    header = new_header(matrix=(32, 18), target=(16, 16), coils=3)
    path = foreign_volume(tmp_path / "a.h5", ismrmrd_header=edit_header(header, {f"encoding/{name}": text}))
    with pytest.raises(VolumeError, match=problem):
        read_header(path)


def test_stored_maximum_and_norm_must_be_those_of_the_target(tmp_path, worker):
    for name, value in (("max", 1.0), ("norm", 1e9), ("max", np.nan), ("max", "much")):
        path = foreign_volume(tmp_path / "a.h5")
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
            file.attrs["source"] = "a test"
        with pytest.raises(VolumeError, match=f"attribute {name}"):
            check_volume(path, worker=worker)


def test_an_unfinished_file_is_refused(tmp_path):
    path = foreign_volume(tmp_path / "a.h5", kspace=None)
    with h5py.File(path, "r+") as file:
        file.create_dataset("kspace", (2, 3, 32, 18), np.complex64, chunks=(1, 3, 32, 18))[0] = KSPACE[0]
    with pytest.raises(VolumeError, match="expected 2 chunks, got 1"):
        read_header(path)
    path = foreign_volume(tmp_path / "b.h5", kspace=None)
    with h5py.File(path, "r+") as file:
        file.create_dataset("kspace", (2, 3, 32, 18), np.complex64)
    with pytest.raises(VolumeError, match="27648 bytes, got 0"):
        read_header(path)


def test_no_link_leads_out_of_the_file(tmp_path):
    foreign_volume(tmp_path / "other.h5")
    path = foreign_volume(tmp_path / "a.h5", kspace=None)
    with h5py.File(path, "r+") as file:
        file["kspace"] = h5py.ExternalLink("other.h5", "kspace")
    with pytest.raises(VolumeError, match="a link to other"):
        read_header(path)
    path = foreign_volume(tmp_path / "b.h5", kspace=None)
    (tmp_path / "raw").write_bytes(KSPACE.tobytes())
    with h5py.File(path, "r+") as file:
        file.create_dataset("kspace", KSPACE.shape, "c8", external=[(tmp_path / "raw", 0, KSPACE.nbytes)])
    with pytest.raises(VolumeError, match="data in another one"):
        read_header(path)


def test_what_is_no_hdf5_file_is_refused(tmp_path, worker):
    (tmp_path / "a.h5").write_text("<html>403 Forbidden</html>")
    with pytest.raises(VolumeError, match="expected an HDF5 file"):
        check_volume(tmp_path / "a.h5", worker=worker)
    with pytest.raises(VolumeError, match="a folder"):
        read_header(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected a file, got none"):
        check_volume(tmp_path / "none.h5", worker=worker)
    with pytest.raises(IndexError, match="a slice from 0 to 1, got 2"):
        read_slice(foreign_volume(tmp_path / "b.h5"), 2)


def test_a_slice_costs_the_memory_of_a_slice(tmp_path):
    shape = (16, 4, 256, 256)  # 34 MB
    slices = (noise_kspace(*shape[1:], seed=i) for i in range(shape[0]))
    write_volume(tmp_path / "a.h5", slices, shape=shape, **about(target=(64, 64)))
    for name, arguments in (("_check", ()), ("read_slice", (7,))):
        # a slice is 2 MiB
        assert peak_growth(f"mrilib.data.volumes.fastmri:{name}", tmp_path / "a.h5", *arguments) < 16 << 20


# The header


def test_edited_headers_keep_the_rest_and_need_no_prefix():
    header = new_header(matrix=(32, 18), target=(16, 16), coils=3, field_strength=1.5)
    edited = edit_header(header, {"encoding/encodedSpace/matrixSize/x": 16})
    assert parse_header(edited, "a", "xml").encoded.matrix == (16, 18, 1)
    assert edited.replace("<x>16</x>", "<x>32</x>", 1) == header
    assert "ns0:" not in edited


# The child process


def test_a_child_that_dies_rejects_the_file_and_is_replaced(tmp_path):
    (tmp_path / "a").touch()
    with Worker(memory=1 << 29, seconds=0.5) as worker:
        for way, problem in (
            ("SIGSEGV", "a: file: expected a file that HDF5 can read, got SIGSEGV"),
            ("time", "SIGXCPU"),
            ("memory", "more memory"),
        ):
            with pytest.raises(VolumeError, match=problem):
                worker.call(crash, tmp_path / "a", way)
        for way, kind, problem in (
            ("SIGKILL", RuntimeError, "was ended .SIGKILL"),
            ("fault", OSError, "No space left"),
            ("bug", RuntimeError, "TypeError: wrong"),
        ):
            with pytest.raises(kind, match=problem):
                worker.call(crash, tmp_path / "a", way)
        assert worker.call(crash, tmp_path / "a", "") == f"read {tmp_path / 'a'}"
        assert worker.started == 4
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY

"""Raw ISMRMRD scans become volumes whose images equal a direct computation in double precision."""

import json
import shutil
import subprocess

import h5py
import numpy as np
import pytest
from ismrmrd.hdf5 import acquisition_header_dtype

from mrilib.data.volumes.fastmri import check_volume, read_header, read_slice
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.ismrmrd import Conversion, convert, reverse_frequencies
from tests.data.volumes.peak_memory import peak_growth
from tests.data.volumes.raw_files import (
    RawScan,
    cartesian_scan,
    direct_ifft,
    limits_xml,
    middle,
    noise_kspace,
)
from tests.data.volumes.scans import scan_kspace

GENERATOR = "ismrmrd_generate_cartesian_shepp_logan"
# (slice, partition, line, coil, sample)
FLAT, DEEP = (3, 1, 12, 4, 20), (1, 10, 12, 3, 16)


@pytest.fixture
def converted(tmp_path, worker):
    """Converts a scan; returns the report and k-space of the volume."""

    def run(scan: RawScan, group: str = "dataset") -> tuple[Conversion, np.ndarray]:
        report = convert(scan.write(tmp_path / "raw.h5", group), tmp_path / "volume.h5", worker=worker)
        check_volume(tmp_path / "volume.h5", worker=worker)
        with h5py.File(tmp_path / "volume.h5") as file:
            kspace = file["kspace"][()]
            target = direct_rss(kspace, report.target)
            np.testing.assert_allclose(
                file["reconstruction_rss"], target, rtol=1e-4, atol=1e-6 * target.max()
            )
        assert report.shape == kspace.shape
        return report, kspace

    return run


@pytest.fixture
def refused(tmp_path, worker):
    """Checks that a scan is refused with this message and that nothing is left behind."""

    def run(scan: RawScan, problem: str) -> None:
        path = scan.write(tmp_path / "raw.h5")
        with pytest.raises(VolumeError, match=problem) as caught:
            convert(path, tmp_path / "volume.h5", worker=worker)
        assert caught.value.path == str(path)
        assert list(tmp_path.iterdir()) == [path]

    return run


def direct_rss(kspace: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    images = direct_ifft(kspace, (-2, -1))
    return np.sqrt((abs(middle(middle(images, target[0], -2), target[1], -1)) ** 2).sum(axis=-3))


def stored(kspace: np.ndarray) -> np.ndarray:
    """2-D scans in the order of the schema: `(slice, coil, sample, line)`."""
    return kspace[:, 0].transpose(0, 2, 3, 1)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * abs(expected).max())


def extra(count: int, flag: int, samples: int = 20) -> RawScan:
    """Readouts of another kind, of their own length, whose counters mean nothing."""
    heads = np.zeros(count, acquisition_header_dtype)
    heads["flags"] = 1 << (flag - 1)
    heads["number_of_samples"], heads["active_channels"] = samples, 4
    return RawScan(heads, [np.full((4, samples), 100, np.complex64)] * count)


# Placement


def test_slices_come_as_they_are(converted):
    kspace = noise_kspace(*FLAT)
    report, found = converted(cartesian_scan(kspace))
    np.testing.assert_array_equal(found, stored(kspace))
    assert (report.readouts, report.skipped, report.notes) == (36, {}, ())
    assert (report.sampled_fraction, report.averages, report.flipped) == (1.0, 1, (False, False))


def test_readouts_in_any_order_and_table_in_any_group(converted):
    kspace = noise_kspace(*FLAT)
    order = np.random.default_rng(1).permutation(36)
    _, found = converted(cartesian_scan(kspace).pick(order), group="other")
    np.testing.assert_array_equal(found, stored(kspace))


@pytest.mark.parametrize(("samples", "rows"), [(20, 10), (21, 10), (20, 14), (21, 13), (18, 9)])
def test_readout_oversampling_is_removed_in_the_image(converted, samples, rows):
    kspace = noise_kspace(*FLAT[:4], samples)
    scan = cartesian_scan(kspace)
    scan.fields["recon"], scan.fields["recon_mm"] = (rows, 12, 1), (2.0 * rows, 24.0, 2.0)
    report, found = converted(scan)
    images = direct_ifft(stored(kspace), (-2, -1))
    close(direct_ifft(found, (-2, -1)), middle(images, rows, -2))
    assert report.samples == samples
    assert report.target == (rows, 12)


def test_the_target_is_cropped_along_the_phase_encodes_and_kspace_is_not(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.fields["recon"], scan.fields["recon_mm"] = (10, 8, 1), (20.0, 16.0, 2.0)
    report, found = converted(scan)
    assert (report.shape, report.target) == ((3, 4, 10, 12), (10, 8))
    images = direct_ifft(stored(kspace), (-2, -1))
    close(direct_ifft(found, (-2, -1)), middle(images, 10, -2))


@pytest.mark.parametrize("partitions", [10, 9])
def test_partitions_become_slices(converted, partitions):
    kspace = noise_kspace(1, partitions, *DEEP[2:])
    order = np.random.default_rng(1).permutation(12 * partitions)
    report, found = converted(cartesian_scan(kspace).pick(order))
    expected = direct_ifft(kspace[0], (0,)).transpose(0, 2, 3, 1)
    close(found, expected)
    assert (report.partitions, report.shape[0]) == (partitions, partitions)


def test_slice_oversampling_is_cropped(converted):
    kspace = noise_kspace(*DEEP)
    scan = cartesian_scan(kspace)
    scan.fields["recon"], scan.fields["recon_mm"] = (8, 12, 7), (16.0, 24.0, 14.0)
    report, found = converted(scan)
    images = middle(direct_ifft(kspace[0].transpose(0, 2, 3, 1), (0, 2, 3)), 7, 0)
    close(direct_ifft(found, (2, 3)), middle(images, 8, 2))
    assert (report.partitions, report.shape) == (10, (7, 3, 8, 12))


def test_partitions_that_are_transformed_already_are_slices(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.fields["encoded"] = scan.fields["recon"] = (20, 12, 3)
    report, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))
    assert "taken as slices" in report.notes[0]


def test_a_padded_matrix_keeps_zero_frequency_in_the_middle(converted, tmp_path):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    # 12 lines of 16, zero frequency at the fifth of them: 9 to 14 zero
    scan.fields["encoded"], scan.fields["recon"] = (20, 16, 1), (20, 16, 1)
    scan.fields["encoded_mm"] = scan.fields["recon_mm"] = (40.0, 32.0, 2.0)
    scan.fields["limits"] = limits_xml(1, 0, 11, 4)
    report, found = converted(scan)
    np.testing.assert_array_equal(found[..., 4:], stored(kspace))
    assert not found[..., :4].any()
    assert report.sampled_fraction == 12 / 16
    assert check_volume(tmp_path / "volume.h5").padding == (4, 16)


def test_an_asymmetric_echo_is_placed_by_its_centre(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.samples = [values[:, 6:] for values in scan.samples]
    scan.heads["number_of_samples"], scan.heads["center_sample"] = 14, 4
    _, found = converted(scan)
    np.testing.assert_array_equal(found[:, :, 6:], stored(kspace)[:, :, 6:])
    assert not found[:, :, :6].any()


def test_discarded_samples_are_left_out(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.samples = [np.pad(values, ((0, 0), (3, 2)), constant_values=1e6) for values in scan.samples]
    scan.heads["number_of_samples"], scan.heads["center_sample"] = 25, 13
    scan.heads["discard_pre"], scan.heads["discard_post"] = 3, 2
    _, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))


def test_reversed_readouts_are_flipped(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    for row in range(1, 36, 2):
        scan.samples[row] = scan.samples[row][:, ::-1]
    scan.heads["flags"][1::2] = 1 << 21
    _, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))


def test_averages_are_averaged(converted):
    kspace, other = noise_kspace(*FLAT), noise_kspace(*FLAT, seed=1)
    again = cartesian_scan(other)
    again.heads["idx"]["average"] = 1
    scan = cartesian_scan(kspace) + again.pick(range(0, 36, 2))
    report, found = converted(scan)
    expected = kspace.astype(complex)
    expected[:, :, ::2] = (kspace[:, :, ::2].astype(complex) + other[:, :, ::2]) / 2
    close(found, stored(expected))
    assert report.averages == 2


def test_alternating_signs_of_general_electric_are_undone(converted):
    scan = cartesian_scan(noise_kspace(*DEEP))
    _, plain = converted(scan)
    signs = (-1.0) ** (scan.heads["idx"]["kspace_encode_step_1"] + scan.heads["idx"]["kspace_encode_step_2"])
    scan.samples = [values * np.float32(sign) for values, sign in zip(scan.samples, signs, strict=True)]
    for name in ("ChopY", "ChopZ"):
        value = f"<userParameterLong><name>{name}</name><value>0</value></userParameterLong>"
        scan.fields["user"] += value
    _, found = converted(scan)
    close(found, plain)


# What is left out


def test_what_is_no_image_is_skipped_and_counted(converted, tmp_path):
    kspace = noise_kspace(*FLAT)
    later = cartesian_scan(noise_kspace(*FLAT, seed=1)).pick(range(5))
    later.heads["idx"]["repetition"] = 1
    elsewhere = extra(2, 1)
    elsewhere.heads["encoding_space_ref"] = 1
    beyond = cartesian_scan(kspace).pick(range(3))
    beyond.heads["idx"]["kspace_encode_step_1"] = 12
    scan = extra(3, 19, 128) + cartesian_scan(kspace)
    others = extra(1, 23) + extra(4, 24) + extra(1, 26) + extra(1, 28) + extra(2, 27)
    for part in (others, later, elsewhere, beyond):
        scan = scan + part
    scan.fields = cartesian_scan(kspace).fields
    report, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))
    expected = {
        "noise": 3,
        "navigator": 1,
        "phase correction": 4,
        "feedback": 2,
        "dummy": 2,
        "other encoding spaces": 2,
        "other repetition, set, contrast, phase": 5,
        "outside the encoding limits": 3,
    }
    assert report.skipped == expected
    with h5py.File(tmp_path / "volume.h5") as file:
        assert json.loads(file.attrs["skipped"]) == expected


def test_calibration_fills_gaps_and_nothing_else(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.heads["flags"][4] = 1 << 19
    scan.heads["flags"][5] = 1 << 20
    other = cartesian_scan(noise_kspace(*FLAT, seed=1)).pick(range(6, 9))
    other.heads["flags"] = 1 << 19
    report, found = converted(other + scan + RawScan(scan.heads[:0], []))
    np.testing.assert_array_equal(found, stored(kspace))
    assert report.skipped == {"calibration": 3}


# Orientation


def test_slices_are_sorted_in_space(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    heights = np.array([5.0, -1.0, 2.0])
    scan.heads["position"][:, 0] = heights[scan.heads["idx"]["slice"]]
    report, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace)[np.argsort(heights)])
    assert "sorted by their position" in report.notes[0]


def test_slices_at_one_place_stay_in_their_order(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.heads["position"] = 0
    report, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))
    assert "order of their numbers" in report.notes[0]


@pytest.mark.parametrize("sides", [(20, 12), (19, 11)])
@pytest.mark.parametrize(
    ("read", "phase", "flips"),
    [
        ((0, 0, 1), (0, 1, 0), (False, False)),  # sagittal: superior, posterior
        ((0, 0, -1), (0, 1, 0), (True, False)),
        ((0, 0, 1), (-1, 0, 0), (False, True)),  # coronal: superior, left
        ((0, -1, 0), (1, 0, 0), (False, False)),  # axial: anterior, left
        ((0, 1, 0), (-1, 0, 0), (True, True)),
        ((0, 0.6, -0.8), (1, 0, 0), (True, False)),  # oblique: nearest axis
        ((-1, 0, 0), (0, 0, 1), (True, False)),  # readout across: left, superior
    ],
)
def test_images_stand_as_fastmris(converted, sides, read, phase, flips):
    kspace = noise_kspace(2, 1, sides[1], 2, sides[0])
    scan = cartesian_scan(kspace)
    scan.heads["read_dir"], scan.heads["phase_dir"] = read, phase
    scan.heads["slice_dir"] = np.cross(read, phase)
    scan.heads["position"] = scan.heads["slice_dir"] * scan.heads["idx"]["slice"][:, None]
    report, found = converted(scan)
    assert report.flipped == flips
    expected = direct_ifft(stored(kspace), (-2, -1))
    for axis, flip in zip((-2, -1), flips, strict=True):
        # about the origin at size // 2
        if flip:
            indices = (2 * (expected.shape[axis] // 2) - np.arange(expected.shape[axis])) % expected.shape[
                axis
            ]
            expected = np.take(expected, indices, axis)
    close(direct_ifft(found, (-2, -1)), expected)


def test_reversal_keeps_zero_frequency():
    for size in (6, 7):
        kspace = np.zeros((1, size, 2), np.complex64)
        kspace[0, size // 2] = 1
        np.testing.assert_array_equal(reverse_frequencies(kspace, 1), kspace)


def test_without_directions_the_image_stays_as_stored(converted):
    kspace = noise_kspace(*FLAT)
    scan = cartesian_scan(kspace)
    scan.heads["read_dir"] = scan.heads["phase_dir"] = scan.heads["slice_dir"] = 0
    report, found = converted(scan)
    np.testing.assert_array_equal(found, stored(kspace))
    assert "no directions" in report.notes[0]


# The header


def test_the_header_is_kept(converted, tmp_path):
    scan = cartesian_scan(noise_kspace(*FLAT), oversampling=2)
    report, _ = converted(scan)
    header = check_volume(tmp_path / "volume.h5")
    assert (header.patient, header.acquisition, header.system) == ("someone", "SAG PD", "Vendor")
    assert (header.field_strength, header.padding) == (3.0, (0, 12))
    assert (header.simulated, header.source, header.sampled_fraction) == (False, "ISMRMRD raw.h5", 1.0)
    with h5py.File(tmp_path / "volume.h5") as file:
        xml = file["ismrmrd_header"][()].decode()
    assert report.samples == 20
    assert "<matrixSize><x>20" not in xml
    assert "128000000" in xml


# What is refused


def damaged_scan(change) -> RawScan:
    scan = cartesian_scan(noise_kspace(*FLAT))
    return change(scan) or scan


def with_fields(**fields):
    return lambda scan: scan.fields.update(fields)


def with_head(name: str, value, rows=slice(None)):
    def change(scan):
        (scan.heads["idx"] if name in scan.heads["idx"].dtype.names else scan.heads)[name][rows] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_fields(trajectory="radial"), "trajectory: expected cartesian, got radial"),
        (lambda scan: scan.pick(range(0, 36, 2)), "12 lines, fully sampled, got 18 of 36 lines"),
        (lambda scan: scan.pick(np.delete(np.arange(36), 17)), "35 of 36 lines"),
        (lambda scan: scan.pick([*range(36), 7]), "one readout a line and average, got 1"),
        (lambda scan: scan.pick([0]), "fully sampled, got 1 readouts|of 12 lines"),
        (with_head("flags", 1 << 18), "readouts of an image, got none"),
        (with_head("slice", 60000, 3), "fully sampled"),
        (with_head("number_of_samples", 18, 3), r"number_of_samples: expected the same .* got \[18, 20\]"),
        (with_head("active_channels", 3), "readout 0: expected 3 coils × 20 complex samples = 120 numbers"),
        (with_head("number_of_samples", 40000), "20 samples .or half. of 1 or more coils, got 40000"),
        (with_head("active_channels", 60000), "bytes of samples"),
        (with_head("center_sample", 3000), "a readout within 20 samples"),
        (with_fields(encoded=(20, 60000, 1)), "at least|fully sampled"),
        (with_fields(encoded=(60000, 12, 1)), "60000 samples"),
        (with_fields(encoded=(20, 12, 60000)), "taken as slices|limits|fully sampled|at least"),
        (with_fields(limits=limits_xml(1, 0, 200, 100)), "at most 12 as in encodedSpace, got 0 to 200"),
        (with_fields(limits=limits_xml(1, 0, 4, 2)), "at least 0.5 of the 12|fully sampled"),
        (with_fields(encoded_mm=("", 24, 2)), "fieldOfView_mm"),
        (with_head("read_dir", (0.6, 0, 0.8), slice(0, 12)), "no directions|parallel"),
    ],
)
def test_a_bad_scan_says_what_is_wrong(refused, converted, change, problem):
    scan = damaged_scan(change)
    if problem.startswith(("taken", "no ")):  # read as it says, with a note
        assert problem.split("|")[0] in " ".join(converted(scan)[0].notes)
        return
    refused(scan, problem)


def test_samples_that_are_not_finite_are_named(refused):
    scan = cartesian_scan(noise_kspace(*FLAT))
    scan.samples[7] = scan.samples[7].copy()
    scan.samples[7][1, 2:4] = np.nan
    refused(scan, "readout 7: expected finite samples, got 2 that are not")


def test_missing_corners_are_accepted_and_missing_lines_are_not(converted, refused, tmp_path):
    scan = cartesian_scan(noise_kspace(*DEEP))
    z, y = (scan.heads["idx"][f"kspace_encode_step_{i}"].astype(float) for i in (2, 1))
    radius = np.hypot((z - 5) / 5, (y - 6) / 6)
    report, _ = converted(scan.pick(np.flatnonzero(radius <= 1)))
    assert report.sampled_fraction == np.mean(radius <= 1)
    (tmp_path / "volume.h5").unlink()
    refused(scan.pick(np.flatnonzero(radius <= 0.8)), "0.95 of the inscribed ellipse")


def test_several_slabs_are_refused(refused):
    refused(cartesian_scan(noise_kspace(2, 4, 6, 2, 8)), "2 slices of 4 partitions")


def test_other_files_are_refused(tmp_path, worker):
    for name in ("dataset/data", "dataset/xml", "dataset"):
        path = cartesian_scan(noise_kspace(*FLAT)).write(tmp_path / "raw.h5")
        with h5py.File(path, "r+") as file:
            del file[name]
        with pytest.raises(VolumeError, match="a group `dataset`, or one other, with `xml` and `data`"):
            convert(path, tmp_path / "volume.h5", worker=worker)
    (tmp_path / "raw.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    with pytest.raises(VolumeError, match="expected an HDF5 file"):
        convert(tmp_path / "raw.h5", tmp_path / "volume.h5", worker=worker)
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "none.h5", tmp_path / "volume.h5", worker=worker)


def test_a_file_is_not_converted_onto_itself(tmp_path):
    path = cartesian_scan(noise_kspace(*FLAT)).write(tmp_path / "raw.h5")
    with pytest.raises(ValueError, match="expected two files"):
        convert(path, path)


def test_a_damaged_source_leaves_the_old_volume(tmp_path, worker):
    path = cartesian_scan(noise_kspace(*FLAT)).write(tmp_path / "raw.h5")
    convert(path, tmp_path / "volume.h5", worker=worker)
    before = (tmp_path / "volume.h5").read_bytes()
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(VolumeError):
        convert(path, tmp_path / "volume.h5", worker=worker)
    assert (tmp_path / "volume.h5").read_bytes() == before


# Peers and size


@pytest.mark.skipif(shutil.which(GENERATOR) is None, reason="no ismrmrd-tools")
@pytest.mark.parametrize("options", [(), ("-r", "2")])
def test_a_file_of_the_ismrmrd_library(tmp_path, options):
    path = tmp_path / "f.h5"
    subprocess.run([GENERATOR, "-m", "256", "-c", "8", "-o", path, *options], check=True, capture_output=True)
    with h5py.File(path) as file:
        rows = [row for row in file["dataset/data"][()] if row["head"]["idx"]["repetition"] == 0]
    lines = [row["data"].view(np.complex64).reshape(8, -1) for row in rows]
    images = direct_ifft(np.stack(lines, axis=-1), (1, 2))
    expected = np.sqrt((abs(middle(images, 256, 1)) ** 2).sum(axis=0))
    report = convert(path, tmp_path / "v.h5")
    assert report.shape == (1, 8, 256, 256)
    assert ("-r" in options) == bool(report.skipped)
    found = read_slice(tmp_path / "v.h5", 0).target
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


def test_the_ismrmrd_package_reads_what_the_tests_write(tmp_path):
    import ismrmrd

    kspace = noise_kspace(*FLAT)
    with ismrmrd.Dataset(cartesian_scan(kspace).write(tmp_path / "raw.h5"), mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
        assert header.encoding[0].encodedSpace.matrixSize.x == 20
        acquisition = file.read_acquisition(5)
        np.testing.assert_array_equal(acquisition.data, kspace[0, 0, 5])


@pytest.mark.slow
def test_memory_stays_far_below_a_volume(tmp_path):
    path = cartesian_scan(noise_kspace(1, 64, 192, 8, 256), oversampling=2).write(tmp_path / "raw.h5")
    size = path.stat().st_size
    assert size > 200e6
    assert peak_growth("mrilib.data.volumes.ismrmrd:_convert", path, tmp_path / "v.h5") < 0.75 * size


# The centre of k-space


def partial_fourier(kspace, claimed):
    """Lines 8 … 39 of 40, counted from 0; zero frequency is line 12 of them, whatever is claimed."""
    scan = cartesian_scan(kspace.transpose(0, 3, 1, 2)[:, None]).pick(
        np.flatnonzero(np.tile(np.arange(40) >= 8, len(kspace)))
    )
    scan.heads["idx"]["kspace_encode_step_1"] -= 8
    scan.fields["limits"] = limits_xml(1, 0, 31, claimed)
    return scan


@pytest.mark.parametrize("claimed", [12, 13, 16, 20])
def test_zero_frequency_is_where_the_energy_is_and_not_where_the_header_says(tmp_path, claimed):
    kspace = scan_kspace(slices=2, rows=32, columns=40)
    found = convert(partial_fourier(kspace, claimed).write(tmp_path / "raw.h5"), tmp_path / "volume.h5")
    expected = kspace.copy()
    expected[..., :8] = 0
    if claimed == 13:  # one line is normal and changes nothing
        expected = np.roll(expected, -1, 3)
    with h5py.File(tmp_path / "volume.h5") as file:
        np.testing.assert_allclose(file["kspace"], expected, rtol=1e-4, atol=1e-9)
    assert any("moved" in note for note in found.notes) == (claimed > 13)
    header = read_header(tmp_path / "volume.h5")
    assert header.padding == ((8, 40) if claimed != 13 else (7, 39))


def test_a_centre_that_leaves_no_room_for_what_was_acquired_is_refused(tmp_path):
    kspace = np.roll(scan_kspace(slices=1, rows=32, columns=40), -4, 3)
    scan = partial_fourier(kspace, 12)
    with pytest.raises(VolumeError, match=r"kspace_encoding_step_1: expected 32 lines that lie in 40"):
        convert(scan.write(tmp_path / "raw.h5"), tmp_path / "volume.h5")
    assert not (tmp_path / "volume.h5").exists()


def test_the_centres_of_readout_and_partitions_are_found_as_well(tmp_path):
    kspace = scan_kspace(slices=1, rows=32, columns=40)[0]
    lines = kspace.transpose(2, 0, 1)
    # a slab whose partitions are all the same but for their phase: the energy is in the middle partition
    slab = np.zeros((8, *lines.shape), np.complex64)
    slab[4] = 8 * lines
    slab += 1e-3 * abs(lines).max() * noise_kspace(*slab.shape)
    volumes = []
    for shifts in ((0, 0), (2, 3)):
        moved = np.roll(slab, shifts, (0, 3))
        scan = cartesian_scan(moved[None])
        found = convert(scan.write(tmp_path / "raw.h5"), tmp_path / "volume.h5")
        with h5py.File(tmp_path / "volume.h5") as file:
            volumes.append(file["kspace"][()])
    assert [note.partition(":")[0] for note in found.notes] == ["kspace_encoding_step_2", "readout"]
    np.testing.assert_allclose(*volumes, rtol=1e-3, atol=1e-7)

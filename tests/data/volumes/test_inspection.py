"""What the catalogue finds in volumes that went wrong, and what the workflow takes of them."""

import h5py
import numpy as np
import pytest
import torch

from mrilib.data.catalogue import read_catalogue, to_frame
from mrilib.data.coil_compression import CoilCompression
from mrilib.data.sampling.base import name_seed
from mrilib.data.sampling.columns import Random
from mrilib.data.scans import ScanRecord, about_row, measured_scan
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.scan_header import new_header
from tests.data.volumes.scans import rss_of, scan_kspace, write_scan

MASK = Random(acceleration=4, center_fraction=0.16)


@pytest.fixture
def inspected(tmp_path, worker):
    """Rows of the catalogue, read back from its file, of a volume that is written."""

    def inspect(kspace, compression=None, **changes):
        path = write_scan(tmp_path / "scan.h5", kspace, **changes)
        entries = inspect_volume(path, dataset="d", anatomy="a", compression=compression, worker=worker)
        to_frame(entries).to_csv(tmp_path / "catalogue.csv", index=False)
        return read_catalogue(tmp_path / "catalogue.csv")

    return inspect


def measured(row):
    row = row.to_dict()
    record = ScanRecord.of_row(row)
    return measured_scan(record, MASK, name_seed(f"{row['volume']}.h5"), about=about_row(row))


def test_the_data_range_is_the_volumes_whatever_the_file_says(inspected):
    kspace = scan_kspace() * np.array([1.0, 4.0, 0.5], np.float32)[:, None, None, None]
    expected = rss_of(kspace).max()
    for attributes in ({}, {"max": None, "norm": None}, {"max": 1e6, "norm": 3.0}):
        rows = inspected(kspace, attributes=attributes)
        for _, row in rows.iterrows():
            found = measured(row)
            assert found.maximum * found.scale == pytest.approx(expected, rel=1e-5)
    assert "attribute max is 1e+06" in rows["notes"][0]
    assert rows["maximum_ratio"][0] == pytest.approx(1e6 / expected, rel=1e-5)


def test_an_image_in_other_units_is_noted_and_not_used(inspected):
    kspace = scan_kspace()
    plain = measured(inspected(kspace).iloc[1])
    rows = inspected((1e-6 * kspace).astype(np.complex64), target=rss_of(kspace))
    found = measured(rows.iloc[1])
    torch.testing.assert_close(found.kspace, plain.kspace, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.reference, plain.reference, rtol=1e-4, atol=1e-6)
    assert found.maximum == pytest.approx(plain.maximum, rel=1e-4)
    assert "reconstruction_rss is 1e+06 times the RSS of kspace: computed anew" in rows["notes"][0]
    assert rows["target_ratio"][0] == pytest.approx(1e6, rel=1e-4)


@pytest.mark.parametrize("shift", [-8, -3, -1, 0, 1, 3, 8])
@pytest.mark.parametrize("axis", [2, 3])
def test_a_centre_that_lies_off_is_moved_and_one_line_changes_nothing(inspected, shift, axis):
    kspace = scan_kspace()
    expected = measured(inspected(kspace).iloc[0])
    rows = inspected(np.roll(kspace, shift, axis))
    moved = [0, 0]
    if abs(shift) > 1:
        moved[axis - 2] = -shift
        found = measured(rows.iloc[0])
        torch.testing.assert_close(found.kspace, expected.kspace)
        torch.testing.assert_close(found.reference, expected.reference)
    assert [rows["moved_rows"][0], rows["moved_columns"][0]] == moved
    assert ("moved" in rows["notes"][0]) == (abs(shift) > 1)
    center = rows["center_row" if axis == 2 else "center_column"][0]
    assert center == kspace.shape[axis] // 2 + shift


def test_padding_is_found_in_kspace_and_masks_are_empty_there(inspected):
    kspace = scan_kspace(columns=112)
    kspace[..., :18] = kspace[..., 94:] = 0
    row = inspected(kspace).iloc[0]
    assert (row["first_column"], row["end_column"]) == (18, 94)
    assert "columns acquired: 18 to 93 of 0 to 111" in row["notes"]
    assert "the header says that columns 0 to 111 were acquired, kspace 18 to 93" in row["notes"]
    found = measured(row)
    assert not found.mask[:18].any()
    assert not found.mask[94:].any()
    assert found.acceleration == pytest.approx(76 / found.mask.sum())


def test_rows_that_were_never_acquired_are_left_out_of_masks(inspected):
    kspace = scan_kspace()
    kspace[:, :, :9] = 0
    found = measured(inspected(kspace).iloc[0])
    assert found.mask.shape == kspace.shape[2:]
    assert not found.mask[:9].any()
    columns = found.mask[9]
    assert (found.mask[9:] == columns).all()
    assert found.acceleration == pytest.approx(kspace.shape[3] / columns.sum())


def test_a_silent_coil_is_left_out_where_it_is_silent(inspected):
    kspace = scan_kspace()
    kspace[1, 2] = 0
    kspace[:, 0] = 0
    rows = inspected(kspace)
    assert rows["used_coils"].tolist() == [3, 2, 3]
    assert rows["silent_coils"].tolist() == ["0", "0 2", "0"]
    assert "coil 0 is zero: left out; coil 2 is zero in slice 1: left out there" in rows["notes"][0]
    found = measured(rows.iloc[1])
    assert found.kspace.shape[0] == 2
    np.testing.assert_allclose(found.reference * found.scale, rss_of(kspace)[1], rtol=1e-4, atol=1e-9)


def test_a_sample_that_was_cut_out_is_noted(inspected):
    kspace = scan_kspace()
    kspace[0, 1, 5, 7] = 0
    assert "slice 0: 0.033 % of a coil's samples are zero" in inspected(kspace)["notes"][0]


def test_kspace_of_one_coil_gets_a_coil_axis(tmp_path, inspected):
    kspace = scan_kspace(coils=1)[:, 0]
    own = rss_of(kspace)
    header = new_header(matrix=kspace.shape[1:], target=own.shape[1:], coils=15)
    changes = {"target": 3 * own, "reconstruction_esc": own, "ismrmrd_header": header}
    attributes = {"max": own.max(), "norm": np.linalg.norm(own)}
    rows = inspected(kspace, **changes, attributes=attributes)
    assert rows["reason"].tolist() == [""] * 3
    assert (rows["layout"][0], rows["coils"][0], rows["notes"][0]) == ("single-coil", 1, "")
    found = measured(rows.iloc[0])
    assert found.kspace.shape == (1, *kspace.shape[1:])
    np.testing.assert_allclose(found.reference * found.scale, own[0], rtol=1e-4, atol=1e-9)


def test_double_precision_and_whole_numbers_of_patients_are_read(inspected):
    kspace = scan_kspace()
    plain = inspected(kspace)
    rows = inspected(kspace.astype(np.complex128), attributes={"patient_id": np.int64(12)})
    assert rows["patient"].tolist() == ["12"] * 3
    assert rows["hash"].tolist() == plain["hash"].tolist()
    rows = inspected(kspace, attributes={"patient_id": "0012"})
    assert rows["patient"].tolist() == ["0012"] * 3


def test_a_header_in_another_encoding_is_read(inspected):
    kspace = scan_kspace()
    header = new_header(matrix=kspace.shape[2:], target=kspace.shape[2:], coils=4)
    system = "<systemVendor>Münster</systemVendor><receiverChannels>"
    header = header.replace('"utf-8"', '"ISO-8859-1"').replace("<receiverChannels>", system)
    rows = inspected(kspace, ismrmrd_header=np.bytes_(header.encode("latin-1")))
    assert rows["reason"][0] == ""


def test_a_header_that_says_otherwise_is_noted(inspected):
    kspace = scan_kspace()
    rows, columns = kspace.shape[2:]
    header = new_header(matrix=(rows, columns + 4), target=(rows, columns - 2), coils=7)
    notes = inspected(kspace, ismrmrd_header=header)["notes"][0]
    assert "encodedSpace is 48 × 68, kspace 48 × 64" in notes
    assert "reconSpace is 48 × 62, the stored image 48 × 64" in notes
    assert "the header says 7 coils, kspace has 4" in notes
    exchanged = new_header(matrix=(columns, rows), target=(rows, columns), coils=4)
    assert "exchange the last two axes" in inspected(kspace, ismrmrd_header=exchanged)["reason"][0]


def test_coils_are_compressed_from_a_number_of_them_on(inspected):
    kspace = scan_kspace(coils=8)
    many = inspected(kspace, CoilCompression(share=0.99, from_coils=8))
    few = inspected(kspace, CoilCompression(share=0.99, from_coils=9))
    assert few["coil_share"].isna().all()
    assert few["used_coils"].tolist() == [8] * 3
    # the attributes of the file are those of all coils
    assert (many["notes"][0], few["notes"][0]) == ("", "")
    assert many["coil_share"].tolist() == [0.99] * 3
    assert many["used_coils"].max() < 8
    # of one file: only the rows of the catalogue differ
    found, whole = measured(many.iloc[0]), measured(few.iloc[0])
    assert len(found.kspace) == many["used_coils"][0]
    lost = (
        1
        - (found.kspace.abs() * found.scale).square().sum()
        / (whole.kspace.abs() * whole.scale).square().sum()
    )
    assert 0 < lost < 0.02
    # the reference is that of the coils that there are
    full = ScanRecord.of_row(many.iloc[0].to_dict())
    torch.testing.assert_close(full.reference(), found.reference * found.scale)


def test_a_volume_of_low_frequencies_alone_has_no_noise_to_be_told(inspected):
    kspace = scan_kspace()
    kspace[:, :, :21] = kspace[:, :, 27:] = kspace[..., :29] = kspace[..., 35:] = 0
    rows = inspected(kspace)
    assert rows["accepted"].all()
    assert rows["noise"].isna().all()
    assert "slice 0: too little of the high frequencies to tell the noise" in rows["notes"][0]


def test_a_mistaken_image_is_named(inspected):
    kspace = scan_kspace(rows=64)
    images = rss_of(kspace)
    for target, like in (
        (images[:, ::-1], "flipped along rows"),
        (images.swapaxes(1, 2), "transposed: rows and columns are swapped"),
        (np.roll(images, (3, -5), (1, 2)), "shifted by 3 rows and -5 columns"),
    ):
        reason = inspected(kspace, target=np.ascontiguousarray(target))["reason"][0]
        assert like in reason
        assert "leave the stored images out" in reason


def test_a_row_without_columns_is_refused():
    with pytest.raises(ValueError, match=r"expected a row of a catalogue, got one without .*moved_rows"):
        ScanRecord.of_row({"path": "a.h5", "volume": "a", "slice": 0})


def test_a_target_that_is_wider_than_kspace_is_not_compared(tmp_path, inspected):
    kspace = scan_kspace()
    wide = np.ones((3, 40, 80), np.float32)
    rows = inspected(kspace, target=wide)
    assert "larger than k-space: not compared" in rows["notes"][0]
    assert ScanRecord.of_row(rows.iloc[0].to_dict()).reference_shape == (40, 64)
    with h5py.File(tmp_path / "scan.h5") as file:
        assert file["reconstruction_rss"].shape == wide.shape

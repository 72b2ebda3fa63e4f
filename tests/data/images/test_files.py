"""Images are read as documented, and every bad file is refused by one clear message."""

import gzip
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from skimage.transform import resize

from mrilib.data.images import files as images
from mrilib.data.images.files import LONGEST_SIDE, list_images, read_image, resolve_path

HEAD = "matplotlib:s1045.ima.gz"
BRAIN = "nilearn:mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
ABDOMEN = "pydicom:examples_overlay.dcm"
RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)
SQUARE = np.arange(64, dtype=np.uint16).reshape(8, 8)
LAS, RAS = np.diag([-1.0, 1.0, 1.0, 1.0]), np.eye(4)


def write_dicom(path: Path, values: np.ndarray = RAMP, **elements) -> Path:
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = pydicom.uid.MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray = LAS) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def write_npy(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


def write_png(path: Path, values: np.ndarray) -> Path:
    imageio.imwrite(path, values)
    return path


def scaled(values: np.ndarray) -> np.ndarray:
    return (values / values.max()).astype(np.float32)


# Formats


@pytest.mark.parametrize("ending", [".png", ".PNG", ".tif", ".bmp", ".pgm"])
def test_a_greyscale_picture_is_read_as_stored(tmp_path, ending):
    image = read_image(write_png(tmp_path / f"ramp{ending}", RAMP), size=None)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, scaled(RAMP))


def test_a_16_bit_png_keeps_its_depth(tmp_path):
    values = SQUARE * 1000
    path = write_png(tmp_path / "a.png", values)
    np.testing.assert_array_equal(read_image(path, size=None), scaled(values))


def test_a_jpeg_is_read(tmp_path):
    values = np.kron(SQUARE, np.ones((8, 8))).astype(np.uint8)
    image = read_image(write_png(tmp_path / "a.jpg", values), size=None)
    # lossy, yet flat in its blocks of 8×8
    np.testing.assert_allclose(image, scaled(values), atol=0.03)


@pytest.mark.parametrize("kind", [">u2", "<i4", "<f2", ">f8", "?"])
def test_npy_of_any_real_kind_is_read(tmp_path, kind):
    values = RAMP.astype(kind)
    np.testing.assert_array_equal(
        read_image(write_npy(tmp_path / "a.npy", values), size=None), scaled(values.astype(np.float64))
    )


def test_npy_in_fortran_order_is_read(tmp_path):
    path = write_npy(tmp_path / "a.npy", np.asfortranarray(RAMP))
    np.testing.assert_array_equal(read_image(path, size=None), scaled(RAMP))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ"])
def test_nifti_gives_the_middle_slice_or_the_one_named(tmp_path, ending):
    volume = np.random.default_rng(0).integers(1, 1000, (3, 4, 6)).astype(np.int16)
    path = write_nifti(tmp_path / f"a{ending}", volume)
    for index, position in [(None, 3), (0, 0), (5, 5)]:
        image = read_image(path, size=None, slice_index=index)
        np.testing.assert_array_equal(image, scaled(volume[:, ::-1, position].T))


def test_nifti_2_and_axes_of_length_one_are_read(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti2Image(RAMP[:, :, None, None], LAS), path)
    np.testing.assert_array_equal(read_image(path, size=None), scaled(RAMP[:, ::-1].T))
    write_nifti(path, RAMP)
    np.testing.assert_array_equal(read_image(path, size=None), scaled(RAMP[:, ::-1].T))


def test_the_scaling_of_nifti_is_applied(tmp_path):
    image = nibabel.Nifti1Image(RAMP.astype(np.int16), LAS)
    image.header.set_slope_inter(2.0, 10.0)
    nibabel.save(image, tmp_path / "a.nii")
    expected = 2.0 * RAMP[:, ::-1].T + 10.0
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii", size=None), scaled(expected))


@pytest.mark.parametrize("codes", ["LAS", "RAS", "RPI", "ALS", "PSR", "ASL", "RSA", "LIP", "SRA", "IPL"])
def test_a_nifti_slice_stands_upright_however_it_is_stored(tmp_path, codes):
    ends = {"S": (2, 1), "I": (2, -1), "A": (1, 1), "P": (1, -1), "R": (0, 1), "L": (0, -1)}
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, code in enumerate(codes):
        affine[ends[code][0], axis] = ends[code][1]
    assert nibabel.aff2axcodes(affine) == tuple(codes)
    # at each voxel, the distance towards left, posterior and inferior
    voxels = np.stack([*np.indices((5, 5, 5)), np.ones((5, 5, 5))], axis=-1)
    place = (voxels @ affine.T)[..., :3]
    left, back, down = np.moveaxis(place.max((0, 1, 2)) - place, -1, 0)
    in_plane = set(codes[:2])
    rows = down if in_plane & set("SI") else back
    columns = left if in_plane & set("RL") else back
    path = write_nifti(tmp_path / "a.nii", (rows + 10 * columns).astype(np.uint8), affine)
    np.testing.assert_array_equal(
        read_image(path, size=None), scaled(np.arange(5.0)[:, None] + 10 * np.arange(5.0))
    )


@pytest.mark.parametrize("name", ["a.dcm", "a.DCM", "a", "1.2.840.113"])
def test_dicom_is_read_by_ending_or_by_content(tmp_path, name):
    np.testing.assert_array_equal(read_image(write_dicom(tmp_path / name), size=None), scaled(RAMP))


def test_the_rescaling_of_dicom_is_applied(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RescaleSlope="2", RescaleIntercept="5", RescaleType="US")
    np.testing.assert_array_equal(read_image(path, size=None), scaled(RAMP * 2.0 + 5.0))


def test_monochrome1_is_inverted(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(path, size=None), scaled(11 - RAMP))


@pytest.mark.parametrize("kind", [">u2", "<u2"])
def test_raw_of_either_byte_order_is_read(tmp_path, kind):
    y, x = np.mgrid[:32, :32]
    values = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(kind)
    path = tmp_path / "a.ima.gz"
    path.write_bytes(gzip.compress(values.tobytes()))
    np.testing.assert_array_equal(read_image(path, size=None), scaled(values.astype(np.float64)))


# The packaged head


def test_the_packaged_head_is_an_upright_head():
    image = read_image(HEAD, size=None)
    assert image.shape == (256, 256)
    assert image.dtype == np.float32
    assert image.min() == 0.0
    assert image.max() == 1.0
    assert image[60:120, 80:170].mean() > 0.5
    # the crown ends in row 27, the neck runs out of the lower edge
    assert image[:24].max() < 0.1 < image[250:].max()
    # the face is on the left, and at the height of the mouth nothing is as far right
    assert image[130:160, 24:40].mean() > 0.1 > image[130:160, 216:232].max()


def test_the_packaged_head_reads_as_in_matplotlibs_example():
    content = gzip.decompress(resolve_path(HEAD).read_bytes())
    np.testing.assert_array_equal(
        read_image(Path(HEAD), size=None), scaled(np.frombuffer(content, "<u2").reshape(256, 256) / 1.0)
    )


def test_importing_the_module_and_reading_the_head_loads_no_heavy_library():
    heavy = {"torch", "matplotlib", "scipy", "skimage", "nibabel", "pydicom", "imageio", "PIL"}
    code = (
        "import sys; from mrilib.data.images.files import read_image, list_images;"
        f"list_images({HEAD!r}); read_image({HEAD!r}, size=200, resize='crop_or_pad');"
        f"print(*sorted({heavy} & set(sys.modules)))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# Resizing and scaling


@pytest.mark.parametrize("size", [64, 100, 300])
def test_area_resamples_with_anti_aliasing(size):
    image = read_image(HEAD, size=size, resize="area")
    expected = resize(read_image(HEAD, size=None).astype(float), (size, size), order=1, anti_aliasing=True)
    # the packaged image passes through float32 on the way to `expected`
    np.testing.assert_allclose(image, expected / expected.max(), atol=1e-6)
    assert image.max() == 1.0


@pytest.mark.parametrize("resize", ["area", "crop_or_pad"])
def test_an_image_of_the_size_asked_for_is_left_alone(resize):
    np.testing.assert_array_equal(
        read_image(HEAD, size=256, resize=resize), read_image(HEAD, size=None, resize=resize)
    )


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (5, 12), (12, 5), (8, 6)])
@pytest.mark.parametrize("size", [6, 7, 8, 13])
def test_crop_or_pad_keeps_the_centre_and_interpolates_nothing(tmp_path, shape, size):
    values = np.arange(1.0, 1 + math.prod(shape)).reshape(shape)
    image = read_image(write_npy(tmp_path / "a.npy", values), size=size, resize="crop_or_pad")
    padded = np.pad(values, 20)  # by an even number, so that the centre stays at side // 2 + 20
    y, x = (20 + side // 2 - size // 2 for side in shape)
    np.testing.assert_array_equal(image, scaled(padded[y : y + size, x : x + size]))


def test_the_ringing_of_resampled_volumes_becomes_zero(tmp_path):
    values = np.where(RAMP == 0, -0.019 * 11, RAMP)
    np.testing.assert_array_equal(
        read_image(write_npy(tmp_path / "a.npy", values), size=None), scaled(np.maximum(values, 0))
    )


@pytest.mark.parametrize("factor", [1e-320, 1e-40, 1e300])
def test_the_scale_of_the_values_does_not_matter(tmp_path, factor):
    image = read_image(write_npy(tmp_path / "a.npy", SQUARE * factor), size=4)
    # 1e-320 is subnormal and holds four digits
    np.testing.assert_allclose(image, read_image(write_npy(tmp_path / "b.npy", SQUARE), size=4), rtol=1e-3)


# Lists of files


def test_a_folder_is_listed_by_name_without_hidden_files_and_folders(tmp_path):
    for name in ["b.png", "a.npy", ".DS_Store", "c"]:
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "d.png").symlink_to(tmp_path / "nowhere")
    names = ["a.npy", "b.png", "c", "d.png"]
    assert list_images([tmp_path]) == list_images(str(tmp_path)) == [tmp_path / name for name in names]


def test_files_keep_the_order_given_and_the_head_is_resolved(tmp_path):
    first, second = tmp_path / "b.png", tmp_path / ".a.png"
    first.touch()
    second.touch()
    assert list_images([first, HEAD, str(second)]) == [first, resolve_path(HEAD), second]
    for sample in (HEAD, BRAIN, ABDOMEN):
        assert resolve_path(sample).is_file()


def test_nothing_to_list_is_an_error(tmp_path):
    (tmp_path / ".hidden").touch()
    with pytest.raises(FileNotFoundError, match="expected image files, got none; put"):
        list_images([tmp_path])
    with pytest.raises(FileNotFoundError, match="missing: expected a file or a folder"):
        list_images([tmp_path / "missing"])
    with pytest.raises(FileNotFoundError, match=r"sample_data/none\.png"):
        list_images("matplotlib:none.png")
    with pytest.raises(ValueError, match="empty list"):
        list_images([])


# Bad input


def refuses(path: Path, *words: str, kind: type[Exception] = ValueError, **options) -> BaseException | None:
    """The message is one line with the path, what was expected, what was found and a way to mend it."""
    with pytest.raises(kind) as caught:
        read_image(path, **{"size": None, **options})
    message = str(caught.value)
    assert caught.type is kind
    for word in (f"read_image: {path}: expected ", ", got ", "; ", *words):
        assert word in message
    assert "\n" not in message
    return caught.value.__cause__


def test_a_missing_file_is_refused(tmp_path):
    refuses(tmp_path / "a.png", kind=FileNotFoundError)


def test_what_is_no_file_in_a_folder_is_named_and_costs_no_other(tmp_path, monkeypatch):
    good = write_sample(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("nowhere")
    (tmp_path / "c.png").symlink_to("c.png")
    os.mkfifo(tmp_path / "d.png")
    private = write_sample(tmp_path / "e.png")
    files = list_images(tmp_path)
    assert [file.name for file in files] == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert read_image(good, size=8).shape == (8, 8)
    refuses(files[1], "a link to nowhere, where nothing is; correct the path", kind=FileNotFoundError)
    refuses(files[2], "a link that leads nowhere; correct the path", kind=FileNotFoundError)
    refuses(files[3], "a pipe, a socket or a device; mend it or leave it out")
    found = images.found_instead
    monkeypatch.setattr(
        images, "found_instead", lambda path: "no right to read it" if path == private else found(path)
    )
    refuses(private, "no right to read it; mend it or leave it out")
    assert read_image(good, size=8).shape == (8, 8)


def test_a_link_into_a_closed_folder_does_not_cost_the_list(tmp_path, monkeypatch):
    write_sample(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "closed" / "b.png")
    stat = os.stat

    def refusing(path, *arguments, **options):
        if os.fspath(path) == str(tmp_path / "b.png") and options.get("follow_symlinks", True):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refusing)
    assert [file.name for file in list_images(tmp_path)] == ["a.png", "b.png"]


def test_a_folder_is_refused(tmp_path):
    refuses(tmp_path, "a folder", "list_images")


def test_an_unknown_ending_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not an image")
    refuses(path, "'.txt'", ".nii.gz", ".png")


ENDINGS = [".png", ".npy", ".nii", ".nii.gz", ".dcm", ".ima.gz"]


def write_sample(path: Path) -> Path:
    """A good file of 8×8 pixels (NIfTI: 3 slices) by its ending."""
    ending = path.name.partition(".")[2]
    if ending.startswith("nii"):
        return write_nifti(path, np.stack([SQUARE] * 3, axis=-1))
    if ending == "ima.gz":
        path.write_bytes(gzip.compress(SQUARE.astype(">u2").tobytes()))
        return path
    return {"png": write_png, "npy": write_npy, "dcm": write_dicom}[ending](path, SQUARE)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.touch()
    refuses(path, "empty file (0 bytes)")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("left", [0.1, 0.5, 0.7])
def test_a_truncated_file_is_refused(tmp_path, ending, left):
    path = write_sample(tmp_path / f"a{ending}")
    assert read_image(path, size=8).shape == (8, 8)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    refuses(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_kind_of_file_under_the_ending_is_refused_and_the_cause_kept(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("<html><body>The link has expired.</body></html>\n" * 20)
    assert refuses(path, "a whole ") is not None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    refuses(write_npy(tmp_path / "a.npy", np.where(RAMP == 5, value, RAMP)), "1 NaN or infinite")


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_refused(tmp_path, value):
    refuses(write_png(tmp_path / "a.png", np.full((8, 8), value, np.uint8)), f"{value} everywhere")


def test_an_image_that_resizing_leaves_empty_is_refused(tmp_path):
    path = write_npy(tmp_path / "a.npy", np.pad(np.zeros((6, 6)), 1, constant_values=1.0))
    refuses(path, "0 everywhere after crop_or_pad to 4×4", size=4, resize="crop_or_pad")


def test_negative_values_are_refused(tmp_path):
    refuses(write_npy(tmp_path / "a.npy", RAMP - 1.0), "from -1 to 10", "magnitudes")
    refuses(write_npy(tmp_path / "b.npy", RAMP - 20.0), "from -20 to -9")
    refuses(write_npy(tmp_path / "c.npy", np.where(RAMP == 0, -0.021 * 11, RAMP)), "from -0.231 to 11")


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("equal", [True, False])
def test_a_picture_with_channels_is_refused_even_if_they_are_equal(tmp_path, channels, equal):
    values = np.stack([SQUARE.astype(np.uint8)] * channels, axis=-1)
    values[..., 0] += 0 if equal else 1
    path = write_png(tmp_path / "a.png", values)
    refuses(path, f"{channels} channels", "convert it to greyscale", "grey kept as RGB")


def test_a_picture_of_several_frames_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    imageio.imwrite(path, np.stack([RAMP] * 3), plugin="tifffile", photometric="minisblack")
    refuses(path, "3 frames")


def test_area_refuses_what_is_not_square(tmp_path):
    refuses(
        write_png(tmp_path / "a.png", RAMP), "a square image", "(3, 4)", "use resize='crop_or_pad'", size=2
    )


@pytest.mark.parametrize("shape", [(12,), (2, 3, 2), (0, 4), (LONGEST_SIDE + 1, 1)])
def test_npy_of_another_shape_is_refused(tmp_path, shape):
    refuses(write_npy(tmp_path / "a.npy", np.zeros(shape)), f"shape {shape}")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (RAMP.astype(object), "without pickle"),
        (RAMP.astype(str), "integers or floats"),
        (RAMP.astype("M8[s]"), "integers or floats"),
        (RAMP + 1j, "this source takes magnitude images"),
    ],
)
def test_npy_of_another_kind_is_refused(tmp_path, values, words):
    refuses(write_npy(tmp_path / "a.npy", values), words)


def test_npz_called_npy_is_refused(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, a=RAMP)
    refuses(tmp_path / "a.npy", "a whole NPY file")


def test_complex_nifti_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", np.ones((3, 4, 5), np.complex64))
    refuses(path, "this source takes magnitude images")


def test_colour_nifti_is_refused(tmp_path):
    colours = np.zeros((3, 4, 5), [(name, "u1") for name in "RGB"])
    refuses(write_nifti(tmp_path / "a.nii", colours), "integers or floats", "in greyscale")


@pytest.mark.parametrize("shape", [(4,), (3, 4, 5, 2)])
def test_nifti_of_another_shape_is_refused(tmp_path, shape):
    path = write_nifti(tmp_path / "a.nii", np.ones(shape, np.float32))
    refuses(path, "two or three axes", f"shape {shape}")


@pytest.mark.parametrize("index", [-1, 5])
def test_a_slice_out_of_range_is_refused(tmp_path, index):
    path = write_nifti(tmp_path / "a.nii", np.ones((3, 4, 5), np.float32))
    refuses(path, "slice_index from 0 to 4", f"got {index};", slice_index=index)


def test_a_nifti_affine_without_directions_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", np.ones((3, 4, 5), np.float32))
    content = bytearray(path.read_bytes())
    content[280:296] = bytes(16)  # srow_x of NIfTI-1
    path.write_bytes(content)
    refuses(path, "an affine that names the axes", "(None, 'A')")


def test_analyze_called_nifti_is_refused(tmp_path):
    nibabel.save(nibabel.Spm99AnalyzeImage(RAMP.astype(np.int16), RAS), tmp_path / "a.img")
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    refuses(tmp_path / "a.nii", "a whole NIfTI file")


def test_slice_index_is_refused_where_there_are_no_slices(tmp_path):
    refuses(write_png(tmp_path / "a.png", RAMP), "a NIfTI volume", "slice_index=0", slice_index=0)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "photometry RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "photometry PALETTE COLOR"),
        ({"NumberOfFrames": 2, "PixelData": 2 * RAMP.tobytes()}, "2 frames"),
        ({"RescaleSlope": "1", "RescaleIntercept": "-1024"}, "from -1024 to -1013"),
        ({"Rows": 0}, "shape (0, 4)"),
        ({"Rows": 9000}, "shape (9000, 4)"),
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PixelData": 3 * RAMP.tobytes()}, "(3, 4, 3)"),
    ],
)
def test_dicom_that_is_no_greyscale_magnitude_is_refused(tmp_path, elements, words):
    refuses(write_dicom(tmp_path / "a.dcm", **elements), words)


def test_dicom_without_pixels_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    refuses(path, "a whole DICOM file", "pixel data")


def test_compressed_dicom_without_a_decoder_is_refused_with_the_librarys_words(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    # MPEG2, which no decoder of pydicom reads
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.PixelData = pydicom.encaps.encapsulate([RAMP.tobytes()])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    refuses(path, "MPEG2", "decompress it (gdcmconv --raw)")


@pytest.mark.parametrize("count", [1, 100, 2 * 8 * 9])
def test_raw_that_is_not_square_is_refused(tmp_path, count):
    path = tmp_path / "a.ima.gz"
    path.write_bytes(gzip.compress(bytes(count)))
    refuses(path, "side × side", f"{count} bytes")


@pytest.mark.parametrize("size", [0, -3, LONGEST_SIDE + 1])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=f"expected size from 1 to .* got {size}"):
        read_image(HEAD, size=size)


def test_an_unknown_rule_is_refused():
    # past the check of types, which jobs do not have
    with pytest.raises(ValueError, match=r"expected resize to be one of .* got 'stretch'"):
        read_image.__wrapped__(HEAD, size=8, resize="stretch")


# Fuzzing


def damages() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """A few bytes changed, most of them in the header, then perhaps a cut or an insertion."""
    place = st.one_of(st.floats(0, 1), st.floats(0, 0.2))
    changes = st.lists(st.tuples(place, st.integers(0, 255)), min_size=0, max_size=6)
    extra = st.tuples(place, st.one_of(st.none(), st.binary(min_size=1, max_size=9)))

    def damage(content: bytes, changes, extra) -> bytes:
        damaged = bytearray(content)
        for where, value in changes:
            damaged[int(where * (len(damaged) - 1))] = value
        if extra is not None:
            position = int(extra[0] * len(damaged))
            damaged[position:] = b"" if extra[1] is None else extra[1] + damaged[position:]
        return bytes(damaged)

    return st.builds(
        lambda changes, extra: lambda content: damage(content, changes, extra),
        changes,
        st.one_of(st.none(), st.none(), extra),
    )


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [True, False], ids=["warnings as in jobs", "warnings as errors"])
@pytest.mark.parametrize("ending", [*ENDINGS, ".tif"])
def test_a_damaged_file_is_read_or_refused(tmp_path, ending, quiet):
    if ending == ".tif":
        content = write_png(tmp_path / "good.tif", SQUARE).read_bytes()
    else:
        content = write_sample(tmp_path / f"good{ending}").read_bytes()
    path = tmp_path / f"damaged{ending}"
    outcomes = {"read": 0, "refused": 0}

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(damage=damages())
    def attempt(damage):
        path.write_bytes(damage(content))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if quiet else "error")
            try:
                image = read_image(path, size=6, resize="crop_or_pad")
            except (ValueError, FileNotFoundError) as error:
                assert str(error).startswith(f"read_image: {path}: expected ")  # noqa: PT017
                outcomes["refused"] += 1
                return
        assert image.shape == (6, 6)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0.0
        assert image.max() == 1.0
        outcomes["read"] += 1

    attempt()
    assert min(outcomes.values()) > 0, outcomes

"""Real images from files: PNG and its like, NPY, NIfTI, DICOM and raw `.ima.gz`."""

import gzip
import importlib.util
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from mrilib.data.file_presence import found_instead

ResizeRule = Literal["area", "crop_or_pad"]
Picture = Shaped[np.ndarray, "y x"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm")
# Packages that bring images, and the folders where they have them.
SAMPLES = {
    "matplotlib": "mpl-data/sample_data",
    "nilearn": "datasets/data",
    "pydicom": "data/test_files",
}
# Our choice: a header that claims a longer side is damaged, and is refused before memory is taken for it.
LONGEST_SIDE = 8192
# Our choice: resampled volumes ring to about −1 % of their maximum; what is lower is another quantity.
NEGATIVE_TOLERANCE = 0.02


def read_image(
    path: str | Path, *, size: int | None, resize: ResizeRule = "area", slice_index: int | None = None
) -> Float32[np.ndarray, "y x"]:
    """Read one magnitude image and scale it to [0, 1] by its maximum, after resizing.

    What is read, by the ending of the name (capitals or not):
        - `.png .jpg .jpeg .tif .tiff .bmp .pgm`: greyscale, one frame, any depth; no gamma, no EXIF turn.
        - `.npy`: two axes, real numbers, never unpickled.
        - `.nii .nii.gz`: two or three axes. `slice_index` counts along the last stored axis; the middle,
          `slices // 2`, by default. Pixels are taken as square.
        - `.dcm`, or any other ending over a file whose bytes 128 to 131 are `DICM`: one greyscale frame,
          with RescaleSlope and RescaleIntercept or the modality LUT, without windowing. MONOCHROME1 is
          inverted: `max − value`.
        - `.ima.gz`: a square of 16-bit unsigned integers without header, gzipped, in the byte order
          in which neighbours in a row differ less (big-endian if they tie).

    Orientation: rows run downwards and columns to the right, as stored, so that a picture stands as a
    viewer shows it. A NIfTI slice is turned by its affine: superior, or else anterior, at the top, and
    the patient's left, or else posterior, on the right.

    Args:
        path: the file, or `PACKAGE:NAME` (see `resolve_path`).
        size: side of the result in pixels; `None` keeps the image, of any shape, as it is.
        resize: `area` resamples a square image by `skimage.transform.resize` (order 1, anti-aliasing,
            edges reflected); `crop_or_pad` crops or pads with zeros around pixel `side // 2`.
        slice_index: of a NIfTI volume, from 0.

    Returns:
        The image, maximum 1. Negatives down to −0.02 of it, which resampled volumes have, become 0.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, damaged, of another kind, in colour, complex, not finite, negative,
            constant, or not square under `area`, or if an argument is out of range.
    """
    if resize not in get_args(ResizeRule):
        raise ValueError(f"read_image: expected resize to be one of {get_args(ResizeRule)}, got {resize!r}")
    if size is not None and not 1 <= size <= LONGEST_SIDE:
        raise ValueError(f"read_image: expected size from 1 to {LONGEST_SIDE} or None, got {size}")
    path = resolve_path(path)
    image = _scaled(path, _stored(path, slice_index), "in the file")
    if size is not None and image.shape != (size, size):
        resized = _resampled(path, image, size) if resize == "area" else _crop_or_pad(image, size)
        image = _scaled(path, resized, f"after {resize} to {size}×{size}")
    return image.astype(np.float32)


def list_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """List image files: a folder stands for the files directly in it, in the order of their names.

    Hidden files (names that begin with a dot) and folders in a folder are skipped; every other file is
    listed, so that one of a wrong kind is refused by `read_image` instead of being left out unnoticed.
    Several `paths` keep their order; each may be `PACKAGE:NAME`, as in `resolve_path`.

    Raises `FileNotFoundError` if a path does not exist or a folder holds no file that is not hidden, and
    `ValueError` if `paths` is empty.
    """
    found: list[Path] = []
    for path in map(resolve_path, [paths] if isinstance(paths, str | Path) else paths):
        if not path.exists():
            raise FileNotFoundError(f"list_images: {path}: expected a file or a folder, got no such path")
        inside = path.iterdir() if path.is_dir() else iter([path])
        # Not `is_file`: a broken link is listed, for `read_image` to name it. Nor `Path.is_dir`, which fails
        # at links into folders without the right to enter.
        files = [
            file for file in inside if file == path or not (file.name.startswith(".") or os.path.isdir(file))
        ]
        if not files:
            raise FileNotFoundError(f"list_images: {path}: expected image files, got none; put some there")
        found += sorted(files, key=lambda file: file.name)
    if not found:
        raise ValueError("list_images: expected at least one file or folder, got an empty list")
    return found


def resolve_path(path: str | Path) -> Path:
    """Turn `PACKAGE:NAME` into the path of that sample file of a package; other paths are kept.

    - `matplotlib:s1045.ima.gz` is a sagittal head, 256×256;
    - `nilearn:mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz` is the T1-weighted mean of 152 heads
      [fonov2011], 197×233×189 voxels of 1 mm;
    - `pydicom:examples_overlay.dcm` is an axial slice of an abdomen, 300×484.

    Packages are located, not imported.

    Raises `FileNotFoundError` if the package is not installed.
    """
    package, separator, name = str(path).partition(":")
    if package not in SAMPLES or not separator:
        return Path(path)
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"resolve_path: {path}: {package} is not installed; install it")
    return Path(found.origin).parent / SAMPLES[package] / name


def _unfit(path: Path, expected: str, found: str, mend: str) -> ValueError:
    return ValueError(f"read_image: {path}: expected {expected}, got {found}; {mend}")


@contextmanager
def _library(path: Path, kind: str, mend: str = "write the file again or leave it out") -> Iterator[None]:
    """Turn whatever a library raises on a damaged file, of any type, into one `ValueError`."""
    try:
        yield
    except Exception as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())
        raise _unfit(path, f"a whole {kind} file", found, mend) from error


def _stored(path: Path, slice_index: int | None) -> Picture:
    """The real numbers in the file, with the header's scaling."""
    found = found_instead(path)
    if found and not os.path.exists(path):
        raise FileNotFoundError(f"read_image: {path}: expected an image file, got {found}; correct the path")
    if found:
        mend = "list its files with list_images" if path.is_dir() else "mend it or leave it out"
        raise _unfit(path, "an image file", found, mend)
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _read_nifti(path, slice_index)
    readers = {".npy": _read_npy, ".ima.gz": _read_raw, ".dcm": _read_dicom}
    readers |= dict.fromkeys(PICTURE_ENDINGS, _read_picture)
    read = next((reader for ending, reader in readers.items() if name.endswith(ending)), None)
    if read is None and _says_dicom(path):
        read = _read_dicom
    if read is None:
        expected = f"a DICOM file or an ending of {' '.join(PICTURE_ENDINGS)} .npy .nii .nii.gz .dcm .ima.gz"
        raise _unfit(path, expected, repr(path.suffix), "convert, rename or leave it out")
    if slice_index is not None:
        raise _unfit(path, "a NIfTI volume", f"slice_index={slice_index} for one image", "leave it out")
    return read(path)


def _scaled(path: Path, values: Picture, where: str) -> Float64[np.ndarray, "y x"]:
    # what overflows or is a NaN is refused below, without a warning before it
    with np.errstate(all="ignore"):
        image = np.array(values, dtype=np.float64)
    wrong = int(np.count_nonzero(~np.isfinite(image)))
    if wrong:
        raise _unfit(path, "finite values", f"{wrong} NaN or infinite {where}", "replace these pixels")
    low, peak = float(image.min()), float(image.max())
    if low < -NEGATIVE_TOLERANCE * peak:
        mend = "take magnitudes or subtract the offset"
        raise _unfit(path, "magnitudes (>= 0)", f"values from {low:g} to {peak:g} {where}", mend)
    if peak == 0.0 or np.float32(low / peak) == 1.0:
        mend = "there is nothing to reconstruct: choose another image, slice or size"
        raise _unfit(path, "an image that varies", f"{peak:g} everywhere {where}", mend)
    return np.maximum(image, 0.0) / peak


def _resampled(path: Path, image: Float64[np.ndarray, "y x"], size: int) -> Float64[np.ndarray, "size size"]:
    # slow to load, and only needed here
    from skimage.transform import resize

    if image.shape[0] != image.shape[1]:
        mend = "use resize='crop_or_pad' or crop the image"
        raise _unfit(path, "a square image for resize='area'", f"shape {image.shape}", mend)
    return resize(image, (size, size), order=1, anti_aliasing=True, preserve_range=True, mode="reflect")


def _crop_or_pad(image: Float64[np.ndarray, "y x"], size: int) -> Float64[np.ndarray, "size size"]:
    padded = np.pad(image, size)
    y, x = (size + side // 2 - size // 2 for side in image.shape)
    return padded[y : y + size, x : x + size]


def _require_picture(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse what is no image by its header, before its pixels are read."""
    if dtype.kind == "c":
        raise _unfit(path, "magnitudes", str(dtype), "this source takes magnitude images: save np.abs of it")
    if dtype.kind not in "buif":
        raise _unfit(path, "integers or floats", str(dtype), "save it as an array of numbers, in greyscale")
    if len(shape) != 2:
        raise _unfit(path, "two axes (y, x)", f"shape {shape}", "save one slice, in greyscale")
    if not 1 <= min(shape) <= max(shape) <= LONGEST_SIDE:
        raise _unfit(path, f"sides from 1 to {LONGEST_SIDE}", f"shape {shape}", "crop it, or it is damaged")


def _read_picture(path: Path) -> Picture:
    # slow to load, and only needed here
    import imageio.v3 as imageio

    with _library(path, "picture"):
        about = imageio.improps(path, plugin="pillow", index=...)  # type: ignore[arg-type]  # all frames
    frames, *shape = about.shape
    if frames != 1:
        raise _unfit(path, "one frame", f"{frames} frames", "save each frame as a file")
    if len(shape) == 3:
        mend = "convert it to greyscale, which grey kept as RGB, with alpha or with a palette needs as well"
        raise _unfit(path, "one grey channel", f"{shape[2]} channels (colour or alpha)", mend)
    _require_picture(path, tuple(shape), about.dtype)
    with _library(path, "picture"):
        return imageio.imread(path, plugin="pillow", index=0)


def _read_npy(path: Path) -> Picture:
    # mapped, so that a header which claims more than the file holds takes no memory
    with _library(path, "NPY", "save it with np.save as a numeric array, without pickle"):
        values = np.lib.format.open_memmap(path, mode="r")
    _require_picture(path, values.shape, values.dtype)
    return values


def _read_raw(path: Path) -> Picture:
    with _library(path, "gzip"), gzip.open(path) as file:
        content = file.read(2 * LONGEST_SIDE**2 + 1)
    side = math.isqrt(len(content) // 2)
    if side == 0 or 2 * side**2 != len(content):
        raise _unfit(path, "side × side 16-bit integers", f"{len(content)} bytes", "save it as PNG or NPY")
    orders = [np.frombuffer(content, kind).reshape(side, side) for kind in (">u2", "<u2")]
    return min(orders, key=lambda image: np.abs(np.diff(image.astype(np.float64))).sum())


def _says_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> Picture:
    # slow to load, and only needed here
    import pydicom
    from pydicom.pixels import apply_modality_lut

    with _library(path, "DICOM"):
        dataset = pydicom.dcmread(path)
        kind = str(dataset.get("PhotometricInterpretation", "none"))
        frames = int(dataset.get("NumberOfFrames") or 1)
        shape = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise _unfit(path, "MONOCHROME1 or MONOCHROME2", f"photometry {kind}", "choose a greyscale image")
    if frames != 1:
        raise _unfit(path, "one frame", f"{frames} frames", "save each frame as a file, or as NIfTI")
    _require_picture(path, shape, np.dtype(np.uint16))
    with _library(path, "DICOM", "decompress it (gdcmconv --raw) or write it again"):
        values = apply_modality_lut(dataset.pixel_array, dataset)
        if kind == "MONOCHROME1":
            values = np.subtract(values.max(), values, dtype=np.float64)
    _require_picture(path, values.shape, values.dtype)
    return values


def _read_nifti(path: Path, slice_index: int | None) -> Picture:
    # slow to load, and only needed here
    import nibabel
    from nibabel.arrayproxy import ArrayProxy

    with _library(path, "NIfTI"):
        volume = nibabel.load(path)
        # a NIfTI-2 image is a Nifti1Image too
        if not (isinstance(volume, nibabel.Nifti1Image) and isinstance(volume.dataobj, ArrayProxy)):
            raise ValueError(f"this is a {type(volume).__name__}")
        shape, dtype = volume.shape, volume.get_data_dtype()
        needed = volume.dataobj.offset + math.prod(shape) * dtype.itemsize
        held = _unzipped_bytes(path)
        axes = nibabel.aff2axcodes(volume.affine)[:2]
    if len(shape) < 2 or any(length != 1 for length in shape[3:]):
        raise _unfit(path, "two or three axes", f"shape {shape}", "save one volume of the series")
    _require_picture(path, shape[:2], dtype)
    if held < needed:
        raise _unfit(path, f"{needed} bytes", f"{held} (truncated)", "copy it again or leave it out")
    slices = shape[2] if len(shape) > 2 else 1
    position = slices // 2 if slice_index is None else slice_index
    if not 0 <= position < slices:
        raise _unfit(path, f"slice_index from 0 to {slices - 1}", f"{slice_index}", "name a slice it has")
    if None in axes:
        raise _unfit(path, "an affine that names the axes", f"{axes}", "write the affine (sform) again")
    with _library(path, "NIfTI"):
        index = (slice(None), slice(None), position, *(0 for _ in shape[3:]))
        values = np.asarray(volume.dataobj[index[: len(shape)]])
    return _upright(values, axes)


def _unzipped_bytes(path: Path) -> int:
    """Bytes in the file, unzipped as far as its end, where a damaged archive shows."""
    if not path.name.lower().endswith(".gz"):
        return path.stat().st_size
    with gzip.open(path) as file:
        return sum(len(block) for block in iter(lambda: file.read(1 << 20), b""))


def _upright(values: Shaped[np.ndarray, "first second"], axes: tuple[str, ...]) -> Picture:
    """Superior or else anterior at the top; left or else posterior on the right."""
    vertical = min((0, 1), key=lambda axis: "SIAPLR".index(axes[axis]) // 2)
    backwards = tuple(axis for axis in (0, 1) if axes[axis] in ("SA" if axis == vertical else "RA"))
    return np.flip(values, backwards).transpose(vertical, 1 - vertical)

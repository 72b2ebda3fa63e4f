"""Formats of raw data that are not read, recognised so that a refusal names them and says what to do."""

import gzip
import zlib
from pathlib import Path

import h5py

HEAD = 1024
CONVERT = (
    "write the fully sampled k-space to a volume with mrilib.data.volumes.fastmri.write_volume, or to BART's "
    ".cfl"
)
ISMRMRD = "convert it to ISMRMRD"
# What scanners write, by the ending of the file.
VENDORS = {
    ".dat": ("raw data of Siemens (twix)", f"{ISMRMRD} with siemens_to_ismrmrd"),
    ".7": ("a P-file of GE", f"{ISMRMRD} with ge_to_ismrmrd"),
    ".lab": ("raw data of Philips (lab/raw)", f"{ISMRMRD} with philips_to_ismrmrd"),
    ".raw": ("raw data of Philips (lab/raw)", f"{ISMRMRD} with philips_to_ismrmrd"),
    ".sin": ("raw data of Philips (lab/raw)", f"{ISMRMRD} with philips_to_ismrmrd"),
    ".list": ("raw data of Philips (list/data)", f"{ISMRMRD} with philips_to_ismrmrd"),
    ".fid": ("raw data of Bruker or Agilent", ISMRMRD),
}
# First bytes.
MARKS = {
    b"MATLAB 5.0 MAT-file": ("a MATLAB file (version 5)", f"load it with scipy.io.loadmat and {CONVERT}"),
    b"\x93NUMPY": ("an array of NumPy (Calgary-Campinas keeps single-coil data so)", CONVERT),
    b"PK\x03\x04": ("a zip archive", "unpack it"),
    b"\x1f\x8b": ("a gzip archive", "unpack it"),
    b"\xfd7zXZ\0": ("an xz archive", "unpack it, or name it under archives"),
    b"\xff\xd8\xff": ("a JPEG image", "raw k-space is needed"),
    b"\x89PNG": ("a PNG image", "raw k-space is needed; images belong to a source of kind files"),
}
IMAGES = "raw k-space is needed; images belong to a source of kind files, or to a simulated dataset"
CMRXRECON = ("kspace_full", "kspace_single_full", "kspace_sub", "kspace_single_sub", "kus")


def recognised_bytes(path: str | Path) -> tuple[str, str] | None:
    """Name of a format that is not read, and what to do, from a file's first bytes and its ending.

    `None` if nothing is recognised. MATLAB's version 7.3 is HDF5: `recognised_hdf5` knows it.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:
        return None
    if not head:
        return "an empty file", "copy it again from its source"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "a page of HTML or XML", "download the file itself: the link may have expired"
    if head[128:132] == b"DICM":
        return "a DICOM image", IMAGES
    if _is_nifti(head):
        return "a NIfTI image", IMAGES
    found = next((about for mark, about in MARKS.items() if head.startswith(mark)), None)
    return found or VENDORS.get(file.suffix.lower())


def recognised_hdf5(file: h5py.File, path: str | Path) -> tuple[str, str] | None:
    """Name of a format that is not read, and what to do, from what an HDF5 file holds; `None` if none is."""
    names = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
    with Path(path).open("rb") as opened:
        matlab = opened.read(HEAD).startswith(b"MATLAB 7.3") or "#refs#" in names
    arrays = {name: file[name] for name in names if isinstance(file[name], h5py.Dataset)}
    pairs = [name for name, array in arrays.items() if set(array.dtype.names or ()) == {"real", "imag"}]
    if any(name.startswith(CMRXRECON) for name in names):
        return (
            "a file of CMRxRecon (cine or mapping series, axes (time, slice, coil, ky, kx), MATLAB 7.3)",
            f"take one time frame of `kspace_full`, put the readout first of the last two axes and {CONVERT}",
        )
    if matlab or pairs:
        return (
            "a file of MATLAB (version 7.3: real and imaginary parts in pairs, axes in reversed order)",
            f"read it with h5py as `array['real'] + 1j * array['imag']`, put its axes in order and {CONVERT}",
        )
    kspace = arrays.get("kspace")
    shape: tuple[int, ...] = () if kspace is None or kspace.shape is None else tuple(kspace.shape)
    if kspace is not None and (len(shape) == 5 or ("maps" in names and len(shape) >= 4)):
        return (
            "a file of SKM-TEA (axes (x, ky, kz, echo, coil), 3-D)",
            "it was acquired with parallel imaging, so there is no fully sampled reference; leave it out",
        )
    if (
        kspace is not None
        and len(arrays) == 1
        and kspace.dtype.kind == "f"
        and len(shape) == 4
        and shape[-1] % 2 == 0
    ):
        return (
            "a file of Calgary-Campinas (real and imaginary parts of the coils in the last axis)",
            "take `kspace[..., 0::2] + 1j * kspace[..., 1::2]`, move the coils in front of (ky, kx), put "
            f"zero frequency and the image's origin at size // 2 and {CONVERT}",
        )
    groups = [name for name in names if isinstance(file[name], h5py.Group)]
    if kspace is None and any("xml" in file[name] and "data" in file[name] for name in groups):
        return "a raw scan of ISMRMRD", "name it in a dataset of kind raw, which converts it"
    if "kspace" not in file and any(name.startswith("image") for name in names):
        return "a file of images without k-space", "take the file with `kspace` beside it"
    return None


def _is_nifti(head: bytes) -> bool:
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEAD)
        except (zlib.error, gzip.BadGzipFile):
            return False
    return head[344:348] in (b"n+1\0", b"ni1\0")

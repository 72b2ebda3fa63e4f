"""Formats that are not read are refused by their names, with what to do."""

import gzip

import h5py
import numpy as np
import pytest
import scipy.io

from mrilib.data.volumes import read_volume
from mrilib.data.volumes.foreign import VolumeError
from tests.data.volumes.raw_files import noise_kspace


def matlab_file(path, name, values):
    """As MATLAB 7.3 stores a complex array: a text in front, and pairs."""
    pairs = np.empty(values.shape, [("real", "<f4"), ("imag", "<f4")])
    pairs["real"], pairs["imag"] = values.real, values.imag
    with h5py.File(path, "w", userblock_size=512) as file:
        file[name] = pairs
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    return path


def hdf5(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def saved(path, values):
    with path.open("wb") as file:
        np.save(file, values)
    return path


def nifti(path):
    header = bytearray(352)
    header[344:348] = b"n+1\0"
    return written(path, gzip.compress(bytes(header)))


def matlab_5(path):
    scipy.io.savemat(path, {"kspace": np.ones(3)})
    return path


FORMATS = {
    "CMRxRecon": (
        lambda folder: matlab_file(folder / "cine.mat", "kspace_full", noise_kspace(2, 2, 3, 8, 8)),
        "kspace_full",
    ),
    "MATLAB": (
        lambda folder: matlab_file(folder / "own.mat", "kspace", noise_kspace(2, 3, 8, 8)),
        "array['real']",
    ),
    "MATLAB file (version 5)": (lambda folder: matlab_5(folder / "old.mat"), "scipy.io.loadmat"),
    "Calgary-Campinas": (
        lambda folder: hdf5(folder / "e1.h5", kspace=np.ones((4, 8, 8, 6), np.float32)),
        "kspace[..., 0::2]",
    ),
    "Calgary-Campinas keeps": (
        lambda folder: saved(folder / "e1.npy", np.ones((4, 8, 8, 2))),
        "write_volume",
    ),
    "SKM-TEA": (
        lambda folder: hdf5(
            folder / "MTR_001.h5", kspace=noise_kspace(4, 8, 8, 2, 3), maps=np.ones(3), masks=np.ones(3)
        ),
        "no fully sampled reference",
    ),
    "images without k-space": (
        lambda folder: hdf5(folder / "brain1.h5", image_label=np.ones((2, 8, 8))),
        "`kspace`",
    ),
    "NIfTI": (lambda folder: nifti(folder / "head.nii.gz"), "simulated dataset"),
    "DICOM": (
        lambda folder: written(folder / "1.dcm", bytes(128) + b"DICM" + bytes(99)),
        "simulated dataset",
    ),
    "Siemens": (lambda folder: written(folder / "meas_MID1.dat", b"\1\2\3"), "siemens_to_ismrmrd"),
    "GE": (lambda folder: written(folder / "P01024.7", b"\1\2\3"), "ge_to_ismrmrd"),
    "Philips": (lambda folder: written(folder / "scan.raw", b"\1\2\3"), "philips_to_ismrmrd"),
    "page of HTML": (lambda folder: written(folder / "a.h5", b"\n<html>403"), "expired"),
    "empty file": (lambda folder: written(folder / "b.h5", b""), "copy it again"),
    "zip": (lambda folder: written(folder / "c.h5", b"PK\x03\x04 and more"), "unpack"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_known_format_is_refused_by_its_name(tmp_path, name):
    make, mend = FORMATS[name]
    with pytest.raises(VolumeError) as caught:
        read_volume(make(tmp_path))
    assert name in str(caught.value)
    assert mend in caught.value.mend


def test_what_nobody_knows_is_no_hdf5_file(tmp_path):
    with pytest.raises(VolumeError, match="expected an HDF5 file"):
        read_volume(written(tmp_path / "a.h5", b"something else"))

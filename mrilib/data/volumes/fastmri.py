"""Volumes of multi-coil k-space in the schema of fastMRI: reading, checking and writing.

One HDF5 file holds one volume:
    - `kspace`: complex64 `(slice, coil, row, column)`. Rows are the readout, columns the phase encodes, which
      column masks undersample. Zero frequency at `size // 2`.
    - `reconstruction_rss`: float32 `(slice, y, x)`, the root sum of squares over the coils of the centred
      orthonormal inverse FFT, cropped at the centre. Test files have none.
    - `ismrmrd_header`: XML text.
    - `mask`: which columns were sampled, in test files.
Of a single coil `kspace` has no coil axis, and the target is `reconstruction_esc`.
    - attributes `acquisition`, `patient_id`, `max` and `norm` (maximum and Euclidean norm of
      `reconstruction_rss`).
Files written here say in addition: `simulated`, `source`, `sampled_fraction` (of the stored k-space),
`notes`, `skipped` (readouts that were left out, by kind, as JSON), and the units of every dataset.

fastMRI's files keep the readout oversampling (640 rows, of which 320 are in the target); ours have it
removed.
Source: [zbontar2018].
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Complex64, Float32

from mrilib.data.volumes.centered_fft import rss
from mrilib.data.volumes.foreign import Attributes, VolumeError, find_dataset, open_hdf5, read_text
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.layout import find_layout
from mrilib.data.volumes.scan_header import parse_header
from mrilib.store.atomic import atomic_path

# Stored maximum and norm may have been computed in float32.
TOLERANCE = 1e-3
# HDF5 allows 64 KiB with what describes it.
LONGEST_COMPACT = 60000
UNITS = "as acquired, arbitrary"


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says of itself.

    Args:
        path: the file.
        layout: `multi-coil` or `single-coil`.
        shape: `(slices, coils, rows, columns)` of `kspace`; one coil where the file has no coil axis.
        target_shape: `(slices, y, x)` of the target; `None` if there is none. Some of fastMRI's brain files
            have a target wider than their k-space (203 columns).
        masked: whether the file holds a mask of its own.
        acquisition, patient, source, notes: empty where not said.
        maximum, norm: of the target, as stored; `None` where not said.
        simulated: whether the file says so.
        sampled_fraction: as stored; `None` where not said.
        encoded, recon: `(rows, columns)` of `encodedSpace` and `reconSpace`.
        channels: `receiverChannels`; `None` where not said.
        padding: first column that was acquired and the one after the last, as fastMRI computes them:
            `left = encodedSpace.y // 2 − center`, `right = left + maximum + 1`.
        field_strength: in T; `None` where not said.
        anatomy, protocol, system: from the XML, empty where not said.
    """

    path: str
    layout: str
    shape: tuple[int, int, int, int]
    target_shape: tuple[int, int, int] | None
    masked: bool
    acquisition: str
    patient: str
    source: str
    notes: str
    maximum: float | None
    norm: float | None
    simulated: bool
    sampled_fraction: float | None
    encoded: tuple[int, int]
    recon: tuple[int, int]
    channels: int | None
    padding: tuple[int, int]
    field_strength: float | None
    anatomy: str
    protocol: str
    system: str


@dataclass(frozen=True)
class VolumeSlice:
    """One slice: k-space, and target and mask of the columns where the file has them."""

    kspace: Complex64[np.ndarray, "coil ky kx"]
    target: Float32[np.ndarray, "y x"] | None
    mask: Bool[np.ndarray, "kx"] | None


def read_header(path: str | Path) -> VolumeHeader:
    """Read and check everything but the arrays.

    Raises:
        FileNotFoundError: if there is no file.
        VolumeError: if a dataset is missing, has the wrong type or shape or was not written to its end, or
            the XML lacks what fastMRI's reader takes from it.

    HDF5 may crash on damaged files: `check_volume` first those that come from elsewhere.
    """
    with open_hdf5(path) as file:
        layout = find_layout(file, path)
        xml = read_text(find_dataset(file, "ismrmrd_header", path), "ismrmrd_header", path)
        header = parse_header(xml, path, "ismrmrd_header")
        if header.lines is None:
            name = "encodingLimits/kspace_encoding_step_1"
            raise VolumeError(path, f"ismrmrd_header: {name}", "limits", "none")
        left = header.encoded.matrix[1] // 2 - header.lines.center
        attributes = Attributes(file, path)
        return VolumeHeader(
            path=str(path),
            layout=layout.name,
            shape=layout.shape,
            target_shape=None if layout.target is None else layout.target.shape,
            masked=layout.mask is not None,
            acquisition=attributes.text("acquisition"),
            patient=attributes.text("patient_id"),
            source=attributes.text("source"),
            notes=attributes.text("notes"),
            maximum=attributes.number("max"),
            norm=attributes.number("norm"),
            simulated=bool(attributes.number("simulated")),
            sampled_fraction=attributes.number("sampled_fraction"),
            encoded=header.encoded.matrix[:2],
            recon=header.recon.matrix[:2],
            channels=header.channels,
            padding=(left, left + header.lines.maximum + 1),
            field_strength=header.field_strength,
            anatomy=header.anatomy,
            protocol=header.protocol,
            system=header.system,
        )


def read_slice(path: str | Path, position: int) -> VolumeSlice:
    """Read one slice, `position` from 0, and nothing of the others.

    Raises:
        IndexError: if the volume has no such slice.
        VolumeError: as `read_header`; or if a value is not finite, all k-space is zero, or the target is
            negative or all zero.
    """
    with open_hdf5(path) as file:
        layout = find_layout(file, path)
        if not 0 <= position < layout.shape[0]:
            raise IndexError(f"{path}: expected a slice from 0 to {layout.shape[0] - 1}, got {position}")
        return VolumeSlice(layout.read_kspace(position), layout.read_target(position), layout.read_mask())


def check_volume(path: str | Path, *, worker: Worker | None = None) -> VolumeHeader:
    """Check a whole file, slice by slice, in a child process, so that no damage can take this one along.

    Beyond `read_header` and `read_slice`: in files written here the stored `max` and `norm` are those of the
    target, to 0.1 %.

    Args:
        path: the file.
        worker: child process to use, for many files one after the other; by default one for this file.

    Raises:
        FileNotFoundError: if there is no file.
        VolumeError: if the file cannot be used; says where, what was expected and what was found.
    """
    if worker is None:
        with Worker() as own:
            return check_volume(path, worker=own)
    found = worker.call(_check, path)
    tuples = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return VolumeHeader(**(found | tuples))


class VolumeWriter:
    """Writes a volume slice by slice; `add` each in its order. Memory: one slice and its images.

    Use it as a context manager, around it `atomic_path`; `write_volume` does both.

    Args:
        path: file to write.
        shape: `(slices, coils, rows, columns)`.
        target: `(y, x)` of `reconstruction_rss`.
        header: XML, such as `new_header` makes.
        acquisition: kind of the scan.
        patient: name of the patient, by which results are resampled.
        source: where the data comes from.
        simulated: whether any of it was.
        attributes: further attributes of the file.

    Raises:
        ValueError: if sizes do not fit, a slice is not finite or all zero, or too few or too many came.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        shape: tuple[int, int, int, int],
        target: tuple[int, int],
        header: str,
        acquisition: str,
        patient: str,
        source: str,
        simulated: bool,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        if min(shape) < 1 or min(target) < 1 or any(a > b for a, b in zip(target, shape[2:], strict=True)):
            raise ValueError(
                f"{path}: expected sides >= 1 and a target within {shape[2:]}, got {shape}, {target}"
            )
        self._path, self._shape, self._target = Path(path), shape, target
        self._count, self._maximum, self._energy = 0, 0.0, 0.0
        # As old as can be with checksums of all that HDF5 itself writes, so that other programs read it.
        self._file = h5py.File(path, "w", libver=("v110", "v110"))
        options: dict[str, Any] = {"track_times": False, "fletcher32": True}
        self._kspace = self._file.create_dataset(
            "kspace", shape, np.complex64, chunks=(1, 1, *shape[2:]), **options
        )
        self._rss = self._file.create_dataset(
            "reconstruction_rss", (shape[0], *target), np.float32, chunks=(1, *target), **options
        )
        text = self._file.create_dataset(
            "ismrmrd_header", data=np.bytes_(header.encode()), dcpl=_compact(len(header.encode()))
        )
        for dataset, units in ((self._kspace, UNITS), (self._rss, UNITS), (text, "none")):
            dataset.attrs["units"] = units
        self._file.attrs.update(
            {"acquisition": acquisition, "patient_id": patient, "source": source, "simulated": simulated}
            | dict(attributes or {})
        )

    def add(self, kspace: Complex64[np.ndarray, "coil ky kx"]) -> None:
        """Write the next slice."""
        where = f"{self._path}: slice {self._count}"
        if kspace.shape != self._shape[1:] or self._count == self._shape[0]:
            raise ValueError(f"{where}: expected {self._shape} in all, got one more of shape {kspace.shape}")
        if not np.isfinite(kspace).all() or not kspace.any():
            raise ValueError(f"{where}: expected finite k-space that is not all zero")
        with np.errstate(over="ignore"):
            image = rss(kspace, self._target)
        if not np.isfinite(image).all() or not image.any():
            raise ValueError(
                f"{where}: expected an image within float32, got k-space up to {abs(kspace).max():g}"
            )
        self._kspace[self._count] = kspace
        self._rss[self._count] = image
        self._maximum = max(self._maximum, float(image.max()))
        self._energy += float(np.square(image, dtype=np.float64).sum())
        self._count += 1

    def __enter__(self) -> "VolumeWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._file:
            if kind is None and self._count != self._shape[0]:
                raise ValueError(f"{self._path}: expected {self._shape[0]} slices, got {self._count}")
            self._file.attrs.update({"max": self._maximum, "norm": math.sqrt(self._energy)})


def write_volume(
    path: str | Path,
    slices: Iterable[Complex64[np.ndarray, "coil ky kx"]],
    *,
    shape: tuple[int, int, int, int],
    **about: Any,
) -> None:
    """Write a volume atomically from slices that may be made one by one; `about` goes to `VolumeWriter`."""
    with atomic_path(path) as partial, VolumeWriter(partial, shape=shape, **about) as writer:
        for kspace in slices:
            writer.add(kspace)


def _compact(size: int) -> h5py.h5p.PropDCID:
    """Storage beside the dataset's description, under its checksum, where it fits."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    if size < LONGEST_COMPACT:
        properties.set_layout(h5py.h5d.COMPACT)
    return properties


def _check(path: str) -> dict[str, Any]:
    """The whole check, in the child."""
    header = read_header(path)
    maximum = energy = 0.0
    with open_hdf5(path) as file:
        layout = find_layout(file, path)
        layout.read_mask()
        for position in range(header.shape[0]):
            layout.read_kspace(position)
            image = layout.read_target(position)
            if image is not None:
                maximum = max(maximum, float(image.max()))
                energy += float(np.square(image, dtype=np.float64).sum())
    # Files from elsewhere may count them over something else.
    if header.target_shape is not None and header.source:
        for name, stored, true in (
            ("max", header.maximum, maximum),
            ("norm", header.norm, math.sqrt(energy)),
        ):
            if stored is not None and not math.isclose(stored, true, rel_tol=TOLERANCE):
                expected = f"{true:g}, that of reconstruction_rss"
                raise VolumeError(path, f"attribute {name}", expected, f"{stored:g}")
    return asdict(header)

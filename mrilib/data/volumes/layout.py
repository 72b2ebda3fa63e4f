"""Where a volume's arrays are in its file, in the layouts of multi-coil and of single-coil data."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Complex64, Float32

from mrilib.data.volumes.foreign import (
    VolumeError,
    find_dataset,
    find_optional,
    reading,
    require_stored,
)
from mrilib.data.volumes.formats import recognised_hdf5

# Our choice: no scanner has longer sides or more coils, and what claims them is damaged.
LONGEST_SIDE, MOST_COILS = 8192, 1024
# Some of fastMRI's targets are wider than their k-space, by half at most; more is another axis.
LARGEST_TARGET = 2
MULTI_COIL, SINGLE_COIL = "multi-coil", "single-coil"


@dataclass(frozen=True)
class Layout:
    """The arrays of an open file.

    Args:
        path: the file.
        kspace: complex, `(slice, coil, row, column)`, or `(slice, row, column)` of a single coil.
        target: `reconstruction_rss`, or of a single coil `reconstruction_esc` where there is one; `None` if
            the file has neither.
        mask: of the columns, where the file has one.
    """

    path: Path
    kspace: h5py.Dataset
    target: h5py.Dataset | None
    mask: h5py.Dataset | None

    @property
    def name(self) -> str:
        """What the layout is called."""
        return SINGLE_COIL if self.kspace.ndim == 3 else MULTI_COIL

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(slices, coils, rows, columns)`."""
        sides = self.kspace.shape
        return (sides[0], 1, *sides[1:]) if self.kspace.ndim == 3 else sides

    def read_kspace(self, position: int) -> Complex64[np.ndarray, "coil row column"]:
        """K-space of one slice, with a coil axis of one where the file has none.

        Raises:
            VolumeError: if a value is not finite in single precision, or all are zero.
        """
        where = f"kspace, slice {position}"
        with reading(self.path, where, "readable data"), np.errstate(over="ignore"):
            values = self.kspace[position].astype(np.complex64, copy=False)
        if not np.isfinite(values).all() or not values.any():
            found = f"{np.count_nonzero(~np.isfinite(values))} not finite of {values.size}"
            raise VolumeError(self.path, where, "finite values, not all zero", found)
        return values[None] if values.ndim == 2 else values

    def read_target(self, position: int) -> Float32[np.ndarray, "y x"] | None:
        """The stored image of one slice, or `None`.

        Raises:
            VolumeError: if a value is negative or not finite in single precision, or all are zero.
        """
        if self.target is None:
            return None
        where = f"{self.target.name.strip('/')}, slice {position}"
        with reading(self.path, where, "readable data"), np.errstate(over="ignore"):
            image = self.target[position].astype(np.float32, copy=False)
        if not np.isfinite(image).all() or image.min() < 0 or not image.any():
            found = f"{image.min():g} to {image.max():g}"
            raise VolumeError(self.path, where, "finite values >= 0, not all zero", found)
        return image

    def read_mask(self) -> Bool[np.ndarray, "column"] | None:
        """Which columns the file says were sampled, or `None`."""
        if self.mask is None:
            return None
        with reading(self.path, "mask", "readable data"):
            columns = np.asarray(self.mask).reshape(-1) != 0
        if not columns.any():
            raise VolumeError(self.path, "mask", "a sampled column", "none")
        return columns


def find_layout(file: h5py.File, path: str | Path) -> Layout:
    """Find the arrays and check all but their values.

    Raises:
        VolumeError: if one is missing, has the wrong type or shape or was not written to its end; files of
            other formats are refused by their names.
    """
    _refuse_other_formats(file, path)
    kspace = find_dataset(file, "kspace", path)
    axes = "(slice, coil, row, column) or (slice, row, column)"
    _require(kspace, "kspace", path, (np.complex64, np.complex128), axes, (4, 3))
    single = len(kspace.shape) == 3
    if not single and kspace.shape[1] > MOST_COILS:
        raise VolumeError(path, "kspace", f"at most {MOST_COILS} coils", f"{kspace.shape[1]}")
    target, name = None, "reconstruction_rss"
    if single:
        name = "reconstruction_esc"
        target = find_optional(file, name, path)
    if target is None:
        name = "reconstruction_rss"
        target = find_optional(file, name, path)
    if target is not None:
        _require(target, name, path, (np.float32, np.float64), "(slice, y, x)", (3,))
        if target.shape[0] != kspace.shape[0]:
            raise VolumeError(path, name, f"{kspace.shape[0]} slices as kspace", f"{target.shape[0]}")
        if any(
            side > LARGEST_TARGET * own for side, own in zip(target.shape[1:], kspace.shape[-2:], strict=True)
        ):
            expected = f"images of about the size of kspace, (…, row, column) of {kspace.shape}"
            mend = "put the axes of kspace in order: slice, coil, row, column"
            raise VolumeError(path, name, expected, f"{target.shape[1]} × {target.shape[2]}", mend)
    mask = find_optional(file, "mask", path)
    if mask is not None:
        with reading(path, "mask", "numbers"):
            found, size = f"{mask.dtype} of shape {mask.shape}", mask.size if mask.dtype.kind in "buif" else 0
        if size != kspace.shape[-1]:
            raise VolumeError(path, "mask", f"{kspace.shape[-1]} numbers, one a column", found)
    return Layout(Path(path), kspace, target, mask)


def _refuse_other_formats(file: h5py.File, path: str | Path) -> None:
    try:
        found = recognised_hdf5(file, path)
    except Exception:  # noqa: BLE001  # damaged: what reads it next says so
        return
    if found is not None:
        raise VolumeError(path, "file", "a volume of the fastMRI schema", *found)


def _require(
    dataset: h5py.Dataset,
    name: str,
    path: str | Path,
    types: tuple[type[np.generic], ...],
    axes: str,
    counts: tuple[int, ...],
) -> None:
    wanted = " or ".join(np.dtype(kind).name for kind in types)
    with reading(path, name, f"{wanted} {axes}"):
        shape, found = dataset.shape, dataset.dtype
    if len(shape) not in counts or found.newbyteorder("=") not in types:
        raise VolumeError(path, name, f"{wanted} {axes}", f"{found} of shape {shape}")
    if not 1 <= min(shape) <= max(shape) <= LONGEST_SIDE:
        raise VolumeError(path, name, f"sides from 1 to {LONGEST_SIDE}", f"shape {shape}")
    require_stored(dataset, name, path)

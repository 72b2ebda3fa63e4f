"""HDF5 files from elsewhere: whatever is wrong in one becomes a `VolumeError`."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mrilib.data.volumes.formats import recognised_bytes

MEND = "copy the file again or leave it out"
# Our choice: XML headers have some kilobytes; what claims more is damaged.
LONGEST_TEXT = 1 << 24
# What XML says of its encoding.
DECLARATION = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]{0,39})["']""")


class VolumeError(ValueError):
    """A file that cannot be used, and why.

    Args:
        path: the file.
        dataset: the part of it that is wrong, by its HDF5 path or in words.
        expected: what a good file has there.
        found: what this one has.
        mend: what to do about it.
    """

    def __init__(self, path: str | Path, dataset: str, expected: str, found: str, mend: str = MEND) -> None:
        super().__init__(f"{path}: {dataset}: expected {expected}, got {found}; {mend}")
        self.path, self.dataset, self.expected, self.found, self.mend = (
            str(path),
            dataset,
            expected,
            found,
            mend,
        )


@contextmanager
def reading(path: str | Path, dataset: str, expected: str) -> Iterator[None]:
    """Turn what a library raises on a damaged file, of any type, into one `VolumeError`."""
    try:
        yield
    except VolumeError:
        raise
    except Exception as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise VolumeError(path, dataset, expected, found) from error


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        FileNotFoundError: if there is none.
        VolumeError: if it is none.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected an HDF5 file, got none; correct the path")
    if not path.is_file():
        raise VolumeError(path, "file", "an HDF5 file", "a folder or a device", "name a file")
    if not h5py.is_hdf5(path) and (found := recognised_bytes(path)) is not None:
        raise VolumeError(path, "file", "an HDF5 file", *found)
    with reading(path, "file", "an HDF5 file"):
        # Files are never changed in place, and locks fail on some shared file systems.
        file = h5py.File(path, "r", locking=False)
    with file:
        yield file


def find_dataset(file: h5py.Group, name: str, path: str | Path) -> h5py.Dataset:
    """The dataset `name`, which must lie in this file: no link or external storage leads out of it."""
    with reading(path, name, "a dataset"):
        link = file.get(name, getlink=True)
        if link is None:
            raise VolumeError(path, name, "a dataset", f"none; the file has {sorted(file)[:10]}")
        if isinstance(link, h5py.ExternalLink):
            raise VolumeError(path, name, "a dataset in this file", f"a link to {link.filename}")
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            raise VolumeError(path, name, "a dataset", f"a {type(found).__name__.lower()}")
        if found.file.filename != file.file.filename or found.external or found.is_virtual:
            raise VolumeError(path, name, "data in this file", "data in another one")
        if found.shape is None:
            raise VolumeError(path, name, "a dataset", "an empty one (null)")
        return found


def find_optional(file: h5py.Group, name: str, path: str | Path) -> h5py.Dataset | None:
    """The dataset `name`, or `None` if the file has nothing of that name."""
    with reading(path, name, "a dataset or none"):
        if file.get(name, getlink=True) is None:
            return None
    return find_dataset(file, name, path)


def require_stored(dataset: h5py.Dataset, name: str, path: str | Path) -> None:
    """Refuse a dataset of which a part lies nowhere, and which HDF5 would read as zeros or as anything."""
    with reading(path, name, "a readable layout"):
        plain = not dataset.id.get_create_plist().get_nfilters()
    if dataset.chunks is None:
        with reading(path, name, "a readable layout"):
            size, offset = dataset.id.get_storage_size(), dataset.id.get_offset()
            claimed = math.prod(dataset.shape) * dataset.id.get_type().get_size()
        if (plain and size != claimed) or (offset or 0) + size > Path(path).stat().st_size:
            raise VolumeError(path, name, f"{claimed} bytes", f"{size} (the file was not finished)")
        return
    stored: dict[tuple[int, ...], int] = {}
    with reading(path, name, "readable chunks"):
        sides = list(zip(dataset.shape, dataset.chunks, strict=True))
        dataset.id.chunk_iter(lambda chunk: stored.update({chunk.chunk_offset: chunk.size}))
        whole = math.prod(dataset.chunks) * dataset.id.get_type().get_size()
    full = math.prod(-(-length // chunk) for length, chunk in sides)
    inside = [all(o < length for o, (length, _) in zip(offset, sides, strict=True)) for offset in stored]
    if len(stored) != full or not all(inside):
        raise VolumeError(path, name, f"{full} chunks", f"{sum(inside)} (the file was not finished)")
    wrong = [size for size in stored.values() if size != whole] if plain else []
    if wrong:
        raise VolumeError(path, name, f"chunks of {whole} bytes", f"{len(wrong)} of {wrong[0]} bytes")


def read_text(values: Any, name: str, path: str | Path) -> str:
    """Text of a dataset or attribute: fixed or variable, bytes or not, alone or first of an array."""
    with reading(path, name, "text"):
        if isinstance(values, h5py.Dataset):
            if values.size != 1 or values.dtype.itemsize > LONGEST_TEXT:
                raise ValueError(f"{values.size} entries of {values.dtype.itemsize} bytes")
            values = values[()]
        if isinstance(values, np.ndarray):
            values = values.reshape(-1)[0]
        if isinstance(values, bytes):
            values = values.rstrip(b"\0")
            declared = DECLARATION.match(values)
            values = values.decode(declared[1].decode() if declared else "utf-8")
        if not isinstance(values, str):
            raise TypeError(f"{type(values).__name__}")
        return str(values)


class Attributes:
    """Attributes of a file, none of which must be there."""

    def __init__(self, file: h5py.File, path: str | Path) -> None:
        self._path = path
        with reading(path, "attributes", "readable ones"):
            self._values = dict(file.attrs)

    def text(self, name: str) -> str:
        """The attribute as text, a whole number as its digits; empty where there is none."""
        value = self._values.get(name)
        number = np.asarray(value)
        if number.size == 1 and number.dtype.kind in "iu":
            return str(number.reshape(-1)[0])
        return "" if value is None else read_text(value, f"attribute {name}", self._path)

    def number(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        number = np.asarray(value)
        if number.size != 1 or number.dtype.kind not in "buif" or not 0 <= number.reshape(-1)[0] < np.inf:
            found = f"{value!r}"[:60]
            raise VolumeError(self._path, f"attribute {name}", "a number >= 0", found)
        return float(number.reshape(-1)[0])

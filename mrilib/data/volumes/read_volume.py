"""Any volume of raw data from Python, as the workflow sees it.

The module itself can be called, so that `from mrilib.data.volumes import read_volume` gives what it says, and
the package stays empty: no other module of it hangs on this one.
"""

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import torch
from jaxtyping import Bool, Complex64, Float
from torch import Tensor

from mrilib.data.catalogue import Entry
from mrilib.data.coil_compression import CoilCompression
from mrilib.data.intensity import rss_target
from mrilib.data.measurement import Measurement, measure
from mrilib.data.sampling.base import acquired_part
from mrilib.data.scans import ScanRecord, about_row
from mrilib.data.volumes.base import Reader
from mrilib.data.volumes.cfl import Bart
from mrilib.data.volumes.foreign import VolumeError, open_hdf5
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.ismrmrd import Ismrmrd


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume that the workflow would accept.

    Args:
        entries: what the catalogue says of each slice.
        kspace: fully sampled k-space of each slice, centred, without coils that are zero, of virtual coils
            where they are compressed, in the scanner's units.
        reference: RSS image of each slice, cropped as the stored images.
        acquired: where k-space was acquired, `(kx,)` or `(ky, kx)`; `None` for everything.
        maximum: of the reference images: the data range of SSIM and PSNR.
        notes: what is odd about the volume, and what was done.
    """

    entries: tuple[Entry, ...]
    kspace: tuple[Complex64[Tensor, "_ ky kx"], ...]
    reference: Float[Tensor, "slice y x"]
    acquired: Bool[Tensor, "*ky kx"] | None
    maximum: float
    notes: tuple[str, ...]

    def measured(self, position: int, mask: Bool[Tensor, "*ky kx"]) -> Measurement:
        """One slice under a mask, as the workflow measures it; the mask is cut to what was acquired."""
        entry, reference, kspace = self.entries[position], self.reference[position], self.kspace[position]
        return measure(
            kspace,
            acquired_part(mask, (kspace.shape[-2], kspace.shape[-1]), self.acquired),
            acquired=self.acquired,
            reference_shape=(reference.shape[0], reference.shape[1]),
            volume_maximum=self.maximum,
            about=about_row(vars(entry)),
        )


def read_volume(
    path: str | Path, *, reader: Reader | None = None, compression: CoilCompression | None = None
) -> Volume:
    """Read a volume of fastMRI's schema (multi-coil or single-coil), M4Raw, ISMRMRD or BART.

    It is converted, checked and prepared as the workflow does; see docs/your-data.md for what is checked. All
    slices are in memory.

    Args:
        path: the file; of BART either of the two.
        reader: what converts it; by default the file's content, or the ending of BART's files, decides.
        compression: of the coils; none by default.

    Raises:
        FileNotFoundError: if there is no file.
        VolumeError: if it cannot be used: where, what was expected, what was found, and what to do.
    """
    source = Path(path)
    reader = reader or _reader_of(source)
    with tempfile.TemporaryDirectory() as folder:
        volume = source
        if reader is not None:
            volume = Path(folder) / f"{source.stem}.h5"
            reader.convert(source, volume)
        try:
            entries = inspect_volume(volume, dataset="", anatomy="", compression=compression, throw=True)
        except VolumeError as error:
            raise VolumeError(source, error.dataset, error.expected, error.found, error.mend) from None
        records = [ScanRecord.of_row(asdict(entry)) for entry in entries]
        kspace = tuple(record.read() for record in records)
    first = records[0]
    return Volume(
        entries=tuple(entries),
        kspace=kspace,
        reference=torch.stack([rss_target(each, first.reference_shape) for each in kspace]),
        acquired=first.acquired,
        maximum=first.maximum,
        notes=tuple(filter(None, entries[0].notes.split("; "))),
    )


def _reader_of(source: Path) -> Reader | None:
    """What converts a file; `None` for one of fastMRI's schema, and for what nothing converts."""
    if source.suffix in Bart.suffixes:
        return Bart()
    if not source.is_file():
        return None
    with open_hdf5(source) as file:
        if "kspace" in file:
            return None
        groups = [name for name in file if isinstance(file.get(name), h5py.Group)]
        return Ismrmrd() if any("xml" in file[name] and "data" in file[name] for name in groups) else None


class _Callable(ModuleType):
    """This module, called as its function."""

    def __call__(self, path: str | Path, **options: Any) -> Volume:
        return read_volume(path, **options)


sys.modules[__name__].__class__ = _Callable

"""Slices of raw scans: as the catalogue describes them, and as they are measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex64, Float
from torch import Tensor

from mrilib.data.catalogue import signal_to_noise, target_shape
from mrilib.data.intensity import rss_target
from mrilib.data.measurement import Measurement, measure
from mrilib.data.sampling.base import Sampling, Seed, acquired_region
from mrilib.data.volumes.fastmri import read_slice
from mrilib.data.volumes.preparation import Preparation

ABOUT = ("dataset", "volume", "slice", "slices", "anatomy", "acquisition", "patient", "simulated", "hash")


@dataclass(frozen=True)
class ScanRecord:
    """A row of a catalogue, or of a selection from one, as far as reading and measuring it need.

    Args:
        path: file of the volume.
        volume: its name.
        slice: position in the volume, from 0.
        rows, columns: of k-space.
        target_rows, target_columns: of the reference.
        used_coils: without those that are zero, or virtual ones.
        moved_rows, moved_columns: by how much k-space is rolled to centre it.
        first_row, end_row, first_column, end_column: what was acquired, to the one after the last.
        coil_share: share of the energy that virtual coils keep; `None` where coils are not compressed.
        maximum: of the volume's reference images, in the scanner's units.
    """

    path: str
    volume: str
    slice: int
    rows: int
    columns: int
    target_rows: int
    target_columns: int
    used_coils: int
    moved_rows: int
    moved_columns: int
    first_row: int
    end_row: int
    first_column: int
    end_column: int
    coil_share: float | None
    maximum: float

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "ScanRecord":
        """The record of a row of `read_catalogue`.

        Raises:
            ValueError: if the row lacks columns.
        """
        names = cls.__dataclass_fields__
        missing = [name for name in names if name not in row]
        if missing:
            raise ValueError(f"ScanRecord: expected a row of a catalogue, got one without {missing}")
        numbers = {
            name: int(row[name]) for name, each in names.items() if each.type == "int" or each.type is int
        }
        energy = row["coil_share"]
        return cls(
            path=str(row["path"]),
            volume=str(row["volume"]),
            coil_share=None if energy is None or energy != energy else float(energy),
            maximum=float(row["maximum"]),
            **numbers,
        )

    @property
    def name(self) -> str:
        """Which slice it is, for messages."""
        return f"slice {self.slice} of {self.path}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of k-space."""
        return self.rows, self.columns

    @property
    def reference_shape(self) -> tuple[int, int]:
        """Size of the reference."""
        return target_shape(self.rows, self.columns, self.target_rows, self.target_columns)

    @property
    def acquired(self) -> Bool[Tensor, "*ky kx"] | None:
        """Where k-space was acquired: see `acquired_region`."""
        return acquired_region(
            self.shape, rows=(self.first_row, self.end_row), columns=(self.first_column, self.end_column)
        )

    def read(self) -> Complex64[Tensor, "coil ky kx"]:
        """Fully sampled k-space of the slice, centred, of its live or virtual coils, in the scanner's units.

        Raises:
            FileNotFoundError, VolumeError: as `read_slice`.
            ValueError: if the file is not that of the catalogue.
        """
        prepared = Preparation((self.moved_rows, self.moved_columns), self.coil_share)
        kspace = prepared.apply(read_slice(self.path, self.slice).kspace)
        if kspace.shape != (self.used_coils, *self.shape):
            raise ValueError(
                f"{self.name}: expected {self.used_coils} coils of {self.rows} × {self.columns}, as in the "
                f"catalogue, got {tuple(kspace.shape)}; the file has changed: run again with --forcerun "
                "list_volumes"
            )
        return kspace

    def reference(self) -> Float[Tensor, "y x"]:
        """RSS image of the slice, cropped to the reference, in the scanner's units."""
        return rss_target(self.read(), self.reference_shape)

    def picture(self) -> Float[np.ndarray, "y x"]:
        """The stored image, in which boxes were drawn, or the reference where none is stored: to look at."""
        stored = read_slice(self.path, self.slice).target
        return self.reference().numpy() if stored is None else stored


def measured_scan(
    record: ScanRecord, sampling: Sampling, seed: Seed, *, about: Mapping[str, Any] | None = None
) -> Measurement:
    """Read one slice and measure it under a mask, which is empty where nothing was acquired.

    Args:
        record: which slice.
        sampling: how its mask is drawn.
        seed: of the mask; `name_seed(f"{volume}.h5")` is fastMRI's.
        about: who it is.

    Raises:
        FileNotFoundError, VolumeError: as `read_slice`.
        ValueError: as `Sampling.drawn` and `measure`, with the slice's name.
    """
    acquired = record.acquired
    try:
        return measure(
            record.read(),
            sampling.drawn(record.shape, seed, acquired),
            acquired=acquired,
            reference_shape=record.reference_shape,
            volume_maximum=record.maximum,
            about=about,
        )
    except ValueError as error:
        raise ValueError(f"{record.name}: {error}") from error


def about_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Who a row of a catalogue is, in plain values, and as `snr` its `signal_to_noise`."""
    found = {name: getattr(row[name], "item", lambda name=name: row[name])() for name in ABOUT}
    return found | {"snr": signal_to_noise(row)}

"""How the energy of images is spread over the columns of k-space."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mrilib.store.arrays import read_group
from mrilib.store.tables import Kind, empty_table, read_table

# Who the image is, then a column of its k-space: `frequency` from `−(width // 2)`, and its `energy`.
KINDS: dict[str, Kind] = {
    "source": "text",
    "mask": "text",
    "position": "count",
    "volume": "text",
    "slice": "number",
    "patient": "text",
    "anatomy": "text",
    "simulated": "flag",
    "snr": "number",
    "frequency": "number",
    "energy": "number",
}


def spectra_of(measurements: Iterable[str | Path]) -> pd.DataFrame:
    """A row a column of every image: `KINDS`; images that a set does not have have none.

    Args:
        measurements: files. The energy is `Σ|k|²` of the full k-space over rows and coils, in the squared
            units of the measurement.

    Raises:
        ValueError: if a file has no energies.
    """
    frames = [_rows(path) for path in measurements]
    told = [frame for frame in frames if frame is not None]
    return pd.concat(told, ignore_index=True) if told else empty_table(KINDS)


def _rows(path: str | Path) -> pd.DataFrame | None:
    group = read_group(path, arrays=["column_energy"])
    about: dict[str, Any] = group.attributes
    if about.get("missing", False):
        return None
    if "column_energy" not in group.arrays:
        raise ValueError(f"{path}: no dataset column_energy; delete it and run again")
    energy = group.arrays["column_energy"]
    frame = pd.DataFrame({"frequency": np.arange(energy.size) - energy.size // 2, "energy": energy})
    plain = {name: "" if kind == "text" else np.nan for name, kind in KINDS.items()} | {"simulated": False}
    return frame.assign(**{name: about.get(name, plain[name]) for name in KINDS if name not in frame})[
        [*KINDS]
    ]


def read_spectra(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Files of `spectra_of` as one table."""
    frames = [read_table(path, KINDS) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(KINDS)


def low_frequency_share(
    frequencies: Float[np.ndarray, "columns"], energy: Float[np.ndarray, "columns"], center_fraction: float
) -> float:
    """Share of the energy in the `round(width·center_fraction)` columns around frequency 0.

    Those that a mask of this centre fraction samples fully, whatever mask measured the image.

    Source: the low-frequency proportion of [darestani2021], figure 15.
    """
    width = frequencies.size
    count = round(width * center_fraction)
    first = -(width // 2) + (width - count + 1) // 2
    inside = (frequencies >= first) & (frequencies < first + count)
    return float(energy[inside].sum() / energy.sum())

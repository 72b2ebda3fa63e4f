"""The catalogue: a table of what every volume and slice is, and of which volumes are left out, and why."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mrilib.store.tables import Kind, read_table

# What the columns hold; a set of slices has the position of each beside those of the catalogue, and one of
# hard slices their difficulty. Rejected volumes lack what only k-space says.
KINDS: dict[str, Kind] = {
    "position": "count",
    "simulated": "flag",
    "accepted": "flag",
    **dict.fromkeys(("slices", "coils", "rows", "columns", "target_rows", "target_columns"), "count"),
    **dict.fromkeys(("slice", "used_coils", "center_row", "center_column"), "index"),
    **dict.fromkeys(("moved_rows", "moved_columns"), "index"),
    **dict.fromkeys(("first_row", "end_row", "first_column", "end_column"), "index"),
    **dict.fromkeys(("field_strength", "coil_share", "maximum", "scale", "noise"), "number"),
    **dict.fromkeys(("target_ratio", "target_difference", "maximum_ratio", "norm_ratio"), "number"),
    "difficulty": "number",
}


@dataclass(frozen=True)
class Entry:
    """A slice, or a volume that was rejected, in one row.

    Args:
        dataset: what the config calls it.
        volume: name of the file without its ending.
        path: the file.
        anatomy: as the config says.
        layout: of the file, `multi-coil` or `single-coil`.
        acquisition: as the file says.
        patient: as the file says, by which sets are split and results resampled; else the volume's name.
        field_strength: in T.
        slices, coils, rows, columns: shape of the volume's k-space.
        target_rows, target_columns: shape of its stored image, or what the header says where there is none.
        simulated: whether the file says that it was.
        center_row, center_column: where the volume's k-space has most energy, as stored; `size // 2` if it is
            centred, none where nothing stands out.
        moved_rows, moved_columns: by how much it is rolled when it is read; 0 within one line of the middle.
        first_row, end_row, first_column, end_column: what was acquired, after moving, to the one after the
            last: zeros outside are padding, where masks are empty.
        coil_share: share of the energy that virtual coils keep; none where coils are not compressed.
        maximum: of the RSS images of the volume, cropped as the target, in the scanner's units: the data
            range.
        target_ratio: stored images over RSS images; 1 if they are in units of k-space.
        target_difference: largest relative difference of them, units apart, in ‖·‖₂.
        maximum_ratio, norm_ratio: the attributes `max` and `norm` over those of the RSS images.
        notes: what is odd about the volume, and what was done.
        slice: position in the volume, from 0; none for rejected volumes.
        used_coils: of the slice, without those that are zero, or virtual ones.
        silent_coils: numbers of those that are zero in the slice.
        scale: maximum of the RSS image of the fully sampled slice, in the scanner's units.
        noise: standard deviation in each part of k-space, in the scanner's units.
        hash: SHA-256 of k-space, 16 hex digits.
        accepted: whether the volume can be used.
        reason: of its rejection.
    """

    dataset: str
    volume: str
    path: str
    anatomy: str
    layout: str = ""
    acquisition: str = ""
    patient: str = ""
    field_strength: float | None = None
    slices: int = 0
    coils: int = 0
    rows: int = 0
    columns: int = 0
    target_rows: int = 0
    target_columns: int = 0
    simulated: bool = False
    center_row: int | None = None
    center_column: int | None = None
    moved_rows: int | None = None
    moved_columns: int | None = None
    first_row: int | None = None
    end_row: int | None = None
    first_column: int | None = None
    end_column: int | None = None
    coil_share: float | None = None
    maximum: float | None = None
    target_ratio: float | None = None
    target_difference: float | None = None
    maximum_ratio: float | None = None
    norm_ratio: float | None = None
    notes: str = ""
    slice: int | None = None
    used_coils: int | None = None
    silent_coils: str = ""
    scale: float | None = None
    noise: float | None = None
    hash: str = ""
    accepted: bool = False
    reason: str = ""


def rejected(dataset: str, volume: str, anatomy: str, reason: str) -> list[Entry]:
    """The entry of a volume that could not even be converted."""
    return [Entry(dataset=dataset, volume=volume, path="", anatomy=anatomy, reason=reason)]


def without_copies(entries: list[Entry]) -> list[Entry]:
    """Entries of a dataset in which a volume that shares a slice with one before it is rejected.

    Slices are the same if their k-space is, bit for bit: a volume under two names would count twice, and
    could stand in two parts of a split.
    """
    owners: dict[str, tuple[str, int | None]] = {}
    copies: dict[str, str] = {}
    for entry in entries:
        if not entry.accepted:
            continue
        volume, position = owners.setdefault(entry.hash, (entry.volume, entry.slice))
        if volume != entry.volume:
            copies.setdefault(
                entry.volume,
                f"slice {entry.slice}: expected data of its own, got slice {position} of {volume} again; "
                "leave one of the two volumes out",
            )
    kept = []
    for entry in entries:
        if entry.volume not in copies:
            kept.append(entry)
        elif entry.slice == 0:
            kept.append(replace(entry, accepted=False, reason=copies[entry.volume], slice=None, hash=""))
    return kept


def to_frame(entries: list[Entry]) -> pd.DataFrame:
    """Entries as a table, a row each."""
    return pd.DataFrame([asdict(entry) for entry in entries], columns=[each.name for each in fields(Entry)])


def signal_to_noise(row: Mapping[Any, Any]) -> float:
    """`scale/noise` of a slice; NaN where one of them is not known, or not above 0.

    The maximum of the fully sampled RSS image over the standard deviation of the noise in the real, or the
    imaginary, part of k-space. The transform is orthonormal.
    """
    scale, noise = row["scale"] or 0.0, row["noise"] or 0.0
    return float(scale) / float(noise) if scale > 0 and noise > 0 else math.nan


def target_shape(rows: int, columns: int, target_rows: int, target_columns: int) -> tuple[int, int]:
    """Size of the target within the image: some brains of fastMRI have one wider than their k-space."""
    return min(target_rows, rows), min(target_columns, columns)


def read_catalogue(path: str | Path) -> pd.DataFrame:
    """A catalogue, or a set of slices, from its CSV, with texts as texts.

    Raises:
        ValueError: if columns are missing, or a cell is not what its column holds.
    """
    catalogue = read_table(path, KINDS)
    missing = [each.name for each in fields(Entry) if each.name not in catalogue]
    if missing:
        raise ValueError(f"{path}: no columns {missing}; delete it and run again")
    return catalogue


def summarise_volumes(catalogue: pd.DataFrame) -> pd.DataFrame:
    """A row a volume, as it is read; the largest scale and the root mean square noise of its slices."""
    rows = []
    for (dataset, volume), slices in catalogue.groupby(["dataset", "volume"], sort=False):
        first = slices.iloc[0]
        usable = bool(first["accepted"])
        field = first["field_strength"]
        rows.append(
            {
                "dataset": dataset,
                "volume": volume,
                "anatomy": first["anatomy"],
                "acquisition": first["acquisition"] + (" (simulated)" if first["simulated"] else ""),
                "field (T)": "—" if pd.isna(field) else f"{field:.3g}",
                "slices": int(first["slices"]) if usable else "—",
                "coils": int(first["coils"]) if usable else "—",
                "rows × columns": f"{first['rows']} × {first['columns']}" if usable else "—",
                "scale": f"{slices['scale'].max():.3g}" if usable else "—",
                "noise": f"{slices['noise'].pow(2).mean() ** 0.5:.3g}" if usable else "—",
                "accepted": "yes" if usable else f"no: {first['reason']}",
                "notes": first["notes"],
            }
        )
    return pd.DataFrame(rows)

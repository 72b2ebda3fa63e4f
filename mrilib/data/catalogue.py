"""The catalogue: a table of what every volume and slice is, and of which volumes are left out, and why."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from mrilib.store.tables import Kind, read_table

_SIZES = ("slices", "coils", "rows", "columns", "target_rows", "target_columns")
# What the columns hold that are no texts; a set of slices has the position of each beside them.
KINDS: dict[str, Kind] = {
    **dict.fromkeys(_SIZES, "count"),
    "position": "count",
    "field_strength": "number",
    "slice": "index",
    "center_column": "index",
    "scale": "number",
    "noise": "number",
    "simulated": "flag",
    "accepted": "flag",
}


@dataclass(frozen=True)
class Entry:
    """A slice, or a volume that was rejected, in one row.

    Args:
        dataset: what the config calls it.
        volume: name of the file without its ending.
        path: the file.
        anatomy: as the config says.
        acquisition: as the file says.
        patient: as the file says, by which sets are split and results resampled; else the volume's name.
        field_strength: in T.
        slices, coils, rows, columns: shape of the volume's k-space.
        target_rows, target_columns: shape of its target.
        simulated: whether the file says that it was.
        slice: position in the volume, from 0; none for rejected volumes.
        center_column: column with most energy; `columns // 2` if k-space is centred.
        scale: maximum of the RSS image of the fully sampled slice, in the scanner's units.
        noise: standard deviation in each part of k-space, in the scanner's units.
        hash: SHA-256 of k-space and target, 16 hex digits.
        accepted: whether the volume can be used.
        reason: of its rejection.
    """

    dataset: str
    volume: str
    path: str
    anatomy: str
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
    slice: int | None = None
    center_column: int | None = None
    scale: float | None = None
    noise: float | None = None
    hash: str = ""
    accepted: bool = False
    reason: str = ""


def rejected(dataset: str, volume: str, anatomy: str, reason: str) -> list[Entry]:
    """The entry of a volume that could not even be converted."""
    return [Entry(dataset=dataset, volume=volume, path="", anatomy=anatomy, reason=reason)]


def to_frame(entries: list[Entry]) -> pd.DataFrame:
    """Entries as a table, a row each."""
    return pd.DataFrame([asdict(entry) for entry in entries], columns=[each.name for each in fields(Entry)])


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
            }
        )
    return pd.DataFrame(rows)

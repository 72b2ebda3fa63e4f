"""The catalogue: what every volume and slice is, and which volumes are left out, and why."""

import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mrilib.data.fastmri import check_volume, read_slice
from mrilib.data.foreign import VolumeError
from mrilib.data.isolated import Worker
from mrilib.data.measurement import center_column, noise_estimate, rss_target

NAMES = ("dataset", "volume", "path", "anatomy", "acquisition", "patient", "reason", "hash")


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


def inspect_volume(
    path: str | Path, *, dataset: str, anatomy: str, worker: Worker | None = None
) -> list[Entry]:
    """Check a volume and describe each of its slices; reads the file twice, a slice at a time.

    Args:
        path: file of the fastMRI schema.
        dataset: what the config calls the dataset.
        anatomy: as the config says.
        worker: child process for the check; by default one for this file.

    Returns:
        An entry a slice; one entry with the reason if the volume is rejected: damaged, undersampled as
        fastMRI's test files are, or without a target.

    Raises:
        FileNotFoundError: if there is no file.
    """
    volume = Path(path).stem
    common: dict[str, Any] = {"dataset": dataset, "volume": volume, "path": str(path), "anatomy": anatomy}
    try:
        header = check_volume(path, worker=worker)
    except VolumeError as error:
        return [Entry(**common, reason=_without_path(error))]
    about = common | {
        "acquisition": header.acquisition,
        "patient": header.patient or volume,
        "field_strength": header.field_strength,
        "simulated": header.simulated,
        **dict(zip(("slices", "coils", "rows", "columns"), header.shape, strict=True)),
        **dict(zip(("target_rows", "target_columns"), (header.target_shape or (0, 0, 0))[1:], strict=True)),
    }
    if header.masked or header.target_shape is None:
        found = "undersampled (a mask in the file)" if header.masked else "without a target"
        return [Entry(**about, reason=f"{found}; fully sampled k-space with its image is needed")]
    return [Entry(**about, **_measured(path, position), accepted=True) for position in range(header.shape[0])]


def rejected(dataset: str, volume: str, anatomy: str, reason: str) -> list[Entry]:
    """The entry of a volume that could not even be converted."""
    return [Entry(dataset=dataset, volume=volume, path="", anatomy=anatomy, reason=reason)]


def to_frame(entries: list[Entry]) -> pd.DataFrame:
    """Entries as a table, a row each."""
    return pd.DataFrame([asdict(entry) for entry in entries], columns=[each.name for each in fields(Entry)])


def read_catalogue(path: str | Path) -> pd.DataFrame:
    """A catalogue from its CSV, with texts as texts.

    Raises:
        ValueError: if columns are missing.
    """
    catalogue = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str), keep_default_na=False, na_values=[""])
    missing = [each.name for each in fields(Entry) if each.name not in catalogue]
    if missing:
        raise ValueError(f"{path}: no columns {missing}; delete it and run again")
    catalogue[list(NAMES)] = catalogue[list(NAMES)].fillna("")
    return catalogue.astype({"slice": "Int64", "center_column": "Int64"})


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


def _measured(path: str | Path, position: int) -> dict[str, Any]:
    found = read_slice(path, position)
    kspace = torch.from_numpy(found.kspace)
    digest = hashlib.sha256(found.kspace.tobytes())
    digest.update(b"" if found.target is None else found.target.tobytes())
    return {
        "slice": position,
        "center_column": center_column(kspace),
        "scale": float(rss_target(kspace, (kspace.shape[-2], kspace.shape[-1])).max()),
        "noise": noise_estimate(kspace),
        "hash": digest.hexdigest()[:16],
    }


def _without_path(error: VolumeError) -> str:
    """What is wrong, without the path, which has a column of its own."""
    return f"{error.dataset}: expected {error.expected}, got {error.found}; {error.mend}"

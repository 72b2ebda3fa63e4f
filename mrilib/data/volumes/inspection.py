"""What the catalogue says of a volume: whether it can be used, and what its slices are."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from mrilib.data.catalogue import Entry
from mrilib.data.intensity import rss_target
from mrilib.data.volumes.fastmri import check_volume, read_slice
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.kspace_statistics import center_column, noise_estimate


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

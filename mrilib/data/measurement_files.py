"""Measurements as files."""

from pathlib import Path
from typing import Any

import torch

from mrilib.data.measurement import ARRAYS, Measurement
from mrilib.store.arrays import Group, read_group, write_groups
from mrilib.store.units import content_hash

UNITS = {
    "kspace": "scale, orthonormal transform",
    "reference": "scale",
    "column_energy": "scale²",
    "combined": "scale",
    "coil_sum": "scale",
}
# Attributes that are not who the measurement is.
NUMBERS = ("scale", "maximum", "acceleration", "missing")


def write_measurement(path: str | Path, measurement: Measurement | None, **identity: Any) -> None:
    """Write a measurement with its `identity`; `None` where a set has no image at this position."""
    if measurement is None:
        write_groups(path, {"": Group(attributes={"missing": True} | identity)})
        return
    arrays = {
        name: value.cpu().numpy() for name in ARRAYS if (value := getattr(measurement, name)) is not None
    }
    attributes = dict(measurement.about) | identity
    attributes |= {name: getattr(measurement, name) for name in ("scale", "maximum", "acceleration")}
    write_groups(path, {"": Group(arrays, attributes, UNITS)})


def read_measurement(path: str | Path, device: torch.device | str = "cpu") -> Measurement | None:
    """Read what `write_measurement` wrote; `about` has the identity, too.

    Raises:
        ValueError: if the file cannot be read or lacks an array.
    """
    group = read_group(path)
    if group.attributes.get("missing", False):
        return None
    lacking = [name for name in ("kspace", "mask", "reference") if name not in group.arrays]
    if lacking:
        raise ValueError(f"{path}: no dataset {lacking}; delete it and run again")
    arrays = {name: torch.from_numpy(array) for name, array in group.arrays.items()}
    found = Measurement(
        **{name: arrays.get(name) for name in ARRAYS},  # type: ignore[arg-type]
        scale=float(group.attributes["scale"]),
        maximum=float(group.attributes["maximum"]),
        about={name: value for name, value in group.attributes.items() if name not in NUMBERS},
    )
    return found.to(device)


def read_about(path: str | Path) -> dict[str, Any]:
    """Attributes of a measurement's file without its arrays: who it is, and its numbers."""
    return read_group(path, arrays=[]).attributes


def measurement_hash(measurement: Measurement) -> str:
    """Hash of the arrays: of all that a unit of work depends on.

    What was acquired is no part of it: no reconstruction, attack or error changes with it, the acceleration
    alone is counted in it.
    """
    arrays = (measurement.kspace, measurement.mask, measurement.coil_maps, measurement.reference)
    return content_hash(*[array.cpu().numpy() for array in arrays if array is not None])

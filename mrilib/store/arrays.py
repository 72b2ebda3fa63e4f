"""Arrays with their units in HDF5."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mrilib.store.atomic import atomic_path


@dataclass(frozen=True)
class Group:
    """Arrays and attributes of one group of a file.

    Args:
        arrays: name to array.
        attributes: name to number, text or boolean; `None` entries are not stored.
        units: name of an array to its unit.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


def write_groups(path: str | Path, groups: Mapping[str, Group]) -> None:
    """Write groups to one compressed file, atomically; the group `""` is the file itself.

    Files of equal content are equal to the byte: no times are stored.
    """
    with atomic_path(path) as partial, h5py.File(partial, "w", libver="latest") as file:
        for name, group in groups.items():
            node = file.require_group(name) if name else file
            for key, value in group.attributes.items():
                if value is not None:
                    node.attrs[key] = value
            for key, array in group.arrays.items():
                options = (
                    {"compression": "gzip", "compression_opts": 4, "shuffle": True} if array.ndim else {}
                )
                dataset = node.create_dataset(key, data=array, track_times=False, **options)
                dataset.attrs["units"] = group.units.get(key, "1")


def read_group(path: str | Path, name: str = "", arrays: list[str] | None = None) -> Group:
    """Read one group: all its arrays, or those named.

    Raises:
        ValueError: if the file cannot be read or lacks the group or an array; says which and what is there.
    """
    try:
        with h5py.File(path, "r") as file:
            if name and name not in file:
                raise ValueError(f"{path}: no group {name!r}; it has {_listed(file)}")
            node = file[name] if name else file
            present = [key for key, item in node.items() if isinstance(item, h5py.Dataset)]
            wanted = present if arrays is None else arrays
            missing = [key for key in wanted if key not in present]
            if missing:
                raise ValueError(f"{path}: no dataset {missing} in group {name!r}; it has {present}")
            return Group(
                arrays={key: node[key][()] for key in wanted},
                attributes={key: _plain(value) for key, value in node.attrs.items()},
                units={key: str(node[key].attrs.get("units", "1")) for key in wanted},
            )
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file ({error}); delete it and run again") from error


def group_names(path: str | Path) -> list[str]:
    """Paths of all groups that hold arrays or attributes, in name order."""
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: (
                names.append(name)
                if isinstance(item, h5py.Group)
                and (len(item.attrs) or any(isinstance(child, h5py.Dataset) for child in item.values()))
                else None
            )
        )
    return names


def _listed(file: h5py.File) -> list[str]:
    return sorted(file.keys())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

"""Units of work: pieces of a job that survive it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrilib.store.arrays import Group, read_group, write_groups
from mrilib.store.atomic import write_text


class UnitStore:
    """A folder of finished units, each one file named by a hash of all that its content depends on.

    A killed job finds there what it had finished; a job with one noise level more computes that one. Files
    never change and two jobs never share one, so the folder can be deleted at any time at the cost of
    computing again.

    Args:
        folder: of the units.
        index: file that lists the names of this job's units, so that units of no job can be told and removed.
            A unit is listed before it is written; what an earlier run of the job had listed stays until
            `finish`.
    """

    def __init__(self, folder: str | Path, index: str | Path | None = None) -> None:
        self._folder = Path(folder)
        self._index = None if index is None else Path(index)
        self._used: set[str] = set()
        self._listed = set(read_index(self._index)) if self._index else set()
        self.computed = self.found = 0

    def get(self, key: Mapping[str, Any], compute: Callable[[], Group]) -> Group:
        """The unit of `key`: read if it is there and whole, else computed and kept."""
        path = self.claim(f"{content_hash(key)}.h5")
        if path.exists():
            try:
                unit = read_group(path)
            except ValueError as error:
                # A disk fault, or a foreign file: what was computed once can be computed again.
                print(f"unit {path.name} is damaged and is computed again: {error}", flush=True)
            else:
                self.found += 1
                return _in_name_order(unit)
        unit = compute()
        write_groups(path, {"": unit})
        self.computed += 1
        return _in_name_order(unit)

    def claim(self, name: str) -> Path:
        """Path of a unit, listed as one of this job's."""
        self._used.add(name)
        self._list(self._listed | self._used)
        return self._folder / name

    def finish(self) -> None:
        """List the units that were used, and no others: the job is done."""
        self._list(self._used)

    def _list(self, names: set[str]) -> None:
        if self._index and names != self._listed:
            write_text(self._index, "".join(f"{name}\n" for name in sorted(names)))
            self._listed = set(names)


def _in_name_order(unit: Group) -> Group:
    """The unit with its names in order: one that is found and one that is computed are not to differ."""
    parts = (dict(sorted(part.items())) for part in (unit.arrays, unit.attributes, unit.units))
    return Group(*parts)


def read_index(path: str | Path) -> list[str]:
    """Names of the units that a job listed; none if it listed none yet."""
    return Path(path).read_text(encoding="utf-8").split() if Path(path).exists() else []


def content_hash(*values: Any) -> str:
    """SHA-256 over plain values (as sorted JSON) and arrays (type, shape, bytes); 32 hex digits."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def derived_seed(*parts: Any) -> int:
    """A seed that depends on all parts, so that no two stages, sets or images share a stream by chance."""
    return int(content_hash(list(parts))[:12], 16)

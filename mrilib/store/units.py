"""Units of work: pieces of a job that survive it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrilib.store.arrays import Group, read_group, write_groups


class UnitStore:
    """A folder of finished units, each one file named by a hash of all that its content depends on.

    A killed job finds there what it had finished; a job with one noise level more computes that one. Files
    never change and two jobs never share one, so the folder can be deleted at any time at the cost of
    computing again.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self.computed = self.found = 0

    def get(self, key: Mapping[str, Any], compute: Callable[[], Group]) -> Group:
        """The unit of `key`: read if it is there and whole, else computed and kept."""
        path = self._folder / f"{content_hash(key)}.h5"
        if path.exists():
            try:
                unit = read_group(path)
            except ValueError as error:
                # A disk fault, or a foreign file: what was computed once can be computed again.
                print(f"unit {path.name} is damaged and is computed again: {error}", flush=True)
            else:
                self.found += 1
                return unit
        unit = compute()
        write_groups(path, {"": unit})
        self.computed += 1
        return unit


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

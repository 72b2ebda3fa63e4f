"""Work under way: a file from which a killed job goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrilib.store.checkpoints import read_state, write_state

# Seconds of work that a kill may cost.
SAVE_EVERY = 120.0


class Unfinished:
    """A file with the state of one piece of work, under a key of all that the work depends on.

    Args:
        path: of the file, which its caller removes when the result is kept elsewhere; `None`: nothing is
            kept.
        key: hash of settings and data. A file with another key, or one that is damaged, is not used, but
            overwritten.
        name: of the work, for the log.
    """

    def __init__(self, path: str | Path | None, key: str, name: str) -> None:
        self.name = name
        self._path, self._key = None if path is None else Path(path), key
        self._saved = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """What was written last, with tensors on the CPU; `None` if the work begins."""
        if self._path is None or not self._path.exists():
            return None
        try:
            found = read_state(self._path)
        except ValueError as error:
            print(f"{self.name} begins anew: {error}", flush=True)
            return None
        if found.get("key") != self._key:
            print(
                f"{self.name} begins anew: {self._path} holds the state of other work (settings or data "
                "differ) and is overwritten",
                flush=True,
            )
            return None
        return found

    @property
    def kept(self) -> bool:
        """Whether there is a file at all."""
        return self._path is not None

    @property
    def due(self) -> bool:
        """Whether `SAVE_EVERY` seconds have passed since the last write."""
        return self._path is not None and time.monotonic() - self._saved >= SAVE_EVERY

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the file, atomically, by plain values and tensors."""
        if self._path is not None:
            write_state(self._path, {"key": self._key, **state})
            self._saved = time.monotonic()

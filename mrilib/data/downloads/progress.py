"""Progress of long transfers, counted in bytes."""

import time

from tqdm import tqdm

# Seconds between two lines of progress in a log.
REPORT_EVERY = 30.0


class Progress:
    """Bytes done: a bar on a terminal, a line every 30 s in a log. `total` may be unknown."""

    def __init__(self, name: str, total: int | None, done: int = 0) -> None:
        self._name, self._total, self._done, self._first = name, total, done, done
        self._started = self._reported = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None, leave=False
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        self._done += count
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._reported > REPORT_EVERY:
            self._reported = now
            rate = (self._done - self._first) / (now - self._started)
            of = "" if self._total is None else f" of {amount(self._total)}"
            print(f"{self._name}: {amount(self._done)}{of}, {amount(rate)}/s", flush=True)


def amount(count: int | float) -> str:
    """A number of bytes as text, in powers of 1000."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} bytes"

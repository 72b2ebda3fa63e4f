"""Fits of decoders that survive a kill: those that are done, and how far the next one is."""

from dataclasses import dataclass

from torch import Tensor

from mrilib.solvers.decoder import Course, Fit
from mrilib.store.states import pack, unpack
from mrilib.store.unfinished import Unfinished


@dataclass(frozen=True, eq=False)
class Part:
    """One fit of some items of a batch.

    Args:
        number: which of the method's fits.
        rows: items of the batch.
        fit: what came of it, or how far it is.
    """

    number: int
    rows: list[int]
    fit: Fit | Course


class FitRecord:
    """The parts of a method's fits, kept in a file.

    Args:
        file: where; one without a path keeps nothing.

    Raises:
        ValueError: if the file has the right key, but holds no parts.
    """

    def __init__(self, file: Unfinished) -> None:
        self._file = file
        self._parts: list[Part] = []
        found = file.read()
        if found is not None:
            self._parts = unpack(found["parts"], where=file.name)

    def find(self, number: int, rows: Tensor) -> Fit | Course | None:
        """What is known of one part, on the CPU; a `Course` is to go on."""
        wanted = (number, rows.tolist())
        return next((part.fit for part in self._parts if (part.number, part.rows) == wanted), None)

    def divided(self, number: int, rows: Tensor) -> bool:
        """Whether these items were too many at once, so that some of them are a part of their own."""
        whole = set(rows.tolist())
        return any(part.number == number and set(part.rows) < whole for part in self._parts)

    def save(self, number: int, rows: Tensor, fit: Fit | Course) -> None:
        """Take note of a part; it is written at its end, and under way from time to time."""
        if not self._file.kept or (isinstance(fit, Course) and not self._file.due):
            return
        known = [part for part in self._parts if isinstance(part.fit, Fit)]
        part = Part(number, rows.tolist(), fit)
        self._file.write({"parts": pack([*known, part])})
        if isinstance(fit, Fit):
            self._parts = [*known, part]

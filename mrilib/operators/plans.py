"""FFTW's plans of two-dimensional transforms, made once on a machine and kept.

FFTW times algorithms and keeps the fastest. Timings differ from run to run, so the plans do, and with them
the last bits of what they compute. So the outcome of the timings, FFTW's *wisdom*, is kept in a file, and
every plan is made from such a file and from nothing else, also in the process that did the timings. Results
on one machine are then equal to the last bit.

Files lie in `mri-robustness/fftw/` of `XDG_CACHE_HOME` (`~/.cache`), in a folder for each model of processor
and build of FFTW, one for each shape and precision. To have plans made anew, remove them.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mrilib.operators import processor
from mrilib.store.atomic import write_text

# Pixels, in single precision, for which FFTW's longest search is worth its seconds: up to 128² it finds
# nothing that the short one does not, above 512² it takes more than 10 s.
PATIENT = range(128 * 128 + 1, 512 * 512 + 1)
# Where pyfftw has the wisdom of a precision among those of all.
PLACES = {"complex128": 0, "complex64": 1}
FORWARD, BACKWARD = "FFTW_FORWARD", "FFTW_BACKWARD"
# The wisdom that FFTW goes by is one for the whole process.
_PLANNING = threading.Lock()


class BrokenWisdomError(Exception):
    """FFTW cannot read it, or it is of something else."""


class Plan:
    """A transform of contiguous arrays of one shape, aligned as torch does. One thread uses it at a time."""

    def __init__(self, planned: Any) -> None:
        self._planned, self._places = planned, (0, 0)

    def execute(self, array: Tensor, out: Tensor) -> None:
        """Into `out`, not scaled."""
        places = array.data_ptr(), out.data_ptr()
        if places != self._places:  # FFTW keeps arrays alive, so nothing else comes to lie there
            self._planned.update_arrays(array.numpy(), out.numpy())
            self._places = places
        self._planned.execute()


@dataclass(frozen=True)
class Plans:
    """FFT of an image and its inverse."""

    forward: Plan
    inverse: Plan


def plans_of(shape: tuple[int, int], dtype: str) -> Plans:
    """Plans from kept wisdom; where there is none it is found and kept.

    Processes that come at the same time wait for the first, so that all have the same. A file that FFTW
    cannot read is replaced, with a warning, for results may differ in rounding from those before.

    Args:
        shape: of the image, `(y, x)`.
        dtype: `complex64` or `complex128`.

    Raises:
        OSError: if wisdom cannot be kept.
    """
    effort = "FFTW_PATIENT" if _is_patient(shape, dtype) else "FFTW_MEASURE"
    file = folder() / f"{shape[0]}x{shape[1]}-{dtype}-{effort.removeprefix('FFTW_').lower()}.txt"
    with _PLANNING:
        try:
            return _from_wisdom(file.read_bytes(), shape, dtype, effort)
        except (FileNotFoundError, BrokenWisdomError):
            pass
        with _held(file.with_suffix(".lock")):
            # Another process may have kept it by now.
            try:
                return _from_wisdom(file.read_bytes(), shape, dtype, effort)
            except FileNotFoundError:
                pass
            except BrokenWisdomError:
                warnings.warn(
                    f"{file}: FFTW cannot read this plan, so it is made anew; results may differ in the "
                    "last bits from those before",
                    RuntimeWarning,
                    stacklevel=4,
                )
            wisdom = _found(shape, dtype, effort)
            write_text(file, wisdom.decode())
        return _from_wisdom(wisdom, shape, dtype, effort)


def folder() -> Path:
    """Where wisdom is kept for this processor and this build of FFTW.

    Raises:
        OSError: if there is no home.
    """
    import pyfftw

    build = f"{processor.identity()}; {pyfftw.fftw_version}; {pyfftw.fftw_cc}"
    digest = hashlib.sha256(build.encode()).hexdigest()[:8]
    model = re.sub("[^a-z0-9]+", "-", processor.name().lower()).strip("-")
    return _caches() / "mri-robustness" / "fftw" / f"{model}-{digest}"


def _caches() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:  # a user without an entry and without HOME
        raise OSError(str(error)) from None


def _is_patient(shape: tuple[int, int], dtype: str) -> bool:
    return dtype == "complex64" and shape[0] * shape[1] in PATIENT


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Alone among processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _no_other_wisdom() -> Iterator[None]:
    """Without what the process knows otherwise, which comes back at the end."""
    import pyfftw

    others = pyfftw.export_wisdom()
    pyfftw.forget_wisdom()
    try:
        yield
    finally:
        pyfftw.forget_wisdom()
        pyfftw.import_wisdom(others)


def _found(shape: tuple[int, int], dtype: str, effort: str) -> bytes:
    """Wisdom for both directions, by timing."""
    import pyfftw

    with _no_other_wisdom():
        _planned(shape, dtype, (effort,))
        return bytes(pyfftw.export_wisdom()[PLACES[dtype]])


def _from_wisdom(wisdom: bytes, shape: tuple[int, int], dtype: str, effort: str) -> Plans:
    import pyfftw

    place = PLACES[dtype]
    with _no_other_wisdom():
        given = tuple(wisdom if index == place else b"" for index in range(3))
        if not pyfftw.import_wisdom(given)[place]:
            raise BrokenWisdomError
        try:
            return _planned(shape, dtype, (effort, "FFTW_WISDOM_ONLY"))
        except RuntimeError:
            raise BrokenWisdomError from None


def _planned(shape: tuple[int, int], dtype: str, flags: tuple[str, ...]) -> Plans:
    import pyfftw

    arrays = [pyfftw.empty_aligned(shape, np.dtype(dtype)) for _ in range(2)]
    return Plans(
        *(
            Plan(pyfftw.FFTW(*arrays, axes=(0, 1), direction=direction, flags=flags, threads=1))
            for direction in (FORWARD, BACKWARD)
        )
    )

"""Which lines of k-space were acquired, where its centre is, which coils are silent: from k-space alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex64, Float64

from mrilib.data.volumes.foreign import VolumeError

# Our choice. Echoes are seldom centred to the sample: a centre that is one line off is normal.
OFF_CENTER = 2
# Our choice: energy of the strongest line over that of the median line below which there is no centre to be
# found. White noise stays below 2, scans lie above 100.
SIGNIFICANT = 4.0
# Our choice: part of an axis by which a centre is moved at most. Farther off it is k-space of another
# convention, with zero frequency in a corner, whose image has its origin there as well.
FARTHEST = 0.25
# Our choice: part of the acquired rectangle that may be zero, as where single samples were cut out.
LEAST_FILLED = 0.99
LONGEST_LIST = 8
AXES = ("row", "column")
COPY = "copy the file again from its source, or leave it out"


@dataclass(frozen=True)
class SliceLines:
    """What the lines of one slice say.

    Args:
        acquired: whether each row, and each column, has a sample that is not zero, in some coil.
        energy: of each row, and of each column, over all else.
        silent: coils without any sample.
        filled: part of the entries within acquired rows and columns that is not zero, in the coil with the
            least.
        digest: hash of k-space.
    """

    acquired: tuple[Bool[np.ndarray, "row"], Bool[np.ndarray, "column"]]
    energy: tuple[Float64[np.ndarray, "row"], Float64[np.ndarray, "column"]]
    silent: tuple[int, ...]
    filled: float
    digest: str


@dataclass(frozen=True)
class VolumeLines:
    """What the lines of a volume say.

    Args:
        center: row and column of most energy, before they are moved; `None` where nothing stands out.
        moved: by how many rows and columns k-space is rolled, so that its centre comes to `size // 2`; 0
            where it lies within one line of there.
        acquired: first row, and column, that was acquired and the one after the last, after moving.
        notes: what was found, in words.
    """

    center: tuple[int | None, int | None]
    moved: tuple[int, int]
    acquired: tuple[tuple[int, int], tuple[int, int]]
    notes: tuple[str, ...]


def slice_lines(
    kspace: Complex64[np.ndarray, "coil row column"], path: str | Path, position: int
) -> SliceLines:
    """Look at one slice, which is finite and not all zero.

    Raises:
        VolumeError: if a coil lacks lines that others have, or a line repeats another one bit for bit.
    """
    where = f"kspace, slice {position}"
    sampled = kspace != 0
    rows, columns = sampled.any(axis=2), sampled.any(axis=1)
    silent = np.flatnonzero(~rows.any(axis=1))
    live = np.setdiff1d(np.arange(len(kspace)), silent)
    acquired = (rows.any(axis=0), columns.any(axis=0))
    for name, own, union in zip(AXES, (rows[live], columns[live]), acquired, strict=True):
        lacking = (own != union).sum(axis=1)
        if lacking.any():
            coil = int(np.argmax(lacking))
            expected = f"{int(union.sum())} {name}s in every coil, as others have"
            found = f"{int(own[coil].sum())} in coil {live[coil]}"
            raise VolumeError(path, where, expected, found, COPY)
    for axis, name in enumerate(AXES, start=1):
        _refuse_repeats(kspace, axis, acquired[axis - 1], name, path, where)
    squares = np.zeros(kspace.shape[1:])
    for coil in kspace:
        squares += np.square(coil.real, dtype=np.float64) + np.square(coil.imag, dtype=np.float64)
    return SliceLines(
        acquired=acquired,
        energy=(squares.sum(axis=1), squares.sum(axis=0)),
        silent=tuple(silent.tolist()),
        filled=float(sampled[live].sum(axis=(1, 2)).min() / (acquired[0].sum() * acquired[1].sum())),
        digest=hashlib.sha256(np.ascontiguousarray(kspace).tobytes()).hexdigest(),
    )


def volume_lines(slices: Sequence[SliceLines], path: str | Path) -> VolumeLines:
    """Put together what the slices of a volume say.

    K-space whose centre is two lines or more off is rolled, which turns the phase of the image and leaves its
    magnitude as it is. Lines of zeros at the ends of an axis are padding; lines of zeros between others were
    lost, or never acquired.

    Raises:
        VolumeError: if slices repeat one another, differ in what was acquired or in their centre, or if
            k-space is undersampled.
    """
    digests: dict[str, int] = {}
    for position, found in enumerate(slices):
        if (first := digests.setdefault(found.digest, position)) != position:
            raise VolumeError(
                path, f"kspace, slice {position}", "a slice of its own", f"slice {first} again", COPY
            )
    notes: list[str] = []
    centers, moves, ranges = [], [], []
    for axis, name in enumerate(AXES):
        lines = slices[0].acquired[axis]
        for position, found in enumerate(slices):
            if (found.acquired[axis] != lines).any():
                expected = f"{int(lines.sum())} {name}s, those of slice 0"
                _refuse(path, position, expected, f"{int(found.acquired[axis].sum())} or others")
        center = _center([found.energy[axis] for found in slices], path, name)
        move = centering(center, len(lines), path, f"kspace, {name}s")
        if move:
            notes.append(f"centre at {name} {center} instead of {len(lines) // 2}: moved")
        first, end = _range(np.roll(lines, move), path, name, center)
        if (first, end) != (0, len(lines)):
            notes.append(f"{name}s acquired: {first} to {end - 1} of 0 to {len(lines) - 1}")
        centers.append(center)
        moves.append(move)
        ranges.append((first, end))
    for position, found in enumerate(slices):
        if found.filled < LEAST_FILLED:
            expected = "fully sampled rows and columns"
            _refuse(path, position, expected, f"{100 * found.filled:.3g} % of the entries in some coil")
        if found.filled < 1:
            notes.append(f"slice {position}: {100 * (1 - found.filled):.2g} % of a coil's samples are zero")
    return VolumeLines(
        center=(centers[0], centers[1]),
        moved=(moves[0], moves[1]),
        acquired=(ranges[0], ranges[1]),
        notes=(*notes, *_silence(slices)),
    )


def strongest_line(energy: Float64[np.ndarray, "line"]) -> int | None:
    """Line of most energy; `None` if it does not stand out of the others, those without energy left out."""
    held = energy[energy > 0]
    line = int(np.argmax(energy))
    return line if held.size and energy[line] > SIGNIFICANT * np.median(held) else None


def centering(center: int | None, size: int, path: str | Path, where: str) -> int:
    """By how many lines an axis of k-space is rolled so that `center` comes to `size // 2`.

    None where it lies within one line of there, or is not known.

    Raises:
        VolumeError: if it is more than a quarter of the axis off.
    """
    move = 0 if center is None else size // 2 - center
    if abs(move) > FARTHEST * size:
        mend = "store fftshift(fft2(ifftshift(image))), which has zero frequency at size // 2"
        raise VolumeError(path, where, f"the centre near {size // 2} of {size}", f"{center}", mend)
    return move if abs(move) >= OFF_CENTER else 0


def _center(energies: list[Float64[np.ndarray, "line"]], path: str | Path, name: str) -> int | None:
    center = strongest_line(np.sum(energies, axis=0))
    if center is None:
        return None
    for position, energy in enumerate(energies):
        own = strongest_line(energy)
        near = energy[max(0, center - 1) : center + 2].max()
        if own is not None and abs(own - center) >= OFF_CENTER and energy[own] > 2 * near:
            _refuse(path, position, f"its centre near {name} {center}, as the volume's", f"{name} {own}")
    return center


def _range(
    lines: Bool[np.ndarray, "line"], path: str | Path, name: str, center: int | None
) -> tuple[int, int]:
    held = np.flatnonzero(lines)
    first, end = int(held[0]), int(held[-1]) + 1
    lost = np.flatnonzero(~lines[first:end]) + first
    if lost.size:
        shown = ", ".join(map(str, lost[:LONGEST_LIST].tolist()))
        more = f" and {lost.size - LONGEST_LIST} more" if lost.size > LONGEST_LIST else ""
        found = f"{lost.size} {name}s of zeros between others ({name} {shown}{more}); centre at {center}"
        mend = "undersampled data has no reference; take the fully sampled file, or leave it out"
        raise VolumeError(path, "kspace", f"every {name} from {first} to {end - 1}", found, mend)
    return first, end


def _silence(slices: Sequence[SliceLines]) -> list[str]:
    """Coils without a sample, and in which slices: they are left out."""
    everywhere = set.intersection(*(set(found.silent) for found in slices))
    notes = [f"coil {coil} is zero: left out" for coil in sorted(everywhere)]
    for position, found in enumerate(slices):
        notes += [
            f"coil {coil} is zero in slice {position}: left out there"
            for coil in found.silent
            if coil not in everywhere
        ]
    return notes


def _refuse_repeats(
    kspace: Complex64[np.ndarray, "coil row column"],
    axis: int,
    acquired: Bool[np.ndarray, "line"],
    name: str,
    path: str | Path,
    where: str,
) -> None:
    lines = np.ascontiguousarray(np.moveaxis(kspace, axis, 0))
    seen: dict[bytes, int] = {}
    for number in np.flatnonzero(acquired).tolist():
        first = seen.setdefault(hashlib.blake2b(lines[number].data, digest_size=16).digest(), number)
        if first != number:
            found = f"{name} {number} is {name} {first} again"
            raise VolumeError(path, where, f"a {name} of its own everywhere", found, COPY)


def _refuse(path: str | Path, position: int, expected: str, found: str) -> None:
    raise VolumeError(path, f"kspace, slice {position}", expected, found, COPY)

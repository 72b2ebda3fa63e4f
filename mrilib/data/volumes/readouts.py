"""Which readout of a raw file goes where in k-space."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from mrilib.data.volumes.acquisitions import DIRECTIONS, OTHERS, SIZES
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.scan_header import Limits, ScanHeader

# Flags are counted from 1. What is no line of an image, by kind.
SKIPPED_FLAGS = {
    "noise": (19,),
    "navigator": (23,),
    "phase correction": (24, 30, 31),
    "feedback": (26, 28),
    "dummy": (27,),
    "coil correction": (29,),
}
CALIBRATION, CALIBRATION_AND_IMAGING, REVERSED = 20, 21, 22
# Our choice. Corners of the plane of the two phase encodes may be missing outside this part of the radius of
# the inscribed ellipse: elliptical scans end near 1.
FULL_RADIUS = 0.95
# Our choice: partial Fourier goes down to half of k-space.
LEAST_FRACTION = 0.5


@dataclass(frozen=True)
class Axis:
    """Where the values of an encoding counter stand on an axis of the grid: `value + shift`.

    Args:
        size: of the grid.
        first, last: counters of the acquired part.
        shift: such that zero frequency comes to `size // 2`.
    """

    size: int
    first: int
    last: int
    shift: int


@dataclass(frozen=True)
class Plan:
    """What a file holds and where it goes.

    Args:
        rows: rows of the table to use, ascending.
        lines, partitions, slices: place of each of them on the grid; slices in spatial order.
        weights: `1 / averages` of each.
        reverse: whether each is flipped.
        grid: `(slices, partitions, lines)`.
        samples, coils: of every readout.
        start: sample index on the grid of the readout's sample 0, after flipping.
        discard: samples to leave out at beginning and end, in the order of the file.
        sampled_fraction: part of the grid `(partitions, lines)` that is filled.
        skipped: readouts that are left out, by kind.
        averages: largest number of readouts at one place.
        read_dir, phase_dir: unit vectors in patient coordinates, or `None`.
        notes: what the header did not say or said wrongly, and what was done.
    """

    rows: Int64[np.ndarray, "readout"]
    lines: Int64[np.ndarray, "readout"]
    partitions: Int64[np.ndarray, "readout"]
    slices: Int64[np.ndarray, "readout"]
    weights: Float64[np.ndarray, "readout"]
    reverse: Bool[np.ndarray, "readout"]
    grid: tuple[int, int, int]
    samples: int
    coils: int
    start: int
    discard: tuple[int, int]
    sampled_fraction: float
    skipped: dict[str, int]
    averages: int
    read_dir: Float64[np.ndarray, "3"] | None
    phase_dir: Float64[np.ndarray, "3"] | None
    notes: tuple[str, ...]


def plan_readouts(
    heads: dict[str, Shaped[np.ndarray, "readout *any"]], header: ScanHeader, path: str | Path
) -> Plan:
    """Decide which readouts to use and where each goes.

    Raises:
        VolumeError: if they do not make one fully sampled Cartesian image.
    """
    kind, skipped = _sort_kinds(heads)
    chosen = np.flatnonzero(kind == "image")
    if not chosen.size:
        raise VolumeError(path, "data", "readouts of an image", f"none, but {skipped}")
    first = min(zip(*(heads[name][chosen] for name in OTHERS), strict=True))
    same = np.all([heads[name] == value for name, value in zip(OTHERS, first, strict=True)], axis=0)
    others = int(np.count_nonzero(~same[chosen]))
    if others:
        skipped["other " + ", ".join(OTHERS)] = others
    notes: list[str] = []
    chosen = chosen[same[chosen]]
    lines, partitions = _axes(heads, chosen, header, path, notes)
    step, part = heads["kspace_encode_step_1"], heads["kspace_encode_step_2"]
    inside = (step >= lines.first) & (step <= lines.last)
    inside &= (part >= partitions.first) & (part <= partitions.last)
    outside = int(np.count_nonzero(~inside[chosen]))
    if outside:
        skipped["outside the encoding limits"] = outside
    chosen = chosen[inside[chosen]]
    if not chosen.size:
        raise VolumeError(path, "data", "readouts within the encoding limits", f"none of {outside}")
    spare = np.flatnonzero((kind == "calibration") & same & inside)
    chosen, unused = _with_calibration(heads, chosen, spare)
    if unused or "calibration" in skipped:
        skipped["calibration"] = int(np.count_nonzero(kind == "calibration")) - (len(spare) - unused)
        if not skipped["calibration"]:
            del skipped["calibration"]
    used = {name: values[chosen] for name, values in heads.items()}
    order, count, directions = _spatial_order(used, path, notes)
    if count > 1 and partitions.size > 1:
        found = f"{count} slices of {partitions.size} partitions"
        raise VolumeError(path, "data", "slices, or partitions of one slab", found)
    grid = (count, partitions.size, lines.size)
    weights, averages, fraction = _coverage(used, order, grid, lines, partitions, path)
    start, discard, reverse = _sample_places(used, header, path, notes)
    return Plan(
        rows=chosen,
        lines=used["kspace_encode_step_1"] + lines.shift,
        partitions=used["kspace_encode_step_2"] + partitions.shift,
        slices=order,
        weights=weights,
        reverse=reverse,
        grid=grid,
        samples=int(used["number_of_samples"][0]),
        coils=int(used["active_channels"][0]),
        start=start,
        discard=discard,
        sampled_fraction=fraction,
        skipped=skipped,
        averages=averages,
        read_dir=None if directions is None else directions[0],
        phase_dir=None if directions is None else directions[1],
        notes=tuple(notes),
    )


def _sort_kinds(heads: dict[str, np.ndarray]) -> tuple[Shaped[np.ndarray, "readout"], dict[str, int]]:
    """`image`, `calibration` or the reason to skip it, for each readout; and how many are skipped."""

    def flagged(number: int) -> Bool[np.ndarray, "readout"]:
        return heads["flags"] & np.uint64(1 << (number - 1)) != 0

    kind = np.full(len(heads["flags"]), "image", dtype="U40")
    kind[flagged(CALIBRATION) & ~flagged(CALIBRATION_AND_IMAGING)] = "calibration"
    kind[heads["encoding_space_ref"] != 0] = "other encoding spaces"
    for name, numbers in SKIPPED_FLAGS.items():
        kind[np.any([flagged(number) for number in numbers], axis=0)] = name
    names, counts = np.unique(kind, return_counts=True)
    return kind, {str(n): int(c) for n, c in zip(names, counts, strict=True) if n != "image"}


def _axes(
    heads: dict[str, np.ndarray],
    chosen: Int64[np.ndarray, "readout"],
    header: ScanHeader,
    path: str | Path,
    notes: list[str],
) -> tuple[Axis, Axis]:
    _, y, z = header.encoded.matrix
    part = heads["kspace_encode_step_2"][chosen]
    slices = np.unique(heads["slice"][chosen]).size
    lines = _axis(
        y, header.lines, heads["kspace_encode_step_1"][chosen], "kspace_encoding_step_1", path, notes
    )
    if z == 1:
        return lines, Axis(1, 0, 0, 0)
    if slices > 1 and np.all(part == part[0]):
        notes.append(f"encodedSpace has {z} partitions, the readouts one: taken as slices, not transformed")
        return lines, Axis(1, int(part[0]), int(part[0]), -int(part[0]))
    return lines, _axis(z, header.partitions, part, "kspace_encoding_step_2", path, notes)


def _axis(
    size: int,
    limits: Limits | None,
    used: Int64[np.ndarray, "readout"],
    name: str,
    path: str | Path,
    notes: list[str],
) -> Axis:
    if limits is None:
        notes.append(f"no encodingLimits of {name}: taken as 0 to {size - 1}")
        limits = Limits(0, size - 1, size // 2)
    first, last = limits.minimum, limits.maximum
    if last - first == size and not (used == last).any():
        notes.append(f"{name}: the maximum {last} is a count, the last is {last - 1}")
        last -= 1
    where = f"xml: encodingLimits/{name}"
    if last - first >= size:
        raise VolumeError(path, where, f"at most {size} as in encodedSpace", f"{first} to {last}")
    if last - first + 1 == size:
        if limits.center - first != size // 2:
            notes.append(f"{name}: center {limits.center} does not fit a full axis, and is not used")
        return Axis(size, first, last, -first)
    shift = size // 2 - limits.center
    if not (0 <= first + shift <= size // 2 <= last + shift < size):
        expected = f"first and last within {size} around the center"
        raise VolumeError(path, where, expected, f"{first}, {last} around {limits.center}")
    if last - first + 1 < LEAST_FRACTION * size:
        expected = f"at least {LEAST_FRACTION:g} of the {size} of encodedSpace"
        raise VolumeError(path, where, expected, f"{last - first + 1}")
    return Axis(size, first, last, shift)


def _with_calibration(
    heads: dict[str, np.ndarray],
    chosen: Int64[np.ndarray, "readout"],
    spare: Int64[np.ndarray, "spare"],
) -> tuple[Int64[np.ndarray, "used"], int]:
    """Add readouts that are calibration only where no readout of the image is; how many are left over."""
    names = ("slice", "kspace_encode_step_1", "kspace_encode_step_2")

    def places(rows: np.ndarray) -> list[tuple[int, ...]]:
        return list(zip(*(heads[name][rows].tolist() for name in names), strict=True))

    taken = set(places(chosen))
    added = [row for row, place in zip(spare.tolist(), places(spare), strict=True) if place not in taken]
    return np.sort(np.concatenate([chosen, np.array(added, dtype=np.int64)])), len(spare) - len(added)


def _spatial_order(
    used: dict[str, np.ndarray], path: str | Path, notes: list[str]
) -> tuple[Int64[np.ndarray, "readout"], int, Float64[np.ndarray, "3 3"] | None]:
    """Spatial number of each readout's slice, the number of slices, and the directions of the image.

    Medians over a slice's readouts, so that one wrong header changes nothing.
    """
    names, slices = np.unique(used["slice"], return_inverse=True)
    if len(names) > LARGEST_COUNT:
        raise VolumeError(path, "data", f"at most {LARGEST_COUNT} slices", f"{len(names)}")
    geometry = np.array(
        [[np.median(used[name][slices == s], axis=0) for name in DIRECTIONS] for s in range(len(names))]
    )
    positions, directions = geometry[:, 0], geometry[:, 1:]
    identity = directions @ directions.transpose(0, 2, 1) - np.eye(3)
    if not (np.isfinite(geometry).all() and (abs(identity) < 0.01).all()):
        notes.append("no directions in the acquisition headers: orientation and order of slices as stored")
        return slices, len(names), None
    if (abs(directions - directions[0]) > 0.01).any():
        where = "data: read_dir, phase_dir, slice_dir"
        raise VolumeError(path, where, "parallel slices", "several orientations")
    heights = positions @ directions[0, 2]
    if len(names) > 1 and np.diff(np.sort(heights)).min() < 1e-3:
        notes.append("slices at one position: in the order of their numbers")
        return slices, len(names), directions[0]
    ranks = np.argsort(np.argsort(heights))
    if (np.diff(ranks) < 0).any():
        notes.append("slices sorted by their position along slice_dir")
    return ranks[slices], len(names), directions[0]


# Slices are counted by 16-bit numbers; no scan has so many.
LARGEST_COUNT = 8192


def _coverage(
    used: dict[str, np.ndarray],
    slices: Int64[np.ndarray, "readout"],
    grid: tuple[int, int, int],
    lines: Axis,
    partitions: Axis,
    path: str | Path,
) -> tuple[Float64[np.ndarray, "readout"], int, float]:
    """Weights of the readouts, averages, and the fraction of the grid that is filled; refuses gaps."""
    needed = f"{grid[0]} slices × {grid[1]} partitions × {grid[2]} lines, fully sampled"
    # before the table of places, so that a wrong size takes no memory
    if math.prod(grid) > 4 * len(slices):
        raise VolumeError(path, "data", needed, f"{len(slices)} readouts")
    line = used["kspace_encode_step_1"] + lines.shift
    partition = used["kspace_encode_step_2"] + partitions.shift
    place = np.ravel_multi_index((slices, partition, line), grid)
    keys = np.stack([place, used["average"]])
    if np.unique(keys, axis=1).shape[1] < keys.shape[1]:
        found = f"{keys.shape[1] - np.unique(keys, axis=1).shape[1]} that repeat a line"
        raise VolumeError(path, "data", "one readout a line and average", found)
    counts = np.bincount(place, minlength=math.prod(grid)).reshape(grid)
    wanted = np.zeros(grid[1:], dtype=bool)
    wanted[
        partitions.first + partitions.shift : partitions.last + partitions.shift + 1,
        lines.first + lines.shift : lines.last + lines.shift + 1,
    ] = True
    if grid[1] > 1:
        z, y = (2 * (np.arange(size) - size // 2) / size for size in grid[1:])
        wanted &= z[:, None] ** 2 + y**2 <= FULL_RADIUS**2
        needed += f" within {FULL_RADIUS:g} of the inscribed ellipse"
    missing = int(np.count_nonzero(wanted & (counts == 0)))
    if missing:
        total = grid[0] * int(np.count_nonzero(wanted))
        raise VolumeError(path, "data", needed, f"{total - missing} of {total} lines")
    return 1.0 / counts.reshape(-1)[place], int(counts.max()), float((counts > 0).mean())


def _sample_places(
    used: dict[str, np.ndarray], header: ScanHeader, path: str | Path, notes: list[str]
) -> tuple[int, tuple[int, int], Bool[np.ndarray, "readout"]]:
    """Where the readouts' samples stand on the grid; the same for all."""
    for name in SIZES:
        if (used[name] != used[name][0]).any():
            found = f"{np.unique(used[name])[:5].tolist()}"
            raise VolumeError(path, f"data: {name}", "the same in all readouts of the image", found)
    samples, coils, pre, post, center = (int(used[name][0]) for name in SIZES)
    size = header.encoded.matrix[0]
    kept = samples - pre - post
    if not (coils >= 1 and LEAST_FRACTION * size <= kept <= size):
        found = f"{kept} and {coils}"
        raise VolumeError(path, "data", f"{size} samples (or half) of 1 or more coils", found)
    claimed, held = 8 * coils * samples * len(used["flags"]), Path(path).stat().st_size
    if claimed > held:
        raise VolumeError(path, "data", f"{claimed} bytes of samples", f"{held} in the whole file")
    if kept == size:
        start = -pre
        if center - pre != size // 2:
            notes.append(f"center_sample {center} does not fit a full readout, and is not used")
    else:
        start = size // 2 - center
    if start + pre < 0 or start + samples - post > size or not pre <= center < samples - post:
        expected = f"a readout within {size} samples around center_sample"
        raise VolumeError(path, "data", expected, f"{samples} around {center}, {pre} and {post} discarded")
    reverse = used["flags"] & np.uint64(1 << (REVERSED - 1)) != 0
    if reverse.any() and pre != post:
        expected = "equal discard_pre and discard_post where readouts are reversed"
        raise VolumeError(path, "data", expected, f"{pre} and {post}")
    return start, (pre, post), reverse

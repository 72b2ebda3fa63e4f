"""What a child process does with a damaged file, and the slow obvious reading of raw scans to compare with.

Imports little, for a child that died is started again.
"""

import contextlib
import hashlib
import re

import h5py
import numpy as np

from mrilib.data.volumes.fastmri import _check, read_slice
from mrilib.data.volumes.ismrmrd import _convert

SKIPPED = sum(1 << (flag - 1) for flag in (19, 23, 24, 26, 27, 28, 29, 30, 31))
OTHERS = ("repetition", "set", "contrast", "phase")


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def convert_and_hash(path: str, volume: str) -> list:
    """Shape and hash of the k-space that the conversion gives."""
    found = _convert(path, volume)
    with h5py.File(volume) as file:
        kspace, target = file["kspace"][()], file["reconstruction_rss"][()]
    assert kspace.shape == found["shape"]
    assert target.shape == (kspace.shape[0], *found["target"])
    assert np.isfinite(kspace).all()
    return [list(kspace.shape), digest(kspace)]


def differs_from_direct(path: str, volume: str) -> float:
    """Largest difference of the volume from the direct reading of the same file, relative to its largest."""
    with h5py.File(volume) as file:
        kspace = file["kspace"][()]
    expected = direct_volume(path)
    if expected.shape != kspace.shape:
        return float("inf")
    with np.errstate(over="ignore"):
        return float(abs(kspace - expected).max() / abs(expected).max())


def read_and_save(path: str, copy: str) -> list:
    """Check a volume, then read each slice; the arrays go to `copy`."""
    header = _check(path)
    slices = [read_slice(path, position) for position in range(header["shape"][0])]
    kspace = np.stack([item.kspace for item in slices])
    assert kspace.shape == header["shape"]
    arrays = {"kspace": kspace}
    if slices[0].target is not None:
        arrays["target"] = np.stack([item.target for item in slices])
    if slices[0].mask is not None:
        arrays["mask"] = slices[0].mask
    np.savez(copy, **arrays)
    return sorted(arrays)


def direct_volume(path: str) -> np.ndarray:
    """A raw scan line by line, in double precision; knows the files of these tests only."""
    with h5py.File(path) as file:
        (group,) = file.values() if len(file) == 1 else [file["dataset"]]
        xml, table = bytes(group["xml"][0]).decode(), []
        for number in range(len(group["data"])):
            # what is missing and needed shows in the result
            with contextlib.suppress(OSError):
                table.append(group["data"][number])
    encoded, recon = (
        re.search(f"<{name}>(.*?)</{name}>", xml, re.S)[1] for name in ("encodedSpace", "reconSpace")
    )
    matrix = [int(number) for number in re.findall(r"<[xyz]>\s*(\d+)\s*<", encoded)[:3]]
    fields = [[float(n) for n in re.findall(r"<[xyz]>([^<]*)<", part)[3:]] for part in (encoded, recon)]
    limits = [
        [int(number) for number in re.findall(r">(\d+)<", found)]
        for found in re.findall(r"<kspace_encoding_step_\d>(.*?)</kspace_encoding_step_\d>", xml, re.S)
    ]
    rows = [row for row in table if not int(row["head"]["flags"]) & SKIPPED]
    rows = [row for row in rows if row["head"]["encoding_space_ref"] == 0]
    first = min(tuple(row["head"]["idx"][name] for name in OTHERS) for row in rows)
    rows = [row for row in rows if tuple(row["head"]["idx"][name] for name in OTHERS) == first]
    steps = ("kspace_encode_step_1", "kspace_encode_step_2")[: len(limits)]
    for step, (low, high, _) in zip(steps, limits, strict=True):
        rows = [row for row in rows if low <= row["head"]["idx"][step] <= high]
    numbers = sorted({int(row["head"]["idx"]["slice"]) for row in rows})
    columns, partitions = matrix[1], matrix[2] if len(limits) > 1 else 1
    coils = int(rows[0]["head"]["active_channels"])
    total = np.zeros((len(numbers), partitions, columns, coils, matrix[0]), np.complex128)
    count = np.zeros((*total.shape[:3], 1, 1))
    for row in rows:
        head = row["head"]
        values = row["data"].view(np.complex64).reshape(coils, -1).astype(np.complex128)
        if int(head["flags"]) & 1 << 21:
            values = values[:, ::-1]
        place = [numbers.index(head["idx"]["slice"]), 0, 0]
        for axis, step, (low, high, center) in zip((2, 1), steps, limits, strict=False):
            size = (columns, partitions)[2 - axis]
            full = high - low + 1 == size
            place[axis] = int(head["idx"][step]) - (low if full else center - size // 2)
        start = 0 if values.shape[1] == matrix[0] else matrix[0] // 2 - int(head["center_sample"])
        total[tuple(place)][:, start : start + values.shape[1]] += values
        count[tuple(place)] += 1
    kspace = total / np.maximum(count, 1)
    kept = [
        min(size, max(1, round(size * min(b / a, 1)))) for size, a, b in zip(matrix, *fields, strict=True)
    ]
    kspace = _dft(_middle(_dft(kspace, 4, 1), kept[0], 4), 4, -1)
    if partitions > 1:
        volume = _middle(_dft(kspace, 1, 1), kept[2], 1)[0]
    else:
        volume = kspace[:, 0]
    volume = volume.transpose(0, 2, 3, 1)
    geometry = {}
    for name in ("position", "read_dir", "phase_dir", "slice_dir"):
        parts = [[r["head"][name] for r in rows if r["head"]["idx"]["slice"] == number] for number in numbers]
        with np.errstate(all="ignore"):
            geometry[name] = np.array([np.median(np.array(part, np.float64), axis=0) for part in parts])
    directions = np.stack([geometry[name] for name in ("read_dir", "phase_dir", "slice_dir")], axis=1)
    with np.errstate(all="ignore"):
        gram = directions @ directions.transpose(0, 2, 1)
    if not (abs(gram - np.eye(3)) < 0.01).all() or not np.isfinite(geometry["position"]).all():
        return volume
    if len(numbers) > 1:
        heights = geometry["position"] @ geometry["slice_dir"][0]
        if np.diff(np.sort(heights)).min() >= 1e-3:
            volume = volume[np.argsort(heights)]
    for axis, name, towards in ((2, "read_dir", (1, -1, 1)), (3, "phase_dir", (1, 1, 1))):
        direction = geometry[name][0]
        nearest = int(np.argmax(abs(direction)))
        if direction[nearest] * towards[nearest] < 0:
            size = volume.shape[axis]
            volume = np.take(volume, (2 * (size // 2) - np.arange(size)) % size, axis)
    return volume


def _dft(values: np.ndarray, axis: int, sign: int) -> np.ndarray:
    size = values.shape[axis]
    grid = np.arange(size) - size // 2
    matrix = np.exp(2j * np.pi * sign * np.outer(grid, grid) / size) / np.sqrt(size)
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)


def _middle(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    start = values.shape[axis] // 2 - size // 2
    return np.take(values, range(start, start + size), axis)

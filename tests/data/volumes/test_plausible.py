"""Damage that leaves a whole and plausible file: each is read right, or refused; none is wrong and silent.

Right means that what the workflow takes, k-space and reference, is that of the undamaged volume: the
reference to 1 % of its norm, the centre of k-space at `size // 2` within one line, the data range to 1 %.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mrilib.data.catalogue import Entry
from mrilib.data.intensity import rss_target
from mrilib.data.volumes.fastmri import read_slice
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.preparation import Preparation
from mrilib.data.volumes.scan_header import edit_header, new_header
from tests.data.volumes.scans import rss_of, scan_kspace, write_scan

FEW, MANY = 60, 500
Changes = dict
REFUSED, RIGHT, EITHER = "refused", "right", "either"


# Each takes k-space and a generator, and gives damaged k-space, what else is written, and what is expected.


def swapped_axes(kspace, draw):
    axes = [(2, 3), (0, 1), (1, 2), (1, 3)][draw.integers(4)]
    return np.swapaxes(kspace, *axes), {"target": rss_of(kspace)}, REFUSED


def other_units(kspace, draw):
    factor = 10.0 ** draw.uniform(-8, 8)
    return kspace, {"target": (factor * rss_of(kspace)).astype(np.float32)}, RIGHT


def other_units_in_one_slice(kspace, draw):
    damaged = kspace.copy()
    damaged[draw.integers(len(kspace))] *= 10.0 ** (draw.uniform(1, 4) * draw.choice([-1, 1]))
    return damaged, {"target": rss_of(kspace)}, REFUSED


def shifted_centre(kspace, draw):
    shift = [int(draw.integers(-side // 4, side // 4 + 1)) for side in kspace.shape[2:]]
    return np.roll(kspace, shift, (2, 3)), {}, RIGHT


def zero_frequency_in_the_corner(kspace, draw):
    return np.fft.ifftshift(kspace, axes=(2, 3)), {"target": rss_of(kspace)}, REFUSED


def shifted_centre_of_one_slice(kspace, draw):
    damaged, axis = kspace.copy(), int(draw.integers(1, 3))
    which, shift = draw.integers(len(kspace)), int(draw.integers(2, 10)) * int(draw.choice([-1, 1]))
    damaged[which] = np.roll(kspace[which], shift, axis)
    return damaged, {}, REFUSED


def missing_lines(kspace, draw):
    damaged, axis = kspace.copy(), int(draw.integers(2, 4))
    inner = np.arange(1, kspace.shape[axis] - 1)
    lines = draw.choice(inner, size=draw.integers(1, 20), replace=False)
    where = [slice(None)] * 4
    where[axis] = lines
    if draw.random() < 0.5:
        where[0] = int(draw.integers(len(kspace)))
    if draw.random() < 0.3:
        where[1] = int(draw.integers(kspace.shape[1]))
    if isinstance(where[0], int) or isinstance(where[1], int):
        # an index beside a list moves axes: the same lines one by one
        for line in lines:
            where[axis] = int(line)
            damaged[tuple(where)] = 0
    else:
        damaged[tuple(where)] = 0
    return damaged, {"target": rss_of(damaged)}, REFUSED


def missing_ends(kspace, draw):
    damaged, axis = kspace.copy(), int(draw.integers(2, 4))
    lost = int(draw.integers(1, kspace.shape[axis] // 3))
    where = [slice(None)] * 4
    where[axis] = slice(lost) if draw.random() < 0.5 else slice(kspace.shape[axis] - lost, None)
    damaged[tuple(where)] = 0
    return damaged, {"target": rss_of(damaged)}, RIGHT


def doubled_line(kspace, draw):
    damaged, axis = kspace.copy(), int(draw.integers(2, 4))
    one, other = draw.choice(kspace.shape[axis], size=2, replace=False)
    source, sink = [slice(None)] * 4, [slice(None)] * 4
    source[axis], sink[axis] = int(one), int(other)
    damaged[tuple(sink)] = kspace[tuple(source)]
    return damaged, {"target": rss_of(damaged)}, REFUSED


def doubled_slice(kspace, draw):
    damaged = kspace.copy()
    one, other = draw.choice(len(kspace), size=2, replace=False)
    damaged[one] = kspace[other]
    return damaged, {"target": rss_of(damaged)}, REFUSED


def wrong_limits(kspace, draw):
    rows, columns = kspace.shape[2:]
    header = new_header(matrix=(rows, columns), target=(rows, columns), coils=kspace.shape[1])
    low, high = sorted(draw.integers(0, 2 * columns, size=2).tolist())
    name = "encoding/encodingLimits/kspace_encoding_step_1"
    values = {f"{name}/minimum": low, f"{name}/maximum": high, f"{name}/center": int(draw.integers(columns))}
    return kspace, {"ismrmrd_header": edit_header(header, values)}, RIGHT


def wrong_matrix(kspace, draw):
    rows, columns = kspace.shape[2:]
    header = new_header(matrix=(rows, columns), target=(rows, columns), coils=kspace.shape[1])
    space = ("encodedSpace", "reconSpace")[draw.integers(2)]
    values = {f"encoding/{space}/matrixSize/{axis}": int(draw.integers(1, 700)) for axis in "xy"}
    return kspace, {"ismrmrd_header": edit_header(header, values)}, RIGHT


def wrong_maximum(kspace, draw):
    name = ("max", "norm")[draw.integers(2)]
    return kspace, {"attributes": {name: 10.0 ** draw.uniform(-12, 6)}}, RIGHT


def conjugated(kspace, draw):
    return kspace.conj(), {"target": rss_of(kspace)}, REFUSED


def coils_exchanged_between_slices(kspace, draw):
    damaged, coil = kspace.copy(), draw.integers(kspace.shape[1])
    one, other = draw.choice(len(kspace), size=2, replace=False)
    damaged[one, coil], damaged[other, coil] = kspace[other, coil], kspace[one, coil]
    return damaged, {"target": rss_of(kspace)}, REFUSED


def coils_in_another_order(kspace, draw):
    damaged, which = kspace.copy(), draw.integers(len(kspace))
    damaged[which] = kspace[which, draw.permutation(kspace.shape[1])]
    return damaged, {}, RIGHT


def half_written_last_slice(kspace, draw):
    damaged = kspace.copy()
    last = damaged[-1].reshape(-1)
    last[int(draw.integers(1, last.size)) :] = 0
    return damaged, {"target": rss_of(kspace)}, EITHER


def half_written_without_image(kspace, draw):
    damaged, inner = half_written_last_slice(kspace, draw)[0], kspace[0, 0].size
    # cut between two coils, to 1 %, it looks like coils that are silent, and is noted as such
    lost = -int(np.count_nonzero(damaged[-1])) % inner
    return damaged, {"target": None}, EITHER if lost < 0.01 * inner else REFUSED


def slices_in_another_order(kspace, draw):
    return kspace[::-1], {"target": rss_of(kspace)}, REFUSED


def silent_coil(kspace, draw):
    damaged = kspace.copy()
    damaged[draw.integers(len(kspace)), draw.integers(kspace.shape[1])] = 0
    return damaged, {"target": rss_of(damaged)}, RIGHT


def undersampled(kspace, draw):
    kept = draw.random(kspace.shape[2:]) < draw.uniform(0.2, 0.9)
    kept[20:28, 28:36] = True
    return kspace * kept, {"target": rss_of(kspace * kept)}, REFUSED


DAMAGE: list[Callable] = [
    value
    for value in list(globals().values())
    if getattr(value, "__code__", None) and value.__code__.co_varnames[:2] == ("kspace", "draw")
]
# What changes what there is to see: the truth is the damaged k-space itself.
OWN = {missing_ends, silent_coil}


def right(entries: list[Entry], path: Path, kspace: np.ndarray) -> bool:
    """Whether what the workflow takes is that of this k-space."""
    truth = rss_of(kspace)
    for entry, image in zip(entries, truth, strict=True):
        found = Preparation((entry.moved_rows, entry.moved_columns)).apply(
            read_slice(path, entry.slice).kspace
        )
        if found.shape[0] != entry.used_coils:
            return False
        reference = rss_target(found, (entry.target_rows, entry.target_columns)).numpy()
        if reference.shape != image.shape or np.linalg.norm(reference - image) > 0.01 * np.linalg.norm(image):
            return False
        energy = (abs(found.numpy()) ** 2).sum(axis=0)
        if max(abs(int(np.argmax(energy.sum(1 - axis))) - energy.shape[axis] // 2) for axis in (0, 1)) > 1:
            return False
        held = [np.flatnonzero(energy.any(axis=1 - axis)) for axis in (0, 1)]
        ends = ((entry.first_row, entry.end_row), (entry.first_column, entry.end_column))
        if [(int(lines[0]), int(lines[-1]) + 1) for lines in held] != list(ends):
            return False
    return abs(entries[0].maximum / truth.max() - 1) < 0.01


@pytest.mark.parametrize(
    "count", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)
def test_plausible_damage_is_read_right_or_refused(tmp_path, worker, count):
    tally = {"right": 0, "refused": 0}
    for index in range(count):
        damage = DAMAGE[index % len(DAMAGE)]
        draw = np.random.default_rng([index, count])
        sides = [(48, 64), (64, 64), (50, 45)][draw.integers(3)]
        kspace = scan_kspace(3, int(draw.integers(2, 6)), *sides, seed=index)
        damaged, changes, expected = damage(kspace, draw)
        path = write_scan(tmp_path / "scan.h5", np.ascontiguousarray(damaged), **changes)
        entries = inspect_volume(path, dataset="d", anatomy="a", worker=worker)
        told = f"{damage.__name__}, {index}: {entries[0].reason or entries[0].notes}"
        if entries[0].accepted:
            assert expected != REFUSED, told
            assert right(entries, path, damaged if damage in OWN or expected == EITHER else kspace), told
            if damage not in (coils_in_another_order, shifted_centre):
                assert entries[0].notes, told
        else:
            assert expected != RIGHT, told
            assert "; " in entries[0].reason, told
        tally["right" if entries[0].accepted else "refused"] += 1
    assert min(tally.values()) > count / 5, tally


def test_an_undamaged_scan_is_taken_without_a_note(tmp_path, worker):
    for index, sides in enumerate([(48, 64), (64, 64), (50, 45)]):
        kspace = scan_kspace(3, 4, *sides, seed=index)
        path = write_scan(tmp_path / "scan.h5", kspace)
        entries = inspect_volume(path, dataset="d", anatomy="a", worker=worker)
        assert (entries[0].reason, entries[0].notes) == ("", "")
        assert right(entries, path, kspace)


def test_what_cannot_be_seen_without_a_stored_image(tmp_path, worker):
    """Named in docs/your-data.md: a mirrored image, and coils of two slices exchanged."""
    kspace = scan_kspace()
    exchanged = coils_exchanged_between_slices(kspace, np.random.default_rng(0))[0]
    for damaged in (kspace.conj(), exchanged):
        path = write_scan(tmp_path / "scan.h5", damaged, target=None)
        entries = inspect_volume(path, dataset="d", anatomy="a", worker=worker)
        assert entries[0].accepted

"""Every damaged file is read correctly or rejected with a reason.

Damage that a format cannot show (the value of a sample, a header that says something else) changes what the
file says, and the result must be what the file now says, by a slow direct reading of it.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrilib.data.volumes.cfl import read_cfl
from mrilib.data.volumes.fastmri import write_volume
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.scan_header import new_header
from tests.data.volumes.damage_trials import convert_and_hash, differs_from_direct, read_and_save
from tests.data.volumes.raw_files import cartesian_scan, noise_kspace

SIGNATURES = (
    rb"\x89HDF|TREE|SNOD|HEAP|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|FADB|EAHD|EAIB|EASB|EADB"
)
# of each kind of file in each of the two runs
FEW, MANY = 60, 520


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(memory=1 << 30, seconds=0.5) as running:
        yield running


# Damage


def own_bytes(content: bytes, *pieces: bytes) -> np.ndarray:
    """Which bytes of a file belong to these pieces of data."""
    own = np.zeros(len(content), dtype=bool)
    for piece in pieces:
        for found in re.finditer(re.escape(piece), content):
            own[found.start() : found.end()] = True
    return own


def damaged(content: bytes, index: int) -> tuple[bytes, np.ndarray]:
    """One damaged copy, and which bytes changed. Flips, zeroed, exchanged and wiped ranges, truncations."""
    generator = np.random.default_rng([index, len(content)])
    values = np.frombuffer(content, np.uint8).copy()
    boundaries = [found.start() for found in re.finditer(SIGNATURES, content)]
    # half of the flips within structure, which is a small part of the file
    near = boundaries[generator.integers(len(boundaries))] + generator.integers(0, 200)
    place = int(min(near, len(values) - 1) if index % 2 else generator.integers(len(values)))
    length = int(2 ** generator.uniform(0, 10))
    way = index % 8
    if way < 5:
        count = (1, 1, 1, 3, 8)[way]
        places = np.append(generator.integers(len(values), size=count - 1), place)
        values[places] ^= generator.integers(1, 256, size=count, dtype=np.uint8)
    elif way == 5:
        values[place : place + length] = 0
    elif way == 6:
        values[place : place + length] = 255
    else:
        other = int(generator.integers(len(values)))
        piece = values[other : other + length].copy()
        values[place : place + len(piece)][: len(values) - place] = piece[: len(values) - place]
    return values.tobytes(), values != np.frombuffer(content, np.uint8)


def truncations(content: bytes) -> list[bytes]:
    """Cut at every structural boundary, and just before and after it."""
    boundaries = {found.start() for found in re.finditer(SIGNATURES, content)} | {len(content)}
    places = {place + shift for place in boundaries for shift in (-1, 0, 1, 8)}
    return [content[:place] for place in sorted(places) if 0 <= place < len(content)]


@dataclass
class Tally:
    """What became of the files."""

    read: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        try:
            yield
        except VolumeError as error:
            self.rejected += 1
            self.reasons.append(str(error))
        else:
            self.read += 1


# Raw scans


def small_scans() -> dict[str, Callable[[Path], Path]]:
    flat = cartesian_scan(noise_kspace(2, 1, 6, 2, 8), oversampling=2)
    noise = cartesian_scan(noise_kspace(1, 1, 2, 2, 8, seed=1))
    noise.heads["flags"] = 1 << 18
    again = flat.pick([3])
    again.heads["idx"]["average"] = 1
    scan = noise + flat + again
    scan.fields = flat.fields
    scan.heads["position"] *= -1
    deep = cartesian_scan(noise_kspace(1, 4, 6, 2, 8))
    deep.heads["phase_dir"] *= -1
    return {"slices": scan.write, "partitions": deep.write}


class RawFile:
    """A good raw file and what it gives, to compare damaged copies with."""

    def __init__(self, write: Callable[[Path], Path], folder: Path, worker: Worker) -> None:
        self._worker, self._path, self._volume = worker, folder / "damaged.h5", folder / "volume.h5"
        good = write(folder / "good.h5")
        self.content = good.read_bytes()
        self._expected = worker.call(convert_and_hash, good, str(self._volume))
        assert worker.call(differs_from_direct, good, str(self._volume)) < 1e-5
        with h5py.File(good) as file:
            table, xml = file["dataset/data"], file["dataset/xml"][0]
            chunks = [table.id.get_chunk_info(i) for i in range(table.id.get_num_chunks())]
            samples = [row["data"].tobytes() for row in table[()]]
        # what says where a readout lies is its own, as is what it holds; the format has no second copy
        pieces = [chunk.byte_offset.to_bytes(8, "little") for chunk in chunks]
        self._own = own_bytes(self.content, xml, *samples, *pieces)
        for chunk in chunks:
            self._own[chunk.byte_offset : chunk.byte_offset + chunk.size] = True

    def check(self, content: bytes, changed: np.ndarray | None) -> None:
        """Raises `VolumeError` if it is rejected, and `AssertionError` if it is read wrongly."""
        self._path.write_bytes(content)
        found = self._worker.call(convert_and_hash, self._path, str(self._volume))
        if found == self._expected:
            return
        assert changed is not None, "a truncated file was read as something else"
        assert changed[self._own].any(), (
            f"structure changed at {np.flatnonzero(changed)}: read as something else"
        )
        assert self._worker.call(differs_from_direct, self._path, str(self._volume)) < 1e-5


def fuzz_raw(name: str, folder: Path, worker: Worker, cases: range) -> Tally:
    file, tally = RawFile(small_scans()[name], folder, worker), Tally()
    for index in cases:
        content, changed = damaged(file.content, index)
        with tally.attempt():
            file.check(content, changed)
    return tally


@pytest.mark.parametrize("name", list(small_scans()))
def test_some_damaged_raw_scans(tmp_path, worker, name):
    tally = fuzz_raw(name, tmp_path, worker, range(FEW))
    assert tally.read > 5
    assert tally.rejected > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", list(small_scans()))
def test_many_damaged_raw_scans(tmp_path, worker, name):
    tally = fuzz_raw(name, tmp_path, worker, range(FEW, FEW + MANY))
    assert tally.read + tally.rejected == MANY


@pytest.mark.parametrize("name", list(small_scans()))
def test_truncated_raw_scans(tmp_path, worker, name):
    file, tally = RawFile(small_scans()[name], tmp_path, worker), Tally()
    for content in truncations(file.content)[:: 1 if name == "slices" else 4]:
        with tally.attempt():
            file.check(content, None)
    assert tally.rejected > 5


EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
COUNTERS = (
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "average",
    "slice",
    "contrast",
    "phase",
    "repetition",
)
NUMBERS = ("number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample", "flags")
SHORT = st.sampled_from([0, 1, 2, 7, 8, 9, 255, 256, 32767, 32768, 65535])
REAL = st.floats(width=32)
WILD = st.one_of(
    st.tuples(st.sampled_from(COUNTERS + NUMBERS + ("encoding_space_ref",)), SHORT),
    st.tuples(
        st.sampled_from(["position", "read_dir", "phase_dir", "slice_dir"]), st.tuples(REAL, REAL, REAL)
    ),
)
TEXT = st.sampled_from(
    ["0", "-1", "1e9", "nan", "inf", "65535", "99999999999999999999", "", "8.5", "१२", "7", "4"]
)
FIELD = st.sampled_from(["encoded", "encoded_mm", "recon", "recon_mm"])


@EXAMPLES
@given(changes=st.lists(st.tuples(st.integers(0, 14), WILD), max_size=3), everywhere=st.booleans())
def test_wild_numbers_in_acquisition_headers(tmp_path, worker, changes, everywhere):
    scan = cartesian_scan(noise_kspace(2, 1, 6, 2, 8), oversampling=2)
    for row, (name, value) in changes:
        heads = scan.heads["idx"] if name in COUNTERS else scan.heads
        heads[name][slice(None) if everywhere else row % len(heads)] = value
    check_scan(scan, tmp_path, worker)


@EXAMPLES
@given(changes=st.lists(st.tuples(FIELD, st.integers(0, 2), TEXT), min_size=1, max_size=2))
def test_wild_numbers_in_the_xml(tmp_path, worker, changes):
    scan = cartesian_scan(noise_kspace(2, 1, 6, 2, 8), oversampling=2)
    for name, axis, text in changes:
        values = list(scan.fields[name])
        values[axis] = text
        scan.fields[name] = values
    check_scan(scan, tmp_path, worker)


def check_scan(scan, folder: Path, worker: Worker) -> None:
    path, volume = scan.write(folder / "wild.h5"), str(folder / "wild-volume.h5")
    tally = Tally()
    with tally.attempt():
        worker.call(convert_and_hash, path, volume)
    if tally.read:
        assert worker.call(differs_from_direct, path, volume) < 1e-5


# Volumes


def our_volume(path: Path) -> Path:
    header = new_header(matrix=(8, 6), target=(6, 4), coils=2, field_strength=3.0)
    about = {"acquisition": "CORPD_FBK", "patient": "p", "source": "a test", "simulated": False}
    kspace = noise_kspace(2, 2, 8, 6)
    write_volume(path, kspace, shape=kspace.shape, target=(6, 4), header=header, **about)
    return path


def plain_volume(path: Path) -> Path:
    """As fastMRI's: without checksums, in one piece, with a mask."""
    with h5py.File(path, "w", libver="earliest") as file:
        file["kspace"] = noise_kspace(2, 2, 8, 6)
        file["reconstruction_rss"] = abs(noise_kspace(2, 6, 4))
        file["ismrmrd_header"] = new_header(matrix=(8, 6), target=(6, 4), coils=2)
        file["mask"] = np.arange(6) % 2 == 0
        file.attrs["max"] = abs(noise_kspace(2, 6, 4)).max()
        file.attrs["acquisition"] = "AXT2"
    return path


class VolumeFile:
    """A good volume, and which bytes hold the values of which dataset."""

    def __init__(self, write: Callable[[Path], Path], folder: Path, worker: Worker) -> None:
        self._worker, self._path, self._copy = worker, folder / "damaged.h5", folder / "copy.npz"
        good = write(folder / "good.h5")
        self.content = good.read_bytes()
        worker.call(read_and_save, good, str(self._copy))
        with np.load(self._copy) as arrays:
            self._arrays = dict(arrays)
        self._address = np.zeros(len(self.content), dtype=bool)
        self._where: dict[str, slice] = {}
        with h5py.File(good) as file:
            for name, key in (("kspace", "kspace"), ("reconstruction_rss", "target"), ("mask", "mask")):
                offset = file[name].id.get_offset() if name in file and file[name].chunks is None else None
                if offset is not None:
                    self._where[key] = slice(offset, offset + file[name].nbytes)
                    self._address |= own_bytes(self.content, offset.to_bytes(8, "little"))

    def check(self, content: bytes, changed: np.ndarray | None) -> None:
        self._path.write_bytes(content)
        self._worker.call(read_and_save, self._path, str(self._copy))
        with np.load(self._copy) as arrays:
            found = dict(arrays)
        assert found["kspace"].shape == self._arrays["kspace"].shape
        if changed is not None and changed[self._address].any():
            return
        for name, values in found.items():
            hit = np.zeros(values.shape, dtype=bool)
            if changed is not None and name in self._where:
                hit = changed[self._where[name]].reshape(*values.shape, values.itemsize).any(axis=-1)
            np.testing.assert_array_equal(values[~hit], self._arrays[name][~hit])


def fuzz_volume(write: Callable[[Path], Path], folder: Path, worker: Worker, cases: range) -> Tally:
    file, tally = VolumeFile(write, folder, worker), Tally()
    for index in cases:
        content, changed = damaged(file.content, index)
        with tally.attempt():
            file.check(content, changed)
    return tally


@pytest.mark.parametrize("write", [our_volume, plain_volume])
def test_some_damaged_volumes(tmp_path, worker, write):
    tally = fuzz_volume(write, tmp_path, worker, range(FEW))
    assert tally.read > 5
    assert tally.rejected > 5


@pytest.mark.slow
@pytest.mark.parametrize("write", [our_volume, plain_volume])
def test_many_damaged_volumes(tmp_path, worker, write):
    tally = fuzz_volume(write, tmp_path, worker, range(FEW, FEW + MANY))
    assert tally.read + tally.rejected == MANY


@pytest.mark.parametrize("write", [our_volume, plain_volume])
def test_truncated_volumes(tmp_path, worker, write):
    file, tally = VolumeFile(write, tmp_path, worker), Tally()
    for content in truncations(file.content):
        with tally.attempt():
            file.check(content, None)
    assert tally.rejected > 5


EXCHANGED = {
    "nothing": None,
    "a number": np.float64(3),
    "text": "text",
    "an empty array": np.zeros(0, np.complex64),
    "no coils": noise_kspace(2, 2, 8),
    "complex128": noise_kspace(2, 2, 8, 6).astype(np.complex128),
    "real": noise_kspace(2, 2, 8, 6).real,
    "integers": np.zeros((2, 2, 8, 6), "i2"),
    "infinite": noise_kspace(2, 2, 8, 6) + np.complex64(np.inf),
    "NaN": np.full((2, 6, 4), np.nan, np.float32),
    "one slice": np.ones((1, 6, 4), np.float32),
    "null": h5py.Empty("f4"),
    "a link to nowhere": h5py.SoftLink("/nowhere"),
    "a link to the file": h5py.SoftLink("/"),
    "a link elsewhere": h5py.ExternalLink("/etc/hostname", "/"),
    "a table": np.array([(1, b"a")], dtype=[("head", "u2"), ("data", "S3")]),
}


@pytest.mark.parametrize("write", [our_volume, plain_volume])
@pytest.mark.parametrize("name", ["kspace", "reconstruction_rss", "ismrmrd_header"])
@pytest.mark.parametrize("other", list(EXCHANGED))
def test_exchanged_datasets(tmp_path, worker, write, name, other):
    file = VolumeFile(write, tmp_path, worker)
    with h5py.File(tmp_path / "good.h5", "r+") as opened:
        del opened[name]
        if EXCHANGED[other] is not None:
            opened[name] = EXCHANGED[other]
    tally = Tally()
    with tally.attempt():
        file.check((tmp_path / "good.h5").read_bytes(), None)
    # fastMRI's test files have no target, and double precision is read
    fine = {("reconstruction_rss", "nothing"), ("kspace", "complex128")}
    assert bool(tally.rejected) == ((name, other) not in fine)


# Arrays of BART


def fuzz_cfl(folder: Path, cases: range) -> Tally:
    kspace = noise_kspace(2, 8, 6)
    (folder / "a.hdr").write_text("# Dimensions\n6 8 1 2 1 1 1 1 1 1 1 1 1 1 1 1 \n# Command\nphantom -k\n")
    (folder / "a.cfl").write_bytes(kspace.tobytes())
    names = ("a.hdr", "a.cfl")
    contents = [(folder / name).read_bytes() for name in names]
    tally = Tally()
    for index in cases:
        generator = np.random.default_rng(index)
        which = index % 2
        values = np.frombuffer(contents[which], np.uint8).copy()
        places = generator.integers(len(values), size=1 + index % 5)
        values[places] ^= generator.integers(1, 256, size=len(places), dtype=np.uint8)
        if index % 7 == 0:
            values = values[: places[0]]
        (folder / names[which]).write_bytes(values.tobytes())
        (folder / names[1 - which]).write_bytes(contents[1 - which])
        with tally.attempt():
            found = read_cfl(folder / "a.cfl")
            hit = np.zeros(kspace.size, dtype=bool)
            if which == 1:
                hit = (values != np.frombuffer(contents[1], np.uint8)).reshape(-1, 8).any(axis=1)
            same = found.reshape(-1, order="F")[~hit] == kspace.reshape(-1)[~hit]
            assert same.all()
            assert found.shape == (6, 8, 1, 2) + (1,) * 12
    return tally


def test_some_damaged_arrays_of_bart(tmp_path):
    tally = fuzz_cfl(tmp_path, range(FEW))
    assert tally.read > 5
    assert tally.rejected > 5


@pytest.mark.slow
def test_many_damaged_arrays_of_bart(tmp_path):
    assert fuzz_cfl(tmp_path, range(FEW, FEW + MANY)).read > 50

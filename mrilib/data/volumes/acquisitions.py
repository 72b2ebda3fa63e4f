"""The table of acquisitions of an ISMRMRD file."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex64, Int64, Shaped

from mrilib.data.volumes.foreign import VolumeError, find_dataset, reading, require_stored

# Counters of other images in the same file; the first image is taken.
OTHERS = ("repetition", "set", "contrast", "phase")
HEADERS_AT_ONCE, BYTES_AT_ONCE = 4096, 1 << 22
COUNTERS = ("kspace_encode_step_1", "kspace_encode_step_2", "average", "slice", *OTHERS)
SIZES = ("number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample")
DIRECTIONS = ("position", "read_dir", "phase_dir", "slice_dir")
# Types in the file; all writers have the same.
_TYPES = (
    {"flags": np.dtype("<u8"), "encoding_space_ref": np.dtype("<u2")}
    | dict.fromkeys((*SIZES, *COUNTERS), np.dtype("<u2"))
    | dict.fromkeys(DIRECTIONS, np.dtype(("<f4", (3,))))
)


def find_table(file: h5py.File, path: str | Path) -> tuple[str, h5py.Dataset]:
    """Group and table of the acquisitions: group `dataset`, or else the only one with `xml` and `data`."""
    with reading(path, "file", "readable groups"):
        names = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        groups = [name for name in names if isinstance(file[name], h5py.Group)]
        held = [name for name in groups if "xml" in file[name] and "data" in file[name]]
    if "dataset" in held:
        held = ["dataset"]
    if len(held) != 1:
        expected = "a group `dataset`, or one other, with `xml` and `data` (ISMRMRD)"
        raise VolumeError(path, "file", expected, f"{held or names[:10]}")
    name = f"{held[0]}/data"
    table = find_dataset(file, name, path)
    with reading(path, name, "a table of acquisitions"):
        head, data = table.dtype["head"], h5py.check_vlen_dtype(table.dtype["data"])
        found = {name: (head["idx"] if name in COUNTERS else head)[name] for name in _TYPES}
        wrong = [name for name, kind in _TYPES.items() if found[name] != kind]
        if wrong or data != np.dtype("<f4") or table.ndim != 1:
            raise TypeError(f"shape {table.shape}, samples {data}, other types of {wrong}")
    # Each acquisition takes 16 bytes of data at least.
    if not 1 <= table.shape[0] <= Path(path).stat().st_size // 16:
        raise VolumeError(path, name, "acquisitions within the size of the file", f"{table.shape[0]}")
    require_stored(table, name, path)
    return held[0], table


def read_heads(table: h5py.Dataset, path: str | Path) -> dict[str, Shaped[np.ndarray, "readout *any"]]:
    """The columns of the acquisition headers that are used here, as float64, int64 or uint64."""
    blocks: dict[str, list[np.ndarray]] = {}
    with reading(path, table.name, "readable headers"):
        for head in _head_blocks(table):
            for name in _TYPES:
                values = head["idx"][name] if name in COUNTERS else head[name]
                wanted = np.float64 if name in DIRECTIONS else np.uint64 if name == "flags" else np.int64
                blocks.setdefault(name, []).append(values.astype(wanted))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def read_samples(
    table: h5py.Dataset, rows: Int64[np.ndarray, "readout"], coils: int, samples: int, path: str | Path
) -> Iterator[tuple[slice, Complex64[np.ndarray, "readout coil sample"]]]:
    """Samples of some rows, which ascend: which of them, and their samples, a few MB at a time.

    Raises:
        VolumeError: if a readout has another length than its header says, or a value is not finite.
    """
    floats = 2 * coils * samples
    step = max(1, BYTES_AT_ONCE // (4 * floats))
    begin = 0
    while begin < len(rows):
        low = int(rows[begin])
        end = int(np.searchsorted(rows, low + step))
        some = rows[begin:end]
        name = f"{table.name}: readouts {low} to {int(some[-1])}"
        with reading(path, name, "readable samples"):
            held = table[low : int(some[-1]) + 1]["data"][some - low]
        lengths = np.array([np.size(values) for values in held])
        if (lengths != floats).any():
            wrong = int(np.flatnonzero(lengths != floats)[0])
            expected = f"{coils} coils × {samples} complex samples = {floats} numbers"
            raise VolumeError(path, f"{table.name}: readout {some[wrong]}", expected, f"{lengths[wrong]}")
        values = np.stack(held).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            wrong = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            count = int(np.count_nonzero(~np.isfinite(values[wrong])))
            found = f"{count} that are not"
            raise VolumeError(path, f"{table.name}: readout {some[wrong]}", "finite samples", found)
        yield slice(begin, end), values.view(np.complex64).reshape(-1, coils, samples)
        begin = end


def _head_blocks(table: h5py.Dataset) -> Iterator[Shaped[np.ndarray, "readout"]]:
    """The headers, some thousand at a time, if possible without the samples.

    h5py reads the samples of every row even if asked for the headers alone, and does not free them.
    """
    stored = table.id.get_type()
    if table.chunks is None or table.id.get_create_plist().get_nfilters():
        for start in range(0, table.shape[0], HEADERS_AT_ONCE):
            yield table[start : start + HEADERS_AT_ONCE]["head"]
        return
    layout = np.dtype(
        {
            "names": ["head"],
            "formats": [table.dtype["head"]],
            "offsets": [stored.get_member_offset(stored.get_member_index(b"head"))],
            "itemsize": stored.get_size(),
        }
    )
    (step,) = table.chunks
    held: list[bytes] = []
    for start in range(0, table.shape[0], step):
        held.append(table.id.read_direct_chunk((start,))[1])
        if len(held[-1]) != step * layout.itemsize:
            raise ValueError(f"{len(held[-1])} bytes of {step} rows of {layout.itemsize} bytes")
        if len(held) * step >= HEADERS_AT_ONCE or start + step >= table.shape[0]:
            first = start + step - len(held) * step
            yield np.frombuffer(b"".join(held), layout)["head"][: table.shape[0] - first]
            held = []

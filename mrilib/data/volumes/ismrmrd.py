"""Conversion of ISMRMRD raw data to volumes of the fastMRI schema."""

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from jaxtyping import Complex64

from mrilib.data.volumes.acquisitions import find_table, read_heads, read_samples
from mrilib.data.volumes.base import Reader
from mrilib.data.volumes.centered_fft import centered_fft, centered_ifft
from mrilib.data.volumes.fastmri import VolumeWriter
from mrilib.data.volumes.foreign import VolumeError, find_dataset, open_hdf5, read_text
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.lines import centering, strongest_line
from mrilib.data.volumes.readouts import Plan, plan_readouts
from mrilib.data.volumes.scan_header import ScanHeader, edit_header, parse_header
from mrilib.store.atomic import atomic_path

# Our choice: block of the partition transform; a few of them are in memory at once.
BLOCK_BYTES = 1 << 23
# Patient coordinates: x to the left, y to the posterior, z to the superior side. Where each image axis shall
# point, by the patient's axis nearest to it.
ROWS_TOWARDS, COLUMNS_TOWARDS = (1, -1, 1), (1, 1, 1)


@dataclass(frozen=True)
class Conversion:
    """What was converted, and what was left out.

    Args:
        source, destination: the files.
        shape: `(slices, coils, rows, columns)` of `kspace`.
        target: `(y, x)` of `reconstruction_rss`.
        readouts: number of readouts used.
        skipped: number of readouts left out, by kind.
        averages: largest number of readouts averaged into one line.
        samples: of a readout on the full grid, before the oversampling was removed.
        partitions: of a 3-D scan before slice oversampling was cropped; 1 for 2-D.
        sampled_fraction: part of `(partitions, lines)` of the encoded space that was acquired.
        flipped: whether rows and columns were reversed.
        notes: what the file did not say or said wrongly, and what was done.
    """

    source: str
    destination: str
    shape: tuple[int, int, int, int]
    target: tuple[int, int]
    readouts: int
    skipped: dict[str, int]
    averages: int
    samples: int
    partitions: int
    sampled_fraction: float
    flipped: tuple[bool, bool]
    notes: tuple[str, ...]


class Ismrmrd(Reader):
    """Fully sampled Cartesian scans of ISMRMRD: see `convert`. The files say everything themselves."""

    word: ClassVar[str] = "ismrmrd"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".mrd")

    def convert(self, source: Path, destination: Path) -> Conversion:
        return convert(source, destination)


def convert(source: str | Path, destination: str | Path, *, worker: Worker | None = None) -> Conversion:
    """Convert one fully sampled Cartesian ISMRMRD file to one volume of the fastMRI schema, atomically.

    Readouts are placed by `kspace_encode_step_1` (columns), `_2` and `slice`, such that zero frequency is at
    `size // 2` of the encoded matrix; what encodingLimits leave out of it stays zero, as in fastMRI's files.
    - Left out, and counted: noise, navigators, phase correction, feedback, dummies, coil correction, other
      encoding spaces, lines outside the encoding limits; readouts for calibration alone, but where they
      fill a line that the image lacks. Segments fill different lines, averages of a line are averaged. Of
      repetitions, sets, contrasts and phases the first is taken.
    - Readouts: shorter ones (asymmetric echo) are placed by `center_sample`, discarded samples are zero,
      reversed ones are flipped; their `center_sample` counts after flipping (our choice).
    - Readout oversampling is removed: of the image along the readout the middle `reconSpace / encodedSpace`
      of the fields of view is kept. The target is cropped likewise along the phase encodes.
    - 3-D: centred orthonormal inverse FFT along the partitions, cropped likewise.
    - `ChopY = 0` and `ChopZ = 0` among the user parameters (General Electric): the image lies half a field of
      view off, so lines (partitions) get alternating signs.
    - Centre: where the energy of k-space is. Where that is two lines or more from where the header puts zero
      frequency, k-space is moved, and the notes say so.
    - Full sampling: every line within encodingLimits, which must hold the centre and half of the encoded
      matrix; of 3-D those within 0.95 of the inscribed ellipse (our choice), as corners are often left out.
    - Orientation: slices are sorted by their position along `slice_dir`. fastMRI's images stand upside down:
      rows go towards superior (sagittal, coronal) or else anterior (axial). That is known; of columns it is
      not, and ours go towards the patient's left, or else posterior, or superior. A flip reverses k-space
      about zero frequency. `read_dir` and `phase_dir` are those along which image indices grow. Without
      directions in the headers everything stays as stored, and the notes say so.

    The file is read in a child process in several passes, by way of an unnamed file in the destination's
    folder that takes as much space as the result; memory stays at some slices.

    Args:
        source: ISMRMRD file; nothing outside it is read.
        destination: volume to write.
        worker: child process to use, for many files; by default one for this file.

    Raises:
        FileNotFoundError: if there is no source.
        VolumeError: if the source is damaged, not Cartesian or not fully sampled; the destination stays as it
            was.
        OSError: if it cannot be written.
    """
    if worker is None:
        with Worker() as own:
            return convert(source, destination, worker=own)
    if Path(destination).exists() and Path(source).exists() and Path(source).samefile(destination):
        raise ValueError(f"convert: expected two files, got {source} twice; name another destination")
    with atomic_path(destination) as partial:
        found = worker.call(_convert, source, str(partial))
    tuples = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return Conversion(destination=str(destination), **(found | tuples))


def _convert(source: str, partial: str) -> dict[str, Any]:
    """The work of `convert`, in the child: writes `partial`."""
    with open_hdf5(source) as file:
        group, table = find_table(file, source)
        xml = _read_xml(file, f"{group}/xml", source)
        header = parse_header(xml, source, f"{group}/xml")
        if header.trajectory != "cartesian":
            found = header.trajectory or "nothing"
            raise VolumeError(source, f"{group}/xml: trajectory", "cartesian", found)
        plan = plan_readouts(read_heads(table, source), header, source)
        layout = _layout(plan, header, source)
        with tempfile.TemporaryFile(dir=Path(partial).parent) as scratch:
            lines = _Lines(scratch.fileno(), (*plan.grid[:2], plan.grid[2], plan.coils, layout.rows))
            energies = _place_readouts(table, plan, header, layout, lines, source)
            layout = _centred(layout, plan, energies, source)
            if plan.grid[1] > 1:
                _transform_partitions(lines, layout)
            # what has been written is on its way to the disk, and the source is not needed any more
            about = _describe(source, xml, header, plan, layout)
            shape = (layout.slices, plan.coils, layout.rows, plan.grid[2])
            with VolumeWriter(partial, shape=shape, target=layout.target, **about) as writer:
                for position in range(layout.slices):
                    kspace = lines.slice_kspace(position, layout.moved[1:], layout.flipped)
                    try:
                        writer.add(kspace)
                    except ValueError as error:
                        where = f"data: slice {position}"
                        raise VolumeError(source, where, "an image", str(error).partition(": ")[2]) from error
    return {
        "source": source,
        "shape": shape,
        "target": layout.target,
        "readouts": len(plan.rows),
        "skipped": plan.skipped,
        "averages": plan.averages,
        "samples": header.encoded.matrix[0],
        "partitions": plan.grid[1],
        "sampled_fraction": plan.sampled_fraction,
        "flipped": layout.flipped,
        "notes": layout.notes,
    }


@dataclass(frozen=True)
class _Layout:
    """Sizes of the result: rows kept of the readout, first and number of the slices kept, target, flips.

    `moved` is by how many partitions, rows and columns k-space is rolled to bring its centre to `size // 2`.
    """

    rows: int
    first: int
    slices: int
    target: tuple[int, int]
    flipped: tuple[bool, bool]
    notes: tuple[str, ...]
    moved: tuple[int, int, int] = (0, 0, 0)


def _layout(plan: Plan, header: ScanHeader, source: str) -> _Layout:
    encoded, recon = header.encoded, header.recon
    if encoded.field_of_view is None or recon.field_of_view is None:
        found = f"{encoded.field_of_view} and {recon.field_of_view}"
        raise VolumeError(source, "xml: fieldOfView_mm", "those of encodedSpace and reconSpace", found)
    notes = list(plan.notes)
    sizes = []
    for name, size, full, wanted in zip(
        "xyz", encoded.matrix, encoded.field_of_view, recon.field_of_view, strict=True
    ):
        kept = size * wanted / full
        # Half a pixel more comes of rounded numbers in the header. Thickness says nothing of 2-D slices.
        if kept > size + 0.5 and (name != "z" or plan.grid[1] > 1):
            notes.append(f"reconSpace is {wanted:g} mm along {name}, encodedSpace {full:g} mm: not padded")
        sizes.append(max(1, round(min(kept, size))))
    rows, columns, partitions = sizes
    if (rows, columns) != recon.matrix[:2]:
        matrix = " × ".join(map(str, recon.matrix[:2]))
        notes.append(f"reconSpace is {matrix}, its field of view {rows} × {columns} pixels: not interpolated")
    flipped = (False, False)
    if plan.read_dir is not None and plan.phase_dir is not None:
        flipped = (_opposite(plan.read_dir, ROWS_TOWARDS), _opposite(plan.phase_dir, COLUMNS_TOWARDS))
    slices = partitions if plan.grid[1] > 1 else plan.grid[0]
    first = plan.grid[1] // 2 - partitions // 2 if plan.grid[1] > 1 else 0
    return _Layout(rows, first, slices, (rows, columns), flipped, tuple(notes))


def _opposite(direction: np.ndarray, towards: tuple[int, int, int]) -> bool:
    axis = int(np.argmax(abs(direction)))
    return bool(direction[axis] * towards[axis] < 0)


class _Lines:
    """k-space in a file: `(slice, partition, line, coil, row)`, one contiguous piece a readout.

    Not mapped: pages of a map would count as memory of the process.
    """

    def __init__(self, handle: int, shape: tuple[int, int, int, int, int]) -> None:
        self._handle, self.shape = handle, shape
        self._line = shape[3] * shape[4]
        os.truncate(handle, 8 * int(np.prod(shape, dtype=np.int64)))

    def read(self, start: int, lines: int) -> Complex64[np.ndarray, "line coil row"]:
        """Lines from `start` on, counted over slices and partitions."""
        values = np.empty((lines, *self.shape[3:]), np.complex64)
        view = values.data.cast("B")
        done = 0
        while done < len(view):
            read = os.preadv(self._handle, [view[done:]], 8 * start * self._line + done)
            if read == 0:
                raise OSError("the scratch file in the destination's folder is shorter than it was")
            done += read
        return values

    def write(self, start: int, values: Complex64[np.ndarray, "line coil row"]) -> None:
        view = np.ascontiguousarray(values).data.cast("B")
        done = 0
        while done < len(view):
            done += os.pwrite(self._handle, view[done:], 8 * start * self._line + done)

    def slice_kspace(
        self, position: int, moved: tuple[int, ...], flipped: tuple[bool, bool]
    ) -> Complex64[np.ndarray, "coil row column"]:
        """One slice, or one partition, rolled by rows and columns, then turned: `(coil, row, column)`."""
        columns = self.shape[2]
        kspace = np.roll(self.read(position * columns, columns).transpose(1, 2, 0), moved, (1, 2))
        for axis in (axis for axis, flip in enumerate(flipped, start=1) if flip):
            kspace = reverse_frequencies(kspace, axis)
        return np.ascontiguousarray(kspace)


def reverse_frequencies(
    kspace: Complex64[np.ndarray, "coil row column"], axis: int
) -> Complex64[np.ndarray, "coil row column"]:
    """`k → −k` along an axis, zero frequency kept at `size // 2`: the image is flipped about its origin."""
    flipped = np.flip(kspace, axis)
    return np.roll(flipped, 1, axis) if kspace.shape[axis] % 2 == 0 else flipped


def _place_readouts(
    table: h5py.Dataset, plan: Plan, header: ScanHeader, layout: _Layout, lines: _Lines, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write every readout to its place; returns the energy of each partition, row and column."""
    size = header.encoded.matrix[0]
    signs = np.ones(len(plan.rows), np.float32)
    if header.numbers.get("ChopY") == 0:
        signs *= 1 - 2 * (plan.lines % 2)
    if header.numbers.get("ChopZ") == 0 and plan.grid[1] > 1:
        signs *= 1 - 2 * (plan.partitions % 2)
    signs = (signs * plan.weights).astype(np.float32)
    places = np.ravel_multi_index((plan.slices, plan.partitions, plan.lines), plan.grid)
    pre, post = plan.discard
    crop = slice(size // 2 - layout.rows // 2, size // 2 - layout.rows // 2 + layout.rows)
    energies = np.zeros(plan.grid[1]), np.zeros(layout.rows), np.zeros(plan.grid[2])
    written = np.zeros(0 if plan.averages == 1 else int(np.prod(plan.grid)), dtype=bool)
    for which, samples in read_samples(table, plan.rows, plan.coils, plan.samples, source):
        samples = np.where(plan.reverse[which, None, None], samples[..., ::-1], samples)
        readouts = np.zeros((*samples.shape[:2], size), np.complex64)
        first, last = plan.start + pre, plan.start + plan.samples - post
        readouts[..., first:last] = samples[..., pre : plan.samples - post] * signs[which, None, None]
        if layout.rows < size:
            readouts = centered_fft(centered_ifft(readouts, (-1,))[..., crop], (-1,))
        squares = np.square(readouts.real, dtype=np.float64) + np.square(readouts.imag, dtype=np.float64)
        np.add.at(energies[0], plan.partitions[which], squares.sum(axis=(1, 2)))
        energies[1][:] += squares.sum(axis=(0, 1))
        np.add.at(energies[2], plan.lines[which], squares.sum(axis=(1, 2)))
        for place, readout in zip(places[which].tolist(), readouts, strict=True):
            if written.size:
                if written[place]:
                    readout = readout + lines.read(place, 1)[0]
                written[place] = True
            lines.write(place, readout[None])
    return energies


def _centred(
    layout: _Layout, plan: Plan, energies: tuple[np.ndarray, np.ndarray, np.ndarray], source: str
) -> _Layout:
    """The layout with what brings the centre of k-space, which is where its energy is, to `size // 2`.

    Raises:
        VolumeError: if the centre is far from where the header puts it, or leaves no room for what was
            acquired.
    """
    moved, notes = [], list(layout.notes)
    names = ("kspace_encoding_step_2", "readout", "kspace_encoding_step_1")
    for name, energy in zip(names, energies, strict=True):
        size, center = len(energy), strongest_line(energy)
        where = f"data: {name}"
        move = centering(center, size, source, where)
        held = np.flatnonzero(energy) + move
        if move and held.max() - held.min() + 1 < size and not 0 <= held.min() <= held.max() < size:
            expected = f"{len(held)} lines that lie in {size} around their centre"
            found = f"lines {held.min() - move} to {held.max() - move} with most energy at {center}"
            raise VolumeError(source, where, expected, found)
        if move:
            notes.append(
                f"{name}: most energy lies {-move:+d} lines from where the header puts zero frequency: moved"
            )
        moved.append(move)
    return replace(layout, moved=(moved[0], moved[1], moved[2]), notes=tuple(notes))


def _transform_partitions(lines: _Lines, layout: _Layout) -> None:
    """Inverse FFT along the partitions in place; the partitions to keep come first."""
    _, partitions, columns, coils, rows = lines.shape
    step = max(1, BLOCK_BYTES // (8 * partitions * coils * rows))
    for start in range(0, columns, step):
        count = min(step, columns - start)
        block = np.stack([lines.read(z * columns + start, count) for z in range(partitions)])
        images = centered_ifft(np.roll(block, layout.moved[0], 0), (0,))[
            layout.first : layout.first + layout.slices
        ]
        for z, image in enumerate(images):
            lines.write(z * columns + start, image)


def _read_xml(file: h5py.File, name: str, source: str) -> str:
    return read_text(find_dataset(file, name, source), name, source)


def _describe(source: str, xml: str, header: ScanHeader, plan: Plan, layout: _Layout) -> dict[str, Any]:
    """What `VolumeWriter` wants to know beside the sizes."""
    stem = Path(source).stem
    columns = plan.grid[2]
    filled = (np.unique(plan.lines) + layout.moved[2]) % columns
    if layout.flipped[1]:
        filled = (columns - filled) % columns if columns % 2 == 0 else columns - 1 - filled
    low, high = int(filled.min()), int(filled.max())
    matrices: dict[str, float | int | str] = {
        "encodedSpace/matrixSize/x": layout.rows,
        "encodedSpace/matrixSize/z": 1,
        "reconSpace/matrixSize/x": layout.target[0],
        "reconSpace/matrixSize/y": layout.target[1],
        "reconSpace/matrixSize/z": 1,
        "encodingLimits/kspace_encoding_step_1/minimum": 0,
        "encodingLimits/kspace_encoding_step_1/maximum": high - low,
        "encodingLimits/kspace_encoding_step_1/center": columns // 2 - low,
    }
    full, wanted = header.encoded.field_of_view, header.recon.field_of_view
    if full is not None and wanted is not None:
        matrices["encodedSpace/fieldOfView_mm/x"] = full[0] * layout.rows / header.encoded.matrix[0]
        if plan.grid[1] > 1:
            matrices["encodedSpace/fieldOfView_mm/z"] = full[2] / plan.grid[1]
            matrices["reconSpace/fieldOfView_mm/z"] = full[2] / plan.grid[1]
            for end in ("minimum", "maximum", "center"):
                matrices[f"encodingLimits/kspace_encoding_step_2/{end}"] = 0
    return {
        "header": edit_header(xml, {f"encoding/{name}": value for name, value in matrices.items()}),
        "acquisition": header.protocol or "ISMRMRD",
        # Results are resampled by patient: files of unknown ones count as one each.
        "patient": header.patient or stem,
        "source": f"ISMRMRD {Path(source).name}",
        "simulated": False,
        "attributes": {
            "sampled_fraction": plan.sampled_fraction,
            "skipped": json.dumps(plan.skipped),
            "notes": "; ".join(layout.notes),
        },
    }

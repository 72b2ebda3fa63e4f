"""Arrays of BART (`.cfl` with `.hdr`), and their conversion to volumes of the fastMRI schema."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Complex64
from pydantic import Field

from mrilib.data.volumes.base import Reader
from mrilib.data.volumes.centered_fft import centered_ifft
from mrilib.data.volumes.fastmri import VolumeHeader, read_header, write_volume
from mrilib.data.volumes.foreign import VolumeError
from mrilib.data.volumes.lines import centering, strongest_line
from mrilib.data.volumes.scan_header import new_header

# BART's dimensions: 0 readout, 1 and 2 phase encodes, 3 coils, 13 slices.
DIMENSIONS, COILS, SLICES = 16, 3, 13
LONGEST_HEADER = 1 << 20
BLOCK_BYTES = 1 << 23


class Bart(Reader):
    """Fully sampled Cartesian k-space of BART: see `convert_cfl`. The arguments are what no header says.

    Args:
        rows: dimension of the readout.
        coils: dimension of the coils; by default 3, or 2 where 3 has length 1.
        transform: inverse FFT along the dimension of the slices, for 3-D scans.
    """

    word: ClassVar[str] = "bart"
    suffixes: ClassVar[tuple[str, ...]] = (".cfl", ".hdr")

    def __init__(
        self,
        *,
        rows: Literal[0, 1, 2] = 0,
        coils: Annotated[int, Field(ge=0, lt=DIMENSIONS)] | None = None,
        transform: bool = False,
    ) -> None:
        self.rows, self.coils, self.transform = rows, coils, transform

    def convert(self, source: Path, destination: Path) -> VolumeHeader:
        return convert_cfl(source, destination, rows=self.rows, coils=self.coils, transform=self.transform)


def read_cfl(path: str | Path) -> Complex64[np.ndarray, "*dims"]:
    """An array of BART, mapped from its file and not to be written: its pages are read when they are used.

    Args:
        path: either of the two files, or their name without ending.

    Returns:
        The array with the 16 dimensions of BART, in its order (first dimension fastest).

    Raises:
        FileNotFoundError: if one of the two files is missing.
        VolumeError: if the header has no dimensions, the data another size, or a value is not finite.
    """
    values = _mapped(path)
    flat = values.reshape(-1, order="F")
    for start in range(0, flat.size, BLOCK_BYTES // 8):
        block = flat[start : start + BLOCK_BYTES // 8]
        wrong = int(np.count_nonzero(~np.isfinite(block)))
        if wrong:
            raise VolumeError(path, "data", "finite values", f"{wrong} that are not, from entry {start} on")
    return values


def convert_cfl(
    source: str | Path,
    destination: str | Path,
    *,
    rows: int = 0,
    coils: int | None = None,
    transform: bool = False,
    acquisition: str = "BART",
    patient: str | None = None,
    field_strength: float | None = None,
    simulated: bool = False,
) -> VolumeHeader:
    """Convert fully sampled Cartesian k-space of BART to one volume of the fastMRI schema, atomically.

    BART's dimensions are 0 readout, 1 phase encode, 2 second phase encode or slices, 3 coils, 13 slices; zero
    frequency at `size // 2`, as here. All others must be 1. Oversampling stays: the header does not tell it.

    Args:
        source: either of the two files.
        destination: volume to write.
        rows: dimension of the readout, 0, 1 or 2; columns are the first of the others, slices what is left.
        coils: dimension of the coils; by default 3, or 2 where 3 has length 1 (some files leave no gap).
        transform: inverse FFT along the dimension of the slices, for 3-D scans.
        acquisition, patient: as the volume shall say; the patient is the file's name by default.
        field_strength: in T, if known.
        simulated: whether the data is; no header tells.

    Raises:
        FileNotFoundError: if there is no source.
        VolumeError: if it is damaged, has a column of zeros (not looked for in 3-D) or other dimensions.
    """
    dims = _mapped(source).shape
    if coils is None:
        coils = 2 if dims[COILS] == 1 and rows != 2 else COILS
    if rows not in (0, 1, 2) or not 2 <= coils < DIMENSIONS or rows == coils:
        expected = "dimension 0, 1 or 2 for rows and another, 2 to 15, for coils"
        raise VolumeError(source, "dimensions", expected, f"{rows} and {coils}", "name them in the options")
    columns, *left = (axis for axis in (0, 1, 2) if axis not in (rows, coils))
    depth = [axis for axis in (*left, SLICES) if axis != coils and dims[axis] > 1][:1] or [SLICES]
    axes = (depth[0], coils, rows, columns)
    others = [axis for axis in range(DIMENSIONS) if axis not in axes and dims[axis] > 1]
    if others or len(set(axes)) < 4:
        expected = f"length 1 but for slices, coils, rows, columns in {axes}"
        raise VolumeError(source, "dimensions", expected, f"{dims}", "name rows and coils in the options")
    order = axes + tuple(axis for axis in range(DIMENSIONS) if axis not in axes)
    slices, count, height, width = (dims[axis] for axis in axes)
    write_volume(
        destination,
        _slices(source, order, (slices, count, height, width), transform and slices > 1),
        shape=(slices, count, height, width),
        target=(height, width),
        header=new_header(
            matrix=(height, width), target=(height, width), coils=count, field_strength=field_strength
        ),
        acquisition=acquisition,
        patient=Path(source).stem if patient is None else patient,
        source=f"BART {Path(source).stem}" + (", simulated" if simulated else ""),
        simulated=simulated,
        attributes={"sampled_fraction": 1.0},
    )
    return read_header(destination)


def _slices(
    source: str | Path, order: tuple[int, ...], shape: tuple[int, int, int, int], transform: bool
) -> Iterator[Complex64[np.ndarray, "coil ky kx"]]:
    """Slices one by one. The file is mapped anew each time: pages that are mapped count as memory."""

    def stored() -> Complex64[np.ndarray, "slice coil row column"]:
        return _mapped(source).transpose(order).reshape(shape)

    images = None
    if transform:
        images = np.empty(shape, np.complex64)
        # along the slowest axis of the file, so that each piece of it is mapped once
        slowest = max(range(4), key=lambda axis: order[axis] if shape[axis] > 1 else -1)
        for number in range(shape[slowest]):
            index = (slice(None),) * slowest + (number,)
            images[index] = stored()[index]
        energy = [np.square(abs(plane), dtype=np.float64).sum() for plane in images]
        center = strongest_line(np.array(energy))
        if centering(center, shape[0], source, "data: partitions"):
            expected = f"most energy at {shape[0] // 2}, the middle of {shape[0]}"
            raise VolumeError(source, "data: partitions", expected, f"{center}", "put it there")
        step = max(1, BLOCK_BYTES // (images.nbytes // shape[3]))
        for start in range(0, shape[3], step):
            block = np.ascontiguousarray(images[..., start : start + step])
            images[..., start : start + step] = centered_ifft(block, (0,))
    for position in range(shape[0]):
        kspace = stored()[position] if images is None else images[position]
        kspace = np.ascontiguousarray(kspace)
        if not np.isfinite(kspace).all():
            raise VolumeError(source, f"data: slice {position}", "finite values", "some that are not")
        empty = np.flatnonzero(~kspace.any(axis=(0, 1)))
        if empty.size and not transform:
            found = f"{shape[3] - empty.size}"
            raise VolumeError(source, f"data: slice {position}", f"{shape[3]} columns, all sampled", found)
        yield kspace


def _mapped(path: str | Path) -> Complex64[np.ndarray, "*dims"]:
    stem = Path(path)
    if stem.suffix in (".cfl", ".hdr"):
        stem = stem.with_suffix("")
    data, header = (stem.with_name(stem.name + ending) for ending in (".cfl", ".hdr"))
    for file in (data, header):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: expected a pair of .cfl and .hdr, got one; copy both")
    with header.open("rb") as opened:
        lines = opened.read(LONGEST_HEADER).decode("ascii", "replace").splitlines()
    titles = [number for number, line in enumerate(lines) if line.strip() == "# Dimensions"]
    numbers = lines[titles[0] + 1].split() if titles and titles[0] + 1 < len(lines) else []
    if not (1 <= len(numbers) <= DIMENSIONS and all(_is_length(number) for number in numbers)):
        expected = f"up to {DIMENSIONS} lengths in the line after `# Dimensions`"
        raise VolumeError(header, "header", expected, f"{numbers or lines[:2]}"[:100])
    dims = tuple(int(number) for number in numbers) + (1,) * (DIMENSIONS - len(numbers))
    size = data.stat().st_size
    if 8 * math.prod(dims) != size:
        raise VolumeError(data, "data", f"{8 * math.prod(dims)} bytes from the header", f"{size}")
    return np.memmap(data, np.dtype("<c8"), mode="r", shape=dims, order="F")


def _is_length(number: str) -> bool:
    return number.isascii() and number.isdigit() and 1 <= int(number[:10]) < 1 << 31

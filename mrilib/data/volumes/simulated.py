"""Volumes of multi-coil k-space made from real magnitude images, for the demo and for tests."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Complex64, Complex128, Float, Float64
from skimage.measure import block_reduce

from mrilib.data.volumes.centered_fft import centered_fft
from mrilib.data.volumes.fastmri import VolumeHeader, read_header, write_volume
from mrilib.data.volumes.scan_header import new_header

# Our choice, all in half widths of the field of view: where coils stand, and how far they see.
COIL_DISTANCE, COIL_REACH = 1.2, 0.9
# Our choice: largest phase, in rad, of a term of the coil's and of the image's polynomial.
COIL_PHASE, IMAGE_PHASE = 1.5, 1.0


def simulate_volume(
    images: Sequence[Float[np.ndarray, "y x"]],
    destination: str | Path,
    *,
    coils: int,
    rows: int,
    columns: int,
    noise: float,
    seed: int,
    shrink: int = 1,
    acquisition: str = "image",
    source: str = "images",
    patient: str | None = None,
) -> VolumeHeader:
    """Make one volume of the fastMRI schema from magnitude images, one a slice; marked as simulated.

    `k_c = F(S_c · m · e^{iφ}) + n` with the image `m`, of means over `shrink × shrink` pixels, cropped or
    padded with zeros to `(rows, columns)` about its middle and turned upside down as fastMRI's images stand;
    coil maps `S` as `simulated_coil_maps` makes them and a phase `φ` as `smooth_phase`, both the same for all
    slices; and white complex Gaussian noise of one variance for all slices, `E‖n‖² = noise² · ‖k‖²` over the
    volume. All of it is our choice.

    Args:
        images: real numbers >= 0, such as `read_image` gives.
        destination: volume to write, atomically.
        coils, rows, columns: sizes of k-space.
        noise: relative level; 0 for none.
        seed: of coil maps, phase and noise; the same seed gives the same volume.
        shrink: pixels of an image along a side of one of the volume's.
        acquisition, source: what the images are; "simulated" is put before both.
        patient: the destination's name by default.

    Raises:
        ValueError: if there is no image, one is negative, not finite or all zero, or a number is out of
            range.
    """
    where = f"simulate_volume: {destination}"
    if min(coils, shrink) < 1 or min(rows, columns) < 2 or not 0.0 <= noise < math.inf:
        found = f"coils={coils}, shrink={shrink}, rows={rows}, columns={columns}, noise={noise}"
        raise ValueError(
            f"{where}: expected coils >= 1, shrink >= 1, rows and columns >= 2, noise >= 0, got {found}"
        )
    if not len(images):
        raise ValueError(f"{where}: expected at least one image, got none")
    if shrink > 1:
        images = [block_reduce(image, shrink, np.mean) for image in images]
    magnitudes = [_fitted(image, rows, columns, f"{where}: image {i}") for i, image in enumerate(images)]
    generator = np.random.default_rng([seed, 0])
    maps = simulated_coil_maps(coils, rows, columns, generator)
    turn = np.exp(1j * smooth_phase(rows, columns, generator, IMAGE_PHASE))
    # Maps have unit energy and the transform is orthonormal, so k-space has the energy of the images.
    energy = sum(float(np.square(magnitude).sum()) for magnitude in magnitudes)
    deviation = noise * math.sqrt(energy / (len(magnitudes) * coils * rows * columns))

    def kspace(position: int) -> Complex64[np.ndarray, "coil ky kx"]:
        drawn = np.random.default_rng([seed, 1, position]).normal(size=(2, coils, rows, columns))
        clean = centered_fft(maps * (magnitudes[position] * turn), (1, 2))
        return (clean + deviation / math.sqrt(2.0) * (drawn[0] + 1j * drawn[1])).astype(np.complex64)

    write_volume(
        destination,
        (kspace(position) for position in range(len(magnitudes))),
        shape=(len(magnitudes), coils, rows, columns),
        target=(rows, columns),
        header=new_header(matrix=(rows, columns), target=(rows, columns), coils=coils),
        acquisition=f"simulated {acquisition}",
        patient=Path(destination).stem if patient is None else patient,
        source=f"simulated from {source}, relative noise {noise:g}, seed {seed}",
        simulated=True,
        attributes={"sampled_fraction": 1.0},
    )
    return read_header(destination)


def simulated_coil_maps(
    coils: int, rows: int, columns: int, generator: np.random.Generator
) -> Complex128[np.ndarray, "{coils} {rows} {columns}"]:
    """Coils on a circle around the field of view: Gaussian profile, smooth phase, `Σ|S_c|² = 1` everywhere.

    `S_c ∝ exp(−|r − p_c|² / 2w²) · e^{iφ_c}`, `r` in half widths of the field of view, `p_c` at distance 1.2
    and nearly equal angles, `w = 0.9`. A model in the image plane and not Biot and Savart's law: our choice.
    """
    y, x = _coordinates(rows, columns)
    angles = 2.0 * np.pi * (np.arange(coils) + generator.uniform(-0.2, 0.2, coils)) / coils
    maps = np.empty((coils, rows, columns), np.complex128)
    for coil, angle in enumerate(angles):
        center = COIL_DISTANCE * np.array([np.sin(angle), np.cos(angle)])
        profile = np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2.0 * COIL_REACH**2))
        maps[coil] = profile * np.exp(1j * smooth_phase(rows, columns, generator, COIL_PHASE))
    return maps / np.sqrt((abs(maps) ** 2).sum(axis=0))


def smooth_phase(
    rows: int, columns: int, generator: np.random.Generator, largest: float
) -> Float64[np.ndarray, "{rows} {columns}"]:
    """A polynomial of second degree in both coordinates, coefficients uniform in ±`largest`, in rad."""
    y, x = _coordinates(rows, columns)
    terms = (np.ones_like(y * x), y, x, y * y, y * x, x * x)
    return sum(
        coefficient * term
        for coefficient, term in zip(generator.uniform(-largest, largest, len(terms)), terms, strict=True)
    )


def _coordinates(
    rows: int, columns: int
) -> tuple[Float64[np.ndarray, "{rows} 1"], Float64[np.ndarray, "1 {columns}"]]:
    """From −1 to 1 over the field of view, 0 at `size // 2`."""
    y, x = (2.0 * (np.arange(size) - size // 2) / size for size in (rows, columns))
    return y[:, None], x[None, :]


def _fitted(
    image: Float[np.ndarray, "y x"], rows: int, columns: int, where: str
) -> Float64[np.ndarray, "{rows} {columns}"]:
    """Cropped or padded about `size // 2`, upside down."""
    if not np.isfinite(image).all() or image.min() < 0 or not image.any():
        found = f"{image.min()} to {image.max()}"
        raise ValueError(f"{where}: expected finite magnitudes, not all zero, got {found}")
    fitted = np.zeros((rows, columns))
    pairs = [_overlap(length, size) for length, size in zip(image.shape, (rows, columns), strict=True)]
    fitted[pairs[0][1], pairs[1][1]] = image[pairs[0][0], pairs[1][0]]
    if not fitted.any():
        raise ValueError(f"{where}: expected something within {rows} × {columns} of its middle, got zeros")
    return fitted[::-1]


def _overlap(length: int, size: int) -> tuple[slice, slice]:
    """Which part of an axis goes to which part of another one, their middles together."""
    shift = size // 2 - length // 2
    first, last = max(0, -shift), min(length, size - shift)
    return slice(first, last), slice(first + shift, last + shift)

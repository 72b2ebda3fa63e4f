"""Small volumes that look like scans: ellipses under smooth coil maps with a little noise."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mrilib.data.volumes.centered_fft import centered_fft, centered_ifft
from mrilib.data.volumes.scan_header import new_header
from mrilib.data.volumes.simulated import simulated_coil_maps, smooth_phase

ROWS, COLUMNS = 48, 64


def scan_kspace(
    slices: int = 3,
    coils: int = 4,
    rows: int = ROWS,
    columns: int = COLUMNS,
    *,
    seed: int = 0,
    noise: float = 2e-3,
) -> np.ndarray:
    """`(slice, coil, row, column)`, complex64, values about 1e-4 as fastMRI's; no two slices are alike."""
    generator = np.random.default_rng(seed)
    maps = simulated_coil_maps(coils, rows, columns, generator)
    turn = np.exp(1j * smooth_phase(rows, columns, generator, 0.5))
    kspace = np.stack(
        [centered_fft(maps * ellipses(rows, columns, [seed, z]) * turn, (1, 2)) for z in range(slices)]
    )
    drawn = generator.normal(size=(2, *kspace.shape))
    return (1e-4 * (kspace + noise * abs(kspace).std() * (drawn[0] + 1j * drawn[1]))).astype(np.complex64)


def ellipses(rows: int, columns: int, seed: Any) -> np.ndarray:
    """A head of ellipses, without any symmetry."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = 1.0 * ((x / 0.7) ** 2 + ((y - 0.05) / 0.85) ** 2 < 1)
    for _ in range(6):
        left, top, wide, high, value = generator.uniform(
            (-0.4, -0.5, 0.08, 0.08, -0.5), (0.4, 0.5, 0.3, 0.3, 0.7)
        )
        image += value * (((x - left) / wide) ** 2 + ((y - top) / high) ** 2 < 1)
    return abs(image)


def rss_of(kspace: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """RSS images in double precision, cropped as fastMRI crops."""
    images = centered_ifft(kspace.astype(np.complex128), (-2, -1))
    found = np.sqrt((abs(images) ** 2).sum(-3)) if kspace.ndim == 4 else abs(images)
    rows, columns = size or found.shape[-2:]
    top, left = (found.shape[-2] - rows) // 2, (found.shape[-1] - columns) // 2
    return found[..., top : top + rows, left : left + columns].astype(np.float32)


def write_scan(path: Path, kspace: np.ndarray, **changes: Any) -> Path:
    """A volume as fastMRI's own are: no word of where it comes from.

    `changes` are datasets (`None`: left out), and `attributes`, of which `None` leaves one out.
    """
    target = changes.pop("target", rss_of(kspace))
    rows, columns = kspace.shape[-2:]
    contents = {
        "kspace": kspace,
        "reconstruction_rss": target,
        "ismrmrd_header": new_header(matrix=(rows, columns), target=(rows, columns), coils=kspace.shape[1]),
    }
    attributes = {"acquisition": "AXT2", "patient_id": f"subject-{path.stem}"}
    if target is not None:
        attributes |= {"max": target.max(), "norm": np.linalg.norm(target)}
    attributes |= changes.pop("attributes", {})
    contents |= changes
    with h5py.File(path, "w") as file:
        for name, values in contents.items():
            if values is not None:
                file[name] = values
        file.attrs.update({name: value for name, value in attributes.items() if value is not None})
    return path

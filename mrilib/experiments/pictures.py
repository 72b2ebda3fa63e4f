"""Images for the figures, from what the jobs stored: in units of the image maximum, and upright."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mrilib.attacks.places import grid_places
from mrilib.data.measurement import Measurement
from mrilib.experiments.assessment import OURS, assess
from mrilib.experiments.stored import ImageResults, read_results
from mrilib.metrics.artifacts import amplification, severity
from mrilib.operators.coil_images import crop_corner
from mrilib.store.arrays import Group


@dataclass(frozen=True)
class AttackPicture:
    """An attack as a figure shows it: images, numbers, and severities by place.

    `image` is `x`, `perturbed` `x + r`, `clean` `rec(y)`, `reconstruction` `rec(y + e)`, `added` `r` and
    `artifact` `ρ`. `clean_ssim` and `ssim` are those of both reconstructions, with the maximum of the volume.

    Images are the middle that the reference shows, divided by its maximum. Those of scans are turned
    upright, for they are stored upside down; so are the location and the map of severities. With several
    coils `x` has no phase, and `|r|` is added to it. `severity` is that of the whole grid. Where the location
    is outside the reference it is (−1, −1), as it is for an attack on the whole image.

    `severities` are those after the search's first round, when every place had the same number of steps;
    NaN where a place was left out. `places` are row and column of each in the image, NaN where it was left
    out or is outside the reference. `alpha` is NaN where a method has no amplification. `picture` says what
    was added to `x`.
    """

    image: np.ndarray
    perturbed: np.ndarray
    clean: np.ndarray
    reconstruction: np.ndarray
    added: np.ndarray
    artifact: np.ndarray
    location: tuple[int, int]
    alpha: float
    severity: float
    clean_ssim: float
    ssim: float
    severities: np.ndarray | None
    places: np.ndarray | None
    picture: str


def attack_picture(
    results: ImageResults, attack: str, level: float, *, made_for: str | None = None
) -> AttackPicture | None:
    """The stored attack of a level, at the tuned weight; `None` where it failed.

    Args:
        results: what is stored of the image under the method that reconstructs.
        attack: its name.
        level: relative.
        made_for: another method, whose perturbation is shown instead.
    """
    found = results.perturbation(attack, level, made_for=made_for)
    before = results.clean_before(found)
    if found.failed or "failed" in before.attributes:
        return None
    measurement = results.measurement
    peak, coils = float(measurement.reference.max()), bool(results.root.get("coils", 0))
    picture = results.picture(found)
    artifact, _ = results.artifact(found.unit, before)
    added = measurement.compared(picture.abs() if coils else picture)
    clean, reconstruction = (torch.from_numpy(each.arrays["reconstruction"]) for each in (before, found.unit))
    severities = found.unit.arrays.get("severities_first_round")
    about = found.unit.attributes
    return AttackPicture(
        image=shown(measurement, measurement.reference),
        perturbed=shown(measurement, measurement.reference + added),
        clean=shown(measurement, measurement.compared(clean)),
        reconstruction=shown(measurement, measurement.compared(reconstruction)),
        added=shown(measurement, added),
        artifact=shown(measurement, measurement.compared(artifact)),
        location=_location(measurement, picture, about.get("row", -1), about.get("column", -1)),
        alpha=float(amplification(artifact, picture)) if results.has_amplification else float("nan"),
        severity=float(severity(artifact)) / peak,
        clean_ssim=_ssim(measurement, before),
        ssim=_ssim(measurement, found.unit),
        severities=None if severities is None else _upright(measurement, severities) / peak,
        places=None
        if severities is None
        else _places(results, len(severities), about.get("region", "image")),
        picture=picture_of(measurement),
    )


@dataclass(frozen=True)
class CleanPicture:
    """A method's reconstruction of clean data on the whole grid; `None` where it failed, and why."""

    image: np.ndarray | None
    ssim: float
    psnr: float
    failed: str


def clean_pictures(measurement: str | Path, reconstructions: Iterable[str | Path]) -> dict[str, CleanPicture]:
    """What each method made of an image, by its name: tuned on clean data, or for the lowest level."""
    found = {}
    for path in reconstructions:
        results = read_results(measurement, path)
        if results is None:
            continue
        unit = results.clean(results.lowest_tuning)
        failed = str(unit.attributes.get("failed", ""))
        image = None if failed else unit.arrays["reconstruction"]
        scores = dict.fromkeys(("ssim", "psnr"), float("nan"))
        if image is not None:
            target = results.measurement
            scores = assess(image, target.reference.numpy(), maximum=target.maximum)
        found[str(results.root["method"])] = CleanPicture(image, scores["ssim"], scores["psnr"], failed)
    return found


def picture_title(measurement: Measurement) -> str:
    """What an image is: volume and slice of a scan, source and position of another."""
    about = measurement.about
    made = ", simulated" if about.get("simulated") else ""
    if "volume" in about and "slice" in about:
        return f"{about['volume']}, slice {about['slice']}{made}"
    return f"{about.get('source', 'image')} {about.get('position', '')}{made}"


def picture_of(measurement: Measurement) -> str:
    """How a perturbation of these data is shown: see `AttackPicture`."""
    return "|Aᴴe|" if is_scan(measurement) else "A†e"


def shown(measurement: Measurement, image: Tensor) -> np.ndarray:
    """An image of the reference's size, upright, in units of the reference's maximum."""
    return _upright(measurement, (image / measurement.reference.max()).numpy())


def is_scan(measurement: Measurement) -> bool:
    """Whether images are stored as scans are, upside down: as in fastMRI, and with a coil axis."""
    return measurement.kspace.ndim == 3


def zero_filled(measurement: Measurement) -> np.ndarray:
    """`A†y`, or with several coils `Aᴴy` as coils see it, as `shown`."""
    operator = measurement.operator
    image = operator.seen(operator.to_image(measurement.kspace))
    return shown(measurement, measurement.compared(image))


def _ssim(measurement: Measurement, unit: Group) -> float:
    """SSIM of a stored reconstruction, as scores have it."""
    image, reference = unit.arrays["reconstruction"], measurement.reference.numpy()
    return assess(image, reference, maximum=measurement.maximum, metrics={"ssim": OURS["ssim"]})["ssim"]


def _upright(measurement: Measurement, array: np.ndarray) -> np.ndarray:
    return np.flipud(array).copy() if is_scan(measurement) else array


def _places(results: ImageResults, grid: int, region: Literal["image", "object"]) -> np.ndarray:
    """Row and column of every place of an attack's grid, `(grid, grid, 2)`."""
    measurement = results.measurement
    cells, taken = grid_places(results.operator, grid, region, measurement.reference)
    height, width = measurement.reference.shape
    corner = torch.tensor(crop_corner(results.operator.mask.shape, (height, width)))
    places = (cells - corner).numpy().astype(float)
    outside = (places < 0).any(axis=1) | (places[:, 0] >= height) | (places[:, 1] >= width)
    places[outside | ~taken.numpy()] = np.nan
    if is_scan(measurement):
        places[:, 0] = height - 1 - places[:, 0]
    return _upright(measurement, places.reshape(grid, grid, 2))


def _location(measurement: Measurement, whole: Tensor, row: int, column: int) -> tuple[int, int]:
    """A place of the whole grid in the image as it is shown."""
    height, width = measurement.reference.shape
    top, left = crop_corner(whole.shape, (height, width))
    row, column = int(row) - top, int(column) - left
    if not (0 <= row < height and 0 <= column < width):
        return -1, -1
    return (height - 1 - row if is_scan(measurement) else row), column


def noise_and_feature(
    image: np.ndarray, *, level: float, feature_radius: float, seed: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """The image plus real white noise, and plus a flat disk, both of norm `level·‖x‖₂`.

    The disk stands where the image is largest on average over it, so that its height reads against tissue.

    Args:
        image: `x`.
        level: relative norm.
        feature_radius: of the disk, in pixels (our choice; the paper's feature is not described).
        seed: of the noise.

    Returns:
        Noisy image, image with the disk, row and column of the disk's centre.

    Source: [alaifari2023], Fig. 1.
    """
    norm = level * np.linalg.norm(image)
    noise = np.random.default_rng(seed).standard_normal(image.shape)
    height, width = image.shape
    rows, columns = np.arange(height) - height // 2, np.arange(width) - width // 2
    disk = (rows[:, None] ** 2 + columns[None, :] ** 2 <= feature_radius**2).astype(float)
    means = np.fft.ifft2(np.fft.fft2(image) * np.conj(np.fft.fft2(np.fft.ifftshift(disk)))).real
    # As far from the edges as the image allows.
    margin = min(int(4 * feature_radius), (min(image.shape) - 1) // 2)
    inner = means[margin : height - margin, margin : width - margin]
    row, column = (int(index) + margin for index in np.unravel_index(inner.argmax(), inner.shape))
    feature = np.roll(disk, (row - height // 2, column - width // 2), (0, 1))
    noisy = image + noise * (norm / np.linalg.norm(noise))
    return noisy, image + feature * (norm / np.linalg.norm(feature)), (row, column)

"""Images for the figures, from what the jobs stored."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mrilib.metrics.artifacts import amplification, severity
from mrilib.operators.base import fft2c, ifft2c
from mrilib.store.arrays import group_names, read_group


@dataclass(frozen=True)
class AttackPicture:
    """An attack as a figure shows it: `x`, `x + A†e`, `rec(y + e)`, its numbers, and severities by place.

    `severities` are those after the search's first round, when every place had the same number of steps.
    """

    image: np.ndarray
    perturbed: np.ndarray
    reconstruction: np.ndarray
    location: tuple[int, int]
    alpha: float
    severity: float
    severities: np.ndarray | None


def attack_picture(
    path: str | Path,
    attack: str,
    level: float,
    *,
    transfer: str | Path | None = None,
    made_for: str | None = None,
) -> AttackPicture | None:
    """The stored attack of a level, at the tuned weight; `None` where it failed.

    Args:
        path: what the attack job of a method stored.
        attack: its name.
        level: relative.
        transfer: what the transfer job of that method stored; where it repeated the attack, that one counts.
        made_for: another method, whose perturbation is shown instead, from `transfer`.
    """
    place = f"{attack}/{level:g}/1"
    name = f"perturbed/{place}" if made_for is None else f"carried/{made_for}/{place}"
    unit = read_group(path if transfer is None or name not in group_names(transfer) else transfer, name)
    if "failed" in unit.attributes:
        return None
    image = read_group(path, arrays=["image"]).arrays["image"]
    clean = read_group(path, f"clean/{level:g}/1", ["reconstruction"]).arrays["reconstruction"]
    image_perturbation = ifft2c(torch.from_numpy(unit.arrays["perturbation"]))
    artifact = torch.from_numpy(unit.arrays["reconstruction"] - clean)
    return AttackPicture(
        image=image,
        perturbed=image + image_perturbation.numpy(),
        reconstruction=unit.arrays["reconstruction"],
        location=(int(unit.attributes.get("row", -1)), int(unit.attributes.get("column", -1))),
        alpha=float(amplification(artifact, image_perturbation)),
        severity=float(severity(artifact)),
        severities=unit.arrays.get("severities_first_round"),
    )


def zero_filled(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`A†Ax` for a mask."""
    spectrum = fft2c(torch.from_numpy(image).to(torch.complex64)) * torch.from_numpy(mask)
    return ifft2c(spectrum).numpy()


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
    margin = int(4 * feature_radius)
    inner = means[margin : height - margin, margin : width - margin]
    row, column = (int(index) + margin for index in np.unravel_index(inner.argmax(), inner.shape))
    feature = np.roll(disk, (row - height // 2, column - width // 2), (0, 1))
    noisy = image + noise * (norm / np.linalg.norm(noise))
    return noisy, image + feature * (norm / np.linalg.norm(feature)), (row, column)

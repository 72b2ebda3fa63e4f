"""A volume's stored images, held against the RSS images of its k-space."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mrilib.data.volumes.foreign import VolumeError

Image = Float[np.ndarray, "y x"]

# Stored images may have been computed in single precision by another program.
TOLERANCE = 1e-3
# Our choice: an image that is farther from the RSS of k-space is another image.
OTHER_IMAGE = 1e-2
MEND = "correct the file, or leave the stored images out: those of k-space are taken then"


@dataclass(frozen=True)
class Match:
    """A stored image `t` against the RSS image `r` of its k-space.

    Args:
        ratio: `c = ⟨t, r⟩/⟨r, r⟩`, the stored image's unit over that of k-space.
        difference: `‖t − c·r‖₂/‖t‖₂`.
        like: what the stored image is instead, in words, where that is known.
    """

    ratio: float
    difference: float
    like: str = ""


def matched(target: Image, image: Image) -> Match:
    """Compare two images of one shape, the second of them not zero."""
    t, r = target.astype(np.float64), image.astype(np.float64)
    ratio, difference = _compared(t, r)
    if difference <= OTHER_IMAGE:
        return Match(ratio, difference)
    others = {
        "flipped along rows": r[::-1],
        "flipped along columns": r[:, ::-1],
        "turned by 180°": r[::-1, ::-1],
    }
    if r.shape[0] == r.shape[1]:
        others |= {
            "transposed: rows and columns are swapped": r.T,
            "turned by 90°": np.rot90(r),
            "turned by 270°": np.rot90(r, 3),
        }
    for name, other in others.items():
        for shift in ((0, 0), (1, 0), (0, 1), (1, 1)):
            if _compared(t, np.roll(other, shift, (0, 1)))[1] <= OTHER_IMAGE:
                return Match(ratio, difference, f"that image {name}")
    return Match(ratio, difference, _shift(t, r))


def check_targets(matches: Sequence[Match], name: str, path: str | Path) -> tuple[str, ...]:
    """Notes on a volume's stored images; the images of k-space are used, whatever they are.

    Raises:
        VolumeError: if one of them is another image than the RSS of its k-space, to 1 % in ‖·‖₂, or if their
            units differ between slices.
    """
    for position, match in enumerate(matches):
        if match.difference > OTHER_IMAGE:
            found = f"an image that differs from it by {100 * match.difference:.3g} %"
            like = f", like {match.like}" if match.like else ""
            raise VolumeError(
                path, f"{name}, slice {position}", "the RSS image of kspace", found + like, MEND
            )
    ratios = np.array([match.ratio for match in matches])
    if ratios.max() > (1 + OTHER_IMAGE) * ratios.min():
        expected = "one unit for all slices of kspace"
        found = f"stored images of {ratios.min():.4g} to {ratios.max():.4g} times their RSS"
        raise VolumeError(path, name, expected, found, MEND)
    notes = []
    if abs(ratios.mean() - 1) > TOLERANCE:
        notes.append(f"{name} is {ratios.mean():.4g} times the RSS of kspace: computed anew")
    if (worst := max(match.difference for match in matches)) > TOLERANCE:
        notes.append(f"{name} differs from the RSS of kspace by up to {100 * worst:.2g} %: computed anew")
    return tuple(notes)


def _compared(t: Image, r: Image) -> tuple[float, float]:
    # In units in which nothing overflows.
    top = r.max()
    r = r / top
    ratio = float(np.vdot(t, r) / np.vdot(r, r))
    norm = float(np.linalg.norm(t))
    return ratio / top, float(np.linalg.norm(t - ratio * r)) / norm


def _shift(t: Image, r: Image) -> str:
    """By how much the image is shifted, if that explains it."""
    spectrum = np.fft.rfft2(t / t.max()) * np.conj(np.fft.rfft2(r / r.max()))
    peak = np.unravel_index(int(np.argmax(np.fft.irfft2(spectrum, t.shape))), t.shape)
    shift = [
        int(place) if place <= side // 2 else int(place) - side
        for place, side in zip(peak, t.shape, strict=True)
    ]
    if _compared(t, np.roll(r, shift, (0, 1)))[1] <= 0.3:
        return f"that image shifted by {shift[0]} rows and {shift[1]} columns"
    return ""

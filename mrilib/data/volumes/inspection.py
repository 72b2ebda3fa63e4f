"""What the catalogue says of a volume: whether it can be used, what its slices are, what is odd about it."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrilib.data.catalogue import Entry, target_shape
from mrilib.data.coil_compression import CoilCompression
from mrilib.data.intensity import rss_target
from mrilib.data.volumes.fastmri import VolumeHeader, read_header
from mrilib.data.volumes.foreign import VolumeError, open_hdf5
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.kspace_statistics import noise_estimate
from mrilib.data.volumes.layout import Layout, find_layout
from mrilib.data.volumes.lines import SliceLines, VolumeLines, slice_lines, volume_lines
from mrilib.data.volumes.preparation import Preparation
from mrilib.data.volumes.targets import OTHER_IMAGE, TOLERANCE, Match, check_targets, matched

# What programs that remove names write for all patients; results of one patient are taken together.
NOBODY = {
    "",
    "anon",
    "anonymous",
    "anonymised",
    "anonymized",
    "anonymouspatient",
    "unknown",
    "none",
    "na",
    "nan",
    "null",
}


def inspect_volume(
    path: str | Path,
    *,
    dataset: str,
    anatomy: str,
    compression: CoilCompression | None = None,
    worker: Worker | None = None,
    throw: bool = False,
) -> list[Entry]:
    """Check a volume and describe each of its slices; reads the file twice, a slice at a time.

    What can be found from k-space is found there, and what the file says of it is held against that: stored
    images, their maximum and norm, the centre, padding, coils, sampled rows and columns, sizes of matrices.

    Args:
        path: file of the fastMRI schema.
        dataset: what the config calls the dataset.
        anatomy: as the config says.
        compression: of the coils; none by default.
        worker: child process for the check; by default one for this file.
        throw: raise what the volume is rejected for.

    Returns:
        An entry a slice; one entry with the reason if the volume is rejected: damaged, undersampled, or with
        stored images that are not those of its k-space.

    Raises:
        FileNotFoundError: if there is no file.
        VolumeError: if the volume is rejected, and `throw`.
    """
    if worker is None:
        with Worker() as own:
            return inspect_volume(
                path, dataset=dataset, anatomy=anatomy, compression=compression, worker=own, throw=throw
            )
    volume = Path(path).stem
    entry = Entry(dataset=dataset, volume=volume, path=str(path), anatomy=anatomy)
    try:
        header = worker.call(_header, path)
        entry = replace(entry, **header | {"patient": known_patient(header["patient"]) or volume})
        wanted = None if compression is None else asdict(compression)
        found = worker.call(_examine, path, wanted)
    except VolumeError as error:
        if throw:
            raise
        return [replace(entry, reason=_without_path(error))]
    return [
        replace(entry, **found["volume"], **about, slice=position, accepted=True)
        for position, about in enumerate(found["slices"])
    ]


def known_patient(name: str) -> str:
    """A patient's name, or nothing where it is a word that stands for every patient."""
    return "" if re.sub(r"[^a-z0-9]", "", name.lower()) in NOBODY else name


def _header(path: str) -> dict[str, Any]:
    """What an entry says of the header, in the child."""
    header = read_header(path)
    rows, columns = header.target_shape[1:] if header.target_shape else _without_target(header)
    return {
        "layout": header.layout,
        "acquisition": header.acquisition,
        "patient": header.patient,
        "field_strength": header.field_strength,
        "simulated": header.simulated,
        **dict(zip(("slices", "coils", "rows", "columns"), header.shape, strict=True)),
        "target_rows": rows,
        "target_columns": columns,
    }


def _without_target(header: VolumeHeader) -> tuple[int, int]:
    """Size of the reference where no image is stored: the header's, if it lies in k-space."""
    size = header.shape[2:]
    fits = all(side <= whole for side, whole in zip(header.recon, size, strict=True))
    return header.recon if fits else size


def _examine(path: str, compression: dict[str, Any] | None) -> dict[str, Any]:
    """Everything that an entry says of the arrays, in the child."""
    header = read_header(path)
    with open_hdf5(path) as file:
        layout = find_layout(file, path)
        slices = [slice_lines(layout.read_kspace(n), path, n) for n in range(layout.shape[0])]
        _refuse_undersampled(layout, slices[0], path)
        lines = volume_lines(slices, path)
        notes = [*_notes(header, lines, path), *lines.notes]
        if header.patient and not known_patient(header.patient):
            notes.append(f"patient {header.patient!r} is nobody: every volume counts as a patient of its own")
        live = layout.shape[1] - min(len(found.silent) for found in slices)
        share = None if compression is None else CoilCompression(**compression).share_of(live)
        prepared = Preparation(lines.moved, share)
        shape = target_shape(*layout.shape[2:], *(header.target_shape or (0, *_without_target(header)))[1:])
        abouts, matches, images = [], [], _Sizes()
        maximum = 0.0
        for position, found in enumerate(slices):
            stored = layout.read_kspace(position)
            kspace = prepared.apply(stored)
            image = _image(kspace, shape)
            whole = image if share is None else _image(torch.from_numpy(stored), shape)
            abouts.append(_slice(kspace, notes, position) | {"hash": found.digest[:16]})
            abouts[-1]["silent_coils"] = " ".join(map(str, found.silent))
            maximum = max(maximum, float(image.max()))
            images.add(whole)
            if (target := layout.read_target(position)) is not None:
                matches += _matches(target, stored, whole, path)
        volume = {
            "center_row": lines.center[0],
            "center_column": lines.center[1],
            "moved_rows": lines.moved[0],
            "moved_columns": lines.moved[1],
            "first_row": lines.acquired[0][0],
            "end_row": lines.acquired[0][1],
            "first_column": lines.acquired[1][0],
            "end_column": lines.acquired[1][1],
            "coil_share": share,
            "maximum": maximum,
        }
        if layout.mask is not None:
            notes.append("a mask in the file, which k-space does not follow: not used")
        volume |= _stored(header, layout, matches, images, notes)
    return {"volume": volume | {"notes": "; ".join(notes)}, "slices": abouts}


def _refuse_undersampled(layout: Layout, found: SliceLines, path: str) -> None:
    mask = layout.read_mask()
    if mask is not None and not mask.all() and not found.acquired[1][~mask].any():
        expected = f"{len(mask)} sampled columns"
        mend = "fully sampled k-space is needed"
        raise VolumeError(
            path, "mask", expected, f"{int(mask.sum())}: undersampled (a mask in the file)", mend
        )


def _slice(kspace: torch.Tensor, notes: list[str], position: int) -> dict[str, Any]:
    try:
        noise = noise_estimate(kspace)
    except ValueError:
        noise = None
        notes.append(f"slice {position}: too little of the high frequencies to tell the noise")
    shape = (kspace.shape[-2], kspace.shape[-1])
    return {"used_coils": len(kspace), "scale": float(rss_target(kspace, shape).max()), "noise": noise}


@dataclass
class _Sizes:
    """Maximum and Euclidean norm of the images of a volume."""

    maximum: float = 0.0
    squares: float = 0.0

    def add(self, image: np.ndarray) -> None:
        self.maximum = max(self.maximum, float(image.max()))
        self.squares += float(np.square(image, dtype=np.float64).sum())


def _matches(stored: np.ndarray, kspace: np.ndarray, image: np.ndarray, path: str) -> list[Match]:
    """The stored image against the RSS image of its k-space; nothing where it is larger than that.

    Raises:
        VolumeError: if it is larger because rows and columns are exchanged.
    """
    if stored.shape == image.shape:
        return [matched(stored, image)]
    turned = (stored.shape[1], stored.shape[0])
    fits = all(side <= whole for side, whole in zip(turned, kspace.shape[-2:], strict=True))
    if fits and matched(stored.T, _image(torch.from_numpy(kspace), turned)).difference <= OTHER_IMAGE:
        mend = "exchange the last two axes of kspace, so that rows are the readout"
        raise VolumeError(path, "stored images", "the RSS image of kspace", "that image transposed", mend)
    return []


def _image(kspace: torch.Tensor, shape: tuple[int, int]) -> np.ndarray:
    image: np.ndarray = rss_target(kspace, shape).numpy()
    return image


def _stored(
    header: VolumeHeader, layout: Layout, matches: Sequence[Match], images: _Sizes, notes: list[str]
) -> dict[str, Any]:
    """What the file says of its images, against those of all coils of k-space."""
    ratio = None
    if layout.target is None:
        notes.append("no stored image: the RSS of kspace is the reference")
    elif matches:
        name = layout.target.name.strip("/")
        notes += check_targets(matches, name, layout.path)
        ratio = float(np.mean([match.ratio for match in matches]))
    else:
        notes.append(f"{layout.target.name.strip('/')} is larger than k-space: not compared")
    ratios = []
    own = {"max": images.maximum, "norm": math.sqrt(images.squares)}
    for what, said in (("max", header.maximum), ("norm", header.norm)):
        ratios.append(None if said is None else said / own[what])
        expected = own[what] * (ratio or 1.0)
        if said is None:
            notes.append(f"no attribute {what}: computed")
        elif matches and not math.isclose(said, expected, rel_tol=TOLERANCE):
            notes.append(f"attribute {what} is {said:g}, that of the images {expected:g}: computed anew")
    return {
        "target_ratio": ratio,
        "target_difference": max((match.difference for match in matches), default=None),
        "maximum_ratio": ratios[0],
        "norm_ratio": ratios[1],
    }


def _notes(header: VolumeHeader, lines: VolumeLines, path: str) -> list[str]:
    """What the header says otherwise than k-space.

    Raises:
        VolumeError: if rows and columns are exchanged.
    """
    size, notes = header.shape[2:], []
    if header.encoded != size:
        if header.encoded == size[::-1]:
            expected = f"{size[0]} rows (readout) × {size[1]} columns in encodedSpace, as kspace"
            mend = "exchange the last two axes of kspace, or x and y of the header"
            raise VolumeError(path, "ismrmrd_header", expected, f"{size[1]} × {size[0]}", mend)
        notes.append(
            f"encodedSpace is {header.encoded[0]} × {header.encoded[1]}, kspace {size[0]} × {size[1]}"
        )
    if header.target_shape is not None and header.recon != header.target_shape[1:]:
        rows, columns = header.target_shape[1:]
        notes.append(
            f"reconSpace is {header.recon[0]} × {header.recon[1]}, the stored image {rows} × {columns}"
        )
    if header.channels is not None and header.channels != header.shape[1] and header.layout == "multi-coil":
        notes.append(f"the header says {header.channels} coils, kspace has {header.shape[1]}")
    first, end = lines.acquired[1]
    if header.padding != (first, end):
        left, right = header.padding
        notes.append(
            f"the header says that columns {left} to {right - 1} were acquired, kspace {first} to {end - 1}"
        )
    return notes


def _without_path(error: VolumeError) -> str:
    """What is wrong, without the path, which has a column of its own."""
    return f"{error.dataset}: expected {error.expected}, got {error.found}; {error.mend}"

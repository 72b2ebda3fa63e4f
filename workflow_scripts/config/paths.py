"""The files and folders that a config names: whether they are there and can be read."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mrilib.data.downloads.mail import read_mail
from mrilib.data.downloads.manifest import read_manifest
from mrilib.data.images.files import SAMPLES, list_images, resolve_path
from workflow_scripts.config.config import Config
from workflow_scripts.config.entries import CHECKPOINTS, word_of
from workflow_scripts.config.images import Files
from workflow_scripts.config.scans import Drawn, FastMRI, Raw, Simulated

NIFTI = (".nii", ".nii.gz")


def unreadable(config: Config) -> Iterator[str]:
    """One line for every path that leads to nothing that a job could read.

    What the workflow fetches itself need not be there.
    """
    downloads = Path(config.downloads)
    if downloads.exists() and not (downloads.is_dir() and os.access(downloads, os.W_OK | os.X_OK)):
        yield f"downloads: expected a folder to write to, got {downloads}; choose another"
    for name, dataset in config.datasets.items():
        where = f"datasets.{name}"
        if isinstance(dataset, FastMRI):
            yield from _fastmri(where, dataset, downloads / "fastmri" / name)
        elif isinstance(dataset, Raw):
            for volume, entry in dataset.volumes.items():
                reader = word_of("reader", entry.described["class"])
                yield from _raw_file(f"{where}.volumes.{volume}.file", entry.file, reader)
        elif isinstance(dataset, Simulated):
            for volume, drawn in dataset.volumes.items():
                yield from _drawn(f"{where}.volumes.{volume}", drawn)
    for name, annotations in config.annotations.items():
        yield from _file(f"annotations.{name}.file", annotations.file)
    for name, source in config.images.items():
        if isinstance(source, Files):
            yield from _images(f"images.{name}", source)
    for name, method in config.methods.items():
        for argument in [name for name in CHECKPOINTS if name in method.arguments]:
            given, where = method.arguments[argument], f"methods.{name}.parameters.{argument}"
            if method.training is not None:
                yield f"{where}: the method has a training, which makes its own; leave one of them out"
            elif isinstance(given, str):
                yield from _file(where, given)


def _file(where: str, path: str) -> Iterator[str]:
    """A file that is read."""
    found = Path(path)
    if not os.path.lexists(found):
        yield f"{where}: {path} does not exist; correct the path{_folder_of(found)}"
    elif not os.path.exists(found):
        yield f"{where}: {path} is a link to nothing; mend the link"
    elif found.is_dir():
        yield f"{where}: {path} is a folder; name a file in it"
    elif found.stat().st_size == 0:
        yield f"{where}: {path} is empty (0 bytes); fetch it again"
    elif not os.access(found, os.R_OK):
        yield f"{where}: {path} cannot be read; mend its permissions (chmod u+r)"


def _folder_of(path: Path) -> str:
    """Where a path that is not absolute was looked for."""
    return "" if path.is_absolute() else f", which is taken from {Path.cwd()}"


def _fastmri(where: str, dataset: FastMRI, fetched: Path) -> Iterator[str]:
    for folder in dataset.folders:
        place, found = f"{where}.folders", Path(folder)
        if not os.path.exists(found):
            yield f"{place}: {folder} does not exist; name the folder with your volumes{_folder_of(found)}"
        elif not os.path.isdir(found):
            yield f"{place}: {folder} is a file; name the folder that it is in"
        elif not os.access(found, os.R_OK | os.X_OK):
            yield f"{place}: {folder} cannot be read; mend its permissions (chmod u+rx)"
        elif not any(name.endswith(".h5") and not name.startswith(".") for name in os.listdir(found)):
            yield (
                f"{place}: {folder} holds no volumes (*.h5); name the folder that holds them directly, such "
                "as multicoil_val"
            )
    if not dataset.archives:
        yield from _volumes_of_folders(where, dataset)
    files: tuple[tuple[str, str | None, Callable[[str], dict[str, object]]], ...]
    files = (("mail", dataset.mail, read_mail), ("manifest", dataset.manifest, read_manifest))
    for key, path, read in files:
        lines = [] if path is None else list(_file(f"{where}.{key}", path))
        yield from lines
        if path is None or lines:
            continue
        try:
            names = read(path)
        except (ValueError, OSError) as error:
            yield f"{where}.{key}: {error}"
            continue
        for archive in dataset.archives:
            if archive not in names and not (fetched / archive).exists():
                yield f"{where}.archives: {archive} is not in {path}, which has {', '.join(sorted(names))}"


def _volumes_of_folders(where: str, dataset: FastMRI) -> Iterator[str]:
    """The wanted volumes that no folder holds, where there is no archive that may."""
    folders = [Path(folder) for folder in dataset.folders if Path(folder).is_dir()]
    if len(folders) < len(dataset.folders):
        return
    for volume in dataset.volumes or []:
        if not any((folder / f"{Path(volume).stem}.h5").exists() for folder in folders):
            yield f"{where}.volumes: {volume} is in none of the folders; correct the name, or leave it out"


def _raw_file(where: str, path: str, reader: str) -> Iterator[str]:
    """A file of raw data; what a reader wants beside it, its job looks for, which rejects the volume."""
    if reader in ("bart", "ismrmrd") or not Path(path).is_dir():
        yield from _file(where, path)


def _resolved(where: str, path: str) -> tuple[Path, list[str]]:
    """The file that a path or `PACKAGE:NAME` means, and what is wrong with it."""
    package, colon, name = path.partition(":")
    if not colon or Path(path).exists():
        return Path(path), list(_file(where, path)) if not Path(path).is_dir() else []
    if package not in SAMPLES:
        known = ", ".join(SAMPLES)
        return Path(path), [
            f"{where}: {path} does not exist; packages that bring images are {known}; correct the name"
        ]
    try:
        found = resolve_path(path)
    except FileNotFoundError as error:
        return Path(path), [f"{where}: {error}"]
    if not found.is_file():
        return found, [f"{where}: {package} has no {name!r} in {found.parent}; correct the name"]
    return found, []


def _drawn(where: str, drawn: Drawn) -> Iterator[str]:
    found, lines = _resolved(f"{where}.file", drawn.file)
    yield from lines
    if not lines and found.is_dir():
        yield f"{where}.file: {drawn.file} is a folder; name a file in it"
    if drawn.slices is not None and not found.name.lower().endswith(NIFTI):
        yield f"{where}.slices: expected a NIfTI volume (.nii, .nii.gz), got {drawn.file}; leave slices out"


def _images(where: str, source: Files) -> Iterator[str]:
    lines, found = [], []
    for path in source.files:
        file, wrong = _resolved(f"{where}.files", path)
        lines += wrong
        found.append(file)
    yield from lines
    if lines:
        return
    folders = [path for path in found if path.is_dir()]
    if folders and source.test is None:
        yield f"{where}.test: the number of images is needed when files holds a folder ({folders[0]})"
    try:
        images = list_images(found)
    except OSError as error:
        yield f"{where}.files: {error}"
        return
    if source.test is not None and source.test > len(images):
        yield f"{where}.test: files holds {len(images)} images, got {source.test}; lower it, or add images"
    others = [image for image in images if not image.name.lower().endswith(NIFTI)]
    if source.slice is not None and others:
        yield f"{where}.slice: expected NIfTI volumes (.nii, .nii.gz), got {others[0]}; leave slice out"

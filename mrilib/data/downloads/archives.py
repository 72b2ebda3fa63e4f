"""Volumes from archives and from folders that are on disk already."""

import contextlib
import gzip
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO, cast

from mrilib.data.downloads.progress import Progress, amount
from mrilib.data.file_presence import found_instead
from mrilib.data.volumes.contents import BLOCK, GZIP_MARK, HEAD, TAR_MARK, XZ_MARK
from mrilib.store.atomic import atomic_path

# Our choice: headers of long names and of extended attributes take bytes, and are read into memory.
LONGEST_HEADER = 1 << 20
VOLUME_ENDING = ".h5"
# In lower case, of files that may be meant as volumes.
HDF5_ENDINGS = (VOLUME_ENDING, ".hdf5", ".hdf", ".he5")
_EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class ArchiveError(ValueError):
    """An archive that is damaged, of another kind, or holds what no archive of volumes holds."""


class _Damaged(ArchiveError):
    """Content that is wrong, so that what was read before it may be wrong too."""


def unpack(
    archive: str | Path,
    folder: str | Path,
    *,
    wanted: Callable[[str], bool] | Collection[str] | None = None,
) -> list[Path]:
    """Unpack chosen files of a `.tar.xz`, `.tar.gz` or `.tar` archive.

    The archive is read once, from its beginning, and nothing but the wanted files is written. A file comes to
    `folder/INNER/NAME`, where `INNER` is the last folder in front of it in the archive (`multicoil_val`), or
    to `folder/NAME` if there is none: multi-coil and single-coil volumes have the same names. A file that is
    there with the same size is kept, so that a call that was broken off goes on; one of another size is never
    overwritten. Files whose names begin with a dot are skipped: volumes have no such names, and archives
    made on a Mac have `._NAME` beside each file.

    Cost: all that stands in front of the last wanted file is decompressed, by one thread. Measured on one CPU
    core with noisy complex64 k-space, 32 MB packed to 29 MB: xz 16 MB of archive a second, as the `xz`
    program, so 1.6 hours for 94 GB; gzip 150 MB/s; tar 1 GB/s. Memory: 0.1 GB at most.

    Args:
        archive: the file; its kind is told by its first bytes.
        folder: made if it is not there.
        wanted: of the names without folders: a test of a name; the names, and then reading ends when each
            has been found once, before the checksum of the archive; or `None` for all files.

    Returns:
        The wanted files that the archive holds, in its order. Names that it does not hold are no error: a
        set may be spread over several archives.

    Raises:
        FileNotFoundError: if there is no such archive.
        ArchiveError: if the archive is truncated (what was whole before is kept), damaged (what this call
            wrote is removed: the checksums of xz and gzip come after it) or no archive; if any member,
            wanted or not, has an absolute path or `..`, or is a link, a device or a sparse file (then nothing
            from there on is unpacked); if a wanted file claims more bytes than are free, or is there with
            another size.
        OSError: if a file cannot be written.
    """
    source, target = Path(archive), Path(folder)
    if isinstance(wanted, str):
        raise ValueError(f"unpack: expected a collection of names in wanted, got the text {wanted!r}")
    chosen = wanted if callable(wanted) else None if wanted is None else frozenset(wanted).__contains__
    missing = None if wanted is None or callable(wanted) else set(wanted)
    found: list[Path] = []
    written: list[Path] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_removed_if_damaged(written))
        content = stack.enter_context(_opened(source))
        with _explained(source):
            stream = cast(IO[bytes], content)
            members = stack.enter_context(
                tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK, tarinfo=_Header)
            )
        while missing is None or missing:
            with _explained(source):
                member = members.next()
                if member is None:
                    content.finish()
                    break
            path = _safe_path(source, member)
            if path is None or (chosen is not None and not chosen(path.name)):
                continue
            file = target / path.parent.name / path.name
            if _write(source, members, member, file):
                written.append(file)
            if file not in found:
                found.append(file)
            if missing is not None:
                missing.discard(path.name)
    return found


@dataclass(frozen=True)
class LinkedVolumes:
    """What stands in folders of volumes.

    Args:
        links: to the volumes, in the order of their names.
        rejected: names of what cannot be a volume although it is named like one, to the reasons.
    """

    links: list[Path]
    rejected: dict[str, str]


def link_volumes(folders: Collection[str | Path], destination: str | Path) -> LinkedVolumes:
    """Make `destination` hold symbolic links to the volumes (`*.h5`) that lie directly in `folders`.

    Volumes are never copied. Links to `.h5` files there that lead elsewhere are replaced or removed; anything
    but a link is left alone. Hidden files (names that begin with a dot) and files with endings other than
    those of HDF5 are passed over.

    One entry that cannot be a volume does not cost the others: a link that leads nowhere, an empty file, a
    file without the right to read it, a folder or a pipe named `x.h5`, a name that cannot be printed, and
    HDF5 under another ending than `.h5`, capitals among them, are rejected with the reason.

    Raises:
        FileNotFoundError: if a folder does not exist.
        ValueError: if there is no folder, if two different files have the same name, if a file of that name,
            not a link, is in `destination`, or if a folder holds no `*.h5`.
    """
    into = Path(destination)
    if not folders:
        raise ValueError(f"link_volumes: {into}: expected folders of volumes, got none")
    files: dict[str, Path] = {}
    for folder in map(Path, folders):
        for file in _hdf5_files(folder):
            other = files.setdefault(file.name, file.absolute())
            # Not `Path.resolve`, which a link to itself makes fail.
            if os.path.realpath(other) != os.path.realpath(file):
                raise ValueError(
                    f"link_volumes: expected one volume {_printable(file.name)}, got {_printable(other)} and "
                    f"{_printable(file)}; leave one out"
                )
    faults = {name: fault for name, file in sorted(files.items()) if (fault := _volume_fault(file))}
    volumes = {name: file for name, file in sorted(files.items()) if name not in faults}
    into.mkdir(parents=True, exist_ok=True)
    for name in volumes:
        if os.path.lexists(into / name) and not (into / name).is_symlink():
            raise ValueError(
                f"link_volumes: {into / name}: expected a link or nothing, got a file; choose a folder "
                "that holds nothing else"
            )
    for link in into.glob(f"*{VOLUME_ENDING}"):
        if link.is_symlink() and link.readlink() != volumes.get(link.name):
            link.unlink()
    for name, file in volumes.items():
        with contextlib.suppress(FileExistsError):
            (into / name).symlink_to(file)
    return LinkedVolumes(
        links=[into / name for name in volumes],
        rejected={_printable(name): fault for name, fault in faults.items()},
    )


def _hdf5_files(folder: Path) -> list[Path]:
    """What a folder holds under names of HDF5 files, with at least one of volumes."""
    if not folder.is_dir():
        raise FileNotFoundError(f"link_volumes: {folder}: expected a folder of volumes, got no folder")
    found = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in HDF5_ENDINGS and not file.name.startswith(".")
    ]
    if not any(file.suffix == VOLUME_ENDING for file in found):
        others = f" but {_printable(min(found).name)}, whose ending is another" if found else ""
        raise ValueError(
            f"link_volumes: {folder}: expected volumes (*{VOLUME_ENDING}), got none{others}; name the folder "
            "that holds them directly, such as multicoil_val"
        )
    return found


def _volume_fault(file: Path) -> str | None:
    """Why a file of a folder can be no volume."""
    shown = _printable(file)
    if not file.name.isprintable():
        return f"{shown}: expected a name that can be printed, got another; rename it"
    if file.suffix != VOLUME_ENDING:
        return f"{shown}: expected the ending {VOLUME_ENDING}, got {file.suffix}; rename it or leave it out"
    if found := found_instead(file):
        return f"{shown}: expected a file of a volume, got {_printable(found)}; mend it or leave it out"
    return None


def _printable(name: str | Path) -> str:
    """The name with escapes for what cannot be printed or is no text."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(name))


class _Header(tarfile.TarInfo):
    """A header that is refused where `tarfile` would end without a word, or take memory without limit."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # zeros are the end of the archive
            if any(buf):
                raise tarfile.ReadError(f"a damaged header: {error}") from None
            raise
        if header.size < 0 or (header.type in _EXTENSIONS and header.size > LONGEST_HEADER):
            raise tarfile.ReadError(f"a header that claims {header.size} bytes")
        return header


class _Content:
    """What an archive holds once decompressed. Reading past its end, where `tarfile` just stops, fails."""

    def __init__(self, stream: BufferedIOBase, file: BufferedIOBase, progress: Progress) -> None:
        self._stream, self._file, self._progress, self._at = stream, file, progress, 0

    def read(self, size: int) -> bytes:
        # Not `read`, which would lose what came before a break.
        block = self._stream.read1(size)
        at = self._file.tell()
        self._progress.add(at - self._at)
        self._at = at
        if not block:
            raise EOFError("it ends too early")
        return block

    def finish(self) -> None:
        """Read what follows the last file: the checksums of xz and gzip stand at the end."""
        while self._stream.read(BLOCK):
            pass


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[_Content]:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(BufferedReader(source.open("rb", buffering=0), BLOCK))
        head = file.read(HEAD)
        file.seek(0)
        if head.startswith(XZ_MARK):
            stream: BufferedIOBase = stack.enter_context(lzma.LZMAFile(file))
        elif head.startswith(GZIP_MARK):
            stream = stack.enter_context(gzip.GzipFile(fileobj=file))
        elif head[257:262] == TAR_MARK:
            stream = file
        else:
            got = f"a file that begins with {head[:8]!r}" if head else "an empty file"
            raise ArchiveError(
                f"unpack: {source}: expected an archive (xz, gzip or tar), got {got}; remove it and download "
                "it again"
            )
        progress = stack.enter_context(Progress(source.name, source.stat().st_size))
        yield _Content(stream, file, progress)


@contextlib.contextmanager
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        if isinstance(error, EOFError):
            raise ArchiveError(
                f"unpack: {source}: expected a whole archive, got a truncated one ({error}); remove it and "
                "download it again; the files that were whole stay unpacked"
            ) from error
        raise _Damaged(
            f"unpack: {source}: expected a whole archive, got a damaged one ({error}); remove it, and what "
            "earlier calls unpacked from it, and download it again; what this call unpacked is removed"
        ) from error


@contextlib.contextmanager
def _removed_if_damaged(written: list[Path]) -> Iterator[None]:
    try:
        yield
    except _Damaged:
        for file in written:
            file.unlink()
        raise


def _safe_path(source: Path, member: tarfile.TarInfo) -> PurePosixPath | None:
    """The member's path; `None` for a folder and a hidden file."""
    path = PurePosixPath(member.name)
    fault = None
    if path.is_absolute():
        fault = "an absolute path"
    elif ".." in path.parts:
        fault = "a path with `..`"
    elif member.issym() or member.islnk():
        fault = "a link"
    elif member.issparse():
        fault = "a sparse file"
    elif not (member.isreg() or member.isdir()):
        fault = "a device or a member of unknown kind"
    elif set(member.name) & {"\0", "\n"} or (member.isreg() and not path.name):
        # Lists of files have a name a line.
        fault = "a name that no volume can have"
    if fault:
        raise ArchiveError(
            f"unpack: {source}: expected files and folders inside the archive, got {fault}: {member.name!r}; "
            "do not use this archive, download it again from its source"
        )
    return None if member.isdir() or path.name.startswith(".") else path


def _write(source: Path, members: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> bool:
    """Whether the file had to be written."""
    if file.exists():
        if file.stat().st_size == member.size:
            return False
        raise ArchiveError(
            f"unpack: {source}: expected {file} to have {member.size} bytes or not to be there, got "
            f"{file.stat().st_size} bytes; remove it, or unpack into another folder"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(file.parent).free
    if member.size > free:
        raise ArchiveError(
            f"unpack: {source}: expected at most {amount(free)} for {member.name!r}, which are free in "
            f"{file.parent}, got a claim of {amount(member.size)}; make room, or choose another folder"
        )
    content = cast(IO[bytes], members.extractfile(member))
    with content, atomic_path(file) as partial, partial.open("wb") as output:
        while True:
            with _explained(source):
                block = content.read(BLOCK)
            if not block:
                break
            try:
                output.write(block)
                # what is buffered belongs to this call's errors
                output.flush()
            except OSError as error:
                told = f"{error.strerror} while unpacking {source}; make room, or choose another folder"
                raise OSError(error.errno, told, str(file)) from error
    return True

"""Whether a file is whole and what it claims to be, without reading what is in it."""

import hashlib
import os
from pathlib import Path
from typing import Literal

import h5py

from mrilib.data.downloads.progress import Progress

Kind = Literal["hdf5", "archive"]

# First bytes that tell what a file is: at 257 an uncompressed tar has its mark.
HEAD = 512
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
XZ_MARK, GZIP_MARK, TAR_MARK = b"\xfd7zXZ\0", b"\x1f\x8b", b"ustar"
BLOCK = 1 << 20


def is_page(head: bytes) -> bool:
    """Whether first bytes are those of a page of HTML or XML."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def head_fault(head: bytes, kind: Kind | None) -> str | None:
    """What is wrong with the first bytes."""
    page = is_page(head)
    if kind == "hdf5":
        wanted, right = "an HDF5 file", head.startswith(HDF5_MARK)
    elif kind == "archive":
        wanted = "an archive (xz, gzip or tar)"
        right = head.startswith((XZ_MARK, GZIP_MARK)) or head[257:262] == TAR_MARK
    else:
        wanted, right = "data", bool(head) and not page
    if right:
        return None
    got = "a page of HTML or XML" if page else f"bytes {head[:8]!r}" if head else "an empty file"
    return f"expected {wanted}, got {got}"


def content_fault(path: Path, kind: Kind | None, sha256: str | None) -> str | None:
    """What is wrong with a file that should be whole."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(-min(4, len(head)), os.SEEK_END)
        tail = file.read()
    if fault := head_fault(head, kind):
        return fault
    if kind == "hdf5":
        try:
            # Unlocked: this process holds a lock on it, and some file systems have none.
            h5py.File(path, "r", locking=False).close()
        except OSError:
            return "expected a whole HDF5 file, got a truncated or damaged one"
    # zeros: padding that xz allows
    if kind == "archive" and head.startswith(XZ_MARK) and any(tail) and tail[-2:] != b"YZ":
        return "expected a whole xz file, got one without its end"
    if sha256 is not None and (found := _sha256(path)) != sha256.lower():
        return f"expected SHA-256 {sha256.lower()}, got {found}"
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file, Progress(f"checking {path.name}", path.stat().st_size) as progress:
        while block := file.read(BLOCK):
            digest.update(block)
            progress.add(len(block))
    return digest.hexdigest()

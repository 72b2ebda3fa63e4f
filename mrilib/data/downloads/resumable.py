"""Files from the network: resumed, checked, and under their name only when whole."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from mrilib.data.downloads.failures import (
    Changed,
    DownloadError,
    Interrupted,
    Refused,
    Unusable,
    UnusableFileError,
    fault_of,
    network,
)
from mrilib.data.downloads.progress import Progress, amount
from mrilib.data.file_presence import found_instead
from mrilib.data.volumes.contents import BLOCK, HEAD, Kind, content_fault, head_fault, is_page

ATTEMPTS = 8
STALL_SECONDS = 60.0
# Our choice: pauses of 1, 2, 4, … seconds up to this one; eight tries in a row wait for about two minutes.
LONGEST_PAUSE = 120.0


def download(
    url: str,
    destination: str | Path,
    *,
    sha256: str | None = None,
    kind: Kind | None = None,
    attempts: int = ATTEMPTS,
    stall_seconds: float = STALL_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Load `url` into the file `destination`, going on from what an earlier call or a broken try left.

    What has come lies beside the destination as `.NAME.partial`, and in `.NAME.partial.json` the ETag,
    Last-Modified and length of what it is a part of: never the URL, so that a new link to the same file
    goes on with the old part. If they differ from what the server has now, or if it cannot resume, the file
    is loaded from its beginning. The name appears when the content has its length (where the server
    gives it), the beginning and end of its kind, and its SHA-256 (where given, by reading it once more).

    Made with the standard library instead of the `curl` program: `curl --retry` cuts the file back to where
    the call began (curl issue 18035), does not notice that the file on the server has changed, and before
    version 7.76 cannot show why a server refused without writing that into the file (`--fail-with-body`).
    Proxies and certificates are taken from `http_proxy`, `https_proxy`, `no_proxy`, `SSL_CERT_FILE`,
    `SSL_CERT_DIR`; SOCKS proxies are not supported.

    Args:
        url: `http` or `https`; redirects are followed anew in every try.
        destination: a file there is kept if its content passes the same checks, without asking the server.
        sha256: 64 hexadecimal digits.
        kind: `hdf5`; `archive` (xz, gzip, tar); `None` for any other content but HTML and XML.
        attempts: tries in a row that bring nothing new before it gives up.
        stall_seconds: without a byte, after which a try is broken off. A slow server is no fault.
        pause: waits for a number of seconds.

    Returns:
        `destination`.

    Raises:
        DownloadError: if the server refuses, sends something else, or fails too often; if the content fails
            a check (then the part is removed); if the disk is full; if another process is loading the file.
            A link that has expired is recognised by the XML with which S3 answers 403 or 400.
        UnusableFileError: of these, if the server says that it has no such file (404, 410), or if the content
            fails a check and is surely what the server has: it said how long the file is, and parts, if it
            came in several, had one ETag or Last-Modified. Also if the file that is there fails a check.
        ValueError: if an argument is out of range.
    """
    site = without_query(url)
    if attempts < 1 or not stall_seconds > 0:
        raise ValueError(
            "download: expected attempts of at least 1 and stall_seconds above 0, "
            f"got {attempts} and {stall_seconds}"
        )
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"download: expected sha256 to be 64 hexadecimal digits, got {sha256!r}")
    final = Path(destination)
    if final.exists():
        if fault := _fault_of_file(final, kind, sha256):
            raise UnusableFileError(f"download: {final}: {fault}; remove this file to load it from {site}")
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with _partial(final, site) as partial:
        try:
            _load(url, partial, kind, attempts, stall_seconds, pause)
            if fault := content_fault(partial.path, kind, sha256):
                partial.remove()
                if not partial.certain:
                    raise Refused(f"{fault}; what came, in parts or without a length, was removed: run again")
                raise Unusable(
                    f"{fault}; what came was removed: compare with the checksum and size that the source "
                    "gives now"
                )
            partial.publish(final)
        except Unusable as fault:
            raise UnusableFileError(f"download {site}: {fault}{partial.kept()}") from None
        except Refused as fault:
            raise DownloadError(f"download {site}: {fault}{partial.kept()}") from None
    return final


def without_query(url: str) -> str:
    """The URL without query, fragment, user and password, which may be secret.

    Raises `DownloadError` if it is none of `http` or `https`, or has characters that a URL has not.
    """
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and re.fullmatch("[!-~]+", url):
            port = f":{parts.port}" if parts.port else ""
            return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    raise DownloadError(
        "download: expected a URL as http://… or https://… of ASCII characters without blanks, got "
        f"{len(url)} characters that are none (not shown, as a link may be secret); copy it again"
    )


@dataclass(frozen=True)
class _Version:
    """What tells one state of a file on a server from another."""

    etag: str | None
    modified: str | None
    length: int | None

    def agrees(self, known: "_Version") -> bool:
        """Whether nothing that both have differs, and both have something."""
        pairs = [pair for pair in zip(astuple(self), astuple(known), strict=True) if None not in pair]
        return bool(pairs) and all(ours == theirs for ours, theirs in pairs)


def _fault_of_file(path: Path, kind: Kind | None, sha256: str | None) -> str | None:
    """What is wrong with what is there under the final name."""
    instead = found_instead(path)
    return f"expected a file, got {instead}" if instead else content_fault(path, kind, sha256)


class _Partial:
    """What has come of a file. `certain`: whether it surely is what the server has, all of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.record = path, path.with_name(f"{path.name}.json")
        self.name = path.name[1:].removesuffix(".partial")
        self.file = path.open("ab", buffering=0)
        self.certain = True

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def version(self) -> _Version | None:
        """What the part belongs to; `None` if that is not known."""
        try:
            known = _Version(**json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return known if isinstance(known.length, int | None) else None

    def restart(self, version: _Version) -> None:
        self.file.truncate(0)
        self.certain = True
        with self._saving():
            # Not atomically: a kill would leave a stray file, and a torn record is no JSON.
            self.record.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def require_space(self, length: int) -> None:
        missing, free = length - self.size, shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise Refused(
                f"expected {amount(missing)} free in {self.path.parent}, got {amount(free)}; "
                "make room, or choose another folder"
            )

    def append(self, block: bytes) -> None:
        rest = memoryview(block)
        with self._saving():
            while rest:
                rest = rest[self.file.write(rest) :]

    def kept(self) -> str:
        if not (self.path.exists() and self.size):
            return ""
        return f"; {amount(self.size)} are kept in {self.path}, and the next call goes on from there"

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def publish(self, final: Path) -> None:
        with self._saving():
            os.fsync(self.file.fileno())
            self.path.replace(final)
        self.record.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Refused(
                f"expected to write {self.path}, got: {error.strerror}; make room (or have the quota raised)"
            ) from None


@contextlib.contextmanager
def _partial(final: Path, site: str) -> Iterator[_Partial]:
    """The partial file of `final`, held against other processes where the file system can lock."""
    partial = _Partial(final.with_name(f".{final.name}.partial"))
    with partial.file:
        try:
            fcntl.flock(partial.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
        except OSError:
            held = False
        else:
            # whoever held it until now may have given it its final name
            held = not partial.path.exists() or not os.path.samestat(
                partial.path.stat(), os.fstat(partial.file.fileno())
            )
        if held:
            raise DownloadError(
                f"download {site}: {partial.path} is being written by another process; "
                "wait for it, or end it and run again"
            )
        try:
            yield partial
        finally:
            if partial.size == 0:
                partial.remove()


def _load(
    url: str,
    partial: _Partial,
    kind: Kind | None,
    attempts: int,
    stall_seconds: float,
    pause: Callable[[float], None],
) -> None:
    furthest, failures = partial.size, 0
    while True:
        try:
            return _attempt(url, partial, kind, stall_seconds)
        except Interrupted as fault:
            # Against the furthest, not the last: a server that cannot resume and breaks off each time at the
            # same place would be asked for ever.
            failures = 0 if partial.size > furthest else failures + 1
            furthest = max(furthest, partial.size)
            if failures >= attempts:
                tries = f"{attempts} tries in a row without a new byte"
                raise Refused(
                    f"expected the whole file, got {tries}; the last: {fault}; run again later"
                ) from None
            seconds = min(2.0 ** max(failures - 1, 0), LONGEST_PAUSE)
            print(
                f"{partial.name}: {fault}; next try in {seconds:.0f} s from {amount(partial.size)}",
                flush=True,
            )
            pause(seconds)


def _attempt(url: str, partial: _Partial, kind: Kind | None, stall_seconds: float) -> None:
    """One request, from the end of the part; returns when the part is the whole file."""
    known, start = partial.version(), partial.size
    if known is None or (known.length is not None and start > known.length):
        start = 0
    elif start and start == known.length:
        return
    try:
        with _replied(url, start, stall_seconds) as reply:
            _receive(reply, start, known, partial, kind, stall_seconds)
    except Changed:
        # Without a part the request has no Range, so this ends.
        partial.file.truncate(0)
        _attempt(url, partial, kind, stall_seconds)


@contextlib.contextmanager
def _replied(url: str, start: int, stall_seconds: float) -> Iterator[http.client.HTTPResponse]:
    # Identity: checksum and length are those of the file, not of a compressed transfer.
    headers = {"User-Agent": "mrilib", "Accept-Encoding": "identity"}
    if start:
        # No If-Range, which S3 does not document: what the reply says of the file is compared instead.
        headers["Range"] = f"bytes={start}-"
    try:
        with network(stall_seconds):
            reply = urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=stall_seconds
            )
    except urllib.error.HTTPError as error:
        with error:
            raise (Changed() if error.code == 416 and start else fault_of(error)) from None
    with reply:
        yield reply


def _receive(
    reply: http.client.HTTPResponse,
    start: int,
    known: _Version | None,
    partial: _Partial,
    kind: Kind | None,
    stall_seconds: float,
) -> None:
    etag, modified = reply.headers["ETag"], reply.headers["Last-Modified"]
    if start and known and reply.status == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
        total = int(span[2]) if span and span[2] != "*" else None
        if not span or int(span[1]) != start or not _Version(etag, modified, total).agrees(known):
            raise Changed
        length, block = known.length or total, b""
        # A length does not tell one state of a file from another.
        partial.certain &= _Version(etag, modified, None).agrees(known)
    elif reply.status == 200:
        length = reply.length
        with network(stall_seconds):
            block = reply.read(HEAD if length is None else min(HEAD, length))
        if length is not None and len(block) < min(HEAD, length):
            raise Interrupted(f"the connection ended after {len(block)} of {length} bytes")
        # Before the old part is given up: a log-in page must not cost it.
        if fault := head_fault(block, kind):
            # A page may come from a proxy, a log-in or a site under repair instead of the file.
            raised = Refused if is_page(block) else Unusable
            raise raised(f"{fault}; open the link in a browser to see what it shows")
        partial.restart(_Version(etag, modified, length))
    else:
        raise Refused(f"expected status 200, got {reply.status}; open the link in a browser")
    if length is not None:
        partial.require_space(length)
    with Progress(partial.name, length, partial.size) as progress:
        while True:
            partial.append(block)
            progress.add(len(block))
            with network(stall_seconds):
                block = reply.read1(BLOCK)
            if not block:
                break
    # Nothing else tells an end from a break.
    partial.certain &= length is not None or reply.chunked
    if length is not None and partial.size != length:
        raise Interrupted(f"the connection ended after {partial.size} of {length} bytes")

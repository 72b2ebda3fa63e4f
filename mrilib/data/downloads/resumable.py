"""Files from the network: resumed, checked, and under their name only when whole."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from mrilib.data.downloads.progress import Progress, amount
from mrilib.data.volumes.contents import BLOCK, HEAD, Kind, content_fault, head_fault

ATTEMPTS = 8
STALL_SECONDS = 60.0
# Our choice: pauses of 1, 2, 4, … seconds up to this one; eight tries in a row wait for about two minutes.
LONGEST_PAUSE = 120.0
FASTMRI_SITE = "https://fastmri.med.nyu.edu/"


class DownloadError(RuntimeError):
    """A download that failed for good. No message has the query or password of a URL: they are secret."""


class _Interrupted(Exception):
    """What another try may mend."""


class _Refused(Exception):
    """What another try would not mend."""


class _Changed(Exception):
    """The part is no part of what the server has now."""


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
        if fault := content_fault(final, kind, sha256):
            raise DownloadError(f"download: {final}: {fault}; remove this file to load it from {site}")
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with _partial(final, site) as partial:
        try:
            _load(url, partial, kind, attempts, stall_seconds, pause)
            if fault := content_fault(partial.path, kind, sha256):
                partial.remove()
                raise _Refused(
                    f"{fault}; what came was removed: run again, and if it ends the same way, compare with "
                    "the checksum and size that the source gives now"
                )
            partial.publish(final)
        except _Refused as fault:
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


class _Partial:
    def __init__(self, path: Path) -> None:
        self.path, self.record = path, path.with_name(f"{path.name}.json")
        self.name = path.name[1:].removesuffix(".partial")
        self.file = path.open("ab", buffering=0)

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def version(self) -> _Version | None:
        """What the part belongs to; `None` if that is not known."""
        try:
            return _Version(**json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def restart(self, version: _Version) -> None:
        self.file.truncate(0)
        with self._saving():
            # Not atomically: a kill would leave a stray file, and a torn record is no JSON.
            self.record.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def require_space(self, length: int) -> None:
        missing, free = length - self.size, shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise _Refused(
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
            raise _Refused(
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
        except _Interrupted as fault:
            # Against the furthest, not the last: a server that cannot resume and breaks off each time at the
            # same place would be asked for ever.
            failures = 0 if partial.size > furthest else failures + 1
            furthest = max(furthest, partial.size)
            if failures >= attempts:
                tries = f"{attempts} tries in a row without a new byte"
                raise _Refused(
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
    except _Changed:
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
        with _network(stall_seconds):
            reply = urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=stall_seconds
            )
    except urllib.error.HTTPError as error:
        with error:
            raise (_Changed() if error.code == 416 and start else _fault_of(error)) from None
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
            raise _Changed
        length, block = known.length or total, b""
    elif reply.status == 200:
        length = reply.length
        with _network(stall_seconds):
            block = reply.read(HEAD if length is None else min(HEAD, length))
        if length is not None and len(block) < min(HEAD, length):
            raise _Interrupted(f"the connection ended after {len(block)} of {length} bytes")
        # Before the old part is given up: a log-in page must not cost it.
        if fault := head_fault(block, kind):
            raise _Refused(f"{fault}; open the link in a browser to see what it shows")
        partial.restart(_Version(etag, modified, length))
    else:
        raise _Refused(f"expected status 200, got {reply.status}; open the link in a browser")
    if length is not None:
        partial.require_space(length)
    with Progress(partial.name, length, partial.size) as progress:
        while True:
            partial.append(block)
            progress.add(len(block))
            with _network(stall_seconds):
                block = reply.read1(BLOCK)
            if not block:
                break
    if length is not None and partial.size < length:
        raise _Interrupted(f"the connection ended after {partial.size} of {length} bytes")


@contextlib.contextmanager
def _network(stall_seconds: float) -> Iterator[None]:
    """Turn faults of the connection into `_Interrupted`, without their own texts: some quote the URL."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise _Refused(
                "expected a certificate that this machine trusts, got another; name the certificates of "
                "your site in SSL_CERT_FILE"
            ) from None
        if isinstance(cause, TimeoutError):
            raise _Interrupted(f"no byte came for {stall_seconds:g} s") from None
        told = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
        raise _Interrupted(f"the connection failed ({told})") from None


def _fault_of(error: urllib.error.HTTPError) -> _Interrupted | _Refused:
    """What a reply other than 200 or 206 means. Of its body only the code is shown: S3 quotes keys in it."""
    if error.code in (408, 429) or error.code >= 500:
        return _Interrupted(f"the server answered {error.code}")
    try:
        body = error.read(1 << 16)
    except (OSError, http.client.HTTPException):
        body = b""
    code = re.search(rb"<Code>([A-Za-z]{1,40})</Code>", body)
    message = re.search(rb"<Message>([^<]*)</Message>", body)
    told = f"{error.code} ({code[1].decode()})" if code else f"{error.code}"
    if (code and code[1] == b"ExpiredToken") or (message and b"expired" in message[1].lower()):
        return _Refused(
            f"expected the file, got {told}: the link has expired; for fastMRI ask for a new e-mail at "
            f"{FASTMRI_SITE} and put it in place of the mail file"
        )
    mend = "open the link in a browser to see what it shows"
    if error.code in (401, 403):
        mend = f"copy the whole link again; for fastMRI ask for a new e-mail at {FASTMRI_SITE}"
    elif error.code in (404, 410):
        mend = "the server knows no such file: compare the UUID or the path with its source"
    elif error.code < 400:
        told += ", a redirect in a circle or to nowhere"
    return _Refused(f"expected the file, got {told}; {mend}")

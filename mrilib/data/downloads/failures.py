"""What can go wrong between here and a server, and whether another try can mend it."""

import contextlib
import http.client
import re
import ssl
import urllib.error
from collections.abc import Iterator

FASTMRI_SITE = "https://fastmri.med.nyu.edu/"


class DownloadError(RuntimeError):
    """A download that failed for good. No message has the query or password of a URL: they are secret."""


class UnusableFileError(DownloadError):
    """The file is at fault, not the network: damaged, with another checksum, or no longer there.

    It would be the same in another run, until its source is mended.
    """


class Interrupted(Exception):
    """What another try may mend."""


class Refused(Exception):
    """What another try would not mend."""


class Unusable(Refused):
    """What is wrong with the file that the server has."""


class Changed(Exception):
    """What has come is no part of what the server has now."""


@contextlib.contextmanager
def network(stall_seconds: float) -> Iterator[None]:
    """Turn faults of the connection into `Interrupted`, without their own texts: some quote the URL."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Refused(
                "expected a certificate that this machine trusts, got another; name the certificates of "
                "your site in SSL_CERT_FILE"
            ) from None
        if isinstance(cause, TimeoutError):
            raise Interrupted(f"no byte came for {stall_seconds:g} s") from None
        told = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
        raise Interrupted(f"the connection failed ({told})") from None


def fault_of(error: urllib.error.HTTPError) -> Interrupted | Refused:
    """What a reply other than 200 or 206 means. Of its body only the code is shown: S3 quotes keys in it."""
    if error.code in (408, 429) or error.code >= 500:
        return Interrupted(f"the server answered {error.code}")
    try:
        body = error.read(1 << 16)
    except (OSError, http.client.HTTPException):
        body = b""
    code = re.search(rb"<Code>([A-Za-z]{1,40})</Code>", body)
    message = re.search(rb"<Message>([^<]*)</Message>", body)
    told = f"{error.code} ({code[1].decode()})" if code else f"{error.code}"
    if (code and code[1] == b"ExpiredToken") or (message and b"expired" in message[1].lower()):
        return Refused(
            f"expected the file, got {told}: the link has expired; for fastMRI ask for a new e-mail at "
            f"{FASTMRI_SITE} and put it in place of the mail file"
        )
    mend = "open the link in a browser to see what it shows"
    if error.code in (401, 403):
        mend = f"copy the whole link again; for fastMRI ask for a new e-mail at {FASTMRI_SITE}"
    elif error.code in (404, 410):
        mend = "the server knows no such file: compare the UUID or the path with its source"
        return Unusable(f"expected the file, got {told}; {mend}")
    elif error.code < 400:
        told += ", a redirect in a circle or to nowhere"
    return Refused(f"expected the file, got {told}; {mend}")

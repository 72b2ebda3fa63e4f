"""Downloads against a server that breaks off, stalls, redirects, refuses and lies."""

import errno
import fcntl
import hashlib
import io
import json
import lzma
import resource
import shutil
import ssl
import subprocess
import sys
import traceback
import urllib.error
from pathlib import Path

import h5py
import numpy as np
import pytest

from mrilib.data.downloads import progress
from mrilib.data.downloads import resumable as downloads
from mrilib.data.downloads.failures import DownloadError, UnusableFileError
from mrilib.data.downloads.resumable import download, without_query
from tests.data.downloads.server import SECRET_QUERY, SECRETS, Reply, serving

ROOT = Path(__file__).parents[2]


def hdf5_bytes(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kspace"] = np.random.default_rng(seed).standard_normal(512)
    return buffer.getvalue()


BODY, OTHER = hdf5_bytes(0), hdf5_bytes(1)
HALF = len(BODY) // 2
ARCHIVE = lzma.compress(np.random.default_rng(0).bytes(3000))
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
JANUARY = "Mon, {:02} Jan 2024 00:00:00 GMT"
BROKEN, WHOLE = Reply(BODY, breaks_after=HALF), Reply(BODY)


def xml(code: str, message: str) -> bytes:
    """What S3 answers; in some of its answers the key stands."""
    inside = f"<Code>{code}</Code><Message>{message}</Message><AWSAccessKeyId>{SECRETS[0]}</AWSAccessKeyId>"
    return f'<?xml version="1.0"?><Error>{inside}</Error>'.encode()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_secret(tmp_path, capfd):
    """Nothing printed and no file left holds what stands in a query."""
    yield
    printed = "".join(capfd.readouterr())
    files = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [secret for secret in SECRETS for text in [printed, *files] if secret in text]


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "raw" / "volume.h5"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def load(target, pauses):
    def call(url, **changes):
        options = {"kind": "hdf5", "attempts": 3, "stall_seconds": 5.0, "pause": pauses.append}
        return download(url, target, **{**options, **changes})

    return call


@pytest.fixture
def failure(load, target):
    """The message of a call that fails: without secrets, with the place, and without a file."""

    def call(url, **changes):
        there = target.exists()
        with pytest.raises(DownloadError) as caught:
            load(url, **changes)
        shown = "".join(traceback.format_exception(caught.value))
        assert not [secret for secret in SECRETS if secret in shown]
        assert url.partition("?")[0] in str(caught.value)
        assert target.exists() == there
        return str(caught.value)

    return call


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def partial_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial")


def leave_part(target: Path, content: bytes, **version) -> None:
    """What an earlier call left."""
    target.parent.mkdir(exist_ok=True)
    partial_of(target).write_bytes(content)
    record = {"etag": None, "modified": None, "length": None, **version}
    partial_of(target).with_name(f".{target.name}.partial.json").write_text(json.dumps(record))


@pytest.mark.parametrize(("kind", "body"), [("hdf5", BODY), ("archive", ARCHIVE), (None, b"file,slice\n")])
def test_a_file_comes_whole_and_alone(server, load, target, kind, body):
    url = server.answer("/v.h5", Reply(body))
    assert load(url, kind=kind, sha256=hashlib.sha256(body).hexdigest().upper()) == target
    assert target.read_bytes() == body
    assert left(target) == [target.name]
    assert server.requests == [(f"/v.h5?{SECRET_QUERY}", None)]
    assert target.stat().st_mode & 0o444


@pytest.mark.parametrize("resets", [False, True])
def test_a_connection_that_breaks_off_is_resumed(server, load, target, pauses, resets):
    places = [100, 700, 300, 1000]
    url = server.answer("/v.h5", *(Reply(BODY, breaks_after=n, resets=resets) for n in places), WHOLE)
    load(url)
    assert target.read_bytes() == BODY
    assert left(target) == [target.name]
    # a reset may discard what was on its way
    if not resets:
        assert server.ranges == [None, None, "bytes=700-", "bytes=1000-", "bytes=2000-"]
        # the first 100 bytes are too few to be looked at, and are not kept
        assert pauses == [1.0] * 4


def test_every_new_byte_buys_another_try(server, load, target, pauses):
    load(server.answer("/v.h5", Reply(BODY, breaks_after=600)), attempts=1)
    assert target.read_bytes() == BODY
    assert pauses == [1.0] * (len(BODY) // 600)


def test_pauses_grow_until_it_gives_up(server, failure, target, pauses):
    message = failure(server.answer("/v.h5", Reply(BODY, breaks_after=0)), attempts=5)
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert "5 tries in a row without a new byte" in message
    assert f"ended after 0 of {len(BODY)} bytes" in message
    assert left(target) == []


def test_a_server_that_breaks_off_and_cannot_resume_is_given_up(server, failure, target):
    message = failure(server.answer("/v.h5", Reply(BODY, breaks_after=HALF, ignores_range=True)))
    assert len(server.requests) == 1 + 3
    assert f"ended after {HALF} of {len(BODY)} bytes" in message
    assert "the next call goes on" in message
    assert partial_of(target).read_bytes() == BODY[:HALF]


def test_a_server_that_ignores_the_range_is_read_from_the_start(server, load, target):
    load(server.answer("/v.h5", BROKEN, Reply(BODY, ignores_range=True)))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("old", "new", "body"),
    [
        ({"ETag": '"a"'}, {"ETag": '"b"'}, OTHER),
        ({"Last-Modified": JANUARY.format(1)}, {"Last-Modified": JANUARY.format(2)}, OTHER),
        ({}, {}, OTHER + bytes(8)),
        ({"ETag": '"a"'}, {"ETag": '"b"'}, OTHER[: HALF + 100]),
    ],
    ids=["etag", "modified", "length", "shorter"],
)  # fmt: skip
def test_a_file_that_has_changed_meanwhile_is_loaded_anew(server, load, target, old, new, body):
    first = Reply(BODY, headers=old, breaks_after=HALF)
    load(server.answer("/v.h5", first, Reply(body, headers=new)), kind=None)
    assert target.read_bytes() == body
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_range_other_than_the_one_asked_for_is_not_appended(server, load, target):
    odd = Reply(BODY[10:], status=206, headers={"Content-Range": f"bytes 10-{len(BODY) - 1}/{len(BODY)}"})
    load(server.answer("/v.h5", BROKEN, odd, WHOLE))
    assert target.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_part_answer_that_was_not_asked_for_is_refused(server, failure):
    assert "got 206" in failure(server.answer("/v.h5", Reply(BODY, status=206)))


def test_the_next_call_goes_on_also_with_another_link(server, load, failure, target):
    tag = {"ETag": '"a"'}
    dies = server.answer("/old/v.h5", Reply(BODY, headers=tag, breaks_after=HALF), Reply(status=404))
    message = failure(dies)
    assert "404" in message
    assert f"{HALF / 1e3:.2f} kB are kept in {partial_of(target)}" in message
    assert left(target) == [".volume.h5.partial", ".volume.h5.partial.json"]
    load(server.answer("/new/v.h5", Reply(BODY, headers=tag)))
    assert target.read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_a_part_is_kept_when_the_user_ends_it(server, load, target):
    def interrupted(_):
        raise KeyboardInterrupt

    url = server.answer("/v.h5", BROKEN, WHOLE)
    with pytest.raises(KeyboardInterrupt):
        load(url, pause=interrupted)
    assert partial_of(target).read_bytes() == BODY[:HALF]
    load(url)
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert target.read_bytes() == BODY


def test_a_killed_process_leaves_a_part_and_no_file(server, load, target):
    url = server.answer("/v.h5", Reply(BODY, stalls_after=HALF), WHOLE)
    script = "import sys; from mrilib.data.downloads.resumable import download; download(*sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", script, url, str(target)], cwd=ROOT) as process:
        server.stalled.wait()
        process.kill()
    assert not target.exists()
    load(url)
    assert target.read_bytes() == BODY
    assert left(target) == [target.name]


def test_a_part_that_is_whole_needs_no_server(server, load, target):
    leave_part(target, BODY, length=len(BODY))
    load(server.answer("/v.h5", Reply(status=404)))
    assert server.requests == []
    assert target.read_bytes() == BODY


NO_LENGTH = '{"etag": null, "modified": null, "length": "7"}'


@pytest.mark.parametrize("record", [None, "{", '{"etag": 1}', "[]", '{"other": 1}', NO_LENGTH])
def test_a_part_of_unknown_origin_is_loaded_anew(server, load, target, record):
    leave_part(target, b"foreign")
    if record is None:
        partial_of(target).with_name(".volume.h5.partial.json").unlink()
    else:
        partial_of(target).with_name(".volume.h5.partial.json").write_text(record)
    load(server.answer("/v.h5", WHOLE))
    assert server.ranges == [None]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("length", [None, 100])
def test_a_part_longer_than_the_file_is_loaded_anew(server, load, target, length):
    leave_part(target, BODY + b"more", etag='"a"', length=length)
    load(server.answer("/v.h5", Reply(BODY, headers={"ETag": '"a"'})))
    assert target.read_bytes() == BODY
    assert server.ranges == ([f"bytes={len(BODY) + 4}-", None] if length is None else [None])


@pytest.mark.parametrize("stall", [{"stalls_after": HALF}, {"silent": True}, {"stalls_after": 3}])
def test_a_stalled_connection_is_broken_off_and_resumed(server, load, target, capfd, stall):
    load(server.answer("/v.h5", Reply(BODY, **stall), WHOLE), stall_seconds=0.6)
    assert target.read_bytes() == BODY
    assert "no byte came for 0.6 s" in capfd.readouterr().out
    assert server.ranges == [None, f"bytes={HALF}-" if stall.get("stalls_after") == HALF else None]


def test_a_slow_server_is_no_fault(server, load, target):
    load(server.answer("/v.h5", Reply(BODY, piece=len(BODY) // 12, delay=0.1)), stall_seconds=1.0)
    assert target.read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_in_every_try(server, load, target, status):
    server.answer("/bucket/v.h5", BROKEN, WHOLE)
    place = {"Location": "/bucket/v.h5?X-Amz-Signature=" + SECRETS[1]}
    load(server.answer("/download/uuid", Reply(status=status, headers=place)))
    assert target.read_bytes() == BODY
    assert server.ranges == [None, None, f"bytes={HALF}-", f"bytes={HALF}-"]


@pytest.mark.parametrize("location", ["/loop?Signature=" + SECRETS[1], "file:///etc/passwd", None])
def test_a_redirect_to_nowhere_is_refused(server, failure, target, location):
    headers = {"Location": location} if location else {}
    message = failure(server.answer("/loop", Reply(status=302, headers=headers)))
    assert "302, a redirect in a circle or to nowhere" in message
    assert left(target) == []


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(403, "AccessDenied", "Request has expired"), (400, "ExpiredToken", "The provided token is old.")],
)
def test_a_link_that_has_expired_is_recognised(server, failure, status, code, text):
    message = failure(server.answer("/a.tar.xz", Reply(xml(code, text), status=status)), kind="archive")
    assert f"{status} ({code}): the link has expired" in message
    assert "https://fastmri.med.nyu.edu/" in message
    assert "in place of the mail file" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "texts"),
    [
        (403, b"Forbidden", ["got 403;", "copy the whole link again"]),
        (403, xml("SignatureDoesNotMatch", SECRETS[0]), ["SignatureDoesNotMatch"]),
        (401, b"", ["got 401;", "copy the whole link again"]),
        (404, xml("NoSuchKey", "gone"), ["got 404 (NoSuchKey)", "compare the UUID"]),
        (410, b"", ["got 410;", "compare the UUID"]),
        (416, b"", ["got 416;"]),
        (418, HTML, ["got 418;", "in a browser"]),
    ],
)  # fmt: skip
def test_a_refusal_is_explained_and_not_repeated(server, failure, target, status, body, texts):
    message = failure(server.answer("/v.h5", Reply(body, status=status)))
    assert [text for text in texts if text not in message] == []
    assert "expired" not in message
    assert len(server.requests) == 1
    assert left(target) == []


def test_a_refusal_without_its_body_is_explained(server, failure):
    broken = Reply(b"<Error>" * 100, status=403, breaks_after=5)
    assert "got 403;" in failure(server.answer("/v.h5", broken))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_of_the_server_is_tried_again(server, load, target, pauses, status):
    load(server.answer("/v.h5", Reply(HTML, status=status), Reply(HTML, status=status), WHOLE))
    assert target.read_bytes() == BODY
    assert pauses == [1.0, 2.0]


def test_a_fault_of_the_server_that_stays_is_given_up(server, failure, target, pauses):
    message = failure(server.answer("/v.h5", Reply(status=500)))
    assert "the last: the server answered 500" in message
    assert len(server.requests) == 3
    assert left(target) == []


def test_other_good_answers_are_refused(server, failure):
    assert "expected status 200, got 202" in failure(server.answer("/v.h5", Reply(b"later", status=202)))


@pytest.mark.parametrize("kind", ["hdf5", "archive", None])
@pytest.mark.parametrize("body", [HTML, b"\xef\xbb\xbf\n <?xml version='1.0'?>" + b" " * 600, b""])
def test_a_page_or_nothing_is_never_taken_for_data(server, failure, target, kind, body):
    message = failure(server.answer("/v.h5", Reply(body)), kind=kind)
    assert ("a page of HTML or XML" if body else "an empty file") in message
    assert len(server.requests) == 1
    assert left(target) == []


@pytest.mark.parametrize(("kind", "body"), [("hdf5", ARCHIVE), ("archive", BODY)])
def test_another_kind_of_file_is_refused(server, failure, target, kind, body):
    assert f"got bytes {body[:8]!r}" in failure(server.answer("/v.h5", Reply(body)), kind=kind)
    assert left(target) == []


def test_a_page_in_place_of_the_rest_does_not_cost_the_part(server, failure, target):
    message = failure(server.answer("/v.h5", BROKEN, Reply(HTML, ignores_range=True)))
    assert "a page of HTML or XML" in message
    assert partial_of(target).read_bytes() == BODY[:HALF]


def test_a_wrong_checksum_removes_the_part(server, load, failure, target):
    url = server.answer("/v.h5", BROKEN, WHOLE)
    expected, found = "0" * 64, hashlib.sha256(BODY).hexdigest()
    message = failure(url, sha256=expected)
    assert f"expected SHA-256 {expected}, got {found}" in message
    assert "removed" in message
    assert "kept" not in message
    assert left(target) == []
    load(url, sha256=found)
    assert target.read_bytes() == BODY


def test_a_length_that_is_too_long_is_a_broken_connection(server, failure):
    longer = Reply(BODY, headers={"Content-Length": str(len(BODY) + 10)}, ignores_range=True)
    assert f"ended after {len(BODY)} of {len(BODY) + 10} bytes" in failure(server.answer("/v.h5", longer))


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [("hdf5", BODY, "a truncated or damaged one"), ("archive", ARCHIVE, "without its end")],
)
def test_a_length_that_is_too_short_shows_in_the_content(server, failure, target, kind, body, text):
    shorter = Reply(body, headers={"Content-Length": str(len(body) - 100)})
    assert text in failure(server.answer("/v.h5", shorter), kind=kind)
    assert left(target) == []


DAMAGED = BODY[:-100]
TAGGED = {"ETag": '"a"'}
CUT = {"breaks_after": HALF}
# What comes, and whether it is surely the file's own fault.
ENDS = {
    "gone": ([Reply(status=404)], {}, True),
    "gone for good": ([Reply(status=410)], {}, True),
    "damaged": ([Reply(DAMAGED)], {}, True),
    "damaged, in chunks": ([Reply(DAMAGED, chunked=True)], {}, True),
    "damaged, in parts of one state": (
        [Reply(DAMAGED, headers=TAGGED, **CUT), Reply(DAMAGED, headers=TAGGED)],
        {},
        True,
    ),
    "another checksum": ([WHOLE], {"sha256": "0" * 64}, True),
    "another kind": ([Reply(ARCHIVE)], {}, True),
    "nothing": ([Reply(b"")], {}, True),
    # A length alone does not tell one state of a file from another.
    "parts of what may be two states": ([BROKEN, Reply(OTHER)], {"sha256": "0" * 64}, False),
    "an end that may be a break": ([Reply(DAMAGED, length=False)], {}, False),
    "a page": ([Reply(HTML)], {}, False),
    "no right": ([Reply(status=403)], {}, False),
    "a server out of order": ([Reply(status=503)], {}, False),
    "no connection": ([Reply(BODY, breaks_after=0)], {}, False),
}


@pytest.mark.parametrize("end", ENDS)
def test_faults_of_the_file_are_told_from_those_of_the_network(server, load, end):
    replies, options, unusable = ENDS[end]
    with pytest.raises(DownloadError) as caught:
        load(server.answer("/v.h5", *replies), **options)
    assert isinstance(caught.value, UnusableFileError) == unusable


def test_too_little_room_is_no_fault_of_the_file(server, load, target, monkeypatch):
    url, usage = server.answer("/v.h5", WHOLE), shutil.disk_usage(target.parents[1])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DownloadError) as caught:
        load(url)
    assert not isinstance(caught.value, UnusableFileError)


def test_more_than_the_server_promised_is_not_kept(server, load, target):
    span = {"Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"}
    longer = Reply(BODY[HALF:] + b"more", status=206, headers=span, length=False)
    load(server.answer("/v.h5", BROKEN, longer, WHOLE))
    assert target.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_folder_in_place_of_the_file_is_told(server, failure, target):
    target.mkdir(parents=True)
    assert "volume.h5: expected a file, got a folder; remove" in failure(server.answer("/v.h5", WHOLE))


def test_xz_may_end_in_padding(server, load, target):
    load(server.answer("/v.h5", Reply(ARCHIVE + bytes(8))), kind="archive")
    assert target.read_bytes() == ARCHIVE + bytes(8)


@pytest.mark.parametrize("options", [{"chunked": True}, {"length": False}])
def test_a_file_of_unknown_length_comes_whole(server, load, target, options):
    load(server.answer("/v.h5", Reply(BODY, piece=700, **options)))
    assert target.read_bytes() == BODY


def test_broken_chunks_are_noticed(server, load, target):
    load(server.answer("/v.h5", Reply(BODY, chunked=True, piece=600, breaks_after=1800), WHOLE))
    assert target.read_bytes() == BODY
    # without ETag, date and length nothing tells what the part belongs to
    assert server.ranges == [None, "bytes=1800-", None]


def test_a_file_that_is_there_and_right_is_left_alone(server, load, target):
    target.parent.mkdir()
    target.write_bytes(BODY)
    before = target.stat()
    url = server.answer("/v.h5", Reply(OTHER))
    for sha256 in (None, hashlib.sha256(BODY).hexdigest()):
        assert load(url, sha256=sha256) == target
    assert target.stat() == before
    assert server.requests == []


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (BODY, {"sha256": "0" * 64}),
        (BODY[:HALF], {}),
        (HTML, {}),
        (b"", {"kind": None}),
        (ARCHIVE[:-5], {"kind": "archive"}),
    ],
)
def test_a_file_that_is_there_and_wrong_is_never_overwritten(server, failure, target, content, options):
    target.parent.mkdir()
    target.write_bytes(content)
    assert f"{target}: expected" in failure(server.answer("/v.h5", WHOLE), **options)
    assert target.read_bytes() == content
    assert server.requests == []


def test_too_little_room_is_told_before_loading(server, load, failure, target, monkeypatch):
    url = server.answer("/v.h5", WHOLE)
    usage = shutil.disk_usage(target.parents[1])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        message = failure(url)
    assert f"expected {len(BODY) / 1e3:.2f} kB free in {target.parent}, got 1.00 kB; make room" in message
    load(url)


def test_a_full_disk_keeps_what_came(server, load, failure, target):
    big = BODY + bytes(100_000)
    url = server.answer("/v.h5", Reply(big, headers={"ETag": '"a"'}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        message = failure(url, kind=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"expected to write {partial_of(target)}, got: File too large; make room" in message
    assert "50.00 kB are kept" in message
    load(url, kind=None)
    assert target.read_bytes() == big
    assert server.ranges == [None, "bytes=50000-"]


def test_two_processes_do_not_write_one_part(server, failure, target):
    leave_part(target, BODY[:HALF], length=len(BODY))
    with partial_of(target).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        message = failure(server.answer("/v.h5", WHOLE))
    assert "is being written by another process" in message
    assert partial_of(target).read_bytes() == BODY[:HALF]
    assert server.requests == []


def test_a_file_system_without_locks_will_do(server, load, target, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    load(server.answer("/v.h5", WHOLE))
    assert target.read_bytes() == BODY


def test_no_server_is_a_broken_connection(server, failure, pauses):
    url = server.answer("/v.h5", WHOLE)
    server.socket.close()
    assert "the connection failed (Connection refused)" in failure(url)
    assert pauses == [1.0, 2.0]


def test_a_foreign_certificate_is_not_tried_again(server, failure, monkeypatch, pauses):
    def urlopen(*_, **__):
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "self-signed certificate"))

    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    assert "SSL_CERT_FILE" in failure(server.answer("/v.h5", WHOLE))
    assert pauses == []


@pytest.mark.parametrize(
    "url",
    ["ftp://h/a", "file:///etc/passwd", "h/a", "http://", "http://h/a b", "http://h/a\n", "http://h/é", "http://[h/",
     "http://h:x/"],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_showing_it(url, target):
    with pytest.raises(DownloadError, match="expected a URL") as caught:
        download(f"{url}?{SECRET_QUERY}", target)
    assert not [secret for secret in SECRETS if secret in "".join(traceback.format_exception(caught.value))]


def test_secret_parts_of_a_url_are_left_out():
    assert without_query("https://me:pass@h.org:81/a/b?c=d#e") == "https://h.org:81/a/b"


@pytest.mark.parametrize("change", [{"attempts": 0}, {"stall_seconds": 0.0}, {"sha256": "abc"}])
def test_arguments_out_of_range_are_refused(target, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        download("http://127.0.0.1/v.h5", target, **change)


def test_progress_goes_to_the_log_in_lines(server, load, monkeypatch, capfd):
    monkeypatch.setattr(progress, "REPORT_EVERY", -1.0)
    load(server.answer("/v.h5", Reply(BODY, piece=1000)), sha256=hashlib.sha256(BODY).hexdigest())
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith(f"volume.h5: 512 bytes of {len(BODY) / 1e3:.2f} kB, ")
    assert lines[-1].startswith("checking .volume.h5.partial: ")


def test_sizes_are_told_in_powers_of_1000():
    sizes = [0, 999, 1000, 2_500_000, 94e9]
    assert [progress.amount(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.00 kB",
        "2.50 MB",
        "94.00 GB",
    ]

"""An HTTP server on this machine that misbehaves as it is told."""

import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """What is answered to one request.

    Args:
        body: the whole file; a request for a range gets its end.
        status: anything but 200 is answered as it is, without looking at a range.
        headers: sent besides; they replace those of the same name.
        ignores_range: answers the whole file in any case.
        breaks_after: bytes of content after which the connection is closed; `resets`: with a reset.
        stalls_after: bytes of content after which nothing more comes, until the server ends.
        silent: not even a status line comes.
        piece: bytes sent at a time, with `delay` seconds after each.
        length: whether Content-Length is sent; `chunked`: in chunks instead.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ignores_range: bool = False
    breaks_after: int | None = None
    resets: bool = False
    stalls_after: int | None = None
    silent: bool = False
    piece: int = 1 << 16
    delay: float = 0.0
    length: bool = True
    chunked: bool = False


class Server(ThreadingHTTPServer):
    """Answers the requests of a path by its replies in turn, then by the last of them again."""

    daemon_threads = False
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, list[Reply]] = {}
        # path with query, and the header Range
        self.requests: list[tuple[str, str | None]] = []
        self.stalled, self.ended = threading.Event(), threading.Event()

    def answer(self, path: str, *replies: Reply) -> str:
        """URL of `path`, which answers as told; with a query that must appear nowhere."""
        self.replies[path] = list(replies)
        return f"http://127.0.0.1:{self.server_port}{path}?{SECRET_QUERY}"

    @property
    def ranges(self) -> list[str | None]:
        """The header Range of every request so far."""
        return [span for _, span in self.requests]

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are part of the tests."""


SECRETS = ("AKIASECRETKEY", "s3cr3tSignature%3D")
SECRET_QUERY = f"AWSAccessKeyId={SECRETS[0]}&Signature={SECRETS[1]}&Expires=1700000000"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        path, span = self.path.partition("?")[0], self.headers["Range"]
        self.server.requests.append((self.path, span))
        replies = self.server.replies[path]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.silent:
            self.server.ended.wait()
            return
        status, headers, content = self._answer(reply, span)
        self.send_response(status)
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(reply, content)

    def _answer(self, reply: Reply, span: str | None) -> tuple[int, dict[str, str], bytes]:
        status, headers, content = reply.status, {}, reply.body
        if status == 200 and span and not reply.ignores_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
            if start >= len(reply.body):
                status, content = 416, b""
                headers["Content-Range"] = f"bytes */{len(reply.body)}"
            else:
                status, content = 206, reply.body[start:]
                headers["Content-Range"] = f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}"
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif reply.length:
            headers["Content-Length"] = str(len(content))
        return status, headers, content

    def _send(self, reply: Reply, content: bytes) -> None:
        stop = reply.stalls_after if reply.breaks_after is None else reply.breaks_after
        for at in range(0, len(content[:stop]), reply.piece):
            piece = content[:stop][at : at + reply.piece]
            if reply.chunked:
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            self.wfile.write(piece)
            self.wfile.flush()
            if reply.delay:
                self.server.ended.wait(reply.delay)
        if reply.stalls_after is not None:
            self.server.stalled.set()
            self.server.ended.wait()
        elif reply.resets:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        elif reply.chunked and reply.breaks_after is None:
            self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()

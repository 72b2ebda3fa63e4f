"""Reading foreign files in a child process: damage that would kill or stall the reader rejects the file.

HDF5 trusts what it reads: a damaged file can make it write past its memory, loop or ask for any amount of
memory. A child does it instead, within limits, and what kills the child is the reason for the rejection.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mrilib.data.volumes.foreign import VolumeError

# Ends of the child that its file causes. SIGKILL and SIGTERM come from outside and say nothing of the file.
FAULTS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGXCPU")
# Our choice, far above what whole files take (a few slices; 10 MB/s and more).
MEMORY, MEMORY_PER_BYTE = 2 << 30, 4
SECONDS, SECONDS_PER_BYTE = 60.0, 1e-6
_ROOT = Path(__file__).parents[2]


class Worker:
    """A child process that reads files, one after the other; a new one takes the place of one that died.

    Use it as a context manager, or call `close`.

    Args:
        memory: bytes of address space for one call beyond what the idle child has; by default 2 GiB and four
            times the size of the file.
        seconds: processor time of one call; by default 60 s and 1 s a MB. Waiting for a slow disk is free.
    """

    def __init__(self, *, memory: int | None = None, seconds: float | None = None) -> None:
        self._memory, self._seconds = memory, seconds
        self._child: subprocess.Popen[bytes] | None = None
        self.started = 0

    def call(self, function: Callable[..., Any], path: str | Path, *arguments: Any) -> Any:
        """`function(path, *arguments)` in the child; arguments and result are plain JSON values.

        Raises:
            VolumeError: raised by the function, or because the child ran out of memory or time, or crashed.
            FileNotFoundError: if there is no file at `path`.
            OSError: raised by the function, such as a full disk.
            RuntimeError: if the function raised anything else, or the child was killed from outside.
        """
        source = Path(path)
        if not source.exists():
            raise FileNotFoundError(f"{path}: expected a file, got none; correct the path")
        size = source.stat().st_size
        memory = self._memory or MEMORY + MEMORY_PER_BYTE * size
        seconds = self._seconds or SECONDS + SECONDS_PER_BYTE * size
        request = {
            "function": f"{function.__module__}:{function.__qualname__}",
            "arguments": [str(path), *arguments],
            "limits": [memory, seconds],
        }
        reply = self._exchange(json.dumps(request).encode() + b"\n")
        if reply is None:
            raise self._death(source, memory, seconds)
        return _unpack(json.loads(reply))

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            # what a dead child has not read cannot be flushed
            with contextlib.suppress(BrokenPipeError), self._child, self._errors:
                self._child.kill()
            self._child = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _exchange(self, request: bytes) -> bytes | None:
        """The child's answer, or `None` if it died."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(request)
            child.stdin.flush()
            reply = child.stdout.readline()
        except BrokenPipeError:
            return None
        except BaseException:  # interrupted: an answer that comes later must not meet the next question
            self.close()
            raise
        return reply if reply.endswith(b"\n") else None

    def _start(self) -> subprocess.Popen[bytes]:
        paths = [str(_ROOT), *(path for path in sys.path if path)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the child
        self._child = subprocess.Popen(
            [sys.executable, "-c", "from mrilib.data.volumes.isolated import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # threads would take address space, and there is nothing for them to do
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        self.started += 1
        return self._child

    def _death(self, path: Path, memory: int, seconds: float) -> Exception:
        assert self._child is not None
        status = self._child.wait()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip()[-2000:]
        self.close()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        if name not in FAULTS:
            return RuntimeError(f"{path}: the process that read it was ended ({name}) {said}".rstrip())
        limit = f" (limits: {seconds:.0f} s, {memory >> 20} MiB)"
        last = said.splitlines()[-1][:200] if said else ""
        return VolumeError(path, "file", "a file that HDF5 can read", f"{name}{limit} {last}".rstrip())


def serve() -> None:
    """Answer requests on standard input until it ends: the child's side."""
    # What a library prints must not be taken for an answer.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # before the limits, so that libraries take their own memory freely
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        _limit(*request["limits"])
        try:
            answer = {"value": function(*request["arguments"])}
        except VolumeError as error:
            parts = [error.path, error.dataset, error.expected, error.found, error.mend]
            answer = {"rejected": parts}
        except MemoryError:
            found = "a need for more memory than a file of its size may take"
            answer = {"rejected": [request["arguments"][0], "file", "a whole file", found, "leave it out"]}
        except OSError as error:
            answer = {"fault": f"{error}"}
        except Exception:  # noqa: BLE001  # goes on to the parent, which raises it
            answer = {"error": traceback.format_exc()}
        replies.write(json.dumps(answer).encode() + b"\n")
        replies.flush()


def _limit(memory: int, seconds: float) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    times = resource.getrusage(resource.RUSAGE_SELF)
    for kind, limit in (
        (resource.RLIMIT_AS, used + memory),
        # whole seconds, rounded up
        (resource.RLIMIT_CPU, int(times.ru_utime + times.ru_stime + seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _unpack(answer: dict[str, Any]) -> Any:
    if "rejected" in answer:
        raise VolumeError(*answer["rejected"])
    if "fault" in answer:
        raise OSError(answer["fault"])
    if "error" in answer:
        raise RuntimeError(f"in the process that reads files:\n{answer['error']}")
    return answer["value"]

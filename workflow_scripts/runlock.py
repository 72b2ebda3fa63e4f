"""One scheduler a run: a lock file in `results/{run}`, for Snakemake's own covers its working folder only."""

import atexit
import contextlib
import datetime
import getpass
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "scheduler.lock"


class RunInUse(Exception):
    """Another scheduler works on the run; the message says whose."""


def take(run: str | Path) -> None:
    """Take the lock of a run for the life of this process.

    The lock of a process of this machine that is no more is taken over, with a message.

    Raises:
        RunInUse: if another process has it.
    """
    # In full: Snakemake has left its working folder when this process ends.
    lock = Path(run).absolute() / NAME
    lock.parent.mkdir(parents=True, exist_ok=True)
    mine = {
        "host": socket.gethostname(),
        "user": user(),
        "process": os.getpid(),
        "started": _started(os.getpid()),
        "since": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
    }
    while True:
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            _clear_dead(lock)
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(mine, file)
        atexit.register(_release, lock, mine)
        return


@contextlib.contextmanager
def held(run: str | Path) -> Iterator[None]:
    """Hold the lock of a run for a block."""
    lock = Path(run).absolute() / NAME
    take(run)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def user() -> str:
    """Name of the user, or the number where there is no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _clear_dead(lock: Path) -> None:
    """Remove the lock of a dead process; return as well if the lock has gone meanwhile."""
    text = _read(lock)
    if text is None:
        return
    try:
        holder: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        raise RunInUse(
            f"{lock} cannot be read: another scheduler is just taking it, or died doing so. Run again in a "
            "minute; if this message comes again, remove that file"
        ) from None
    who = f"{holder['user']} on {holder['host']}, process {holder['process']}, since {holder['since']}"
    if holder["host"] != socket.gethostname() or _started(holder["process"]) == holder["started"]:
        raise RunInUse(
            f"{lock.parent} is in use by another scheduler: {who}. Two schedulers on one run would overwrite "
            f"each other's results. Wait for it, or stop it; if it is no more, remove {lock}"
        )
    # Two may want to take over: whoever moves the dead one's lock away may go on.
    aside = lock.with_name(f"{NAME}.{socket.gethostname()}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        lock.rename(aside)
        if _read(aside) != text:
            aside.rename(lock)
            return
        aside.unlink()
        print(f"{lock}: taken over from {who}, which is no more", flush=True)


def _release(lock: Path, mine: dict[str, Any]) -> None:
    text = _read(lock)
    # A fork of this process has its exit handlers too.
    if text == json.dumps(mine) and os.getpid() == mine["process"]:
        lock.unlink(missing_ok=True)


def _read(lock: Path) -> str | None:
    try:
        return lock.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _started(process: int) -> str | None:
    """When a process of this machine started, in clock ticks since boot; `None` if it is no more."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]

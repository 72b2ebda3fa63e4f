"""What a reader of files may do in its process, for the tests of the child processes."""

import os
import signal

import numpy as np


def crash(path: str, way: str) -> str:
    if way in ("SIGSEGV", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, way))
    if way == "memory":
        np.ones(1 << 28)
    if way == "time":
        while True:
            pass
    if way == "fault":
        raise OSError("No space left on device")
    if way == "bug":
        raise TypeError("wrong")
    print("this is no answer")
    return f"read {path}"

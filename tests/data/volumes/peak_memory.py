"""Memory that one call takes, in a program of its own.

The program prints the bytes by which the peak of the resident memory exceeds what was resident before. The
`ru_maxrss` of a child counts what its parent had, so it is not used.
"""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any


def peak_growth(function: str, *arguments: object, **options: object) -> int:
    """Bytes that `function`, as `module:name`, takes beyond what its imports do."""
    given = json.dumps([[str(value) if isinstance(value, Path) else value for value in arguments], options])
    command = [sys.executable, __file__, function, given, *sys.path]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(found[1]) if found else 0


def main(function: str, given: str, *paths: str) -> None:
    sys.path[:0] = paths
    module, _, name = function.partition(":")
    call: Any = getattr(importlib.import_module(module), name)
    arguments, options = json.loads(given)
    before = _status("VmRSS")
    call(*arguments, **options)
    print(_status("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])

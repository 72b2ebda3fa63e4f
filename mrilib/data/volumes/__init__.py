"""Volumes of raw multi-coil data: the fastMRI schema, what is converted to it, and how they are checked.

`read_volume` is found here as well as in its module, `mrilib.data.volumes.reading`, which is loaded at
first use.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "read_volume":
        return importlib.import_module("mrilib.data.volumes.reading").read_volume
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

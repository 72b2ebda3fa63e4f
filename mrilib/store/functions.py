"""Functions that are named by their import paths."""

import importlib
from collections.abc import Callable
from typing import Any


def load_function(path: str) -> Callable[..., Any]:
    """The function that an import path like `mrilib.report.tables:records_table` names.

    Raises:
        ValueError: if the path is malformed, does not exist, or names nothing that can be called.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"import path {path!r}: expected package.module:function")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"import path {path!r}: {error}; check the spelling and PYTHONPATH") from error
    if not callable(found):
        raise ValueError(f"import path {path!r}: expected a function, got {found!r}")
    function: Callable[..., Any] = found
    return function

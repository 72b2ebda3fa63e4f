"""Functions that are named by their import paths."""

from collections.abc import Callable
from typing import Any

from mrilib.store.classes import named_by


def load_function(path: str) -> Callable[..., Any]:
    """The function that an import path like `mrilib.report.tables:records_table` names.

    Raises:
        ValueError: if the path is malformed, does not exist, or names nothing that can be called.
    """
    found = named_by(path, "function")
    if not callable(found):
        raise ValueError(f"import path {path!r}: expected a function, got {found!r}")
    function: Callable[..., Any] = found
    return function

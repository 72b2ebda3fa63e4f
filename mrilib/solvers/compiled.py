"""Loops over arrays as machine code."""

import inspect
from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any], *, inlined: bool = False) -> Callable[..., Any]:
    """Compiled, and kept on the disk; `inlined`: into every kernel that calls it."""
    compiled = numba.njit(cache=True, fastmath=True, error_model="numpy", forceinline=inlined)
    # Unwrapped: under pytest jaxtyping wraps every function, and that numba cannot compile.
    return compiled(inspect.unwrap(function))

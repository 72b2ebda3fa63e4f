"""Processor time of work on one core, and memory.

Seconds here are processor time (user and system) of this process and of the children that it waited for. On
one idle core they equal the time on the wall; beside other work they hardly change, where the wall's do.
"""

import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

RUNS = 5


class Seconds(NamedTuple):
    """Medians over runs."""

    processor: float
    wall: float


def pin() -> None:
    """Keep this process and its children on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def processor_seconds() -> float:
    """Processor time so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def median_seconds(work: Callable[[], Any], runs: int = RUNS, *, warm: bool = False) -> Seconds:
    """Median of `runs` runs, after one that warms up unless the work is `warm` already."""
    if not warm:
        work()
    taken = []
    for _ in range(runs):
        start = processor_seconds(), time.perf_counter()
        work()
        taken.append((processor_seconds() - start[0], time.perf_counter() - start[1]))
    return Seconds(*(statistics.median(column) for column in zip(*taken, strict=True)))


def memory(field: str) -> float:
    """MB that this process holds (`VmRSS`) or held at most (`VmHWM`); Linux only.

    `ru_maxrss` will not do: a child's counts what its parent had.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))

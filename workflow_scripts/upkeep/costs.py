"""What the jobs of a run cost, gathered from what each left behind."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mrilib.store.tables import read_table
from mrilib.store.units import read_index
from workflow_scripts.job import GPU_MEMORY
from workflow_scripts.kept import unit_index

# Stages whose files lie in a folder of the method; those of others in one of a source, a dataset, a table.
OF_METHODS = {"tuning", "training", "reconstructions", "attacks", "transfer", "features"}
COLUMNS = {
    "stage": "stage",
    "method": "method",
    "jobs": "jobs",
    "missing": "missing",
    "units": "units",
    "failed": "failed",
    "seconds": "seconds",
    "seconds_median": "median",
    "seconds_max": "longest",
    "memory_mb": "memory, MB",
    "gpu_memory_mb": "GPU memory, MB",
}


@dataclass(frozen=True)
class Job:
    """A job that the config asks for, or that ran.

    Args:
        stage: folder of its benchmark, e.g. `attacks`, or its rule if it has none.
        method: empty where a job is of no method.
        name: its benchmark and log within their folders, without suffix; empty without a benchmark.
        done: whether all its outputs are there; `None` if that is not known.
    """

    stage: str
    method: str
    name: str
    done: bool | None


def planned(folder: Path, job: Any) -> Job:
    """A job of Snakemake's: its method is the wildcard of that name."""
    done = all(Path(file).exists() for file in job.output)
    method = job.wildcards.get("method", "")
    if not job.benchmark:
        return Job(job.rule.name, method, "", done)
    name = Path(job.benchmark).relative_to(folder / "benchmarks").with_suffix("")
    return Job(_stage(name), method, str(name), done)


def benchmarked(folder: Path, benchmark: Path) -> Job:
    """The job that left this benchmark file."""
    name = benchmark.relative_to(folder / "benchmarks").with_suffix("")
    stage, parts = _stage(name), name.parts
    return Job(stage, parts[1] if stage in OF_METHODS and len(parts) > 1 else "", str(name), None)


def _stage(name: Path) -> str:
    """The first folder."""
    return name.parts[0]


def finished_jobs(folder: Path) -> list[Job]:
    """The jobs that left a benchmark."""
    return [benchmarked(folder, path) for path in sorted((folder / "benchmarks").rglob("*.tsv"))]


def gather(folder: Path, jobs: Iterable[Job], failed: pd.DataFrame) -> pd.DataFrame:
    """One row for each stage and method.

    Seconds and memory are those of each job's last run: of one that was killed and went on, the last part.

    Args:
        folder: of the run.
        jobs: to be counted.
        failed: `stage` and `method` of every unit that failed.
    """
    rows = [{"stage": job.stage, "method": job.method} | _left(folder, job) for job in jobs]
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.DataFrame(rows)
    table = frame.groupby(["stage", "method"], sort=False).agg(
        jobs=("units", "size"),
        missing=("missing", lambda column: column.sum(min_count=1)),
        units=("units", "sum"),
        seconds=("seconds", "sum"),
        seconds_median=("seconds", "median"),
        seconds_max=("seconds", "max"),
        memory_mb=("memory_mb", "max"),
        gpu_memory_mb=("gpu_memory_mb", "max"),
    )
    table["failed"] = failed.groupby(["stage", "method"]).size().reindex(table.index, fill_value=0)
    return table.reset_index()[list(COLUMNS)]


def as_markdown(table: pd.DataFrame) -> str:
    """The table for readers; nothing where there is no number."""
    words = table.rename(columns=COLUMNS).map(_in_words)
    return words.to_markdown(index=False, disable_numparse=True)


def _in_words(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "—"
    return f"{value:.0f}" if value == round(value) or value >= 100 else f"{value:.1f}"


def _left(folder: Path, job: Job) -> dict[str, float]:
    """What a job's outputs, benchmark, log and list of units say; NaN where there is none."""
    found = dict.fromkeys(("missing", "seconds", "memory_mb", "gpu_memory_mb"), math.nan) | {"units": 0.0}
    if job.done is not None:
        found["missing"] = float(not job.done)
    if not job.name:
        return found
    benchmark, log = folder / "benchmarks" / f"{job.name}.tsv", folder / "logs" / f"{job.name}.log"
    if benchmark.exists():
        row = read_table(benchmark, {}, separator="\t").iloc[-1]
        found["seconds"] = float(row["s"])
        # Snakemake writes no number for a job shorter than its first look at it.
        found["memory_mb"] = float(pd.to_numeric(row["max_rss"], errors="coerce"))
    if log.exists():
        peaks = re.findall(rf"^{GPU_MEMORY} (\d+) MB", log.read_text(encoding="utf-8"), re.MULTILINE)
        found["gpu_memory_mb"] = max(map(float, peaks), default=math.nan)
    units = read_index(unit_index(folder, log))
    found["units"] = sum((folder / "units" / unit).exists() for unit in units)
    return found

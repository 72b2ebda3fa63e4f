"""How every script runs as a job: log first, source checked, threads set."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflow_scripts.provenance import stage_hash

Main = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]


def use_checkout(folder: str) -> None:
    """Let the scripts, which run in their own process, import from this checkout, whatever is installed."""
    paths = [folder, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)


def run(snakemake: Any, main: Main) -> None:
    """Call `main(inputs, outputs, params)` with everything it prints, and its error, in the job's log.

    Heavy imports belong inside `main`: the log is open before them, and threads are limited.

    Raises:
        RuntimeError: if the source was edited after the job was planned.
    """
    log = Path(str(snakemake.log[0]))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", buffering=1, encoding="utf-8") as file:
        sys.stdout = sys.stderr = file
        try:
            params = dict(snakemake.params.items())
            _check_source(params)
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
                os.environ[name] = str(snakemake.threads)
            main(dict(snakemake.input.items()), dict(snakemake.output.items()), params)
        except BaseException:
            traceback.print_exc(file=file)
            raise
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _check_source(params: dict[str, Any]) -> None:
    stage = params["stage"]
    present = stage_hash(stage["script"], stage["rule"], tuple(stage["roots"]))
    if present != params["source"]:
        raise RuntimeError(
            f"the source of {stage['rule']} changed after this job was planned (planned {params['source']}, "
            f"found {present}); run snakemake again"
        )

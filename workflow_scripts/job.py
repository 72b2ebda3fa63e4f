"""How every script runs as a job: log first, code checked, threads set, receipts of its outputs last."""

import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflow_scripts.kept import as_accepted, keep_code, run_folder, unit_index
from workflow_scripts.provenance import stage_hash
from workflow_scripts.receipts import write_receipts

# The summary looks for this in the logs.
GPU_MEMORY = "peak GPU memory:"
# Set by the user, who knows of jobs that were given a GPU that torch cannot use.
ALLOW_CPU = "MRI_ROBUSTNESS_ALLOW_CPU"
Piece = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
Main = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]


def use_checkout(folder: str) -> None:
    """Let the scripts, which run in their own process, import from this checkout, whatever is installed."""
    paths = [folder, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)


def run(snakemake: Any, main: Main) -> None:
    """Call `main(inputs, outputs, params)` with everything it prints, and its error, in the job's log.

    Heavy imports belong inside `main`: the log is open before them, and threads are limited. Of a job with
    `pieces` among its params it is called for each of them: to start a process takes longer than a figure.

    Raises:
        RuntimeError: if the code was edited after the job was planned, or if SLURM gave the job a GPU that
            torch does not see.
    """
    log = Path(str(snakemake.log[0]))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", buffering=1, encoding="utf-8") as file:
        sys.stdout = sys.stderr = file
        try:
            job, gpus = (os.environ.get(name, "none") for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"))
            print(f"host {socket.gethostname()}, SLURM job {job}, CUDA_VISIBLE_DEVICES {gpus}")
            params = dict(snakemake.params.items())
            folder = run_folder(log)
            # A download has no code hash: what it fetches depends on no code of ours.
            if "code" in params:
                _check_code(params)
                keep_code(folder, params)
            if "units" in params:
                params |= as_accepted(params) | {"index": str(unit_index(folder, log))}
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
                os.environ[name] = str(snakemake.threads)
            _check_gpu(snakemake.resources.get("gpu", 0))
            for piece in _pieces(snakemake, params):
                main(*piece)
            _report_gpu_memory()
            if "code" in params:
                write_receipts(folder, snakemake)
            # Or the interpreter searches what torch brought for cycles at its end: half a second.
            gc.freeze()
        except BaseException:
            traceback.print_exc(file=file)
            raise
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _pieces(snakemake: Any, params: dict[str, Any]) -> list[Piece]:
    """What `main` is called with: once for the whole job, or once for each of its `pieces`.

    Such a param lists what each has for itself: `outputs`, `params`, and `inputs` where not all of the job's
    serve.
    """
    inputs, outputs = dict(snakemake.input.items()), dict(snakemake.output.items())
    if "pieces" not in params:
        return [(inputs, outputs, params)]
    shared = {name: value for name, value in params.items() if name != "pieces"}
    return [
        (each.get("inputs", inputs), each["outputs"], shared | each["params"]) for each in params["pieces"]
    ]


def _check_code(params: dict[str, Any]) -> None:
    stage = params["stage"]
    present = stage_hash(stage["script"], stage["rule"], tuple(stage["roots"]))
    if present != params["code"]:
        raise RuntimeError(
            f"the code of {stage['rule']} changed after this job was planned (planned {params['code']}, "
            f"found {present}); run snakemake again"
        )


def _report_gpu_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        print(f"{GPU_MEMORY} {torch.cuda.max_memory_allocated() / 1e6:.0f} MB", flush=True)


def _check_gpu(asked: int) -> None:
    """A job that SLURM gave a GPU has no use for a CPU: it would take days, and the GPU would idle."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not (asked and given and "SLURM_JOB_ID" in os.environ) or os.environ.get(ALLOW_CPU) == "1":
        return

    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            f"SLURM gave this job GPU {given} on {socket.gethostname()}, and torch {torch.__version__} sees "
            "none; see whether nvidia-smi works there and torch is a CUDA build, take such jobs to CPU nodes "
            f"(`gpu: 0` in slurm/config.v9+.yaml), or export {ALLOW_CPU}=1 to let them compute on the CPU"
        )

"""A decoder's fit, a tuning and a training on scans, killed at random moments: they end bit for bit equal.

Each job runs in a process of its own, as in the workflow, and is killed with SIGKILL. It keeps its state many
times a second, so that a kill hits all kinds of moments.
"""

import json
import os
import random
import subprocess
import sys

import h5py
import pytest
import torch

from tests.workflow.runs import ROOT, SCAN_METHODS, environment, snakemake, tiny_scans, written

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("MRI_ROBUSTNESS_KILLS", "2"))
MEASUREMENT = "results/tiny/measurements/abdomen/columns/{}/{}.h5"
SETS = "results/tiny/sets/abdomen/{}.csv"
# A job as its rule runs it, without Snakemake.
JOB = """
import importlib, json, os, sys, time
os.environ["OMP_NUM_THREADS"] = "1"
import mrilib.store.unfinished, mrilib.training.fit
mrilib.store.unfinished.SAVE_EVERY = 0.02
given = json.load(open(sys.argv[1]))
print("ready", flush=True)
job = importlib.import_module(f"workflow_scripts.stages.{given['script']}")
job.main(given["inputs"], given["outputs"], given["params"])
"""
FIT = {
    "reconstructor": SCAN_METHODS["decoder"]["reconstructor"],
    "parameters": SCAN_METHODS["decoder"]["parameters"] | {"steps": 600, "fits": 2},
    "tuned": None,
}
TUNED = {
    "reconstructor": SCAN_METHODS["tv"]["reconstructor"],
    "parameters": {"coupling": "isotropic"},
    "tuned": "weight",
}
TRAINED = {
    "reconstructor": SCAN_METHODS["varnet"]["reconstructor"],
    "parameters": SCAN_METHODS["varnet"]["parameters"],
    "tuned": None,
}
JOBS = {
    "reconstruct": {
        "inputs": {"measurement": MEASUREMENT.format("test", 0)},
        "outputs": {"reconstruction": "out.h5"},
        "params": {
            "method": FIT,
            "tuned": ["clean"],
            "identity": {"method": "decoder", "position": 0},
            "keep_state": False,
        },
    },
    "tune": {
        "inputs": {"measurements": [MEASUREMENT.format("validation", number) for number in range(2)]},
        "outputs": {"tuning": "out.json"},
        "params": {
            "method": TUNED,
            "tune": {"parameter": "weight", "tolerance": 1e-4},
            "values": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
            "tuned": ["clean"],
            "seed": 1,
        },
    },
    "train": {
        "inputs": {part: SETS.format(part) for part in ("train", "validation")},
        "outputs": {name: f"{name}.pt" for name in ("best", "last", "kept")} | {"history": "history.csv"},
        "params": {
            "method": TRAINED,
            "training": {
                "loss": "ssim",
                "seed": 0,
                "start": None,
                "keep": [],
                "phases": [{"epochs": 6, "batch": 1, "learning_rate": 1e-3}],
            },
            "sampling": {
                "class": "mrilib.data.sampling.columns:Random",
                "arguments": {"acceleration": 3, "center_fraction": 0.25},
            },
            "name": ["abdomen", "columns", "varnet"],
            "domain": "abdomen@columns",
            "size": 32,
            "seed": 1,
        },
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with measurements and sets of slices."""
    folder = tmp_path_factory.mktemp("data")
    values = tiny_scans(["zero-filled"])
    values["images"]["abdomen"]["validation"]["count"] = 2
    places = [("test", 0), ("validation", 0), ("validation", 1)]
    targets = [*(MEASUREMENT.format(*place) for place in places), SETS.format("train")]
    done = snakemake(folder, *targets, "--cores", "2", "--configfile", written(folder, values))
    assert done.returncode == 0, done.stdout
    return folder


def started(data, script, folder):
    """The job in a process, once it has begun its work."""
    job = JOBS[script]
    folder.mkdir(exist_ok=True)
    outputs = {name: str(folder / path) for name, path in job["outputs"].items()}
    params = job["params"] | {"code": "0", "units": str(folder / "units"), "index": str(folder / "index.txt")}
    (folder / "job.json").write_text(
        json.dumps({"script": script, "inputs": job["inputs"], "outputs": outputs, "params": params})
    )
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder / "job.json")],
        cwd=data,
        env=environment(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def content(folder):
    """What the job left, times apart."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                arrays = {}
                file.visititems(
                    lambda name, item, arrays=arrays: (
                        arrays.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
                    )
                )
            found[path.name] = arrays
        elif path.name == "out.json":
            found[path.name] = path.read_text()
        elif path.suffix == ".pt":
            state = torch.load(path, weights_only=True).get("state", {})
            found[path.name] = {name: value.numpy().tobytes() for name, value in state.items()}
    return found


@pytest.mark.parametrize("script", JOBS)
def test_a_killed_job_goes_on_and_ends_bit_for_bit_equal(data, tmp_path, script):
    whole = started(data, script, tmp_path / "whole")
    printed, _ = whole.communicate()
    assert whole.returncode == 0, printed
    draw, hit = random.Random(script), 0
    for _ in range(10 * KILLS):
        process = started(data, script, tmp_path / "killed")
        try:
            process.communicate(timeout=draw.uniform(0.5, 4.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            hit += 1
            if hit < KILLS:
                continue
        break
    assert hit > 0
    last = started(data, script, tmp_path / "killed")
    printed, _ = last.communicate()
    assert last.returncode == 0, printed
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert content(tmp_path / "whole")
    # What was kept on the way is gone, but for a training's state, which its unit is. Half-written
    # files of a kill (`.*.partial.*`) are left to `prune`.
    kept = (tmp_path / "killed/units").glob("[!.]*.pt")
    assert not [path for path in kept if "training-" not in path.name]

"""Small runs of the workflow, for tests."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# What a run reads of a checkout.
SOURCES = ("Snakefile", "mrilib", "workflow_scripts", "rules", "profiles", "slurm", "envs")
# Of a run of `tiny` with a trained method and one image: a file of each kind, and of each rule. To make all
# tables and figures takes longer than to compute what they show.
EVERY_KIND = ("results/tiny/tables/transfer-amplification.csv", "results/tiny/figures/error.pdf")
EVERY_RULE = (
    *EVERY_KIND,
    "results/tiny/figures/transfer-amplification.pdf",
    "results/tiny/figures/transfer-ellipses-0.pdf",
    "results/tiny/figures/attack-tv-ellipses-0.pdf",
    "results/tiny/figures/mask-ellipses-0.pdf",
    "results/tiny/figures/training-ellipses@radial-40.pdf",
    "results/tiny/figures/reconstructions-ellipses-radial-40-0.pdf",
    "results/tiny/tables/quality.csv",
)
# Multi-coil data of seconds, from an image that a package brings.
SCAN_DATA = {
    "kind": "simulated",
    "anatomy": "abdomen",
    "coils": 4,
    "rows": 40,
    "columns": 48,
    "volumes": {
        name: {"file": "pydicom:examples_overlay.dcm", "draws": 3} for name in ("first", "second", "third")
    },
    # A volume each.
    "split": {"train": 0.34, "validation": 0.33, "test": 0.33},
}
COLUMNS = {"kind": "equispaced-fraction", "acceleration": 3, "center_fraction": 0.25}
# Networks on scans, small enough for seconds.
SCAN_METHODS = {
    "varnet": {
        "reconstructor": "mrilib.reconstructors.multicoil:TrainedMultiCoil",
        "parameters": {
            "network": {
                "class": "mrilib.networks.varnet:VarNet",
                "arguments": {
                    "num_cascades": 1,
                    "chans": 2,
                    "pools": 1,
                    "sens_chans": None,
                    "center_fraction": 0.25,
                },
            }
        },
        "training": {"loss": "ssim", "phases": [{"epochs": 2, "batch": 1, "learning_rate": 1e-3}]},
    },
    "unet": {
        "reconstructor": "mrilib.reconstructors.multicoil:TrainedMultiCoil",
        "parameters": {
            "network": {
                "class": "mrilib.networks.magnitude_unet:MagnitudeUnet",
                "arguments": {"chans": 2, "num_pool_layers": 1},
            }
        },
        "training": {"loss": "l1", "phases": [{"epochs": 2, "batch": 1, "learning_rate": 1e-3}]},
    },
    "decoder": {
        "reconstructor": "mrilib.reconstructors.untrained:Untrained",
        "parameters": {
            "network": {
                "class": "mrilib.networks.decoders:ConvDecoder",
                "arguments": {"channels": 4, "layers": 3},
            },
            "steps": 20,
        },
    },
    "l1": {
        "reconstructor": "mrilib.reconstructors.l1:L1",
        "parameters": {
            "basis": {"class": "mrilib.operators.bases:Wavelet", "arguments": {"levels": 2}},
            "tolerance": 1e-2,
        },
        "tune": {
            "parameter": "weight",
            "at": "clean",
            "tolerance": 1e-2,
            "grid": {"low": 1e-3, "high": 1e-2, "count": 2},
        },
    },
    "tv": {
        "reconstructor": "mrilib.reconstructors.total_variation:TotalVariation",
        "parameters": {"coupling": "isotropic", "tolerance": 1e-2},
        "tune": {
            "parameter": "weight",
            "at": "clean",
            "tolerance": 1e-2,
            "grid": {"low": 1e-3, "high": 1e-2, "count": 2},
        },
    },
    "tikhonov": {
        "reconstructor": "mrilib.reconstructors.linear:Tikhonov",
        "tune": {"parameter": "weight", "at": "clean", "grid": {"low": 1e-3, "high": 1e-1, "count": 2}},
        "search_arguments": {"rounds": [[4, 1]]},
    },
    "zero-filled": {
        "label": "zero-filled",
        "reconstructor": "mrilib.reconstructors.linear:ZeroFilled",
        "search_arguments": {"rounds": [[1, 1]]},
    },
}


def environment(*folders):
    """The environment of a run that imports from these folders.

    Snakemake's plugin asks SLURM for its settings when it is imported; where SLURM's programs are installed
    and no cluster runs, an empty file makes them answer at once instead of after ten seconds.
    """
    paths = os.pathsep.join(str(folder) for folder in folders)
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "SLURM_CONF": os.devnull}


def command(folder, *arguments, checkout=ROOT):
    """What runs the workflow of a checkout in a folder."""
    start = [sys.executable, "-m", "snakemake", "-s", str(checkout / "Snakefile"), "--directory", str(folder)]
    # The other scheduler starts a solver whenever a job ends: seconds of a run of small jobs.
    return [*start, "--scheduler", "greedy", *arguments]


def snakemake(folder, *arguments, checkout=ROOT, paths=()):
    """Run the workflow of a checkout in a folder; the result has everything it printed in `stdout`."""
    return subprocess.run(
        command(folder, *arguments, checkout=checkout),
        cwd=folder,
        env=environment(checkout, *paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


PLANNING = """
import json, sys
from pathlib import Path
from workflow_scripts.upkeep.plan import opened

with opened(Path(sys.argv[1]), sys.argv[2:]) as plan:
    plan.build()
    jobs = [[job.rule.name, dict(job.wildcards.items())] for job in plan.jobs if plan.would_run(job)]
print(json.dumps(jobs))
"""


def jobs_to_run(folder, config, targets, *, checkout=ROOT, paths=()):
    """Rule and wildcards of each job that Snakemake would run; its dry runs print the message instead."""
    done = subprocess.run(
        [sys.executable, "-c", PLANNING, config, *targets],
        cwd=folder,
        env=environment(checkout, *paths),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [tuple(job) for job in json.loads(done.stdout)]


def tiny(*, methods=None, attacks=None, study=False, **changes):
    """The demo's config at 32² pixels and one image; of its methods and attacks those named, or all.

    Its study of the radius is left out unless it is asked for.
    """
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values |= {"run": "tiny", "size": 32, "levels": [0.04, 0.08]}
    values["images"]["ellipses"] = {"kind": "ellipses", "test": 1, "validation": 1}
    values["masks"] = {"radial-40": {"kind": "radial", "lines": 8}}
    for name in ("peak", "disk", "object"):
        values["attacks"][name] |= {"grid": 2}
    values["methods"]["tv"]["tune"]["grid"] = {"low": 1e-3, "high": 0.1, "count": 5}
    for name in ("tira", "tirafl"):
        method = values["methods"][name]
        method["training"] |= {"images": 8, "validation": 2}
        method["training"]["phases"] = [{"epochs": 2, "batch": 2, "learning_rate": 1e-3}]
    method["training"]["start"]["epoch"] = 1
    method["parameters"]["inverse"]["size"] = 32
    if study:
        values["attacks"]["radius"] |= {"vary": {"disk_radius": [1, 5]}}
    else:
        values["attacks"].pop("radius")
        del values["experiments"]
    if methods is not None:
        values["methods"] = {name: values["methods"][name] for name in methods}
        values["figures"]["methods"] = [name for name in values["figures"]["methods"] if name in methods]
    if attacks is not None:
        values["attacks"] = {name: values["attacks"][name] for name in attacks}
    if methods is not None or attacks is not None:
        # The fewest: one image, without the attack that is for the head alone.
        del values["images"]["head"]
        values["attacks"].pop("object", None)
        values["figures"]["examples"] = [{"source": "ellipses"}]
    return values | changes


def scan_source(**counts):
    """A source of slices of `SCAN_DATA`: how many of each part."""
    return {"kind": "scans"} | {
        part: {"dataset": "abdomen-data", "split": part, "count": count} for part, count in counts.items()
    }


def tiny_scans(methods, **changes):
    """Slices of multi-coil data under a mask of columns, reconstructed by some of `SCAN_METHODS`."""
    return {
        "run": "tiny",
        "seed": 1,
        "datasets": {"abdomen-data": SCAN_DATA},
        "images": {"abdomen": scan_source(train=3, validation=1, test=1)},
        "masks": {"columns": COLUMNS},
        "methods": {name: copy.deepcopy(SCAN_METHODS[name]) for name in methods},
    } | changes


def written(folder, values):
    """The config in a file of the folder; its path."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return str(path)


def copied(folder):
    """The source of this checkout in another folder, to be edited at will."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *SOURCES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # Compiled kernels hold while the time of their source is the same; to compile them takes many seconds.
    kernels = [str(path.relative_to(ROOT)) for path in (ROOT / "mrilib").rglob("__pycache__/*.nb[ci]")]
    for name in [*listed.stdout.split(), *kernels]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder

"""Small runs of the workflow, for tests."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# What a run reads of a checkout.
SOURCES = ("Snakefile", "mrilib", "workflow_scripts", "rules", "profiles", "slurm", "envs")


def environment(*folders):
    """The environment of a run that imports from these folders.

    Snakemake's plugin asks SLURM for its settings when it is imported; where SLURM's programs are installed
    and no cluster runs, an empty file makes them answer at once instead of after ten seconds.
    """
    paths = os.pathsep.join(str(folder) for folder in folders)
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "SLURM_CONF": os.devnull}


def snakemake(folder, *arguments, paths=()):
    """Run the workflow of this checkout in a folder; the result has everything it printed in `stdout`."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(ROOT, *paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def tiny(*, methods=None, attacks=None, **changes):
    """The demo's config at 32² pixels and one image; of its methods and attacks those named, or all."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values |= {"run": "tiny", "size": 32, "levels": [0.04, 0.08], "studies": {}}
    values["images"]["ellipses"] = {"kind": "ellipses", "test": 1, "validation": 1}
    values["masks"] = {"radial-40": {"kind": "radial", "lines": 8}}
    for name in ("peak", "disk"):
        values["attacks"][name] |= {"grid": 2}
    values["methods"]["tv"]["tune"]["grid"] = {"low": 1e-3, "high": 0.1, "count": 5}
    for name in ("tira", "tirafl"):
        method = values["methods"][name]
        method["training"] |= {"images": 8, "validation": 2}
        method["training"]["phases"] = [{"epochs": 2, "batch": 2, "learning_rate": 1e-3}]
    method["training"]["start"]["epoch"] = 1
    method["parameters"]["inverse"]["arguments"]["size"] = 32
    if methods is not None:
        values["methods"] = {name: values["methods"][name] for name in methods}
        values["figures"]["methods"] = [name for name in values["figures"]["methods"] if name in methods]
    if attacks is not None:
        values["attacks"] = {name: values["attacks"][name] for name in attacks}
    if methods is not None or attacks is not None:
        # The fewest: one image.
        del values["images"]["head"]
        values["figures"]["examples"] = [{"source": "ellipses"}]
    return values | changes


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
    for name in listed.stdout.split():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder

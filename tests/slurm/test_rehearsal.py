"""Both papers' studies in small, as one run on the test cluster, from a server's files to the tables.

What stands in `config.paper.yaml` and `config.paper.multicoil.yaml` is run, every rule of it, with every
count 1, images of 32×32 and 40×48 pixels, a method of each class, and networks of a few hundred weights.
"""

import json
import re
import tarfile

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from mrilib.data.volumes.simulated import simulate_volume
from tests.data.downloads.server import Reply, serving
from tests.data.volumes.raw_files import cartesian_scan
from tests.slurm.conftest import ROOT, Checkout

pytestmark = pytest.mark.slurm

METHODS = ("tv", "convdecoder", "unet", "varnet")
SMALL = {
    "convdecoder": {"channels": 4, "layers": 3},
    "unet": {"chans": 2, "num_pool_layers": 1},
    "varnet": {"chans": 2, "sens_chans": 2, "num_cascades": 1, "pools": 1, "sens_pools": 1}
    | {"center_fraction": 0.25},
}
TIRA = {"first": 4, "growth": 2, "down": [1, 1], "bottleneck": 1, "up": [1, 1], "zero_output": True}
ANATOMIES = ("knee", "brain")
GRID = {"low": 1e-3, "high": 1e-2, "count": 2}
PHASES = [{"epochs": 1, "batch": 1, "learning_rate": 1e-3}]
ATTACKS = ("global", "two-step", "unrolled", "refit")
# Of the shifts one of each kind, for the knees.
LEFT_OUT = ("brain-draws", "brain-pool", "brain-hard", "brain-control", "knee-accelerations")
SHIFTS = ("knee-to-brain",)
EXPERIMENTS = ("anatomy-brain", "hard-knee", "ranking-anatomy-brain", "difficulty-knee", "volumes")
EXPERIMENTS += ("loss-bright", "findings", "hiding")
FEATURES = ("bright", "hide")
BOXES = "file,slice,study_level,x,y,width,height,label\n" + "".join(
    f"knee-val-0,{number},No,18,12,6,6,Cyst\n" for number in range(3)
)
# Rules that neither config has a use for: volumes simulated from images, and the theory, which has its own.
ELSEWHERE = {"simulate_volume", "recover", "recover_noisy", "recover_phantoms"}


def volume(path, seed):
    """A volume of fastMRI's schema: three slices of four coils."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    images = [np.exp(-((y / 0.6) ** 2 + (x / (0.3 + 0.1 * number)) ** 2)) for number in range(3)]
    settings = {"coils": 4, "rows": 40, "columns": 48, "noise": 0.01, "seed": seed}
    simulate_volume(images, path, patient=f"patient-{seed}", **settings)


def scans(url):
    """P2's config with everything at its smallest."""
    values = yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text())
    datasets = values["datasets"]
    for anatomy in ANATOMIES:
        for part in ("train", "val"):
            datasets[f"{anatomy}-{part}"] |= {"mail": "mail.txt", "archives": [f"{anatomy}_{part}.tar.gz"]}
            del datasets[f"{anatomy}-{part}"]["folders"]
        datasets[f"{anatomy}-train"]["split"] = {"train": 0.5, "validation": 0.5}
    datasets["stanford-knees"] |= {"url": url, "volumes": ["knee-volume"]}
    del datasets["stanford-2d-fse"]
    values["images"] = {name: each for name, each in values["images"].items() if name not in LEFT_OUT}
    values["shifts"] = {name: values["shifts"][name] for name in SHIFTS}
    for source in values["images"].values():
        for part in {"train", "validation", "test"} & source.keys():
            source[part]["count"] = 1
        if "methods" in source:
            source["methods"] = ["tv"]
    values["images"]["knee-pool"]["test"] |= {"count": 2, "middle": 1.0}
    values["images"]["knee-hard"]["test"]["by"] = ["tv"]
    values["images"]["knee-draws"]["masks"] = ["random-4-b"]
    for mask in values["masks"].values():
        mask |= {"acceleration": 3, "center_fraction": 0.25, "redraw": None}
    values["annotations"] = {"fastmri-plus": values["annotations"]["fastmri-plus"] | {"file": "boxes.csv"}}
    values["features"] = {name: values["features"][name] for name in FEATURES}
    values["features"]["bright"] |= {"spacing": 8}
    values["features"]["hide"] |= {"images": 1, "methods": ["tv"], "steps": 2, "rungs": 2, "halvings": 1}
    values["methods"] = {name: values["methods"][name] for name in METHODS}
    for name, method in values["methods"].items():
        method["masks"] = ["random-4", "random-4-b"]
        if name in SMALL:
            method["parameters"]["network"] |= SMALL[name]
        if "tune" in method:
            method["tune"]["grid"] = GRID
        if "training" in method:
            method["training"] |= {"seeds": [0], "phases": PHASES}
    values["methods"]["convdecoder"]["parameters"]["steps"] = 5
    attacks = {name: values["attacks"][name] for name in ATTACKS}
    for attack in attacks.values():
        attack |= {"sources": ["knee"], "images": 1, "levels": [0.04]}
        if attack["kind"] == "global":
            attack |= {"steps": 3, "restarts": 1}
            attack["methods"] = [name for name in attack["methods"] if name.removesuffix("-0") in METHODS]
    attacks["two-step"]["tune"] |= {"images": 1, "level": 0.04}
    attacks["two-step"]["tune"]["grid"] |= {"count": 2}
    # Beside P1's, some of which have the same names.
    values["attacks"] = {f"scans-{name}": attack for name, attack in attacks.items()}
    beta = values["experiments"]["beta"] | {"attack": "scans-two-step"}
    values["experiments"] = {"beta": beta} | {name: values["experiments"][name] for name in EXPERIMENTS}
    return values


def phantoms():
    """P1's, with the reference's attack and both studies."""
    values = yaml.safe_load((ROOT / "config.paper.yaml").read_text())
    values["images"]["ellipses"] |= {"test": 1, "validation": 1}
    values["masks"] = {"radial-40": {"kind": "radial", "lines": 8}}
    values["methods"] = {f"p1-{name}": values["methods"][name] for name in ("tv", "zero-filled", "tira")}
    for method in values["methods"].values():
        method |= {"masks": ["radial-40"], "label": f"{method['label']} (P1)"}
    values["methods"]["p1-tv"]["tune"]["grid"] = GRID
    tira = values["methods"]["p1-tira"]
    tira["parameters"]["network"] |= TIRA
    tira["training"] |= {"images": 2, "validation": 1, "phases": PHASES}
    tira["search_arguments"] = {"rounds": [[2, 1]]}
    for attack in values["attacks"].values():
        attack |= {"sources": ["ellipses"]}
        if attack["kind"] == "localized":
            attack |= {"grid": 2, "restarts": 1}
        if "methods" in attack:
            attack["methods"] = ["p1-tv"]
        if "vary" in attack:
            attack |= {"images": 1, "levels": [0.04]}
    values["attacks"]["global"] |= {"steps": 5}
    values["attacks"]["radius"]["vary"] = {"disk_radius": [1, 5]}
    for name in ("weight", "weight-reference"):
        values["attacks"][name]["vary"] = {"factor": [1, 2]}
    values["figures"]["methods"] = ["p1-tv", "p1-tira"]
    return values | {"levels": [0.04], "size": 32}


def small(url):
    """Both as one run: what one has beside the other does not disturb it."""
    first, second = phantoms(), scans(url)
    together = ("images", "masks", "methods", "attacks", "experiments")
    both = {key: first[key] | second[key] for key in together}
    return {**second, **first, **both, "run": "tiny", "downloads": "downloads"}


def test_the_papers_studies_from_archives_to_tables(cluster, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    with serving() as server:
        lines = []
        for number, anatomy in enumerate(ANATOMIES):
            for part, volumes in (("train", 2), ("val", 1)):
                archive = served / f"{anatomy}_{part}.tar.gz"
                with tarfile.open(archive, "w:gz") as file:
                    for each in range(volumes):
                        path = served / f"{anatomy}-{part}-{each}.h5"
                        volume(path, 10 * number + 2 * (part == "val") + each)
                        file.add(path, f"multicoil_{part}/{path.name}")
                url = server.answer(f"/{archive.name}", Reply(archive.read_bytes()))
                lines.append(f'curl -C - "{url}" --output {archive.name}\n')
        raw = served / "raw.h5"
        volume(served / "stanford.h5", 99)
        with h5py.File(served / "stanford.h5") as file:
            # A readout is a row of k-space, a line one of its columns.
            kspace = file["kspace"][()].transpose(0, 3, 1, 2)[:, None]
        cartesian_scan(kspace).write(raw)
        server.answer("/knee-volume", Reply(raw.read_bytes()))
        (checkout.folder / "mail.txt").write_text("".join(lines))
        (checkout.folder / "boxes.csv").write_text(BOXES)
        values = small(f"http://127.0.0.1:{server.server_port}/")
        (checkout.folder / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        # On no GPU and with little memory, so that several run beside each other.
        names = ("convert_volume", "list_volumes", "measure_scan", "tune", "train", "reconstruct")
        names += ("tune_search", "attack", "transfer", "feature")
        resources = {"gpu": 0, "mem_mb": 2500, "runtime": 20}
        checkout.site(**{"set-resources": dict.fromkeys(names, resources), "set-threads": {"train": 1}})
        with checkout.snakemake() as process:
            checkout.completed(process, seconds=1200)
    # Snakemake's table of jobs; of a job it shows the message instead of the rule.
    ran = set(re.findall(r"^(\w+) +\d+$", checkout.log.read_text(), re.MULTILINE))
    stages = {
        name
        for path in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)
    }
    assert stages - ran == ELSEWHERE
    assert {job["JobState"] for job in checkout.jobs()} == {"COMPLETED"}
    results = checkout.folder / "results/tiny"
    records = json.loads((results / "records/quality.json").read_text())
    ssim = [record for record in records if record["quantity"] == "ssim"]
    places = {(record["row"]["source"], record["row"].get("domain", "")) for record in ssim}
    # Phantoms, knees, brains, another scanner's, another draw of the mask, brains by what knows only knees;
    # all candidates for hard knees, those, and their control; knees for small features.
    assert len(places) == 10
    assert all(np.isfinite(record["value"]) for record in ssim)
    for name in ("quality", "table-1", "transfer-severity"):
        assert (results / f"tables/{name}.md").stat().st_size > 500
    drawn = ("radius-study", "weight-study", "map-p1-tv-ellipses-0", "quality-random-4")
    drawn += ("shift-knee-to-brain", "hard-knee", "difficulty-knee", "loss-bright", "findings")
    for name in (*drawn, "boxes-knee-features-random-4"):
        assert (results / f"figures/{name}.pdf").stat().st_size > 1000
    catalogue = pd.read_csv(results / "tables/catalogue.csv")
    assert catalogue["accepted"].all()
    assert set(catalogue["dataset"]) == {"stanford-knees"} | {
        f"{anatomy}-{part}" for anatomy in ANATOMIES for part in ("train", "val")
    }

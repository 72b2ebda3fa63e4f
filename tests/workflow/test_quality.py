"""Methods on scans through the workflow: tuned, trained, compared."""

import json

import pandas as pd
import pytest
import yaml

from tests.workflow.runs import ROOT, snakemake, written

pytestmark = pytest.mark.slow
# Of all that the config asks for, what shows the methods: tests/workflow/test_scans.py makes the rest.
FIGURES = ("quality-random-4", "reconstructions-abdomen-random-4-0")
TARGETS = [f"results/tiny/{name}" for name in ("tables/quality.md", *(f"figures/{f}.pdf" for f in FIGURES))]


def tiny():
    """The multi-coil demo on 64×96 pixels of the abdomen, one slice a set, three methods."""
    values = yaml.safe_load((ROOT / "config.multicoil.yaml").read_text())
    parts = ("train", "validation", "test")
    values["run"] = "tiny"
    values["datasets"] = {f"abdomen-{part}": values["datasets"][f"abdomen-{part}"] for part in parts}
    for part in parts:
        dataset = values["datasets"][f"abdomen-{part}"] | {"rows": 64, "columns": 96}
        file = next(iter(dataset["volumes"].values()))["file"]
        dataset["volumes"] = {part: {"file": file, "draws": 1}}
        values["datasets"][f"abdomen-{part}"] = dataset
    values["images"] = {
        "abdomen": {"kind": "scans", **{part: {"dataset": f"abdomen-{part}", "count": 1} for part in parts}},
        "again": {"kind": "scans", "tuned_on": "abdomen", "test": {"dataset": "abdomen-train", "count": 1}},
    }
    values["masks"]["random-4"] |= {"center_fraction": 0.16, "redraw": None}
    values["methods"] = {name: values["methods"][name] for name in ("zero-filled", "l1-wavelet", "unet")}
    values["methods"]["l1-wavelet"]["tune"] = {
        "parameter": "weight",
        "grid": {"low": 1e-4, "high": 1e-2, "count": 2},
    }
    unet = values["methods"]["unet"]
    unet["parameters"]["network"]["arguments"] = {"chans": 2, "num_pool_layers": 2}
    unet["training"]["phases"] = [{"epochs": 2, "batch": 1, "learning_rate": 1e-3}]
    return values


def test_methods_are_tuned_trained_and_compared(tmp_path):
    config = written(tmp_path, tiny())
    done = snakemake(tmp_path, *TARGETS, "--cores", "2", "--configfile", config)
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/tiny"
    records = json.loads((results / "records/quality.json").read_text())
    ssim = {
        (record["row"]["source"], record["method"]): record["value"]
        for record in records
        if record["quantity"] == "ssim"
    }
    assert len(ssim) == 6
    for source in ("abdomen", "again"):
        assert 0.5 < ssim[source, "zero-filled"] < ssim[source, "l1-wavelet"] < 1.0
    table = (results / "tables/quality.md").read_text()
    for text in ("ℓ1 wavelet", "U-net (reduced)", "abdomen (simulated)"):
        assert text in table
    for figure in FIGURES:
        assert (results / f"figures/{figure}.pdf").stat().st_size > 1000
    # Nothing was tuned or trained on the second source: it has the first one's.
    assert [path.name for path in (results / "tuning").iterdir()] == ["abdomen"]
    assert [path.name for path in (results / "training").iterdir()] == ["abdomen"]
    assert len(pd.read_csv(results / "training/abdomen/unet/random-4/history.csv")) == 2

    again = snakemake(tmp_path, *TARGETS, "--cores", "2", "--configfile", config)
    assert "Nothing to be done" in again.stdout
    values = tiny()
    values["methods"]["l1-wavelet"]["parameters"]["basis"] = {"class": "mrilib.operators.bases:Cosine"}
    planned = snakemake(tmp_path, *TARGETS, "-n", "--configfile", written(tmp_path, values)).stdout
    counts = {line.split()[0]: line.split()[1] for line in planned.splitlines() if len(line.split()) == 2}
    assert (counts["tune_scans"], counts["reconstruct"]) == ("1", "2")
    assert "train_scans" not in counts
    assert "measure" not in counts

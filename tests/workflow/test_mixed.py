"""One run with phantoms, a file image and scans side by side, and methods that serve all of them."""

import json
import subprocess
import sys

import h5py
import pandas as pd
import pytest

from tests.workflow.runs import (
    COLUMNS,
    ROOT,
    SCAN_DATA,
    SCAN_METHODS,
    environment,
    scan_source,
    snakemake,
    tiny,
    written,
)

pytestmark = pytest.mark.slow
METHODS = ("tv", "zero-filled")
ATTACKS = ("peak", "object", "gaussian")


def mixed():
    """TV, zero-filled and Tikhonov on all three; a network, ℓ1 and a decoder on scans."""
    values = tiny(levels=[0.08])
    values["methods"] = {name: values["methods"][name] for name in METHODS}
    values["attacks"] = {name: values["attacks"][name] for name in ATTACKS}
    values["attacks"]["object"] |= {
        "grid": 2,
        "sources": ["head", "abdomen"],
        "methods": ["zero-filled", "tikhonov"],
    }
    del values["methods"]["zero-filled"]["masks"]
    values["methods"]["tikhonov"] = SCAN_METHODS["tikhonov"]
    values["methods"]["unet"] = SCAN_METHODS["unet"] | {"masks": ["columns"]}
    for name in ("l1", "decoder"):
        values["methods"][name] = SCAN_METHODS[name] | {"masks": ["columns"]}
    values["methods"]["decoder"]["search"] = "joint"
    for name in ("unet", "tv", "l1"):
        values["methods"][name]["search_arguments"] = {"rounds": [[2, 1]]}
    values["methods"]["decoder"]["search_arguments"] = {"beta": 0.05, "warm": 2, "rounds": [[6, 2]]}
    values["attacks"]["two-step"] = {
        "kind": "global",
        "search": "joint",
        "steps": 120,
        "artifact": "magnitude",
        "methods": ["l1", "decoder"],
        "tune": {"parameter": "beta", "images": 1, "grid": {"low": 1e-3, "high": 0.05, "count": 2}},
    }
    values["attacks"]["refit"] = {"kind": "refit"}
    values["attacks"]["full"] = {"kind": "gaussian", "relative_to": "full", "sources": ["abdomen"]}
    values["experiments"] = {"beta": {"kind": "search-study", "attack": "two-step"}}
    values["datasets"] = {"abdomen-data": SCAN_DATA}
    values["images"]["abdomen"] = scan_source(train=2, validation=1, test=1)
    values["masks"]["columns"] = COLUMNS
    values["masks"]["denser"] = COLUMNS | {"acceleration": 2}
    values["images"]["abdomen"]["masks"] = ["columns"]
    values["domains"] = {"abdomen-3x": {"source": "abdomen", "mask": "columns"}}
    values["shifts"] = {
        "faster": {"domain": "abdomen-3x", "source": "abdomen", "mask": "denser", "methods": ["tikhonov"]}
    }
    values["figures"] = {
        "examples": [{"source": "abdomen", "mask": "columns"}],
        "methods": ["tikhonov", "unet"],
        "mask": "radial-40",
        "attack": "peak",
        "level": 0.08,
        "comparisons": {"two-step": {"methods": ["l1", "decoder"], "attack": "two-step"}},
    }
    values["attacks"]["effort"] = {
        "kind": "global",
        "vary": {"steps": [1, 2, 4]},
        "methods": ["tikhonov", "unet"],
        "sources": ["abdomen"],
        "images": 1,
    }
    values["experiments"] |= {
        "effort": {"kind": "effort-study", "attack": "effort"},
        "alpha": {"kind": "amplification-hypotheses", "attack": "peak"},
    }
    return values


def summary(folder):
    return subprocess.run(
        [sys.executable, "-m", "workflow_scripts.upkeep.summary", "--configfile", "tiny.yaml"],
        cwd=folder,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run, from one call of Snakemake."""
    folder = tmp_path_factory.mktemp("mixed")
    done = snakemake(folder, "--cores", "2", "--configfile", written(folder, mixed()))
    assert done.returncode == 0, done.stdout
    return folder


def test_every_source_is_reconstructed_attacked_and_scored_by_every_method(run):
    results = run / "results/tiny"
    scores = pd.concat([pd.read_csv(path) for path in (results / "scores").rglob("*.csv")])
    assert scores["failed"].isna().all()
    for source, methods in (
        ("ellipses", {"tv", "zero-filled", "tikhonov"}),
        ("head", {"tv", "zero-filled", "tikhonov"}),
        ("abdomen", {"tv", "zero-filled", "tikhonov", "unet", "l1", "decoder"}),
    ):
        here = scores[scores["source"] == source]
        assert set(here["method"]) == methods
        for method in methods:
            own = here[(here["method"] == method) & (here["made_for"] == method)]
            assert {"localized", "gaussian"} <= set(own["kind"])
            severity = own.groupby("kind")["severity"].max()
            assert severity["localized"] >= severity["gaussian"] * 0.999
    # What is seen through more than Aᴴy has no amplification on coils, and a severity all the same.
    coils = scores[(scores["source"] == "abdomen") & (scores["kind"] == "localized")]
    assert coils.loc[coils["method"].isin(["unet", "decoder"]), "amplification"].isna().all()
    assert coils.loc[coils["method"] == "tikhonov", "amplification"].notna().all()
    assert (coils["severity"] > 0).all()
    joint = scores[(scores["attack"] == "two-step") & (scores["made_for"] == scores["method"])]
    assert set(joint["method"]) == {"l1", "decoder"}
    assert (joint["severity"] > 0).all()
    refit = scores[scores["attack"] == "refit"]
    assert set(refit["method"]) == {"decoder"}
    assert joint.set_index("method").loc["decoder", "fit_to_fit"] == pytest.approx(refit["severity"].item())


def test_a_search_is_tuned_on_validation_images_and_its_curve_is_drawn(run):
    results = run / "results/tiny"
    for method in ("l1", "decoder"):
        tuning = json.loads((results / f"tuning/{method}/abdomen-3x/two-step.json").read_text())
        assert tuning["chosen"] in [row["value"] for row in tuning["rows"]]
        assert len(tuning["rows"]) == 2
    records = json.loads((results / "records/beta.json").read_text())
    assert {each["method"] for each in records if each["quantity"] == "chosen"} == {"l1", "decoder"}
    assert (results / "figures/beta.png").stat().st_size > 1000


def test_a_budget_may_be_of_the_full_kspace(run):
    results = run / "results/tiny"
    scores = pd.read_csv(results / "scores/tikhonov/abdomen-3x/abdomen/columns.csv")
    norms = scores.set_index("attack")["perturbation_norm"]
    assert norms["full"] > 1.01 * norms["gaussian"]
    assert norms["gaussian"] == pytest.approx(0.08, rel=1e-5)
    assert "full (full k-space)" in (results / "tables/severity.md").read_text()


def test_a_shift_is_a_path_and_no_second_source(run):
    results = run / "results/tiny"
    own, shifted = (
        results / "reconstructions/tikhonov/abdomen-3x/abdomen" / mask / "0.h5"
        for mask in ("columns", "denser")
    )
    weights = []
    for path in (own, shifted):
        with h5py.File(path) as file:
            weights.append(file["clean"].attrs["weight"])
            assert file.attrs["domain"] == "abdomen-3x"
    assert weights[0] == weights[1]
    tuned = {path.name for path in (results / "tuning/tikhonov").iterdir()}
    assert tuned == {"abdomen-3x.json", "ellipses@radial-40.json"}
    records = json.loads((results / "records/quality.json").read_text())
    assert any(record["row"].get("domain") == "abdomen-3x" for record in records)


def test_every_table_and_figure_is_there(run):
    results = run / "results/tiny"
    tables = (
        "quality",
        "severity",
        "amplification",
        "table-1",
        "transfer-severity",
        "data_residual",
        "alpha",
    )
    for name in (*tables, "effort"):
        assert (results / f"tables/{name}.md").stat().st_size > 100
    figures = ("attack-tikhonov-abdomen-0", "map-unet-abdomen-0", "quality-columns", "transfer-abdomen-0")
    beside = ("perturbed-methods-abdomen-0", "perturbed-two-step-abdomen-0", "ssim", "psnr", "severity")
    for name in (*figures, *beside, "effort"):
        assert (results / f"figures/{name}.pdf").stat().st_size > 1000


def test_the_summary_ends_well_and_tells_what_failed(run):
    told = summary(run)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "0 failed" in told.stdout
    values = mixed()
    # One step is too few for any tolerance.
    values["methods"]["hasty"] = {
        "reconstructor": "mrilib.reconstructors.total_variation:TotalVariation",
        "parameters": {"weight": 1e-3, "tolerance": 1e-6, "max_steps": 1},
        "masks": ["columns"],
    }
    values["attacks"] = {"gaussian": {"kind": "gaussian"}}
    del values["figures"], values["experiments"]
    config = written(run, values)
    score = "results/tiny/scores/hasty/abdomen-3x/abdomen/columns.csv"
    done = snakemake(run, score, "--cores", "2", "--configfile", config)
    assert done.returncode == 0, done.stdout
    told = summary(run)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "failed: abdomen" in told.stdout
    assert "hasty" in told.stdout
    written(run, mixed())


def test_a_second_call_has_nothing_to_do(run):
    again = snakemake(run, "--cores", "2", "--configfile", written(run, mixed()))
    assert "Nothing to be done" in again.stdout

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.workflow.runs import ROOT, snakemake, tiny, written

ATTACK = "results/tiny/attacks/zero-filled/ellipses@radial-40/{}/radial-40/{}.h5"


def test_the_demo_and_the_papers_scale_can_be_planned(tmp_path):
    demo = snakemake(ROOT, "-n", "--quiet", "rules", "--forceall")
    assert demo.returncode == 0, demo.stdout
    assert "attack" in demo.stdout
    shutil.copy(ROOT / "config.yaml", tmp_path)
    paper = snakemake(tmp_path, "-n", "--configfile", str(ROOT / "config.paper.yaml"))
    assert paper.returncode == 0, paper.stdout
    assert "Attack tv of ellipses@radial-80, ellipses 49 under radial-80" in paper.stdout
    # No key of the demo survives.
    assert "head" not in paper.stdout
    assert "results/demo" not in paper.stdout


def test_a_wrong_config_is_one_message_and_no_job(tmp_path):
    values = tiny()
    values["images"]["ellipses"]["tests"] = values["images"]["ellipses"].pop("test")
    result = snakemake(tmp_path, "-n", "--configfile", written(tmp_path, values))
    assert result.returncode != 0
    assert "images.ellipses.tests: unknown key; did you mean 'test'?" in result.stdout
    assert "Traceback" not in result.stdout


def arrays(folder):
    """All arrays of all attack files, by file and path."""
    found = {}

    def visit(path, name, item):
        if isinstance(item, h5py.Dataset):
            found[str(path.relative_to(folder)), name] = item[()]

    for path in sorted((folder / "results/tiny/attacks").rglob("*.h5")):
        with h5py.File(path) as file:
            file.visititems(lambda name, item, path=path: visit(path, name, item))
    return found


@pytest.mark.slow
def test_a_whole_run_and_its_extension(tmp_path):
    values = tiny(study=True)
    # Examples of one source: those of the other differ in the pixels alone.
    values["figures"] |= {"examples": [{"source": "ellipses"}], "methods": ["tv", "tirafl"]}
    config = written(tmp_path, values)
    first = snakemake(tmp_path, "--cores", "2", "--configfile", config)
    assert first.returncode == 0, first.stdout
    results = tmp_path / "results/tiny"
    for name in ("amplification", "severity", "relative_error", "table-1", "transfer-amplification"):
        for kind in ("csv", "md", "tex"):
            assert (results / f"tables/{name}.{kind}").stat().st_size > 100
    assert (
        len(list((results / "figures").glob("*.pdf"))) == len(list((results / "figures").glob("*.png"))) == 24
    )
    scores = pd.read_csv(results / "scores/tv/ellipses@radial-40/ellipses/radial-40.csv")
    assert scores["failed"].isna().all()
    perturbed = scores[scores["kind"] != "reconstruction"]
    assert len(perturbed) > 0
    assert (perturbed["severity"] > 0).all()

    summary = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.upkeep.summary", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Amplification" in summary.stdout
    assert "0 failed" in summary.stdout
    assert summary.stderr == ""

    again = snakemake(tmp_path, "--cores", "2", "--configfile", config)
    assert "Nothing to be done" in again.stdout

    before = arrays(tmp_path)
    extended = written(tmp_path, values | {"levels": [0.04, 0.06, 0.08]})
    target = "results/tiny/attacks/tv/ellipses@radial-40/ellipses/radial-40/0.h5"
    assert snakemake(tmp_path, target, "--cores", "2", "--configfile", extended).returncode == 0
    log = (results / "logs/attacks/tv/ellipses@radial-40/ellipses/radial-40/0.log").read_text()
    # Peak, disk, global and Gaussian at the new level; those of the other two and of the study are found.
    assert "4 units computed, 10 found" in log
    after = arrays(tmp_path)
    assert len(after) > len(before)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)


@pytest.mark.slow
def test_bad_images_stop_their_job_with_a_message_and_nothing_else(tmp_path):
    values = tiny()
    np.save(tmp_path / "nan.npy", np.full((32, 32), np.nan))
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).random((32, 40)))
    values["images"]["head"]["files"] = [str(tmp_path / "nan.npy"), str(tmp_path / "wide.npy")]
    # Of the cheapest method.
    targets = [ATTACK.format(*place) for place in (("head", 0), ("head", 1), ("ellipses", 0))]
    config = written(tmp_path, values)
    result = snakemake(tmp_path, *targets, "--cores", "2", "--configfile", config)
    assert result.returncode != 0
    assert "nan.npy" in result.stdout
    assert "NaN" in result.stdout
    assert "wide.npy" in result.stdout
    assert "square" in result.stdout
    # What does not depend on them is done.
    assert [(tmp_path / target).exists() for target in targets] == [False, False, True]

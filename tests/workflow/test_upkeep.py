"""`why`, `accept`, `prune` and the summary's costs, on a finished run of a copy of this checkout."""

import os
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.workflow.runs import copied, environment, tiny, written

SOLVER = "mrilib/solvers/problem.py"
NUMBER = "OVER_RELAXATION = 1.95"
ATTACK = "results/tiny/attacks/{}/radial-40/ellipses/0.h5"
TARGETS = [ATTACK.format("tv"), ATTACK.format("zero-filled")]
CONFIG = ["--configfile", "tiny.yaml"]


def call(checkout, module, *arguments, status=0):
    """Run a module of the checkout; what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=checkout,
        env=environment(checkout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == status, result.stdout
    return result.stdout


def snakemake(checkout, *arguments):
    return call(checkout, "snakemake", *TARGETS, *CONFIG, "--cores", "2", *arguments)


def why(checkout, *targets):
    """Its lines, for the attacks by default; without paths to files in the results."""
    return call(checkout, "workflow_scripts.why", *CONFIG, *(targets or TARGETS)).splitlines()


def edit(checkout, file, old, new):
    text = (checkout / file).read_text()
    assert old in text
    (checkout / file).write_text(text.replace(old, new))


def values(**changes):
    return tiny(methods=["tv", "zero-filled"], attacks=["peak", "gaussian"], **changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    checkout = copied(tmp_path_factory.mktemp("upkeep"))
    written(checkout, values())
    snakemake(checkout)
    return checkout


@pytest.fixture
def checkout(finished, tmp_path):
    """A copy of its own of the source and the finished run."""
    return shutil.copytree(finished, tmp_path / "checkout")


@pytest.mark.slow
def test_why_names_the_reason_and_the_module(checkout):
    assert why(checkout) == ["none of 6 jobs of results/tiny would run"]
    edit(checkout, SOLVER, NUMBER, f"{NUMBER}  # a remark")
    assert why(checkout) == ["none of 6 jobs of results/tiny would run"]
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 1.7")
    (checkout / ATTACK.format("zero-filled")).unlink()
    assert why(checkout) == [
        f"tune (tv): 1 job; source changed: {SOLVER}",
        f"attack (tv): 1 job; source changed: {SOLVER}",
        "attack (zero-filled): 1 job; missing output",
        "3 of 6 jobs of results/tiny would run",
    ]
    shutil.rmtree(checkout / "results/tiny/sources")
    edit(checkout, "rules/masks.smk", "size=cfg.size,", "size=cfg.size,\n        more=1,")
    written(checkout, values(levels=[0.04]))
    lines = why(checkout)
    assert "mask: 1 job; params changed: more; source changed: which modules, is not recorded" in lines
    assert any(line.startswith("tune (tv): 1 job; params changed: levels; source changed") for line in lines)


@pytest.mark.slow
def test_why_tells_a_mistake_without_a_traceback(checkout):
    wrong = call(checkout, "workflow_scripts.why", *CONFIG, "results/tiny/nothing", status=1)
    assert "No rule to produce results/tiny/nothing" in wrong
    assert "Traceback" not in wrong
    assert (
        call(checkout, "workflow_scripts.why", "--configfile", "no.yaml", status=1)
        == "no.yaml: no such file\n"
    )
    edit(checkout, "tiny.yaml", "levels:", "levls:")
    assert "did you mean 'levels'?" in call(checkout, "workflow_scripts.why", *CONFIG, status=1)


@pytest.mark.slow
def test_accepted_results_stay_and_their_units_are_found(checkout):
    results = checkout / "results/tiny"
    times = {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")}
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 3.9 / 2")
    asked = call(checkout, "workflow_scripts.accept", *CONFIG, *TARGETS, status=1)
    assert "make accept YES=1" in asked
    assert not (results / "accepted.log").exists()

    told = call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", *TARGETS)
    assert f"attack (tv): 1 job; source changed: {SOLVER}" in told
    assert "2 jobs accepted" in told
    lines = [line.split("\t") for line in (results / "accepted.log").read_text().splitlines()]
    assert [(line[2], *line[5:]) for line in lines] == [
        ("tune", SOLVER, "1 job"),
        ("attack", SOLVER, "1 job"),
    ]
    assert all(len(line[3]) == len(line[4]) == 16 and line[3] != line[4] for line in lines)
    assert times == {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")}
    assert not (results / "scheduler.lock").exists()

    assert "Nothing to be done" in snakemake(checkout, "-n")
    assert "no source has changed" in call(checkout, "workflow_scripts.accept", *CONFIG, *TARGETS)
    (checkout / ATTACK.format("tv")).unlink()
    snakemake(checkout)
    log = (results / "logs/attacks/tv/radial-40/ellipses/0.log").read_text()
    assert "0 units computed, 6 found" in log

    # A second refactoring, and then back to the first source: the same units.
    edit(checkout, SOLVER, "3.9 / 2", "5.85 / 3")
    call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", *TARGETS)
    edit(checkout, SOLVER, "OVER_RELAXATION = 5.85 / 3", NUMBER)
    call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", *TARGETS)
    (checkout / ATTACK.format("tv")).unlink()
    snakemake(checkout)
    log = (results / "logs/attacks/tv/radial-40/ellipses/0.log").read_text()
    assert "0 units computed, 6 found" in log


@pytest.mark.slow
def test_accept_refuses_when_more_than_the_source_changed(checkout):
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 3.9 / 2")
    # All that the config asks for: tables were never made.
    refused = call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", status=1)
    assert "nothing accepted" in refused
    assert "  table: 9 jobs; missing output" in refused
    written(checkout, values(seed=1))
    refused = call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", *TARGETS, status=1)
    assert f"  attack (tv): 1 job; params changed: seed; source changed: {SOLVER}" in refused
    assert not (checkout / "results/tiny/accepted.log").exists()
    written(checkout, values())
    image = checkout / "results/tiny/images/ellipses/test/0.h5"
    image.write_bytes(image.read_bytes() + b" ")
    refused = call(checkout, "workflow_scripts.accept", *CONFIG, "--yes", *TARGETS, status=1)
    assert f"newer input: {image.relative_to(checkout)}" in refused


@pytest.mark.slow
def test_prune_removes_what_no_job_uses_and_nothing_else(checkout):
    units = checkout / "results/tiny/units"
    before = set(units.glob("*.h5"))
    assert len(before) == 2 + 6 + 5  # two levels of λ; clean, peak and Gaussian at each; one clean suffices
    stale = [units / f"{'0' * 32}.h5", units / "training-0.pt", units / ".a-b.partial.h5"]
    young = units / ".c-d.partial.h5"
    gone = units / "index/attacks/other/radial-40/ellipses/0.txt"
    gone.parent.mkdir(parents=True)
    gone.write_text(f"{stale[0].name}\n")
    for path in [*stale, young]:
        path.write_bytes(b"x" * 500_000)
    yesterday = time.time() - 90_000
    os.utime(stale[2], (yesterday, yesterday))

    told = call(checkout, "workflow_scripts.prune", *CONFIG, "--dry-run")
    assert told == "results/tiny/units: 3 files, 1.5 MB would be removed; 13 units kept\n"
    assert all(path.exists() for path in stale)
    told = call(checkout, "workflow_scripts.prune", *CONFIG)
    assert told == "results/tiny/units: 3 files, 1.5 MB removed; 13 units kept\n"
    assert not any(path.exists() for path in [*stale, gone])
    assert young.exists()
    assert before <= set(units.glob("*.h5"))

    # A level less: its units stay until the job has run without it.
    written(checkout, values(levels=[0.04]))
    assert "0 files" in call(checkout, "workflow_scripts.prune", *CONFIG)
    snakemake(checkout)
    assert "6 files" in call(checkout, "workflow_scripts.prune", *CONFIG)
    assert "none of 6 jobs" in why(checkout)[-1]

    (units / "index/attacks/tv/radial-40/ellipses/0.txt").unlink()
    told = call(checkout, "workflow_scripts.prune", *CONFIG, status=1)
    assert "nothing removed: 1 job did not list which units are theirs" in told


@pytest.mark.slow
def test_the_summary_counts_costs_and_what_is_missing(checkout):
    results = checkout / "results/tiny"
    scores = results / "scores/tv/radial-40.csv"
    scores.parent.mkdir(parents=True)
    row = {"source": "ellipses", "position": 0, "method": "tv", "mask": "radial-40", "attack": "peak"}
    rows = [row | {"made_for": "tv", "level": level, "failed": ""} for level in (0.04, 0.08)]
    rows[1]["failed"] = "not converged"
    pd.DataFrame(rows).to_csv(scores, index=False)
    with (results / "logs/attacks/tv/radial-40/ellipses/0.log").open("a") as log:
        log.write("peak GPU memory: 1234 MB\n")
    told = call(checkout, "workflow_scripts.summary", "results/tiny", *CONFIG, status=1)
    assert "7 of 25 jobs done, 18 missing: transfer tv 1, transfer zero-filled 1, score zero-filled 1" in told
    assert "**Costs**" in told
    costs = pd.read_csv(results / "tables/costs.csv", index_col=["stage", "method"], keep_default_na=True)
    attack = costs.loc[("attacks", "tv")]
    assert attack[["jobs", "missing", "units", "failed"]].tolist() == [1, 0, 6, 1]
    assert attack["seconds"] == attack["seconds_median"] == attack["seconds_max"] > 0
    assert attack["memory_mb"] > 100
    assert attack["gpu_memory_mb"] == 1234
    assert costs.loc[("tuning", "tv"), "units"] == 2
    assert costs.loc[("transfer", "tv"), "missing"] == 1
    assert costs.loc["table"]["missing"].tolist() == [9]
    # Without its config the run is that of another, and only what ran is known.
    (checkout / "config.yaml").write_text(
        (checkout / "tiny.yaml").read_text().replace("run: tiny", "run: other")
    )
    told = call(checkout, "workflow_scripts.summary", "results/tiny", status=1)
    assert "not known without the run's `--configfile`" in told
    assert set(pd.read_csv(results / "tables/costs.csv")["stage"]) == {"attacks", "tuning"}

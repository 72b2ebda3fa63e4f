"""`why`, `accept`, `prune` and the summary, on a finished run of a copy of this checkout."""

import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest

from mrilib.experiments.scores import scores_csv
from mrilib.store.tables import read_table
from tests.experiments.frames import clean, peak
from tests.workflow.runs import copied, environment, tiny, written
from workflow_scripts.receipts import file_of, name_of, read_receipt
from workflow_scripts.upkeep import summary

SOLVER = "mrilib/solvers/total_variation/problem.py"
NUMBER = "OVER_RELAXATION = 1.95"
PLACE = "{}/ellipses@radial-40/ellipses/radial-40/0"
ATTACK = f"results/tiny/attacks/{PLACE}.h5"
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
    return call(checkout, "workflow_scripts.upkeep.why", *CONFIG, *(targets or TARGETS)).splitlines()


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
    assert why(checkout) == ["none of 7 jobs of results/tiny would run"]
    edit(checkout, SOLVER, NUMBER, f"{NUMBER}  # a remark")
    assert why(checkout) == ["none of 7 jobs of results/tiny would run"]
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 1.7")
    (checkout / ATTACK.format("zero-filled")).unlink()
    assert why(checkout) == [
        f"tune (tv): 1 job; code changed: {SOLVER}",
        f"reconstruct (tv): 1 job; code changed: {SOLVER}",
        f"attack (tv): 1 job; code changed: {SOLVER}",
        "attack (zero-filled): 1 job; missing output",
        "4 of 7 jobs of results/tiny would run",
    ]
    shutil.rmtree(checkout / "results/tiny/code")
    added = "image=image_settings,\n        more=1,"
    edit(checkout, "rules/measurements.smk", "image=image_settings,", added)
    written(checkout, values(levels=[0.04]))
    lines = why(checkout)
    unrecorded = "code changed: which modules, is not recorded"
    assert f"measure_image: 2 jobs; params changed: more; {unrecorded}" in lines
    assert any(line.startswith("tune (tv): 1 job; params changed: tuned; code changed") for line in lines)


@pytest.mark.slow
def test_why_tells_a_mistake_without_a_traceback(checkout):
    wrong = call(checkout, "workflow_scripts.upkeep.why", *CONFIG, "results/tiny/nothing", status=1)
    assert "No rule to produce results/tiny/nothing" in wrong
    assert "Traceback" not in wrong
    assert (
        call(checkout, "workflow_scripts.upkeep.why", "--configfile", "no.yaml", status=1)
        == "no.yaml: no such file\n"
    )
    edit(checkout, "tiny.yaml", "levels:", "levls:")
    assert "did you mean 'levels'?" in call(checkout, "workflow_scripts.upkeep.why", *CONFIG, status=1)


@pytest.mark.slow
def test_accepted_results_stay_and_their_units_are_found(checkout):
    results = checkout / "results/tiny"
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 3.9 / 2")
    asked = call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, *TARGETS, status=1)
    assert "make accept YES=1" in asked
    times = {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")}
    assert not (results / "accepted.log").exists()

    told = call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", *TARGETS)
    assert f"attack (tv): 1 job; code changed: {SOLVER}" in told
    assert "3 jobs accepted" in told
    lines = [line.split("\t") for line in (results / "accepted.log").read_text().splitlines()]
    assert [(line[2], *line[5:]) for line in lines] == [
        ("tune", SOLVER, "1 job"),
        ("reconstruct", SOLVER, "1 job"),
        ("attack", SOLVER, "1 job"),
    ]
    assert all(len(line[3]) == len(line[4]) == 16 and line[3] != line[4] for line in lines)
    assert times == {path: path.stat().st_mtime_ns for path in results.rglob("*.h5")}
    assert not (results / "scheduler.lock").exists()

    assert "Nothing to be done" in snakemake(checkout, "-n")
    assert "no code has changed" in call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, *TARGETS)
    # The receipts know it as well.
    shutil.rmtree(checkout / ".snakemake")
    assert "Nothing to be done" in snakemake(checkout, "-n")
    (checkout / ATTACK.format("tv")).unlink()
    snakemake(checkout)
    log = (results / f"logs/attacks/{PLACE.format('tv')}.log").read_text()
    assert "0 units computed, 4 found" in log

    # A second refactoring, and then back to the first code: the same units.
    edit(checkout, SOLVER, "3.9 / 2", "5.85 / 3")
    call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", *TARGETS)
    edit(checkout, SOLVER, "OVER_RELAXATION = 5.85 / 3", NUMBER)
    call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", *TARGETS)
    (checkout / ATTACK.format("tv")).unlink()
    snakemake(checkout)
    log = (results / f"logs/attacks/{PLACE.format('tv')}.log").read_text()
    assert "0 units computed, 4 found" in log


@pytest.mark.slow
def test_accept_refuses_when_more_than_the_source_changed(checkout):
    edit(checkout, SOLVER, NUMBER, "OVER_RELAXATION = 3.9 / 2")
    # All that the config asks for: tables were never made.
    refused = call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", status=1)
    assert "nothing accepted" in refused
    assert "  run_usual_experiments: 1 job; missing output" in refused
    written(checkout, values(seed=1))
    refused = call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", *TARGETS, status=1)
    assert f"  attack (tv): 1 job; params changed: seed; code changed: {SOLVER}" in refused
    assert not (checkout / "results/tiny/accepted.log").exists()
    written(checkout, values())
    image = checkout / "results/tiny/measurements/ellipses/radial-40/test/0.h5"
    image.write_bytes(image.read_bytes() + b" ")
    refused = call(checkout, "workflow_scripts.upkeep.accept", *CONFIG, "--yes", *TARGETS, status=1)
    assert f"newer input: {image.relative_to(checkout)}" in refused


@pytest.mark.slow
def test_prune_removes_what_no_job_uses_and_nothing_else(checkout):
    units = checkout / "results/tiny/units"
    before = set(units.glob("*.h5"))
    # Two levels of λ; reconstructions at both, and one without λ; peak and Gaussian noise at each level.
    assert len(before) == 2 + 3 + 8
    kinds = (f"{'0' * 32}.h5", "training-0.pt", "tuning-0.pt", "fit-0.pt", ".a-b.partial.h5")
    stale = [units / name for name in kinds]
    young = units / ".c-d.partial.h5"
    gone = units / "index/attacks/other/radial-40/ellipses/0.txt"
    gone.parent.mkdir(parents=True)
    gone.write_text(f"{stale[0].name}\n")
    for path in [*stale, young]:
        path.write_bytes(b"x" * 500_000)
    yesterday = time.time() - 90_000
    os.utime(stale[-1], (yesterday, yesterday))
    receipts = checkout / "results/tiny/receipts"
    orphan = file_of(receipts, name_of("results/tiny/attacks/gone.h5"))
    orphan.write_text("{}")
    others = set(receipts.rglob("*")) - {orphan}

    also = ", and 1 receipt of results that are gone"
    told = call(checkout, "workflow_scripts.upkeep.prune", *CONFIG, "--dry-run")
    assert told == f"results/tiny/units: 5 files, 2.5 MB would be removed{also}; 13 units kept\n"
    assert all(path.exists() for path in stale)
    told = call(checkout, "workflow_scripts.upkeep.prune", *CONFIG)
    assert told == f"results/tiny/units: 5 files, 2.5 MB removed{also}; 13 units kept\n"
    assert not any(path.exists() for path in [*stale, gone])
    assert set(receipts.rglob("*")) == others
    assert young.exists()
    assert before <= set(units.glob("*.h5"))

    # A level less: its units stay until the job has run without it.
    written(checkout, values(levels=[0.04]))
    assert "0 files" in call(checkout, "workflow_scripts.upkeep.prune", *CONFIG)
    snakemake(checkout)
    assert "6 files" in call(checkout, "workflow_scripts.upkeep.prune", *CONFIG)
    assert "none of 7 jobs" in why(checkout)[-1]

    (units / f"index/attacks/{PLACE.format('tv')}.txt").unlink()
    told = call(checkout, "workflow_scripts.upkeep.prune", *CONFIG, status=1)
    assert "nothing removed: 1 job did not list which units are theirs" in told


SCORES = pd.DataFrame(
    [
        {"kind": "reconstruction", "attack": "", "made_for": "", "level": ""},
        {"kind": "localized", "attack": "peak", "made_for": "tv", "level": "0.04"},
        {"kind": "localized", "attack": "peak", "made_for": "tv", "level": "0.08"},
        {"kind": "localized", "attack": "peak", "made_for": "zero-filled", "level": "0.08"},
    ]
).assign(source="ellipses", position=0, mask="radial-40", method="tv", domain="ellipses@radial-40", failed="")


def scored(checkout, *failed):
    """Write scores of TV, in which these rows failed."""
    scores = checkout / f"results/tiny/scores/{PLACE.format('tv')}".removesuffix("/0")
    scores.parent.mkdir(parents=True, exist_ok=True)
    table = SCORES.copy()
    table.loc[list(failed), "failed"] = "not converged"
    table.to_csv(scores.with_suffix(".csv"), index=False)


@pytest.mark.slow
def test_the_summary_counts_costs_and_what_is_missing(checkout):
    results = checkout / "results/tiny"
    scored(checkout, 2, 3)
    with (results / f"logs/attacks/{PLACE.format('tv')}.log").open("a") as log:
        log.write("peak GPU memory: 1234 MB\n")
    told = call(checkout, "workflow_scripts.upkeep.summary", "results/tiny", *CONFIG, status=1)
    assert re.search(r"\n\d+ of \d+ jobs done, \d+ missing: .*transfer tv 1, transfer zero-filled 1", told)
    assert "1 of 1 reconstructions computed, 0 failed" in told
    assert "1 of 3 perturbations computed, 2 failed" in told
    place = "failed: ellipses 0, radial-40, tv of ellipses@radial-40, peak"
    assert f"{place}, level 0.08: not converged" in told
    assert f"{place} made for zero-filled, level 0.08: not converged" in told
    assert "**Costs**" in told
    costs = pd.read_csv(results / "tables/costs.csv", index_col=["stage", "method"], keep_default_na=True)
    attack = costs.loc[("attacks", "tv")]
    assert attack[["jobs", "missing", "units", "failed"]].tolist() == [1, 0, 4, 1]
    assert attack["seconds"] == attack["seconds_median"] == attack["seconds_max"] > 0
    assert attack["memory_mb"] > 100
    assert attack["gpu_memory_mb"] == 1234
    assert costs.loc[("reconstructions", "tv"), ["units", "failed"]].tolist() == [2, 0]
    assert costs.loc[("tuning", "tv"), "units"] == 2
    assert costs.loc[("transfer", "tv"), "missing"] == 1
    # Without its config the run is that of another, and only what ran is known.
    (checkout / "config.yaml").write_text(
        (checkout / "tiny.yaml").read_text().replace("run: tiny", "run: other")
    )
    told = call(checkout, "workflow_scripts.upkeep.summary", "results/tiny", status=1)
    assert "not known without the run's `--configfile`" in told
    alone = pd.read_csv(results / "tables/costs.csv", index_col=["stage", "method"])
    assert set(alone.index) == {
        (stage, method)
        for stage in ("attacks", "reconstructions", "tuning")
        for method in ("tv", "zero-filled")
        if (stage, method) != ("tuning", "zero-filled")
    }
    # A reconstruction that failed is a failure too, and a run without failure is none.
    scored(checkout, 0)
    told = call(checkout, "workflow_scripts.upkeep.summary", "results/tiny", status=1)
    assert "0 of 1 reconstructions computed, 1 failed" in told
    assert "tv of ellipses@radial-40, reconstruction: not converged" in told
    scored(checkout)
    assert "failed: " not in call(checkout, "workflow_scripts.upkeep.summary", "results/tiny")
    assert "Snakemake's records" not in snakemake(checkout, "-n")


def summary_of(folder, capsys, monkeypatch):
    """Exit code of the summary of a folder without its config, and what it printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["summary", "results/data"])
    return summary.main(), "".join(capsys.readouterr())


def test_the_summary_of_data_alone_prints_tables(tmp_path, capsys, monkeypatch):
    run = tmp_path / "results/data"
    assert summary_of(tmp_path, capsys, monkeypatch)[0] == 2
    run.mkdir(parents=True)
    code, told = summary_of(tmp_path, capsys, monkeypatch)
    assert (code, "nothing has run" in told) == (2, True)
    # Files in folders of datasets and sources: none is a method's.
    names = ["catalogue/knees", "volumes/knees/one", "measurements/knee/random-4/test/0"]
    names += ["attacks/tv/knee@random-4/knee/random-4/0"]
    for name in names:
        for place, text in (("logs", ""), ("benchmarks", "s\tmax_rss\n1.5\t20\n")):
            file = run / place / f"{name}.{'log' if place == 'logs' else 'tsv'}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (run / "tables").mkdir()
    (run / "tables/catalogue.md").write_text("**Catalogue**: one volume rejected")
    code, told = summary_of(tmp_path, capsys, monkeypatch)
    assert code == 0
    assert "one volume rejected" in told
    costs = pd.read_csv(run / "tables/costs.csv", keep_default_na=False)
    assert list(zip(costs["stage"], costs["method"], strict=True)) == [
        ("attacks", "tv"),
        ("catalogue", ""),
        ("measurements", ""),
        ("volumes", ""),
    ]


def test_a_failure_of_a_scan_says_volume_and_slice(tmp_path, capsys, monkeypatch):
    run = tmp_path / "results/data"
    for place in ("logs/measurements", "tables", "scores/tv/knee@four/knee"):
        (run / place).mkdir(parents=True)
    (run / "logs/measurements/0.log").write_text("")
    table = SCORES.assign(source="knee", mask="four", domain="knee@four", volume="one", slice=7.0)
    table.loc[0, "failed"] = "not_finite, 12 of 1024 pixels"
    table.to_csv(run / "scores/tv/knee@four/knee/four.csv", index=False)
    code, told = summary_of(tmp_path, capsys, monkeypatch)
    place = "knee 0 (slice 7 of one), four, tv of knee@four, reconstruction"
    assert (code, f"failed: {place}: not_finite, 12 of 1024 pixels" in told) == (1, True)


def test_the_summary_of_scans_takes_no_source_for_a_method(tmp_path, capsys, monkeypatch):
    """A source may be called as a method, and a kind of attack as what clean data is."""
    run = tmp_path / "results/data"
    place = {"source": "tv", "mask": "columns", "domain": "tv@columns", "coils": 4, "simulated": True}
    methods = {"varnet": "", "tikhonov": "max_steps"}
    for method, failed in methods.items():
        where = f"{method}/tv@columns/tv/columns"
        rows = [clean(0.1, **place, method=method, failed=failed)]
        attacked = {"kind": "reconstruction", "attack": "clean"}
        rows += [peak(1.0, **place, method=method, **attacked)] if not failed else []
        for file, text in (
            (f"scores/{where}.csv", scores_csv(rows)),
            (f"logs/reconstructions/{where}/0.log", ""),
            (f"benchmarks/reconstructions/{where}/0.tsv", "s\tmax_rss\n1.5\t-\n"),
            (f"benchmarks/tuning/{method}/tv@columns.tsv", "s\tmax_rss\n2.5\t20\n"),
        ):
            (run / file).parent.mkdir(parents=True, exist_ok=True)
            (run / file).write_text(text)
    for file in ("sets/tv/test", "measurements/tv/columns/test/0"):
        (run / f"benchmarks/{file}.tsv").parent.mkdir(parents=True, exist_ok=True)
        (run / f"benchmarks/{file}.tsv").write_text("s\tmax_rss\n1.0\t10\n")
    code, told = summary_of(tmp_path, capsys, monkeypatch)
    assert code == 1
    assert "1 of 2 reconstructions computed, 1 failed" in told
    assert "1 of 1 perturbations computed, 0 failed" in told
    assert "failed: tv 0, columns, tikhonov of tv@columns, reconstruction: max_steps" in told
    kinds = {"failed": "count", "seconds": "number", "memory_mb": "number"}
    costs = read_table(run / "tables/costs.csv", kinds).set_index(["stage", "method"])
    assert set(costs.index) == {
        ("measurements", ""),
        ("sets", ""),
        *((stage, method) for stage in ("tuning", "reconstructions") for method in methods),
    }
    assert costs.loc[("reconstructions", "tikhonov"), ["failed", "seconds"]].tolist() == [1, 1.5]
    assert costs.loc[("reconstructions", "varnet"), "failed"] == 0
    assert math.isnan(costs.loc[("reconstructions", "varnet"), "memory_mb"])


def test_scores_stay_text(tmp_path):
    file = tmp_path / "scores/NA/ellipses@lines/ellipses/lines.csv"
    file.parent.mkdir(parents=True)
    SCORES.assign(method="NA", position="007", made_for="NA").to_csv(file, index=False)
    scores = summary.read_scores(tmp_path)
    assert scores["method"].tolist() == ["NA"] * 4
    assert scores["position"].tolist() == ["007"] * 4
    assert scores["stage"].tolist() == ["reconstructions", "attacks", "attacks", "attacks"]
    assert scores["failed"].tolist() == [""] * 4


@pytest.mark.slow
def test_receipts_are_of_what_snakemake_records(finished):
    checked = 0
    for path in filter(os.path.isfile, (finished / ".snakemake/metadata").rglob("*")):
        record = json.loads(path.read_text())
        name = "".join(path.relative_to(finished / ".snakemake/metadata").parts).replace("@", "")
        receipt = dataclasses.asdict(read_receipt(finished / "results/tiny", name))
        same = {key: record[key] for key in ("rule", "params", "input", "log")}
        assert {key: receipt[key] for key in same} == same
        assert receipt["checksums"] == record["input_checksums"]
        checked += 1
    assert checked == 7

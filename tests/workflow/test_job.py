"""What a job does around its work, without Snakemake."""

import json
import sys
from types import SimpleNamespace

import pytest

from mrilib.store.units import UnitStore
from workflow_scripts import job, provenance
from workflow_scripts.kept import accepted_sources, source_record
from workflow_scripts.provenance import stage_hash, stage_modules

STAGE = {"script": "workflow_scripts/attack.py", "rule": "rules/attacks.smk:attack", "roots": []}
SOURCE = stage_hash(STAGE["script"], STAGE["rule"])
LOG = "results/demo/logs/attacks/tv/radial-40/ellipses/0.log"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(main, **params)` as a job of the run `demo` in a temporary folder; its log."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def call(main, **params):
        params = {"stage": STAGE, "source": SOURCE} | params
        parts = {"log": [LOG], "threads": 1, "resources": {}, "params": params, "input": {}, "output": {}}
        job.run(SimpleNamespace(**parts), main)
        return (tmp_path / LOG).read_text()

    return call


def test_a_job_records_what_its_source_is_made_of(run, tmp_path):
    run(lambda inputs, outputs, params: None)
    record = tmp_path / source_record(tmp_path / "results/demo", SOURCE)
    modules = json.loads(record.read_text())
    assert modules == stage_modules(STAGE["script"], STAGE["rule"])
    assert {"workflow_scripts/attack.py", "mrilib/attacks/perturb.py", STAGE["rule"], "torch"} <= set(modules)
    before = record.stat().st_mtime_ns
    run(lambda inputs, outputs, params: None)
    assert record.stat().st_mtime_ns == before


def test_a_job_lists_its_units_and_knows_accepted_sources(run, tmp_path):
    units = tmp_path / "results/demo/units"
    accepted = accepted_sources(units)
    accepted.parent.mkdir(parents=True)
    accepted.write_text(json.dumps({"new": "old"}))
    seen = []

    def main(inputs, outputs, params):
        seen.append(params)
        store = UnitStore(params["units"], params["index"])
        store.claim("one.h5")
        store.finish()

    run(main, units="results/demo/units", sources={"peak": "new", "disk": "other"})
    assert seen[0]["sources"] == {"peak": "old", "disk": "other"}
    assert seen[0]["source"] == SOURCE
    assert (units / "index/attacks/tv/radial-40/ellipses/0.txt").read_text() == "one.h5\n"


def test_a_job_tells_the_gpu_memory_it_used(run, monkeypatch):
    cuda = SimpleNamespace(is_initialized=lambda: True, max_memory_allocated=lambda: 3_500_000_000)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert f"{job.GPU_MEMORY} 3500 MB" in run(lambda inputs, outputs, params: None)
    monkeypatch.setattr(cuda, "is_initialized", lambda: False)
    assert job.GPU_MEMORY not in run(lambda inputs, outputs, params: None)


@pytest.fixture
def forget():
    """Let the next hash be computed anew, and those after the test as well."""
    cached = [value for value in vars(provenance).values() if hasattr(value, "cache_clear")]

    def clear():
        for function in cached:
            function.cache_clear()

    yield clear
    clear()


def test_modules_of_one_name_both_count(tmp_path, monkeypatch, forget):
    # Folders without __init__.py: both modules are known by the name of their file.
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    (tmp_path / "first/net.py").write_text("from second.net import Net\n")
    (tmp_path / "second/net.py").write_text("class Net:\n    WIDTH = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def digests():
        forget()
        return stage_modules(STAGE["script"], roots=("first.net:Net",))["net.py"].split()

    before = digests()
    assert len(before) == 2
    (tmp_path / "second/net.py").write_text("class Net:\n    WIDTH = 2\n")
    assert len(set(digests()) & set(before)) == 1

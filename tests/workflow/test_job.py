"""What a job does around its work, without Snakemake."""

import json
import sys
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Namedlist

from mrilib.store.units import UnitStore
from workflow_scripts import job
from workflow_scripts.kept import accepted_codes, code_record
from workflow_scripts.provenance import stage_hash, stage_modules
from workflow_scripts.receipts import name_of, read_receipt

STAGE = {"script": "workflow_scripts/stages/attack.py", "rule": "Snakefile:all", "roots": []}
CODE = stage_hash(STAGE["script"], STAGE["rule"])
LOG = "results/demo/logs/attacks/tv/radial-40/ellipses/0.log"
OUTPUT = "results/demo/attacks/tv/radial-40/ellipses/0.h5"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(main, **params)` as a job of the run `demo` in a temporary folder; its log."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def call(main, **params):
        files = {
            "log": Namedlist([LOG]),
            "input": Namedlist(),
            "output": Namedlist(fromdict={"output": OUTPUT}),
        }
        params = Namedlist(fromdict={"stage": STAGE, "code": CODE} | params)
        job.run(SimpleNamespace(rule="attack", threads=1, resources={}, params=params, **files), main)
        return (tmp_path / LOG).read_text()

    return call


def test_a_job_records_what_its_code_is_made_of(run, tmp_path):
    run(lambda inputs, outputs, params: None)
    record = tmp_path / code_record(tmp_path / "results/demo", CODE)
    modules = json.loads(record.read_text())
    assert modules == stage_modules(STAGE["script"], STAGE["rule"])
    assert {
        "workflow_scripts/stages/attack.py",
        "mrilib/jobs/attack.py",
        STAGE["rule"],
        "torch",
        "fastmri",
    } <= set(modules)
    before = record.stat().st_mtime_ns
    run(lambda inputs, outputs, params: None)
    assert record.stat().st_mtime_ns == before


def test_a_job_lists_its_units_and_knows_accepted_codes(run, tmp_path):
    units = tmp_path / "results/demo/units"
    accepted = accepted_codes(units)
    accepted.parent.mkdir(parents=True)
    accepted.write_text(json.dumps({"new": "old"}))
    seen = []

    def main(inputs, outputs, params):
        seen.append(params)
        store = UnitStore(params["units"], params["index"])
        store.claim("one.h5")
        store.finish()

    run(main, units="results/demo/units", codes={"peak": "new", "disk": "other"})
    assert seen[0]["codes"] == {"peak": "old", "disk": "other"}
    assert seen[0]["code"] == CODE
    assert (units / "index/attacks/tv/radial-40/ellipses/0.txt").read_text() == "one.h5\n"


def test_a_job_leaves_a_receipt_when_all_is_well(run, tmp_path):
    (tmp_path / OUTPUT).parent.mkdir(parents=True)

    def broken(inputs, outputs, params):
        (tmp_path / OUTPUT).write_text("half")
        raise RuntimeError("broken")

    def receipt():
        return read_receipt(tmp_path / "results/demo", name_of(OUTPUT))

    with pytest.raises(RuntimeError, match="broken"):
        run(broken)
    assert receipt() is None
    run(lambda inputs, outputs, params: (tmp_path / OUTPUT).write_text("whole"), spec={"b": 1.5}, none=None)
    found = receipt()
    assert (found.rule, found.code, found.log) == ("attack", CODE, [LOG])
    assert found.params == sorted(map(repr, [STAGE, CODE, {"b": 1.5}, None]))
    assert found.size == 5


def test_a_job_of_several_pieces_makes_each(run, tmp_path):
    called = []
    pieces = [
        {"outputs": {"pdf": "first.pdf"}, "params": {"title": "first"}},
        {"inputs": {"scores": ["own.csv"]}, "outputs": {"pdf": "second.pdf"}, "params": {"title": "second"}},
    ]
    (tmp_path / OUTPUT).parent.mkdir(parents=True)
    (tmp_path / OUTPUT).write_text("whole")
    run(lambda *given: called.append(given), pieces=pieces, seed=3)
    assert [(inputs, outputs) for inputs, outputs, _ in called] == [
        ({}, {"pdf": "first.pdf"}),
        ({"scores": ["own.csv"]}, {"pdf": "second.pdf"}),
    ]
    assert [params["title"] for _, _, params in called] == ["first", "second"]
    assert all(params["seed"] == 3 and "pieces" not in params for _, _, params in called)
    # What the pieces are is a part of what the outputs depend on.
    assert repr(pieces) in read_receipt(tmp_path / "results/demo", name_of(OUTPUT)).params


def test_a_job_refuses_code_that_was_edited_after_planning(run):
    with pytest.raises(
        RuntimeError, match=rf"the code of Snakefile:all changed .*planned 0{{16}}, found {CODE}"
    ):
        run(lambda inputs, outputs, params: None, code=16 * "0")


def test_a_download_has_no_code_and_leaves_nothing(run, tmp_path):
    files = {"log": Namedlist([LOG]), "input": Namedlist(), "output": Namedlist(fromdict={"output": OUTPUT})}
    parts = {"rule": "download", "threads": 1, "resources": {}, "params": Namedlist(fromdict={"url": "x"})}
    (tmp_path / OUTPUT).parent.mkdir(parents=True)
    job.run(SimpleNamespace(**parts, **files), lambda *_: (tmp_path / OUTPUT).write_text("x"))
    assert not (tmp_path / "results/demo/receipts").exists()
    assert not (tmp_path / "results/demo/code").exists()


def test_a_job_tells_the_gpu_memory_it_used(run, monkeypatch):
    cuda = SimpleNamespace(is_initialized=lambda: True, max_memory_allocated=lambda: 3_500_000_000)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert f"{job.GPU_MEMORY} 3500 MB" in run(lambda inputs, outputs, params: None)
    monkeypatch.setattr(cuda, "is_initialized", lambda: False)
    assert job.GPU_MEMORY not in run(lambda inputs, outputs, params: None)


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

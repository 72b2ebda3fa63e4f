"""Results that lost Snakemake's records, in a workflow of three small rules."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.workflow.runs import ROOT, environment
from workflow_scripts.receipts import Receipt, digest, file_of, name_of, path_of, read_receipt, write_receipt

SNAKEFILE = """
import sys

sys.path.insert(0, workflow.basedir)

from workflow_scripts.job import use_checkout
from workflow_scripts.provenance import stage_hash
from workflow_scripts.restore import restore_metadata

use_checkout(workflow.basedir)
RUN = "results/small"
# So long that its record's name is split.
NUMBERS = ["1", 200 * "0" + "2"]


def fixed(script, rule_name):
    described = {"script": f"workflow_scripts/{script}", "rule": f"Snakefile:{rule_name}", "roots": []}
    return {"stage": described, "code": stage_hash(described["script"], described["rule"])}


rule all:
    input:
        f"{RUN}/sums/total.txt",


rule fetch:
    output:
        file=f"{RUN}/fetched/start.txt",
    log:
        f"{RUN}/logs/fetch.log",
    params:
        url="https://example.org/start",
    script:
        "workflow_scripts/fetch.py"


rule count:
    input:
        start=f"{RUN}/fetched/start.txt",
    output:
        number=f"{RUN}/numbers/{{n}}.txt",
    log:
        f"{RUN}/logs/numbers/{{n}}.log",
    params:
        **fixed("count.py", "count"),
        n=lambda wildcards: int(wildcards.n),
        spec={"b": [1.5, None], "a": "text"},
    script:
        "workflow_scripts/count.py"


rule add:
    input:
        numbers=expand(f"{RUN}/numbers/{{n}}.txt", n=NUMBERS),
    output:
        total=f"{RUN}/sums/total.txt",
        copies=[f"{RUN}/sums/copy-{n}.txt" for n in (1, 2)],
    log:
        f"{RUN}/logs/add.log",
    params:
        **fixed("add.py", "add"),
    script:
        "workflow_scripts/add.py"


restore_metadata(workflow, RUN)
"""
SCRIPT = """
from workflow_scripts.job import run


def main(inputs, outputs, params):
    {}


run(snakemake, main)
"""
# Numbers are files that Snakemake does not compare by content.
SCRIPTS = {
    "fetch.py": "open(outputs['file'], 'w').write('0')",
    "count.py": "open(outputs['number'], 'w').write(f\"{params['n']:2000000d}\")",
    "add.py": "from workflow_scripts.adding import added; added(inputs, outputs)",
}
ADDING = """
def added(inputs, outputs):
    total = sum(int(open(name).read()) for name in inputs["numbers"])
    for name in [outputs["total"], *outputs["copies"]]:
        open(name, "w").write(f"{total}")
"""
RUN = "results/small"
TOTAL = f"{RUN}/sums/total.txt"
NUMBERS = [f"{RUN}/numbers/1.txt", f"{RUN}/numbers/{200 * '0'}2.txt"]
NOTHING = "Nothing to be done"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A checkout of the small workflow with what it made."""
    folder = tmp_path_factory.mktemp("small")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("workflow_scripts", "mrilib/store"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "mrilib/__init__.py", folder / "mrilib")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "workflow_scripts/adding.py").write_text(ADDING)
    for name, line in SCRIPTS.items():
        (folder / "workflow_scripts" / name).write_text(SCRIPT.format(line))
    run(folder)
    assert (folder / TOTAL).read_text() == "3"
    return folder


@pytest.fixture
def checkout(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "checkout")


def run(folder, *arguments):
    """What Snakemake printed."""
    start = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy"]
    rerun = ["--rerun-triggers", "mtime", "params", "input", "software-env"]
    done = subprocess.run(
        [*start, *rerun, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def planned(folder):
    """The rules that would run, and what was printed."""
    text = run(folder, "-n")
    jobs = [
        line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith(("rule ", "localrule "))
    ]
    return sorted(set(jobs) - {"all"}), text


def edit(folder):
    file = folder / "workflow_scripts/adding.py"
    file.write_text(file.read_text().replace("sum(", "0 + sum("))


def records(folder):
    """Snakemake's, by output."""
    found = {}
    for path in filter(os.path.isfile, (folder / ".snakemake/metadata").rglob("*")):
        name = "".join(path.relative_to(folder / ".snakemake/metadata").parts).replace("@", "")
        found[path_of(name)] = json.loads(path.read_text())
    return found


@pytest.mark.slow
def test_receipts_say_what_snakemakes_records_say(finished):
    kept = records(finished)
    made = {output: read_receipt(finished / RUN, name_of(output)) for output in kept}
    assert [output for output, receipt in made.items() if receipt is None] == [f"{RUN}/fetched/start.txt"]
    for output, receipt in made.items():
        if receipt is not None:
            record = kept[output]
            assert receipt.output == output
            assert receipt.code in "".join(record["params"])
            same = {
                "rule": receipt.rule,
                "params": receipt.params,
                "input": receipt.input,
                "log": receipt.log,
            }
            assert same == {key: record[key] for key in same}
            assert receipt.checksums == record["input_checksums"]


@pytest.mark.slow
def test_without_records_nothing_runs_while_the_code_is_the_same(checkout):
    before = records(checkout)
    shutil.rmtree(checkout / ".snakemake")
    text = run(checkout, "-n")
    assert NOTHING in text
    assert "records of 5 results were lost. Of these 5 were restored" in text
    assert "Migrating" not in text
    keys = ("rule", "params", "input", "log", "input_checksums", "record_format_version")
    restored = records(checkout)
    assert {name: [each[key] for key in keys] for name, each in restored.items()} == {
        name: [before[name][key] for key in keys] for name in restored
    }
    again = run(checkout)
    assert NOTHING in again
    assert "lost" not in again


@pytest.mark.slow
def test_without_records_what_was_edited_runs(checkout):
    shutil.rmtree(checkout / ".snakemake")
    edit(checkout)
    assert planned(checkout)[0] == ["add"]
    assert "Finished" in run(checkout)
    assert NOTHING in run(checkout)


@pytest.mark.slow
def test_copies_of_results_hold_although_their_times_are_those_of_copying(checkout, finished, tmp_path):
    shutil.rmtree(checkout / "results")
    shutil.rmtree(checkout / ".snakemake")
    subprocess.run(["cp", "-r", finished / "results", checkout], check=True)
    for number in NUMBERS:
        os.utime(checkout / number, (2e9, 2e9))  # copied later than what was made of them
    jobs, text = planned(checkout)
    assert (jobs, NOTHING in text) == ([], True)
    # And in a place that has records of results of other code, which look the same.
    edit(checkout)
    assert NOTHING not in run(checkout)
    shutil.rmtree(checkout / "results")
    subprocess.run(["cp", "-r", finished / "results", checkout], check=True)
    jobs, text = planned(checkout)
    assert jobs == ["add"]
    assert "3 results were made elsewhere than Snakemake's records of them say" in text


@pytest.mark.slow
def test_checkouts_that_share_results_know_of_each_others_code(checkout, tmp_path):
    other = shutil.copytree(checkout, tmp_path / "other", ignore=shutil.ignore_patterns("results"))
    (other / "results").symlink_to(checkout / "results")
    edit(other)
    assert planned(other)[0] == ["add"]
    run(other)
    assert NOTHING in run(other)
    jobs, text = planned(checkout)
    assert jobs == ["add"]
    assert "3 results were made elsewhere" in text
    # Looked at from there between a result and its receipt: the receipt counts once it is there.
    receipt = file_of(checkout / RUN / "receipts", name_of(TOTAL))
    run(checkout)
    shutil.move(receipt, tmp_path / "receipt")
    shutil.rmtree(other / ".snakemake")
    assert "for 1 there is no receipt" in planned(other)[1]
    shutil.move(tmp_path / "receipt", receipt)
    edit(checkout)
    shutil.copy(checkout / "workflow_scripts/adding.py", other / "workflow_scripts")
    run(checkout)
    assert NOTHING in run(other)


@pytest.mark.slow
def test_without_records_and_receipts_all_runs_but_downloads(checkout):
    shutil.rmtree(checkout / ".snakemake")
    shutil.rmtree(checkout / RUN / "receipts")
    (checkout / RUN / "numbers/notes.md").write_text("mine")
    start = (checkout / RUN / "fetched/start.txt").stat()
    jobs, text = planned(checkout)
    assert jobs == ["add", "count"]
    assert "Of these 0 were restored" in text
    assert "for 5 there is no receipt" in text
    assert "made by unknown code" in text
    run(checkout)
    assert (checkout / RUN / "fetched/start.txt").stat().st_mtime_ns == start.st_mtime_ns
    assert NOTHING in run(checkout)


@pytest.mark.slow
def test_a_result_that_is_not_that_of_its_receipt_is_made_again(checkout):
    # As if the job had been killed between the result and the receipt.
    shutil.rmtree(checkout / ".snakemake")
    (checkout / TOTAL).write_text("4")
    file_of(checkout / RUN / "receipts", name_of(NUMBERS[1])).write_text("{broken")
    jobs, text = planned(checkout)
    assert jobs == ["add", "count"]
    assert "Of these 3 were restored" in text
    assert "for 2 there is no receipt" in text


def test_a_receipt_fits_its_file_and_copies_of_it(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("one")
    found = path.stat()
    receipt = Receipt(
        str(path),
        "rule",
        "code",
        [],
        [],
        [],
        {},
        digest(path),
        found.st_size,
        found.st_ino,
        found.st_mtime_ns,
    )
    assert receipt.fits(path)
    copy = tmp_path / "copy.txt"
    copy.write_text("one")
    assert receipt.fits(copy)
    copy.write_text("two")
    assert not receipt.fits(copy)
    copy.write_text("more")
    assert not receipt.fits(copy)
    write_receipt(tmp_path, receipt)
    assert read_receipt(tmp_path, name_of(path)) == receipt
    assert path_of(name_of(path)) == str(path)

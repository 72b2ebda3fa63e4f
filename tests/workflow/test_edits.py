"""What an edit makes Snakemake run again: the table of docs/edits.md, tried on a finished run."""

import copy
import re

import pytest

from tests.workflow.runs import EVERY_RULE, ROOT, snakemake, written

DOCUMENT = ROOT / "docs/edits.md"
# What only gathers results: it follows whatever changed above it.
GATHERING = {
    "all",
    "score",
    "table",
    "curve_figures",
    "training_figure",
    "transfer_panel",
    "transfer_matrix",
    "attack_figures",
}


def dry_run(checkout, values):
    config = written(checkout, values)
    result = snakemake(checkout, *EVERY_RULE, "-n", "--configfile", config, checkout=checkout)
    assert result.returncode == 0, result.stdout
    return result.stdout


def planned(output):
    """Jobs of a dry run as `rule` or `rule (method)`, gathering rules apart."""
    found = set()
    for block in re.split(r"\n(?=\[|(?:local)?rule )", output):
        match = re.search(r"^(?:local)?rule (\w+):", block, re.MULTILINE)
        if match and match[1] not in GATHERING:
            method = re.search(r"wildcards:.*\bmethod=([\w-]+)", block)
            found.add(f"{match[1]} ({method[1]})" if method else match[1])
    return found


def edit(file, old, new):
    def change(checkout, values):
        text = (checkout / file).read_text()
        assert old in text, (file, old)
        (checkout / file).write_text(text.replace(old, new, 1))

    return change


def configure(change):
    return lambda checkout, values: change(values)


ATTACKS = {"attack (tv)", "attack (zero-filled)", "attack (tira)"}
TRANSFERS = {"transfer (tv)", "transfer (zero-filled)", "transfer (tira)"}
EDITS = {
    "comment in the TV solver": (edit("mrilib/solvers/admm.py", "\n\n", "\n# a comment\n\n"), set()),
    "docstring of the TV solver": (
        edit("mrilib/solvers/problem.py", "One step costs one FFT pair.", "A step costs one FFT pair."),
        set(),
    ),
    "number in the TV solver": (
        edit("mrilib/solvers/problem.py", "RHO_OVER_ROOT_WEIGHT = 7.0", "RHO_OVER_ROOT_WEIGHT = 7.5"),
        {"tune (tv)", "attack (tv)", *TRANSFERS},
    ),
    "the network of Tira": (
        edit("mrilib/networks/tiramisu.py", "nn.ReLU(inplace=True)", "nn.ReLU()"),
        {"train (tira)", "attack (tira)", *TRANSFERS},
    ),
    "the training loop": (
        edit("mrilib/training/fit.py", "REPORT_EVERY = 30.0", "REPORT_EVERY = 20.0"),
        {"train (tira)", "attack (tira)", *TRANSFERS},
    ),
    "the search of the networks": (
        edit("mrilib/attacks/pgd.py", "decay: float = 0.95", "decay: float = 0.96"),
        {"attack (zero-filled)", "attack (tira)", *TRANSFERS},
    ),
    "the coupled search of TV": (
        edit("mrilib/attacks/coupled.py", "decay: float = 0.96", "decay: float = 0.95"),
        {"attack (tv)", *TRANSFERS},
    ),
    "figure code": (edit("mrilib/report/figures_curves.py", "MOST_COLUMNS = 4", "MOST_COLUMNS = 3"), set()),
    "one new noise level": (
        configure(lambda values: values["levels"].append(0.06)),
        {"tune (tv)", *ATTACKS, *TRANSFERS},
    ),
    "one new image": (
        configure(lambda values: values["images"]["ellipses"].update(test=2)),
        {"ellipse_image", *ATTACKS, *TRANSFERS},
    ),
    "one new mask": (
        configure(lambda values: values["masks"].update({"radial-25": {"kind": "radial", "lines": 6}})),
        {"mask", "tune (tv)", "attack (tv)"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_what_depends_on_it(finished_run, name):
    checkout, values = finished_run
    change, expected = EDITS[name]
    before = {path: path.read_bytes() for path in checkout.rglob("*.py")}
    changed = copy.deepcopy(values)
    try:
        change(checkout, changed)
        output = dry_run(checkout, changed)
    finally:
        for path, content in before.items():
            # Only what was edited: a new time alone must change nothing either, which the next edit shows.
            path.write_bytes(content)
        written(checkout, values)
    assert planned(output) == expected


@pytest.mark.slow
def test_the_order_of_keys_means_nothing(finished_run):
    checkout, values = finished_run
    turned = copy.deepcopy(values)
    for method in turned["methods"].values():
        method["parameters"] = dict(reversed(method.get("parameters", {}).items()))
    assert "Nothing to be done" in dry_run(checkout, turned)
    written(checkout, values)


@pytest.mark.slow
def test_nothing_runs_after_a_fresh_checkout_of_the_same_source(finished_run):
    checkout, values = finished_run
    for path in checkout.rglob("*.py"):
        path.write_bytes(path.read_bytes())
    assert "Nothing to be done" in dry_run(checkout, values)


def test_the_documents_table_is_the_one_that_is_tested():
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: set() if jobs == "—" else set(jobs.split(", ")) for name, jobs in rows[1:]}
    assert shown == {name: set(expected) for name, (_, expected) in EDITS.items()}

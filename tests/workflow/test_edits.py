"""What an edit makes Snakemake run again: the table of docs/edits.md, tried on a finished run."""

import copy
import re

import pytest

from tests.workflow.runs import EVERY_RULE, ROOT, copied, jobs_to_run, snakemake, tiny_scans, written

DOCUMENT = ROOT / "docs/edits.md"
SCAN_TARGETS = ("results/tiny/tables/quality.csv",)
# What only gathers results: it follows whatever changed above it.
GATHERING = {
    "score",
    "run_usual_experiments",
    "run_experiment",
    "run_and_draw_experiment",
    "draw_curves",
    "draw_training",
    "draw_transfers",
    "draw_transfer_matrices",
    "draw_attacks",
    "draw_perturbed",
    "draw_images",
    "draw_reconstructions",
    "draw_shifts",
    "draw_quality",
    "tabulate_volumes",
    "draw_volumes",
}


@pytest.fixture(scope="module")
def finished_scans(tmp_path_factory):
    """A copy of the checkout with a finished run on scans, and its config."""
    checkout, values = copied(tmp_path_factory.mktemp("scans")), tiny_scans(SCAN_METHODS)
    arguments = [*SCAN_TARGETS, "--cores", "2", "--configfile", written(checkout, values)]
    done = snakemake(checkout, *arguments, checkout=checkout)
    assert done.returncode == 0, done.stdout
    return checkout, values


def dry_run(checkout, values, targets=EVERY_RULE):
    config = written(checkout, values)
    result = snakemake(checkout, *targets, "-n", "--configfile", config, checkout=checkout)
    assert result.returncode == 0, result.stdout
    return result.stdout


def planned(checkout, values, targets):
    """Jobs that would run as `rule` or `rule (method)`, gathering rules apart."""
    jobs = jobs_to_run(checkout, written(checkout, values), targets, checkout=checkout)
    return {
        f"{rule} ({wildcards['method']})" if "method" in wildcards else rule
        for rule, wildcards in jobs
        if rule not in GATHERING
    }


def edit(file, old, new):
    def change(checkout, values):
        text = (checkout / file).read_text()
        assert old in text, (file, old)
        (checkout / file).write_text(text.replace(old, new, 1))

    return change


def configure(change):
    return lambda checkout, values: change(values)


METHODS = ("tv", "zero-filled", "tira")
SOLVED, ATTACKS, TRANSFERS = (
    {f"{rule} ({method})" for method in METHODS} for rule in ("reconstruct", "attack", "transfer")
)
EDITS = {
    "comment in the TV solver": (
        edit("mrilib/solvers/total_variation/admm.py", "\n\n", "\n# a comment\n\n"),
        set(),
    ),
    "docstring of the TV solver": (
        edit(
            "mrilib/solvers/total_variation/problem.py",
            "One step costs one FFT pair.",
            "A step costs one FFT pair.",
        ),
        set(),
    ),
    "number in the TV solver": (
        edit(
            "mrilib/solvers/total_variation/problem.py",
            "RHO_OVER_ROOT_WEIGHT = 7.0",
            "RHO_OVER_ROOT_WEIGHT = 7.5",
        ),
        {"tune (tv)", "reconstruct (tv)", "attack (tv)", *TRANSFERS},
    ),
    "cycle spinning of ℓ1": (
        edit("mrilib/solvers/bases/cycle_spinning.py", "momentum = 1.0", "momentum = 1.5"),
        set(),
    ),
    "the coil solver of TV": (
        edit("mrilib/solvers/coils/variation.py", "laplacian[0, 0] = 1.0", "laplacian[0, 0] = 2.0"),
        set(),
    ),
    "the network of Tira": (
        edit("mrilib/networks/tiramisu.py", "nn.ReLU(inplace=True)", "nn.ReLU()"),
        {"train (tira)", "reconstruct (tira)", "attack (tira)", *TRANSFERS},
    ),
    "the training loop": (
        edit("mrilib/training/fit.py", "REPORT_EVERY = 30.0", "REPORT_EVERY = 20.0"),
        {"train (tira)", "reconstruct (tira)", "attack (tira)", *TRANSFERS},
    ),
    "the search of the networks": (
        edit("mrilib/attacks/searches/gradient.py", "le=1)] = 0.95", "le=1)] = 0.96"),
        {"attack (zero-filled)", "attack (tira)", *TRANSFERS},
    ),
    "the coupled search of TV": (
        edit("mrilib/attacks/searches/coupled.py", "PENALTY = 0.16", "PENALTY = 0.17"),
        {"attack (tv)", *TRANSFERS},
    ),
    "masks of lines": (
        edit("mrilib/data/sampling/radial.py", "math.hypot(*shape)", "math.hypot(*shape, 1)"),
        {"measure_image", "tune (tv)", "train (tira)", *SOLVED, *ATTACKS, *TRANSFERS},
    ),
    "figure code": (edit("mrilib/report/figures_curves.py", "MOST_COLUMNS = 4", "MOST_COLUMNS = 3"), set()),
    "one new noise level": (
        configure(lambda values: values["levels"].append(0.06)),
        {"tune (tv)", "reconstruct (tv)", *ATTACKS, *TRANSFERS},
    ),
    "one new image": (
        configure(lambda values: values["images"]["ellipses"].update(test=2)),
        {"measure_image", *SOLVED, *ATTACKS, *TRANSFERS},
    ),
    "one new mask": (
        configure(lambda values: values["masks"].update({"radial-25": {"kind": "radial", "lines": 6}})),
        {"measure_image", "tune (tv)", "reconstruct (tv)", "attack (tv)"},
    ),
}
SCAN_METHODS = ("varnet", "unet", "decoder", "l1", "tv")
SCANS_SOLVED = {f"reconstruct ({method})" for method in SCAN_METHODS}
SCAN_EDITS = {
    "the VarNet": (
        edit("mrilib/networks/varnet.py", "VARNET_MULTIPLE = 16", "VARNET_MULTIPLE = 32"),
        {"train (varnet)", "reconstruct (varnet)"},
    ),
    "the decoder": (
        edit("mrilib/networks/decoders.py", "nn.ReLU()", "nn.ReLU(inplace=True)"),
        {"reconstruct (decoder)"},
    ),
    "masks of columns": (
        edit("mrilib/data/sampling/columns.py", "MOST_DRAWS = 1000", "MOST_DRAWS = 999"),
        {"measure_scan", "train (varnet)", "train (unet)", "tune (l1)", "tune (tv)", *SCANS_SOLVED},
    ),
    "masks of lines": (
        edit("mrilib/data/sampling/radial.py", "math.hypot(*shape)", "math.hypot(*shape, 1)"),
        set(),
    ),
    "the coil solver of TV": (
        edit("mrilib/solvers/coils/variation.py", "laplacian[0, 0] = 1.0", "laplacian[0, 0] = 2.0"),
        {"tune (tv)", "reconstruct (tv)"},
    ),
    "the one-coil solver of TV": (
        edit("mrilib/solvers/total_variation/admm.py", "BATCH_CHECK = 40", "BATCH_CHECK = 41"),
        set(),
    ),
    "coil maps": (
        edit("mrilib/operators/espirit.py", "WIDEST_CALIBRATION = 32", "WIDEST_CALIBRATION = 30"),
        {"measure_scan", "tune (l1)", "tune (tv)", *SCANS_SOLVED},
    ),
    "cycle spinning of ℓ1": (
        edit("mrilib/solvers/bases/cycle_spinning.py", "momentum = 1.0", "momentum = 1.5"),
        {"tune (l1)", "reconstruct (l1)"},
    ),
    "the training loop": (
        edit("mrilib/training/fit.py", "REPORT_EVERY = 30.0", "REPORT_EVERY = 20.0"),
        {"train (varnet)", "train (unet)", "reconstruct (varnet)", "reconstruct (unet)"},
    ),
    "one new slice": (
        configure(lambda values: values["images"]["abdomen"]["test"].update(count=2)),
        {"select_slices", "measure_scan", *SCANS_SOLVED},
    ),
}


def check(run, change, expected):
    """Plan after an edit, and put back what was edited."""
    checkout, values, targets = run
    before = {path: path.read_bytes() for path in checkout.rglob("*.py")}
    changed = copy.deepcopy(values)
    try:
        change(checkout, changed)
        found = planned(checkout, changed, targets)
    finally:
        for path, content in before.items():
            # Only what was edited: a new time alone must change nothing either, which the next edit shows.
            path.write_bytes(content)
        written(checkout, values)
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_what_depends_on_it(finished_run, name):
    check((*finished_run, EVERY_RULE), *EDITS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SCAN_EDITS)
def test_an_edit_runs_what_depends_on_it_on_scans(finished_scans, name):
    check((*finished_scans, SCAN_TARGETS), *SCAN_EDITS[name])


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


def test_the_documents_tables_are_those_that_are_tested():
    text = DOCUMENT.read_text(encoding="utf-8")
    for edits, part in zip((EDITS, SCAN_EDITS), text.split("\n## ")[1:], strict=True):
        rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", part, re.MULTILINE)
        shown = {name: set() if jobs == "—" else set(jobs.split(", ")) for name, jobs in rows[1:]}
        assert shown == {name: set(expected) for name, (_, expected) in edits.items()}

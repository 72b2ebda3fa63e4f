"""A run of the theory alone: its config, its plan, and what its stages write."""

import copy

import pytest
import yaml

from tests.workflow.runs import ROOT, jobs_to_run, written
from workflow_scripts.config.config import ConfigError, load
from workflow_scripts.stages import recover, recover_noisy, recover_phantoms

VALUES = {
    "run": "tiny",
    "seed": 1,
    "theory": {
        "sparse": {"kind": "recovery", "signal": "real", "sizes": [32, 64], "sparsities": [1, 2], "draws": 3},
        "noisy": {
            "kind": "noisy",
            "of": "sparse",
            "sizes": [32],
            "sparsities": [1],
            "weights": [0.1],
            "levels": [0.1],
        },
        "phantoms": {
            "kind": "phantoms",
            "sizes": [48, 64],
            "lines": 12,
            "grow": "log",
            "images": 1,
            "grid": 1,
        },
    },
    "experiments": {
        "growth": {"kind": "recovery-growth", "entries": ["sparse"]},
        "noise": {"kind": "recovery-noise", "entry": "noisy"},
    },
}


def test_a_run_needs_no_images(tmp_path):
    jobs = jobs_to_run(tmp_path, written(tmp_path, VALUES), [])
    names = [name for name, _ in jobs]
    assert names.count("recover") == 4
    assert names.count("recover_noisy") == 1
    assert names.count("recover_phantoms") == 2
    assert names.count("run_and_draw_experiment") == 2
    assert {"entry": "phantoms", "size": "64", "lines": "13"} in [wildcards for _, wildcards in jobs]


def test_lines_grow_with_the_logarithm_of_the_size():
    assert load(VALUES).theory["phantoms"].cases == [(48, 12), (64, 13)]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sparse/sizs", [32], "theory.sparse.sizs: unknown key; did you mean 'sizes'?"),
        ("sparse/sizes", [], "theory.sparse.sizes: expected at least one"),
        ("sparse/sizes", [16384, 32768], "theory.sparse.sizes.1: .* got 32768"),
        ("sparse/sparsities", [20], "sizes: expected 48 or more for 20 entries"),
        ("sparse/signal", "sparse", "theory.sparse.signal: .*'piecewise-constant'; got 'sparse'"),
        ("noisy/of", "spars", "theory.noisy.of: 'spars' is not defined; did you mean 'sparse'?"),
        ("noisy/of", "phantoms", "theory.noisy.of: expected an entry of kind recovery"),
        ("noisy/sizes", [128], "theory.noisy: sparse has no draws at size 128 and sparsity 1"),
    ],
)
def test_mistakes_are_told(path, value, message):
    values = copy.deepcopy(VALUES)
    entry, key = path.split("/")
    values["theory"][entry][key] = value
    with pytest.raises(ConfigError, match=message):
        load(values)


def test_an_experiment_names_entries_that_are_there():
    values = copy.deepcopy(VALUES)
    values["experiments"]["growth"]["entries"] = ["sparze"]
    with pytest.raises(ConfigError, match=r"experiments\.growth\.entries: 'sparze' is not defined; did"):
        load(values)


def test_the_demo_has_every_kind():
    theory = yaml.safe_load((ROOT / "config.theory.yaml").read_text())["theory"]
    assert {entry["kind"] for entry in theory.values()} == {"recovery", "noisy", "phantoms"}


def test_stages_write_what_experiments_read(tmp_path):
    from mrilib.theory.tables import NOISY_KINDS, PLANE_KINDS, read_recoveries

    config = load(VALUES)
    shared = {"seed": 1, "code": "a", "units": str(tmp_path / "units"), "index": str(tmp_path / "index")}
    case = {"size": 32, "sparsity": 1}
    entry = config.theory["sparse"].described
    thresholds = {"recoveries": str(tmp_path / "sparse" / "32-1.csv")}
    recover.main({}, thresholds, {"entry": entry, **case, **shared})
    assert len(read_recoveries(thresholds.values())) == 3
    out = {"recoveries": str(tmp_path / "noisy" / "32-1.csv")}
    noisy = config.theory["noisy"].described
    recover_noisy.main(thresholds, out, {"entry": entry, "noisy": noisy, **case, "seed": 1})
    assert list(read_recoveries(out.values()).columns) == [*NOISY_KINDS, "entry"]
    out = {"recoveries": str(tmp_path / "phantoms" / "48-12.csv")}
    settings = {"phantoms": config.theory["phantoms"].described, "size": 48, "lines": 12}
    recover_phantoms.main({}, out, settings | shared)
    assert list(read_recoveries(out.values()).columns) == [*PLANE_KINDS, "entry"]

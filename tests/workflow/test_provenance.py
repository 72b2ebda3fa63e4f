import shutil
from pathlib import Path

import pytest

from workflow_scripts import provenance

ROOT = Path(__file__).parents[2]
TV = "mrilib.reconstructors.sparse:TotalVariation"
ZERO = "mrilib.reconstructors.linear:ZeroFilled"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the source, edited at will; every call hashes anew."""
    for name in ("mrilib", "workflow_scripts", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    cached = [value for value in vars(provenance).values() if hasattr(value, "cache_clear")]

    def clear():
        for function in cached:
            function.cache_clear()

    clear()
    yield tmp_path, clear
    clear()


def hashes(clear):
    clear()
    return {
        root: provenance.stage_hash("workflow_scripts/attack.py", "rules/attacks.smk:attack", (root,))
        for root in (TV, ZERO)
    } | {"figures": provenance.stage_hash("workflow_scripts/curve_figures.py")}


def changed(checkout, file, old, new):
    folder, clear = checkout
    before = hashes(clear)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    after = hashes(clear)
    return {name for name in before if before[name] != after[name]}


def test_comments_docstrings_and_formatting_change_nothing(checkout):
    file = "mrilib/solvers/problem.py"
    assert changed(checkout, file, "OVER_RELAXATION = 1.95", "OVER_RELAXATION  =  1.95  # a remark") == set()
    assert changed(checkout, file, '"""State of the zero image."""', '"""Another."""') == set()
    assert changed(checkout, "rules/attacks.smk", "rule attack:", "# a remark\nrule attack:") == set()


def test_a_number_in_the_solver_changes_the_methods_that_reach_it(checkout):
    assert changed(
        checkout, "mrilib/solvers/problem.py", "OVER_RELAXATION = 1.95", "OVER_RELAXATION = 1.7"
    ) == {TV}


def test_figure_code_and_rules_change_their_own_stage(checkout):
    assert changed(checkout, "mrilib/report/figures_curves.py", "OURS = ", "OTHER = 1\nOURS = ") == {
        "figures"
    }
    assert changed(
        checkout, "rules/attacks.smk", "    resources:\n        gpu=1,", "    resources:\n        gpu=2,"
    ) == {TV, ZERO}


def test_an_import_inside_a_function_counts(checkout):
    old = "def severity("
    assert changed(checkout, "mrilib/metrics/artifacts.py", old, f"LIMIT = 3\n\n\n{old}") >= {TV, ZERO}


def test_a_users_own_package_is_followed(checkout, tmp_path, monkeypatch):
    _, clear = checkout
    own = tmp_path / "own"
    (own / "mymethod").mkdir(parents=True)
    (own / "mymethod" / "net.py").write_text("from mymethod import blocks\n\nclass Net: ...\n")
    (own / "mymethod" / "blocks.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(str(own))

    def digest():
        clear()
        return provenance.stage_hash("workflow_scripts/attack.py", "", ("mymethod.net:Net",))

    before = digest()
    (own / "mymethod" / "blocks.py").write_text("WIDTH = 2\n")
    assert digest() != before


def test_a_rule_that_does_not_exist_is_told(checkout):
    with pytest.raises(ValueError, match="no rule 'attak'"):
        provenance.stage_hash("workflow_scripts/attack.py", "rules/attacks.smk:attak")

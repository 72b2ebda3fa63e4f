import importlib
import importlib.metadata
import inspect
import shutil
from pathlib import Path

import pytest

from mrilib.reconstructors.base import Reconstructor
from workflow_scripts import provenance

ROOT = Path(__file__).parents[2]
TV = "mrilib.reconstructors.total_variation:TotalVariation"
ZERO = "mrilib.reconstructors.linear:ZeroFilled"
COILS = "total variation on coils"


@pytest.fixture
def checkout(tmp_path, monkeypatch, forget):
    """A copy of the source, edited at will; every call hashes anew."""
    for name in ("mrilib", "workflow_scripts", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path, forget


def hashes(clear):
    """Of attacks on the methods with what one coil solves them by, TV's on coils, and of figures."""
    clear()

    def attack(root, solvers):
        roots = (root, *provenance.named_by_classes((root,), solvers))
        return provenance.stage_hash("workflow_scripts/stages/attack.py", "rules/attacks.smk:attack", roots)

    attacks = {root: attack(root, "on_one_coil") for root in (TV, ZERO)} | {COILS: attack(TV, "on_coils")}
    return attacks | {"figures": provenance.stage_hash("workflow_scripts/stages/curve_figures.py")}


def changed(checkout, file, old, new):
    folder, clear = checkout
    before = hashes(clear)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    after = hashes(clear)
    return {name for name in before if before[name] != after[name]}


def test_comments_docstrings_and_formatting_change_nothing(checkout):
    file = "mrilib/solvers/total_variation/problem.py"
    assert changed(checkout, file, "OVER_RELAXATION = 1.95", "OVER_RELAXATION  =  1.95  # a remark") == set()
    assert changed(checkout, file, '"""State of the zero image."""', '"""Another."""') == set()
    assert changed(checkout, "rules/attacks.smk", "rule attack:", "# a remark\nrule attack:") == set()


def test_a_number_in_the_solver_changes_the_methods_that_reach_it(checkout):
    assert changed(
        checkout,
        "mrilib/solvers/total_variation/problem.py",
        "OVER_RELAXATION = 1.95",
        "OVER_RELAXATION = 1.7",
    ) == {TV}
    assert changed(
        checkout, "mrilib/solvers/coils/splitting.py", "DUAL_STEPS, DUAL", "OTHER = 1\nDUAL_STEPS, DUAL"
    ) == {COILS}
    assert changed(checkout, "mrilib/solvers/certified.py", "CHECK = 20", "CHECK = 21") == {TV, COILS}


def test_figure_code_and_rules_change_their_own_stage(checkout):
    assert changed(checkout, "mrilib/report/figures_curves.py", "OURS = ", "OTHER = 1\nOURS = ") == {
        "figures"
    }
    assert changed(
        checkout, "rules/attacks.smk", "    resources:\n        gpu=1,", "    resources:\n        gpu=2,"
    ) == {TV, ZERO, COILS}


def test_an_import_inside_a_function_counts(checkout):
    old = "def severity("
    assert changed(checkout, "mrilib/metrics/artifacts.py", old, f"LIMIT = 3\n\n\n{old}") >= {TV, ZERO, COILS}


def test_a_users_own_package_is_followed(checkout, tmp_path, monkeypatch):
    _, clear = checkout
    own = tmp_path / "own"
    (own / "mymethod").mkdir(parents=True)
    (own / "mymethod" / "net.py").write_text("from mymethod import blocks\n\nclass Net: ...\n")
    (own / "mymethod" / "blocks.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(str(own))

    def digest():
        clear()
        return provenance.stage_hash("workflow_scripts/stages/attack.py", "", ("mymethod.net:Net",))

    before = digest()
    (own / "mymethod" / "blocks.py").write_text("WIDTH = 2\n")
    assert digest() != before


@pytest.mark.parametrize("library", provenance.NUMERICAL)
def test_only_an_optional_library_may_be_missing(monkeypatch, library):
    real = importlib.metadata.version

    def version(name):
        if name == library:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    provenance._versions.cache_clear()
    try:
        if library in provenance.OPTIONAL:
            assert provenance._versions()[library] == "not installed"
        else:
            with pytest.raises(importlib.metadata.PackageNotFoundError):
                provenance._versions()
    finally:
        provenance._versions.cache_clear()


def test_a_rule_that_does_not_exist_is_told(checkout):
    with pytest.raises(ValueError, match="no rule 'attak'"):
        provenance.stage_hash("workflow_scripts/stages/attack.py", "rules/attacks.smk:attak")


TWO_BASES = """
import mrilib.reconstructors.base as base
from mrilib.reconstructors import linear
from mrilib.reconstructors.base import Reconstructor as Ours
from mrilib.reconstructors.untrained import Untrained

SEARCH = "named:Search"


class Own(Ours):
    search = "own:Search"


class Inherited(Own):
    output = "magnitude"


class Generic(Own[int]): ...


class ByModule(base.Reconstructor):
    levels: "int" = 3


class FromPackage(linear.ZeroFilled):
    search = None


# `Own` comes before the base of both.
class Diamond(ByModule, Own): ...


class Named(Ours):
    search = SEARCH


class Method(Ours):
    def search(self): ...


class Foreign(Unknown):
    output = "complex"
"""


@pytest.fixture
def attribute(tmp_path, monkeypatch, forget):
    """`attribute(path, name)`, where `mymethods.classes` is a module of the user's."""
    folder = tmp_path / "own/mymethods"
    folder.mkdir(parents=True)
    (folder / "classes.py").write_text(TWO_BASES)
    (folder / "__init__.py").write_text("from .classes import Inherited\n")
    (folder / "relative.py").write_text("from . import classes\n\n\nclass Deep(classes.Own): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    return provenance.class_attribute


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        (TV, "search", "mrilib.attacks.searches.coupled:CoupledAscent"),
        (ZERO, "search", "mrilib.attacks.searches.gradient:GradientAscent"),
        ("mrilib.reconstructors.untrained:Untrained", "search", None),
        ("mymethods.classes:Own", "search", "own:Search"),
        ("mymethods.classes:Inherited", "search", "own:Search"),
        ("mymethods.classes:Inherited", "output", "magnitude"),
        ("mymethods:Inherited", "search", "own:Search"),
        ("mymethods.classes:Generic", "search", "own:Search"),
        ("mymethods.classes:ByModule", "search", "mrilib.attacks.searches.gradient:GradientAscent"),
        ("mymethods.classes:ByModule", "levels", 3),
        ("mymethods.classes:FromPackage", "search", None),
        ("mymethods.classes:FromPackage", "output", "complex"),
        ("mymethods.classes:Diamond", "search", "own:Search"),
        ("mymethods.classes:Diamond", "output", "complex"),
        ("mymethods.relative:Deep", "search", "own:Search"),
        ("mymethods.classes:Named", "search", provenance.MISSING),
        ("mymethods.classes:Method", "search", provenance.MISSING),
        ("mymethods.classes:Foreign", "search", provenance.MISSING),
        ("mymethods.classes:Foreign", "output", "complex"),
        ("mymethods.nothing:Own", "search", provenance.MISSING),
        ("mymethods.classes:Nothing", "search", provenance.MISSING),
        ("torch.nn:Module", "training", provenance.MISSING),
    ],
)
def test_class_attributes_are_read_from_the_text(attribute, path, name, expected):
    assert attribute(path, name) == expected


def test_paths_are_found_in_all_classes_that_a_method_reaches(attribute, tmp_path):
    solver = "mrilib.solvers.coils.variation:SeveralCoils"
    assert provenance.named_by_classes((TV,), "on_coils") == (solver,)
    assert provenance.named_by_classes((ZERO,), "on_coils") == ()
    (tmp_path / "own/mymethods/holding.py").write_text(
        "from mrilib.reconstructors.total_variation import TotalVariation\n\n\n"
        'class Holding:\n    on_coils: str = "own:Solver"\n    inner = TotalVariation\n'
    )
    assert provenance.named_by_classes(("mymethods.holding:Holding",), "on_coils") == (solver, "own:Solver")
    assert provenance.named_by_classes(("mymethods.nothing:Own",), "on_coils") == ()


def test_every_reconstructors_attributes_are_read_as_python_has_them(attribute):
    modules = sorted((ROOT / "mrilib/reconstructors").glob("*.py"))
    for module in [f"mrilib.reconstructors.{file.stem}" for file in modules if file.stem != "__init__"]:
        for name, found in vars(importlib.import_module(module)).items():
            if inspect.isclass(found) and found.__module__ == module and issubclass(found, Reconstructor):
                for key in ("search", "output", "through_adjoint", "on_one_coil", "on_coils"):
                    assert attribute(f"{module}:{name}", key) == getattr(found, key), (module, name, key)


@pytest.mark.parametrize("library", ["fastmri", "PyWavelets", "lightning-fabric", "nibabel", "pyfftw"])
def test_a_version_of_a_numerical_library_changes_hashes(checkout, monkeypatch, library):
    def digest():
        # Not those of syntax trees, which stay.
        provenance.stage_hash.cache_clear()
        provenance._versions.cache_clear()
        return provenance.stage_hash("workflow_scripts/provenance.py")

    before = digest()
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0" if name == library else real(name))
    assert digest() != before

"""The pins, their copy for conda, and the settings under which the tests run."""

import ast
import tomllib
from pathlib import Path

import jaxtyping
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workflow_scripts.provenance import NUMERICAL

ROOT = Path(__file__).parents[1]
# Under these names they are imported; all others under their own.
IMPORTED = {"pywavelets": "pywt", "scikit-image": "skimage", "lightning-fabric": "lightning_fabric"}
# A program, what it loads, and what pandas loads for tables in Markdown.
UNIMPORTED = {"snakemake", "snakemake-executor-plugin-slurm", "tabulate"}


def read_pins(lines: list[str]) -> dict[str, str]:
    """Normalised name to version; every line must read `name==version`."""
    pins = {}
    for line in lines:
        name, _, version = line.partition("==")
        assert version, f"not an exact pin: {line}"
        assert "+" not in version, f"a local build, which package indices do not have: {line}"
        assert canonicalize_name(name) not in pins, f"pinned twice: {name}"
        pins[canonicalize_name(name)] = version
    return pins


@pytest.fixture(scope="module")
def constraints() -> dict[str, str]:
    lines = (ROOT / "envs/constraints.txt").read_text(encoding="utf-8").splitlines()
    return read_pins([line for line in lines if line and not line.startswith("#")])


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def with_extras(project: dict) -> list[str]:
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(line for extra in extras for line in extra)]


def test_every_dependency_is_pinned(constraints, project):
    assert names(with_extras(project)) - constraints.keys() == set()


def test_every_dependency_is_imported(project):
    imported = set()
    for file in [*(ROOT / "mrilib").rglob("*.py"), *(ROOT / "workflow_scripts").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    wanted = names(project["dependencies"]) - UNIMPORTED
    assert {name for name in wanted if IMPORTED.get(name, name) not in imported} == set()
    for extra in ("demo", "test"):
        theirs = {IMPORTED.get(name, name) for name in names(project["optional-dependencies"][extra])}
        assert theirs & imported <= {"yaml", "packaging"}


def test_every_version_in_a_code_hash_is_pinned(constraints):
    assert {canonicalize_name(name) for name in NUMERICAL} - constraints.keys() == set()


def test_dependencies_are_names_only(project):
    # A version here would be a second place to keep in step with the pins.
    assert [line for line in with_extras(project) if Requirement(line).specifier] == []


def test_conda_environment_repeats_the_pins(constraints, project):
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text(encoding="utf-8"))
    (pip_section,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    pins = read_pins(pip_section)
    assert pins.keys() == names([*project["dependencies"], *project["optional-dependencies"]["fftw"]])
    assert pins == {name: constraints[name] for name in pins}


def test_signatures_of_mrilib_are_checked():
    # Without the hook of jaxtyping every shape in a signature would be a comment.
    from mrilib.data.masks import radial_mask

    with pytest.raises(jaxtyping.TypeCheckError):
        radial_mask("256", 40)

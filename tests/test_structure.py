"""What the layout promises, read from the source: nothing of mrilib is imported here."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each imports only from itself and from those before it. `store` comes first: it imports nothing, and what
# converts and prepares data writes through it.
GROUPS = (
    "store",
    "operators",
    "data",
    "metrics",
    "solvers",
    "networks",
    "reconstructors",
    "training",
    "attacks",
    "features",
    "theory",
    "jobs",
    "experiments",
    "report",
)
# A config names a network by its import path; an import would put it into the code hash of every method.
NAMED_ONLY = "networks"
# Names that say nothing of what a file holds.
VAGUE = {"utils", "helpers", "common", "misc", "core"}
LONGEST = 400

MODULES = sorted((ROOT / "mrilib").rglob("*.py"))
SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in MODULES}


def imports(name: str, source: str) -> Iterator[str]:
    """Full dotted names that the file `name` imports, at any depth, with relative ones resolved."""
    package = Path(name).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def import_offences(name: str, source: str) -> list[str]:
    own = Path(name).parts[1].removesuffix(".py")
    found = []
    for target in imports(name, source):
        top, *rest = target.split(".")
        if top.startswith("snakemake") or top in {"workflow_scripts", "benchmarks", "tests"}:
            found.append(f"{name}: imports {target}; mrilib knows nothing of the workflow")
        elif top == "mrilib" and (not rest or rest[0] not in GROUPS):
            found.append(f"{name}: imports {target}; import from a module of mrilib")
        elif top == "mrilib" and rest[0] == NAMED_ONLY and own != NAMED_ONLY:
            found.append(f"{name}: imports {target}; networks are named in the config, never imported")
        elif top == "mrilib" and own in GROUPS and GROUPS.index(rest[0]) > GROUPS.index(own):
            found.append(f"{name}: imports {target}, which comes after {own} in GROUPS")
    return found


def docstring_keys(source: str) -> set[str]:
    """Citation keys such as [wang2004] in the file's docstrings."""
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return set(re.findall(r"\[([a-z]+[0-9]{4}[a-z]?)\]", "\n".join(strings)))


def text_offences(name: str, raw: bytes) -> list[str]:
    """What an editor hides: other encodings, tabs, invisible characters, blanks at the end."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"{name}: not UTF-8 ({error})"]
    found = []
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        found.append(f"{name}: expected exactly one newline at the end")
    tabs = "\t" if Path(name).name == "Makefile" else ""
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        if line != line.rstrip(" \t"):
            found.append(f"{name}:{number}: blanks at the end of the line")
        for character in sorted(set(line) - set(tabs) - {" "}):
            # control, format (zero width, reversed order), private, unassigned, odd blanks
            if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs"}:
                found.append(f"{name}:{number}: character U+{ord(character):04X}")
    return found


def text_files() -> list[Path]:
    """Hand-written files: those at the root and those in the folders of source and settings."""
    suffixes = {"", ".py", ".smk", ".yaml", ".toml", ".txt", ".md", ".bib", ".cff"}
    folders = (".ci", "benchmarks", "docs", "envs", "mrilib", "profiles", "rules", "slurm", "tests")
    inside = [path for folder in (*folders, "workflow_scripts") for path in (ROOT / folder).rglob("*")]
    return [
        path
        for path in [*ROOT.iterdir(), *inside]
        if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts
    ]


def test_there_is_something_to_check():
    assert "mrilib/__init__.py" in SOURCES
    assert len(text_files()) > len(SOURCES)


def test_every_folder_is_a_package_of_a_known_group():
    folders = {Path(name).parent for name in SOURCES}
    assert {folder.as_posix() for folder in folders if f"{folder}/__init__.py" not in SOURCES} == set()
    assert {Path(name).parts[1] for name in SOURCES} - {"__init__.py"} <= set(GROUPS)


def test_init_files_hold_a_docstring_and_nothing_else():
    wrong = []
    for path in [*MODULES, ROOT / "workflow_scripts/__init__.py", ROOT / "benchmarks/__init__.py"]:
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if len(tree.body) != 1 or not ast.get_docstring(tree):
                wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []


def test_imports_go_one_way():
    assert [line for name, source in SOURCES.items() for line in import_offences(name, source)] == []


@pytest.mark.parametrize(
    ("name", "line", "allowed"),
    [
        ("mrilib/attacks/searches/gradient.py", "from mrilib.operators.base import LinearOperator", True),
        ("mrilib/attacks/searches/gradient.py", "from mrilib.attacks import base", True),
        ("mrilib/networks/tiramisu.py", "import mrilib.networks.unet", True),
        ("mrilib/operators/base.py", "from mrilib.data.masks import radial_mask", False),
        ("mrilib/operators/base.py", "def f():\n    import mrilib.report.tables", False),
        ("mrilib/operators/base.py", "from ..data import masks", False),
        ("mrilib/operators/base.py", "from .fourier import fft2c", True),
        ("mrilib/operators/base.py", "from mrilib import attacks", False),
        ("mrilib/training/fit.py", "from mrilib.networks.unet import UNet", False),
        ("mrilib/report/tables.py", "from snakemake.script import snakemake", False),
        ("mrilib/report/tables.py", "import workflow_scripts.config.config", False),
    ],
)
def test_the_check_of_imports_sees_what_it_should(name, line, allowed):
    assert (import_offences(name, line) == []) is allowed


def test_no_file_has_a_vague_name():
    assert [name for name in SOURCES if VAGUE & set(Path(name).with_suffix("").parts)] == []


def test_no_file_is_too_long():
    lengths = {name: len(source.splitlines()) for name, source in SOURCES.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_citation_resolves():
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys)), "a key stands twice in references.bib"
    cited = {(name, key) for name, source in SOURCES.items() for key in docstring_keys(source)}
    assert {(name, key) for name, key in cited if key not in keys} == set()


def test_text_hides_nothing():
    found = []
    for path in text_files():
        found += text_offences(path.relative_to(ROOT).as_posix(), path.read_bytes())
    assert found == []


@pytest.mark.parametrize(
    "raw", [b"a\r\n", b"a\tb\n", b"a \n", b"a", b"a\n\n", b"\xff\n", "a\u200bb\n".encode()]
)
def test_the_check_of_text_sees_what_it_should(raw):
    assert text_offences("file.py", raw)

"""What code says, read without importing it: hashes of stages, and where the config's import paths lead.

A hash changes with the code's meaning, not with its formatting.
"""

import ast
import enum
import functools
import hashlib
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any, Final

from workflow_scripts.meanings import Meaning, meaning_of

ROOT = Path(__file__).resolve().parent.parent
# Versions that can change a number: what computes, and what reads images and volumes.
NUMERICAL = (
    "torch",
    "numpy",
    "scipy",
    "h5py",
    "numba",
    "llvmlite",
    "scikit-image",
    "pandas",
    "fastmri",
    "PyWavelets",
    "pyfftw",
    "lightning-fabric",
    "nibabel",
    "pydicom",
    "imageio",
    "pillow",
)
OPTIONAL = ("pyfftw",)


class Missing(enum.Enum):
    """Of an attribute that cannot be read from the text of a class; false, and not `None`, which can be."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
ABSENT: Final = object()


@functools.cache
def stage_hash(script: str, rule: str = "", roots: tuple[str, ...] = ()) -> str:
    """Hash of a rule's text, its script, every module that these reach by import, and numerical versions.

    Modules are read as text and compared as syntax trees without docstrings, so comments and formatting
    do not count; nothing is imported. Followed are modules of this repository and of any package that is
    found on the path outside `site-packages` and the standard library: a user's own.

    Args:
        script: file of the rule's script, relative to the repository.
        rule: `rules/file.smk:rule_name`, or nothing.
        roots: import paths `package.module:Class` that the config names and the script loads by name.

    Returns:
        16 hex digits.
    """
    digest = hashlib.sha256()
    for name, part in stage_modules(script, rule, roots).items():
        digest.update(f"{name} {part}\n".encode())
    digest.update(" ".join(sorted(roots)).encode())
    return digest.hexdigest()[:16]


def stage_modules(script: str, rule: str = "", roots: tuple[str, ...] = ()) -> dict[str, str]:
    """What the hash of a stage is made of: each module, the rule, each numerical library.

    Returns:
        Name (of a module: its file in the repository, or from its package on) to a hash of what it says, or
        to a version; in name order.
    """
    named = [file for root in roots if (file := _module_file(root.partition(":")[0])) is not None]
    seen = _reached([ROOT / script, *named])
    parts = dict(_versions())
    for digest, file in sorted((_meaning(file).digest, file) for file in seen):
        # Outside packages two files may have one name: both count.
        parts[_identity(file)] = f"{parts.get(_identity(file), '')} {digest}".strip()
    if rule:
        parts[rule] = hashlib.sha256(_rule_text(rule).encode()).hexdigest()
    return dict(sorted(parts.items()))


def _reached(files: list[Path]) -> set[Path]:
    """The files, and all that they import at any distance."""
    pending, seen = list(files), set()
    while pending:
        file = pending.pop()
        if file not in seen:
            seen.add(file)
            pending += _imports(file)
    return seen


def check_import_path(path: str) -> None:
    """See that an import path `package.module:Name` leads to something, without importing it.

    Raises:
        ValueError: if the module does not exist, or does not define the name.
    """
    module, _, name = path.partition(":")
    file = _module_file(module)
    if file is None:
        top = module.partition(".")[0]
        own = any((folder / top).is_dir() or (folder / f"{top}.py").is_file() for folder in _folders())
        if own or importlib.util.find_spec(top) is None:
            raise ValueError(
                f"import path {path!r}: no module {module}; check the spelling, and that PYTHONPATH has its "
                "folder"
            )
        return
    defined: set[str] = set()
    for node in _tree(file).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {(alias.asname or alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    if name not in defined:
        raise ValueError(
            f"import path {path!r}: {module} does not define {name}; it has {', '.join(sorted(defined))}"
        )


@functools.cache
def class_attribute(path: str, name: str) -> Any:
    """The value of a class attribute, read from the text of the class and of its bases.

    Base classes are followed through imports and in Python's order, in this repository and in the packages
    that hashes follow; those of third parties count as having no such attribute.

    Args:
        path: import path `package.module:Class`.
        name: of the attribute.

    Returns:
        The value, if the first class that has the attribute sets it to a literal; else `MISSING`.
    """
    module, _, class_name = path.partition(":")
    file = _module_file(module)
    for _, node in _class_order(file, class_name) if file else ():
        if (found := _own_attribute(node, name)) is not ABSENT:
            return found
    return MISSING


def _own_attribute(node: ast.ClassDef, name: str) -> Any:
    """The value of an attribute that a class sets itself; `MISSING` if it is no literal, else `ABSENT`."""
    for statement in reversed(node.body):
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return MISSING
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return ast.literal_eval(value)
            except ValueError:
                return MISSING
    return ABSENT


def named_by_classes(roots: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Import paths that classes have in an attribute: classes of the roots' modules and of all they import.

    A class loads what such a path names by itself, and no import says so.

    Args:
        roots: import paths `package.module:Class`.
        name: of the attribute.
    """
    files = [file for root in roots if (file := _module_file(root.partition(":")[0])) is not None]
    found = {
        value
        for file in _reached(files)
        for node in _tree(file).body
        if isinstance(node, ast.ClassDef) and isinstance(value := _own_attribute(node, name), str)
    }
    return tuple(sorted(found))


def _class_order(file: Path, name: str) -> list[tuple[Path, ast.ClassDef]]:
    """A class and its bases, each after all that derive from it; nothing for what is no class of ours."""
    found = _definition(file, name)
    if found is None:
        return []
    home, node = found
    order = [found]
    for base in node.bases:
        base = base.value if isinstance(base, ast.Subscript) else base  # of generic classes
        for each in _class_order(home, ast.unparse(base)):
            if each in order:
                order.remove(each)
            order.append(each)
    return order


def _definition(file: Path, name: str) -> tuple[Path, ast.ClassDef] | None:
    """The class that a dotted name means in a file, with the file that defines it."""
    first, _, rest = name.partition(".")
    for node in reversed(_tree(file).body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return file, node
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for alias in node.names:
            if isinstance(node, ast.Import):
                # `import package.module` binds `package`: the name goes on from there.
                module, _, inner = (f"{alias.name}.{rest}" if alias.asname else name).rpartition(".")
                bound = alias.asname or alias.name.partition(".")[0]
            else:
                base = _from_module(file, node)
                module, inner = f"{base}.{alias.name}" if rest else base, rest or alias.name
                bound = alias.asname or alias.name
            target = _module_file(module) if bound == first else None
            if target is not None and target != file and (found := _definition(target, inner)):
                return found
    return None


def _from_module(file: Path, node: ast.ImportFrom) -> str:
    """Full name of the module that `from ... import` names."""
    if not node.level:
        return node.module or ""
    base = file.parents[node.level - 1] / (node.module or "").replace(".", "/")
    return _dotted(base) or ""


def _identity(file: Path) -> str:
    """The same in every process: it does not depend on the order of the path."""
    if file.is_relative_to(ROOT):
        return str(file.relative_to(ROOT))
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    return str(file.relative_to(top))


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@functools.cache
def _meaning(file: Path) -> Meaning:
    return meaning_of(file.read_text(encoding="utf-8"), str(file))


@functools.cache
def _imports(file: Path) -> tuple[Path, ...]:
    """Files of the followed modules that a file imports, at the top or inside a function."""
    names: set[str] = set()
    for level, module, imported in _meaning(file).imports:
        if imported is None:
            names.add(str(module))
        elif module and not level:
            names.add(module)
            names.update(f"{module}.{name}" for name in imported)
        elif level:
            base = file.parents[level - 1] / (module or "").replace(".", "/")
            names.update(filter(None, (_dotted(base / name) for name in imported)))
            names.update(filter(None, [_dotted(base)]))
    return tuple(found for name in sorted(names) if (found := _module_file(name)) is not None)


def _dotted(path: Path) -> str | None:
    for folder in _folders():
        if path.is_relative_to(folder):
            return ".".join(path.relative_to(folder).parts)
    return None


@functools.cache
def _module_file(name: str) -> Path | None:
    """File of a followed module, or `None` for third parties and things that are no module."""
    parts = Path(*name.split("."))
    for folder in _folders():
        for candidate in (folder / parts.with_suffix(".py"), folder / parts / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


@functools.cache
def _folders() -> tuple[Path, ...]:
    library = Path(ast.__file__).parent
    others = [Path(entry).resolve() for entry in sys.path if entry]
    own = [
        folder
        for folder in others
        if folder.is_dir() and not folder.is_relative_to(library) and "site-packages" not in folder.parts
    ]
    return (ROOT, *[folder for folder in own if folder not in (ROOT, ROOT / "workflow_scripts")])


def _rule_text(rule: str) -> str:
    """Text of one rule without comments and blank lines."""
    file, _, name = rule.partition(":")
    lines, taken = [], False
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if re.match(r"\S", line):
            taken = bool(re.match(rf"(rule|checkpoint)\s+{re.escape(name)}\s*:", line))
        bare = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if taken and bare:
            lines.append(bare)
    if not lines:
        raise ValueError(f"stage_hash: no rule {name!r} in {file}")
    return "\n".join(lines)


@functools.cache
def _versions() -> dict[str, str]:
    return {name: _version(name) for name in NUMERICAL}


def _version(name: str) -> str:
    """Of a library; one that is optional may be missing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if name not in OPTIONAL:
            raise
        return "not installed"

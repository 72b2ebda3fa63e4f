"""What Python files say, remembered by their text: every process would parse hundreds of them for seconds."""

import ast
import contextlib
import functools
import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.receipts import replace_text

# In Snakemake's folder, and by Python: each writes syntax trees in its own way.
MEMORY = Path(f".snakemake/meanings-{sys.implementation.cache_tag}.json")


class Meaning(NamedTuple):
    """What a file says.

    Args:
        digest: SHA-256 of its syntax tree without docstrings; comments and formatting do not count.
        imports: each as `(level, module, names)` of `from ..module import names`, at the top or inside a
            function; of `import module` the level and the names are `None`.
    """

    digest: str
    imports: list[tuple[int | None, str | None, list[str] | None]]


def meaning_of(text: str, filename: str) -> Meaning:
    """The meaning of a file with this text.

    Raises:
        SyntaxError: if it is no Python; names the file.
    """
    key = hashlib.sha256(_own_text() + text.encode()).hexdigest()
    known = _known()
    if key not in known:
        known[key] = _read(ast.parse(text, filename=filename))
    return known[key]


def remember(memory: Path) -> None:
    """Write what this process has read, for others; not in a folder that is another user's."""
    stored = _stored(memory)
    if _known().keys() - stored.keys():
        with contextlib.suppress(OSError):
            replace_text(memory, json.dumps(stored | _known()))


@functools.cache
def _known() -> dict[str, Meaning]:
    """Meanings by the hash of this file and of the text."""
    return _stored(MEMORY)


def _stored(memory: Path) -> dict[str, Meaning]:
    """What others have read; nothing of a file that cannot be read."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return {key: Meaning(*value) for key, value in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@functools.cache
def _own_text() -> bytes:
    return Path(__file__).read_bytes()


def _read(tree: ast.Module) -> Meaning:
    imports: list[tuple[int | None, str | None, list[str] | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(None, alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module, [alias.name for alias in node.names]))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return Meaning(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports)

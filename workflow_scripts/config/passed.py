"""Configs that have passed what imports classes: that takes seconds, and the same need not pass twice."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.config.config import Config
from workflow_scripts.provenance import ROOT, stage_hash

IMPORT_PATH = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


def mark_of(config: Config, folder: Path) -> Path:
    """The file that is there once a config has passed, named by its values and by the code that judges them.

    That code is the whole library, for a class may find another by its name, and what the config's import
    paths reach. Of third parties' classes the versions of numerical libraries count alone.
    """
    named = tuple(sorted({text for text in _texts(config.model_dump()) if IMPORT_PATH.fullmatch(text)}))
    modules = sorted(path.relative_to(ROOT) for path in (ROOT / "mrilib").rglob("*.py"))
    library = tuple(f"{'.'.join(path.with_suffix('').parts)}:" for path in modules)
    code = stage_hash("workflow_scripts/config/arguments.py", roots=(*library, *named))
    return folder / hashlib.sha256(f"{code} {config!r}".encode()).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    """All texts of a config, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)

"""What files say is remembered, and is what it would be without."""

import ast
import hashlib
import json
import textwrap

import pytest

from tests.workflow.runs import ROOT
from workflow_scripts import meanings

FILES = sorted([*(ROOT / "mrilib").rglob("*.py"), *(ROOT / "workflow_scripts").rglob("*.py")])
TEXT = '''
"""A module."""
import torch, os.path
from . import near


class Thing:
    """A class."""

    def name(self):
        """A method."""
        from ..far import one, two as three

        return "a text that is no docstring"
'''


@pytest.fixture
def forgotten(monkeypatch, tmp_path):
    """A folder in which nothing was read yet; to be called again for the next process."""
    monkeypatch.chdir(tmp_path)
    meanings._known.cache_clear()
    yield meanings._known.cache_clear
    meanings._known.cache_clear()


def plainly(text):
    """The digest of a text by Python's own means: the tree written without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def test_every_file_of_ours_is_remembered_as_it_is_read(forgotten, tmp_path, monkeypatch):
    texts = {file: file.read_text(encoding="utf-8") for file in FILES}
    read = {file: meanings.meaning_of(text, str(file)) for file, text in texts.items()}
    assert {file: found.digest for file, found in read.items()} == {
        file: plainly(text) for file, text in texts.items()
    }
    meanings.remember(tmp_path / meanings.MEMORY)
    forgotten()
    monkeypatch.setattr(meanings, "_read", None)
    again = {file: meanings.meaning_of(text, str(file)) for file, text in texts.items()}
    assert {file: found.digest for file, found in again.items()} == {
        file: found.digest for file, found in read.items()
    }
    assert all(json.dumps(again[file].imports) == json.dumps(read[file].imports) for file in FILES)


def test_imports_are_found_at_the_top_and_inside():
    found = meanings.meaning_of(TEXT, "module.py")
    assert sorted(found.imports, key=str) == sorted(
        [
            (None, "torch", None),
            (None, "os.path", None),
            (1, None, ["near"]),
            (2, "far", ["one", "two"]),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("A method.", "Another docstring.", True),
        ("import torch, os.path", "import torch, os.path  # a comment", True),
        ("no docstring", "no number", False),
        ("as three", "as four", False),
    ],
)
def test_an_edit_counts_if_it_changes_what_is_said(forgotten, tmp_path, old, new, same):
    before = meanings.meaning_of(TEXT, "module.py").digest
    meanings.remember(tmp_path / meanings.MEMORY)
    forgotten()
    assert (meanings.meaning_of(TEXT.replace(old, new), "module.py").digest == before) is same


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 3}', '{"key": ["one", "two", "three"]}'])
def test_a_memory_that_cannot_be_read_is_none(forgotten, tmp_path, content):
    memory = tmp_path / meanings.MEMORY
    memory.parent.mkdir()
    memory.write_text(content)
    found = meanings.meaning_of(TEXT, "module.py")
    assert found.digest == plainly(TEXT)
    meanings.remember(memory)
    assert found.digest in memory.read_text()


def test_processes_that_read_at_once_keep_what_both_read(forgotten, tmp_path):
    memory = tmp_path / meanings.MEMORY
    for text in ("one = 1\n", "two = 2\n"):
        meanings.meaning_of(text, "module.py")
        meanings.remember(memory)
        # As another process, which had begun before the first one wrote.
        forgotten()
        meanings._known().clear()
    assert len(json.loads(memory.read_text())) == 2


def test_a_folder_that_cannot_be_written_is_left_alone(forgotten, tmp_path):
    (tmp_path / "file").touch()
    meanings.meaning_of(TEXT, "module.py")
    meanings.remember(tmp_path / "file" / "meanings.json")


def test_a_file_that_is_no_python_is_named():
    with pytest.raises(SyntaxError, match=r"broken\.py"):
        meanings.meaning_of(textwrap.dedent("def broken(:"), "broken.py")

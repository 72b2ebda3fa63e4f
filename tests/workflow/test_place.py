"""Paths under which no job can be started are told before anything is installed or run."""

import os
import shutil
import string
import subprocess

import pytest

from tests.workflow.runs import ROOT, copied, snakemake, tiny, written
from workflow_scripts.place import UNFIT, place_fault

PRINTED = sorted(set(string.punctuation + " \tä") - {"/"})


def make(folder, *targets):
    """What a user calls, though the tests may have been started by make themselves."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *targets], cwd=folder, env=own, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path):
    """`folder(name)`: one of that name with the Makefile alone."""

    def made(name):
        path = tmp_path / name
        path.mkdir()
        shutil.copy(ROOT / "Makefile", path)
        return path

    return made


@pytest.mark.parametrize("name", ["a b", "it's", "a:b"])
def test_make_installs_nothing_under_a_path_where_jobs_cannot_be_started(folder, name):
    place = folder(name)
    for target in (
        "venv",
        "demo",
        "demo-multicoil",
        "demo-shifts",
        "demo-features",
        "demo-theory",
        "why",
        "accept",
        "prune",
        "test",
        "test-slow",
        "lint",
        "bench",
    ):
        done = make(place, target)
        assert done.returncode != 0
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert f"{place}: expected a path without blanks, quotes, colons" in line
        assert "move the checkout" in line
    assert os.listdir(place) == ["Makefile"]
    assert "make demo" in make(place, "help").stdout


def test_a_link_with_a_fit_name_does_not_hide_the_path(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder("a b"))
    assert "expected a path without blanks" in make(tmp_path / "link", "venv").stderr


@pytest.mark.parametrize("character", PRINTED)
def test_make_and_the_snakefile_refuse_the_same_characters(folder, character):
    place = folder(f"a{character}b")
    fault = place_fault(ROOT, place)
    refused = "expected a path without blanks" in make(place, "-n", "venv").stderr
    assert refused == (fault is not None) == (character in UNFIT)
    if fault:
        assert f"{place}: expected a path without blanks" in fault
        assert repr(character) in fault


def test_the_snakefile_refuses_such_a_path_before_any_job(tmp_path):
    place = tmp_path / "it's mine"
    checkout = copied(place)
    config = written(tmp_path, tiny(methods=["tv"], attacks=["peak"]))
    done = snakemake(tmp_path, "-n", "--configfile", config, checkout=checkout)
    assert done.returncode != 0
    assert f"{place}: expected a path without blanks, quotes, colons" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results").exists()

"""A config that has passed once is not held against its classes again, unless it or any code is another."""

import pytest
import yaml

from tests.workflow.runs import ROOT, copied
from workflow_scripts import provenance
from workflow_scripts.config import config as settings
from workflow_scripts.config.passed import mark_of

MASK = """
import torch
from mrilib.data.sampling.base import Sampling
from {package} import blocks


class Half(Sampling):
    def draw(self, shape, seed):
        return torch.arange(shape[1]) < shape[1] // blocks.PART
"""


@pytest.fixture
def checked(monkeypatch):
    """`checked(values)`: whether classes were imported to judge a config, in one folder."""
    judged, misused = [], settings._misused

    def judging(*given, **how):
        judged.append(given)
        return misused(*given, **how)

    monkeypatch.setattr(settings, "_misused", judging)

    def call(values, folder):
        judged.clear()
        settings.load(values, passed=folder)
        return bool(judged)

    return call


@pytest.fixture
def values():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_same_config_passes_once_and_another_anew(checked, values, tmp_path):
    assert [checked(values, tmp_path / "passed") for _ in range(2)] == [True, False]
    values["methods"]["tv"]["parameters"]["tolerance"] = 2e-4
    assert [checked(values, tmp_path / "passed") for _ in range(2)] == [True, False]
    assert checked(values, tmp_path / "elsewhere")


def test_nothing_is_remembered_unless_a_folder_is_given(checked, values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [checked(values, None) for _ in range(2)] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_remembers_nothing(checked, values, tmp_path):
    (tmp_path / "file").touch()
    assert [checked(values, tmp_path / "file" / "passed") for _ in range(2)] == [True, True]


def test_a_mistake_does_not_pass_and_is_told_each_time(checked, values, tmp_path):
    values["masks"]["radial-25"]["lines"] = 0
    for _ in range(2):
        with pytest.raises(settings.ConfigError, match=r"masks\.radial-25\.lines"):
            checked(values, tmp_path / "passed")
    assert not (tmp_path / "passed").exists()


def test_what_a_class_of_a_users_imports_is_a_part_of_the_judgement(
    checked, values, tmp_path, monkeypatch, forget
):
    package = tmp_path / "ownmasks"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "half.py").write_text(MASK.format(package="ownmasks"))
    (package / "blocks.py").write_text("PART = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    values["masks"]["half"] = {"class": "ownmasks.half:Half"}
    values["images"]["head"]["masks"].append("half")
    forget()
    assert [checked(values, tmp_path / "passed") for _ in range(2)] == [True, False]
    (package / "blocks.py").write_text("PART = 3\n")
    forget()
    assert checked(values, tmp_path / "passed")


@pytest.mark.parametrize("file", ["mrilib/attacks/searches/unrolled.py", "workflow_scripts/config/sizes.py"])
def test_any_file_that_may_judge_is_a_part_of_the_judgement(values, tmp_path, monkeypatch, forget, file):
    checkout = copied(tmp_path)
    monkeypatch.setattr(provenance, "ROOT", checkout)
    monkeypatch.setattr("workflow_scripts.config.passed.ROOT", checkout)
    config = settings.load(values, classes=False)
    forget()
    before = mark_of(config, tmp_path)
    assert mark_of(config, tmp_path) == before
    (checkout / file).write_text((checkout / file).read_text() + "\nANOTHER = 1\n")
    forget()
    assert mark_of(config, tmp_path) != before

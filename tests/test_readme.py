import re
from pathlib import Path

import pytest
import yaml

from workflow_scripts.config.parts import Method

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_the_python_example_runs(capsys):
    (code,) = (text for text in blocks("python") if "import localized_attack" in text)
    exec(compile(code, "README.md", "exec"), {})
    alpha, severity = (float(word) for word in capsys.readouterr().out.split()[:2])
    assert alpha > 5.99
    assert severity > 1.0


def test_the_examples_of_methods_are_valid_entries():
    examples = [text for text in blocks("yaml") if text.startswith("methods:")]
    assert len(examples) == 3
    for text in examples:
        for method in yaml.safe_load(text)["methods"].values():
            Method.model_validate(method)


def test_every_make_target_that_is_named_exists():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

"""The README's own network: written as it stands there, trained, attacked, and in the tables."""

import re

import pandas as pd
import pytest
import yaml

from tests.workflow.runs import ROOT, snakemake

# Every rule that has to do with the method, once.
TARGETS = [
    f"results/mine/{name}"
    for name in (
        "tables/table-1.md",
        "figures/error.pdf",
        "figures/attack-mine-ellipses-0.pdf",
        "figures/training-ellipses@radial-40.pdf",
    )
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(folder, *arguments):
    return snakemake(folder, *arguments, "--configfile", str(folder / "mine.yaml"), paths=[folder])


@pytest.fixture
def folder(tmp_path):
    (module,) = re.findall(r"```python\n# mypackage/networks.py\n(.*?)```", README, re.DOTALL)
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "networks.py").write_text(module)
    (entry,) = re.findall(r"```yaml\n(methods:\n  mine:\n    label.*?)```", README, re.DOTALL)
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values |= yaml.safe_load(entry)
    values |= {"run": "mine", "size": 32, "levels": [0.04]}
    del values["experiments"]
    values["methods"]["mine"]["training"] |= {"images": 8, "validation": 2}
    values["methods"]["mine"]["training"]["phases"][0] |= {"epochs": 2}
    values["methods"]["mine"]["search_arguments"] = {"rounds": [[2, 1], [3, 1]]}
    values["images"] = {"ellipses": {"kind": "ellipses", "test": 1, "validation": 1}}
    values["masks"] = {"radial-40": {"kind": "radial", "lines": 8}}
    values["attacks"] = {"peak": {"kind": "localized", "grid": 2}, "gaussian": {"kind": "gaussian"}}
    values["figures"] |= {"methods": ["mine"], "examples": [{"source": "ellipses"}]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


@pytest.mark.slow
def test_the_readmes_network_gets_its_column(folder):
    result = run(folder, *TARGETS, "--cores", "2")
    assert result.returncode == 0, result.stdout
    results = folder / "results/mine"
    assert "My network 8 lines" in (results / "tables/table-1.md").read_text()
    scores = pd.read_csv(results / "scores/mine/ellipses@radial-40/ellipses/radial-40.csv")
    assert scores["failed"].isna().all()
    assert (scores.loc[scores["kind"] != "reconstruction", "severity"] > 0).all()
    assert all((folder / target).exists() for target in TARGETS)

    module = folder / "mypackage/networks.py"
    text = module.read_text()
    module.write_text(text.replace("# (batch, 2, y, x)", "# real and imaginary part"))
    assert "Nothing to be done" in run(folder, *TARGETS, "-n").stdout
    module.write_text(text.replace("nn.ReLU()", "nn.Tanh()"))
    assert re.search(r"^train +1$", run(folder, *TARGETS, "-n").stdout, re.MULTILINE)


def test_an_import_path_that_leads_nowhere_is_told_before_any_job(folder):
    for wrong, message in (
        ("mypackage.netwrks:Mine", "no module mypackage.netwrks; check the spelling"),
        ("mypackage.networks:Yours", "mypackage.networks does not define Yours; it has Mine, nn"),
        ("nosuchpackage.networks:Mine", "no module nosuchpackage.networks"),
    ):
        config = folder / "mine.yaml"
        before = config.read_text()
        config.write_text(before.replace("mypackage.networks:Mine", wrong))
        result = run(folder, "-n")
        config.write_text(before)
        assert result.returncode != 0
        assert message in result.stdout
        assert "Traceback" not in result.stdout

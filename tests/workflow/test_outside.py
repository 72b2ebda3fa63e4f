"""What a stranger adds by config alone: a mask, an attack, a search, a method, a network, a metric, a study,
and an experiment.

Their package lies outside the repository. What it brings is checked, hashed, planned, run, and in the tables.
"""

import json
import textwrap

import pandas as pd
import pytest
import yaml

from tests.workflow.runs import jobs_to_run, snakemake, written

PACKAGE = {
    "masks": """
        from typing import Annotated

        import torch
        from pydantic import Field

        from mrilib.data.sampling.base import Sampling


        class Scattered(Sampling):
            def __init__(self, *, share: Annotated[float, Field(gt=0, le=1)]):
                self.share = share

            def draw(self, shape, seed):
                number = seed if isinstance(seed, int) else sum(seed)
                generator = torch.Generator().manual_seed(number)
                mask = torch.rand(shape, generator=generator) < self.share
                rows, columns = (side // 2 for side in shape)
                mask[rows - 3 : rows + 4, columns - 3 : columns + 4] = True
                return mask
    """,
    "attacks": """
        import torch

        from mrilib.attacks.judge import judge, result_of
        from mrilib.attacks.kinds.base import AttackKind
        from mrilib.attacks.kinds.spike import spike
        from mrilib.metrics.artifacts import severity


        class Spikes(AttackKind):
            needs_derivative = False

            def __init__(self, *, pixels: int = 4):
                self.pixels = pixels

            def attack(self, target, conditions):
                generator = torch.Generator().manual_seed(conditions.seed)
                shape = target.operator.mask.shape
                places = [[int(torch.randint(side, (1,), generator=generator)) for side in shape]]
                while len(places) < self.pixels:
                    places.append([int(torch.randint(side, (1,), generator=generator)) for side in shape])
                found = torch.stack([spike(target.operator, place, target.radius) for place in places])
                judged = judge(target, found)
                best = int(judged.severities.argmax())
                return result_of(target, judged, best, location=torch.tensor(places[best]), stats={})

            def measure(self, artifact):
                return severity(artifact)

            @property
            def about(self):
                return super().about | {"label": "spikes at random"}
    """,
    "methods": """
        from mrilib.reconstructors.base import Reconstructor


        class Half(Reconstructor):
            search = "strangers.searches:Short"

            def __init__(self, *, factor: float = 0.5):
                self.factor = factor

            def __call__(self, kspace, operator):
                return self.factor * operator.adjoint(kspace)
    """,
    "searches": """
        from mrilib.attacks.searches.gradient import GradientAscent


        class Short(GradientAscent):
            def __init__(self, *, steps: int = 2):
                super().__init__(rounds=[[steps, 1]])
    """,
    "networks": """
        from torch import nn


        class Two(nn.Module):
            def __init__(self, *, width: int):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 2, 3, padding=1)
                )

            def forward(self, image):
                return self.layers(image)
    """,
    "metrics": """
        from mrilib.metrics.base import Metric
        from mrilib.metrics.quantities import Quantity


        class MeanAbsoluteError(Metric):
            quantity = Quantity("Mean absolute error", column="mean absolute error", decimals=4)

            def __call__(self, image, reference, *, maximum):
                return float((image - reference).abs().mean())
    """,
    "studies": """
        import numpy as np

        from mrilib.features.kinds.base import FeatureKind, Findings


        class Largest(FeatureKind):
            def findings(self, scene):
                return Findings({"largest": np.array([float(scene.without.max())])}, {"remark": "of moduli"})
    """,
    "experiments": """
        from mrilib.experiments.base import Experiment
        from mrilib.experiments.records import records_of
        from mrilib.experiments.scores import own_scores


        class WorstImage(Experiment):
            title = "Severity of the worst image"

            def records(self, run):
                own = own_scores(run.scores)
                worst = own.loc[own.groupby(["source", "method", "attack"])["severity"].idxmax()]
                by = ["source", "attack"]
                return records_of(run, worst, "severity", by=by, table="worst")
    """,
}
ENTRIES = {
    "images": {"ellipses": {"kind": "ellipses", "test": 2, "validation": 1}},
    "masks": {"scattered": {"class": "strangers.masks:Scattered", "arguments": {"share": 0.4}}},
    "levels": [0.04],
    "methods": {
        "two": {
            "parameters": {"network": {"class": "strangers.networks:Two", "arguments": {"width": 4}}},
            "training": {
                "images": 8,
                "validation": 2,
                "phases": [{"epochs": 1, "batch": 4, "learning_rate": 1e-3}],
            },
        },
        "zero-filled": {"reconstructor": "zero-filled"},
        "half": {"reconstructor": "strangers.methods:Half", "parameters": {"factor": 0.5}},
    },
    "attacks": {
        "spikes": {"class": "strangers.attacks:Spikes", "arguments": {"pixels": 3}},
        "peak": {"kind": "localized", "grid": 2, "methods": ["half"]},
    },
    "features": {"largest": {"class": "strangers.studies:Largest", "methods": ["half"]}},
    "metrics": {"mae": {"class": "strangers.metrics:MeanAbsoluteError"}},
    "experiments": {"worst": {"class": "strangers.experiments:WorstImage"}},
}
TARGETS = [f"results/mine/tables/{name}.csv" for name in ("quality", "severity", "worst")]
STUDIED = "results/mine/features/half/ellipses@scattered/ellipses/scattered.csv"
TARGETS.append(STUDIED)
METHODS = ("two", "zero-filled", "half")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the package and the config, and nothing of this repository."""
    found = tmp_path_factory.mktemp("strangers")
    package = found / "strangers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, text in PACKAGE.items():
        (package / f"{name}.py").write_text(textwrap.dedent(text).lstrip())
    written(found, {"run": "mine", "seed": 1, "size": 32} | ENTRIES)
    return found


def run(folder, *arguments):
    return snakemake(folder, *arguments, "--configfile", str(folder / "tiny.yaml"), paths=[folder])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"masks": {"scattered": {"class": "strangers.masks:Scattered", "arguments": {"share": 2}}}},
            "got 2",
        ),
        ({"attacks": {"spikes": {"class": "strangers.attacks:Spike"}}}, "does not define Spike; it has"),
        (
            {"attacks": {"spikes": {"class": "strangers.attacks:Spikes", "arguments": {"pixel": 3}}}},
            "attacks.spikes.arguments.pixel: unknown key; did you mean 'pixels'?",
        ),
        ({"metrics": {"mae": {"class": "strangers.networks:Two"}}}, "expected a subclass of Metric"),
        ({"experiments": {"worst": {"kind": "wurst"}}}, "'wurst' is no experiment of ours"),
    ],
)
def test_what_is_wrong_with_them_is_told_before_any_job(folder, tmp_path, entry, message):
    config = written(tmp_path, {"run": "mine", "seed": 1, "size": 32} | ENTRIES | entry)
    result = snakemake(folder, "-n", "--configfile", config, paths=[folder])
    assert result.returncode != 0
    assert message in result.stdout
    assert "Traceback" not in result.stdout


def edited(folder, name, old, new):
    """Jobs that would run after an edit of the package, which is taken back."""
    file = folder / f"strangers/{name}.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    try:
        jobs = jobs_to_run(folder, str(folder / "tiny.yaml"), TARGETS, paths=[folder])
    finally:
        file.write_text(text)
    return {f"{rule} ({wildcards['method']})" if "method" in wildcards else rule for rule, wildcards in jobs}


@pytest.mark.slow
def test_they_are_run_are_in_the_tables_and_are_a_part_of_the_hashes(folder):
    done = run(folder, *TARGETS, "--cores", "2")
    assert done.returncode == 0, done.stdout
    results = folder / "results/mine"
    scores = pd.concat([pd.read_csv(path) for path in (results / "scores").rglob("*.csv")])
    assert set(scores["mask"]) == {"scattered"}
    assert set(scores["method"]) == set(METHODS)
    assert scores["failed"].isna().all()
    assert (scores["mae"] > 0).all()
    own = scores[scores["kind"] != "reconstruction"]
    assert set(own["kind"]) == {"Spikes", "localized"}
    assert set(own["attack"]) == {"spikes", "peak"}
    assert set(own.loc[own["attack"] == "spikes", "method"]) == set(METHODS)
    # Of a linear method a spike of one norm does the same everywhere.
    linear = own[own["method"] == "zero-filled"]
    assert linear["amplification"].to_numpy() == pytest.approx(1.0, rel=1e-5)
    studied = pd.read_csv(folder / STUDIED)
    assert studied["remark"].tolist() == ["of moduli"] * 2
    assert (studied["largest"] > 0).all()
    tables = {name: (results / f"tables/{name}.md").read_text() for name in ("quality", "severity", "worst")}
    assert "mean absolute error" in tables["quality"]
    assert "scattered" in tables["quality"]
    assert "spikes" in tables["severity"]
    assert "Severity of the worst image" in tables["worst"]
    records = json.loads((results / "records/worst.json").read_text())
    assert {record["method"] for record in records} == set(METHODS)
    assert {record["value"] for record in records} == set(own.groupby(["method", "attack"])["severity"].max())
    assert jobs_to_run(folder, str(folder / "tiny.yaml"), TARGETS, paths=[folder]) == []
    studies = {f"{rule} (half)" for rule in ("feature", "tabulate_features")}
    assert edited(folder, "studies", ".max()", ".min()") == studies
    of_both = {f"{rule} ({method})" for rule in ("reconstruct", "attack", "score") for method in METHODS}
    tabled = {"run_usual_experiments", "run_experiment"}
    assert edited(folder, "masks", "columns - 3", "columns - 2") == {
        "measure_image",
        "train (two)",
        *tabled,
        *of_both,
        *studies,
    }
    scored = {*tabled, *(f"score ({method})" for method in METHODS)}
    attacked = {f"attack ({method})" for method in METHODS}
    assert edited(folder, "attacks", "argmax()", "argmin()") == attacked | scored
    assert edited(folder, "metrics", ".mean()", ".median()") == scored
    assert edited(folder, "experiments", "idxmax", "idxmin") == {"run_experiment"}
    assert edited(folder, "networks", "nn.ReLU()", "nn.Tanh()") == {
        *tabled,
        *(f"{rule} (two)" for rule in ("train", "reconstruct", "attack", "score")),
    }
    assert edited(folder, "searches", "[[steps, 1]]", "[[steps, 2]]") == {
        *tabled,
        "attack (half)",
        "score (half)",
    }
    assert edited(folder, "methods", "self.factor * ", "-self.factor * ") == {
        *tabled,
        *(f"{rule} (half)" for rule in ("reconstruct", "attack", "score")),
        *studies,
    }
    assert edited(folder, "networks", "import nn", "import nn  # of torch") == set()


def test_the_config_names_nothing_of_this_repository_but_a_word():
    text = yaml.safe_dump(ENTRIES)
    assert "mrilib" not in text
    assert text.count("strangers.") == 7

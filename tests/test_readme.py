import re
from pathlib import Path

import pytest
import yaml

from mrilib.attacks.kinds.base import Conditions
from mrilib.attacks.target import Observed, Target
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.measurement import measure_image
from mrilib.experiments.base import Experiment
from mrilib.metrics.base import Metric
from mrilib.metrics.quantities import QUANTITIES
from mrilib.reconstructors.linear import ZeroFilled
from tests.experiments.frames import peak, run_of
from workflow_scripts.config.attacks import Attack
from workflow_scripts.config.experiments import ExperimentEntry, MetricEntry
from workflow_scripts.config.masks import Mask
from workflow_scripts.config.methods import Method

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


def test_the_examples_of_a_mask_and_an_attack_work():
    (code,) = (text for text in blocks("python") if "(AttackKind)" in text)
    defined = {}
    exec(compile(code, "README.md", "exec"), defined)
    (entries,) = (yaml.safe_load(text) for text in blocks("yaml") if text.startswith("masks:\n  scattered"))
    mask = Mask.model_validate(entries["masks"]["scattered"])
    sampling = defined[mask.path.partition(":")[2]](**mask.arguments)
    drawn = sampling.draw((256, 200), (1, 2))
    assert drawn.shape == (256, 200)
    assert 0.2 < float(drawn.float().mean()) < 0.25
    attacks = {name: Attack.model_validate(each) for name, each in entries["attacks"].items()}
    spikes = attacks["spikes"]
    kind = defined[spikes.path.partition(":")[2]](**spikes.arguments)
    image = ellipse_phantoms(1, size=256, seed=1)[0]
    measurement = measure_image(image, sampling.draw((256, 256), (1, 2)))
    clean = Observed(ZeroFilled()(measurement.kspace, measurement.operator))
    target = Target(ZeroFilled(), measurement.operator, measurement.kspace, 1.0, clean)
    assert float(kind.attack(target, Conditions(reference=image)).amplification) > 0.99
    assert [each.value for each in attacks["radius"].variants] == [1, 5, 15]
    assert [each.factors for each in attacks["stiffness"].variants] == [[0.5], [1], [2]]


def test_the_examples_of_a_metric_and_an_experiment_work():
    (code,) = (text for text in blocks("python") if "(Metric)" in text)
    defined = {}
    exec(compile(code, "README.md", "exec"), defined)
    (entries,) = (yaml.safe_load(text) for text in blocks("yaml") if text.startswith("metrics:"))
    metrics = {name: MetricEntry.model_validate(each) for name, each in entries["metrics"].items()}
    found = {}
    for name, each in entries["experiments"].items():
        described = ExperimentEntry.model_validate(each).described
        found[name] = described["class"].partition(":")[2]
    classes = {name: each.path.partition(":")[2] for name, each in metrics.items()}
    for kind, names in ((Metric, classes.values()), (Experiment, [found["worst-places"]])):
        assert all(issubclass(defined[name], kind) for name in names)
    rows = [peak(1.0) | dict.fromkeys(metrics, 0.25)]
    quantities = {name: defined[each].quantity for name, each in classes.items()}
    run = run_of(rows, quantities=QUANTITIES | quantities)
    (record,) = defined[found["worst-places"]]().records(run)
    assert (record.quantity, record.value) == (*metrics, 0.25)


def test_every_make_target_that_is_named_exists():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readmes_terms_stand_in_the_glossary_once_each():
    glossary = (Path(__file__).parents[1] / "docs/glossary.md").read_text(encoding="utf-8")
    defined = re.findall(r"\*\*([^*]+)\*\*", glossary)
    assert len(defined) == len(set(defined)) > 50
    (terms,) = re.findall(r"\nTerms [^\n]*:\n\n(.*?)\n\n## ", README, re.DOTALL)
    # Kinds of attacks, and where one looks, stand in the entries of what they are.
    named = set(re.findall(r"(?:^- |; )\*([^*]+)\*", terms, re.MULTILINE)) - {"object", "global", "gaussian"}
    assert len(named) > 6
    assert named <= set(defined)

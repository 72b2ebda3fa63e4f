"""The study of a search's argument, from what the choice on validation images left."""

import json
import math

import pytest

from mrilib.experiments.base import experiment_from
from mrilib.report.tables import render
from mrilib.store.functions import load_function
from tests.experiments.frames import clean, run_of

VALUES = (0.001, 0.01, 0.1)


def tuning(method, severities, chosen, *, mask="mask", name="two-step"):
    rows = [
        {"value": value, "position": position, "volume": f"v{position}", "patient": f"p{position}"}
        | ({"failed": "not finite"} if math.isnan(each) else {"severity": each, "artifact_norm": each / 10})
        for value, images in zip(VALUES, severities, strict=True)
        for position, each in enumerate(images)
    ]
    found = {"name": name, "method": method, "domain": f"set@{mask}", "source": "set", "mask": mask}
    found |= {"kind": "global", "maximised": "artifact_norm", "parameter": "beta"}
    found |= {"level": 0.04, "chosen": chosen, "at_edge": False}
    return found | {"rows": rows}


NAN = math.nan
TUNINGS = [
    tuning("other", [[0.3, 0.4], [0.5, 0.7], [NAN, NAN]], 0.01),
    tuning("m", [[0.1, 0.2], [0.2, 0.3], [0.4, NAN]], 0.01),
    tuning("m", [[NAN, 0.2], [NAN, NAN], [NAN, NAN]], None, mask="columns"),
    tuning("m", [[9.0, 9.0]] * 3, 0.1, name="another"),
]


@pytest.fixture
def study():
    described = {"class": "mrilib.experiments.search_study:SearchStudy", "arguments": {"attack": "two-step"}}
    specs = {"two-step": {"search_label": "joint descent (two-step)"}}
    run = run_of([clean(0.1)], searches=TUNINGS, specs=specs, labels={"m": "TV", "other": "decoder"})
    experiment = experiment_from(described)
    return experiment, run, experiment.records(run)


def test_records_are_the_curve_and_the_choice(study):
    _, _, records = study
    found = {(each.quantity, each.method, each.row["mask"], each.row.get("value")): each for each in records}
    assert len(found) == len(records) == 2 * 9 + 3
    best = found["severity", "m", "mask", 0.01]
    assert (best.value, best.n, best.missing) == (pytest.approx(0.25), 2, 0)
    assert found["artifact_norm", "other", "mask", 0.001].value == pytest.approx(0.035)
    assert (found["severity", "m", "mask", 0.1].n, found["severity", "m", "mask", 0.1].missing) == (1, 1)
    assert found["chosen", "m", "mask", None].value == 0.01
    none = found["chosen", "m", "columns", None]
    assert math.isnan(none.value)
    assert (none.n, none.missing) == (0, 2)
    assert all(each.row["attack"] == "two-step" for each in records)
    json.dumps([each.row for each in records])


def test_the_table_has_the_choice_and_says_what_is_missing(study):
    experiment, run, records = study
    text = render(load_function(experiment.table)(records, **experiment.table_arguments(run)))["md"]
    (chosen, _) = [line for line in text.splitlines() if "value chosen" in line]
    assert chosen.count("0.0100") == 2
    assert "(1 missing)" in text
    assert "test images have no part" in text.lower()


def test_the_figure_marks_the_choice_and_what_failed(study):
    experiment, run, records = study
    frame = experiment.frame(run, records)
    assert set(frame["place"]) == {"set, 40 lines", "set, columns"}
    figure = load_function(experiment.figure)(frame, **experiment.figure_arguments(run))
    first, second = figure.axes
    stars = [line for line in first.lines if line.get_marker() == "*"]
    assert sorted(float(line.get_ydata()[0]) for line in stars) == pytest.approx([0.025, 0.06])
    assert [float(line.get_xdata()[0]) for line in stars] == [0.01, 0.01]
    assert not [line for line in second.lines if line.get_marker() == "*"]
    assert [line for line in second.lines if line.get_marker() == "x"]
    told = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert told >= {"TV", "decoder", "chosen", "missing (failed)", "one image"}
    assert figure.get_suptitle() == "joint descent (two-step), level 4 %, validation images"
    assert second.get_xlabel() == "β of the joint objective"
    # An attack on the whole image maximises a norm.
    assert run.quantity("artifact_norm", "test").axis in {first.get_ylabel(), figure.get_supylabel()}


def test_without_a_choice_there_is_an_empty_table(study):
    experiment, _, _ = study
    run = run_of([clean(0.1)])
    assert experiment.records(run) == []
    figure = load_function(experiment.figure)(experiment.frame(run, []), **experiment.figure_arguments(run))
    assert "no data" in {text.get_text() for text in figure.axes[0].texts}

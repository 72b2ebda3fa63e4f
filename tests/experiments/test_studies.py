"""Studies of attacks of which something is varied, on hand-made scores."""

import math

import pandas as pd
import pytest

from mrilib.attacks.kinds.localized import Localized
from mrilib.attacks.kinds.whole import Global
from mrilib.experiments.attacks import Attacks
from mrilib.experiments.columns import COLUMNS
from mrilib.experiments.effort_study import EffortStudy
from mrilib.experiments.quality import Quality
from mrilib.experiments.radius_study import RadiusStudy
from mrilib.experiments.scores import clean_scores, lowest_tuned, own_scores
from mrilib.experiments.transfer import Transfer
from mrilib.experiments.weight_study import WeightStudy
from mrilib.report.tables import render
from mrilib.store.functions import load_function
from tests.experiments.frames import clean, peak, run_of

RADII = (1.0, 5.0, 15.0)
ATTACKS = {
    "peak": Localized().about | {"grid": None},
    "global": Global().about,
    "radii": Localized(objective="disk", grid=2).about,
    "effort": {"kind": "global"},
    "mine": {"kind": "his own", "grid": 1},
    "reference": {"kind": "his own", "grid": 1},
}
SPECS = {
    "mine": {"search_label": "coupled search (ours)"},
    "reference": {"search_label": "reference search (the paper's)"},
}


def varied(attack, name, value, **changes):
    return peak(value, attack=attack, varied=name, value=value, artifact_norm=0.1, **changes)


def study_run(rows, **known):
    return run_of(rows, attacks=ATTACKS, specs=SPECS, labels={"m": "TV"}, **known)


def by_radius(**changes):
    rows = [
        varied("radii", "disk_radius", radius, position=position, **changes)
        for radius in RADII
        for position in (0, 1)
    ]
    rows += [
        peak(9.0, attack=attack, kind=kind, position=position, artifact_norm=0.2, **changes)
        for attack, kind in (("peak", "localized"), ("global", "global"))
        for position in (0, 1, 2)
    ]
    return rows


def by_factor(**changes):
    return [
        varied(attack, "factor", factor, factor=factor, weight=0.1 * factor, level=level, **changes)
        for attack in ("mine", "reference")
        for factor in (0.5, 1.0, 2.0)
        for level in (0.01, 0.08)
    ]


def by_effort(reached, *, method="m", images=(0, 1), **changes):
    """Severities by steps, of images that differ by a factor."""
    return [
        varied("effort", "steps", float(steps), kind="global", **about | {"severity": (1 + image) * value})
        for image in images
        for steps, value in reached.items()
        for about in [
            {"method": method, "made_for": method, "position": image, "patient": f"p{image}"}
            | {"gradient_evaluations": 2.0 * steps, "accuracy": 1e-6}
            | changes
        ]
    ]


def drawn(experiment, run):
    records = experiment.records(run)
    frame = experiment.frame(run, records)
    table = load_function(experiment.table)(records, **experiment.table_arguments(run))
    figure = load_function(experiment.figure)(frame, **experiment.figure_arguments(run))
    return records, frame, table, figure


def legend(figure):
    return {text.get_text() for legend in figure.legends for text in legend.get_texts()}


def test_the_study_of_the_radius_has_its_limits_on_the_same_images(texts_of):
    run = study_run(by_radius())
    experiment = RadiusStudy(attack="radii", limits=["global", "peak"])
    records, frame, table, figure = drawn(experiment, run)
    assert frame["value"].tolist()[:6] == [1.0, 1.0, 5.0, 5.0, 15.0, 15.0]
    # The limits have a third image, which the study does not.
    assert frame["limit"].tolist() == [""] * 6 + ["global"] * 2 + ["peak"] * 2
    assert set(frame["series"]) == {"set"}
    severities = [each for each in records if each.quantity == "severity"]
    assert [each.row.get("value") for each in severities] == [*RADII, None, None]
    assert [each.row["attack"] for each in severities] == ["radii"] * 3 + ["peak", "global"]
    assert {each.quantity for each in records} == {"severity", "amplification", "artifact_norm"}
    assert all(math.isfinite(each.value) and each.n == 2 for each in records)
    assert "disk_radius" in render(table)["md"]
    # What is varied is called as the number that is measured: both stand in the CSV.
    assert table.long["row_value"].tolist()[:3] == list(RADII)
    assert table.long["value"].tolist() == [each.value for each in records]
    assert "TV, 40 lines, set, level 1 %, 2×2 places" in texts_of(figure)
    assert "radius σ of the disk (pixels)" in texts_of(figure)
    assert {"localized attack (one pixel): mean", "global attack: mean"} <= legend(figure)


def test_studies_of_several_sources_and_levels_have_a_line_each():
    rows = by_radius() + by_radius(source="head", domain="head@mask") + by_radius(level=0.04)
    _, frame, _, figure = drawn(RadiusStudy(attack="radii", limits=["peak"]), study_run(rows))
    assert set(frame["series"]) == {"set, level 1 %", "set, level 4 %", "head, level 1 %"}
    assert set(frame["series"]) <= legend(figure)


def test_the_study_of_the_weight_calls_attacks_by_their_searches(texts_of):
    run = study_run([clean(0.1), *by_factor()])
    records, frame, _, figure = drawn(WeightStudy(attacks=["mine", "reference"]), run)
    assert set(frame["search"]) == {"coupled search (ours)", "reference search (the paper's)"}
    assert sorted(set(frame["level"])) == [1.0, 8.0]
    assert set(frame["search"]) <= legend(figure)
    assert "n²/m = 4 (spike)" in legend(figure)
    assert "TV, 40 lines, set, 1×1 places" in texts_of(figure)
    assert [each.row["value"] for each in records[:3]] == [0.5, 1.0, 2.0]
    assert {each.quantity for each in records} == {"severity", "amplification", "amplification_to_truth"}


def test_searches_that_are_alike_are_told_apart_by_their_attacks():
    specs = {name: {"search_label": "one search"} for name in ("mine", "reference")}
    run = run_of(by_factor(), attacks=ATTACKS, specs=specs)
    frame = WeightStudy(attacks=["mine", "reference"]).frame(run, [])
    assert set(frame["search"]) == {"one search: mine", "one search: reference"}
    both = study_run(by_factor() + by_factor(method="other", made_for="other"))
    frame = WeightStudy(attacks=["mine"]).frame(both, [])
    assert set(frame["search"]) == {"TV: coupled search (ours)", "other: coupled search (ours)"}


def test_the_study_of_effort_tells_which_effort_is_enough(texts_of):
    soon = by_effort({25: 0.9, 50: 0.995, 100: 1.0, 200: 1.002})
    late = by_effort({25: 0.5, 50: 0.7, 100: 0.9, 200: 1.0}, method="other")
    records, frame, table, figure = drawn(EffortStudy(attack="effort"), study_run(soon + late))
    enough = {each.method: each.value for each in records if each.quantity == "enough"}
    # 100 adds 0.5 % to 50, and 200 adds 0.2 % to 100; of the other every doubling adds 10 % or more.
    assert enough == {"m": 50.0}
    shares = [each.value for each in records if each.quantity == "share_of_largest" and each.method == "m"]
    assert shares == pytest.approx([0.9 / 1.002, 0.995 / 1.002, 1 / 1.002, 1.0])
    gains = {
        (each.method, each.row["value"]): each.value for each in records if each.quantity == "doubling_gain"
    }
    assert gains["m", 50.0] == pytest.approx(0.995 / 0.9 - 1)
    assert gains["other", 200.0] == pytest.approx(1 / 0.9 - 1)
    assert ("m", 25.0) not in gains
    evaluations = [each.value for each in records if each.quantity == "gradient_evaluations"]
    assert evaluations == [50.0, 100.0, 200.0, 400.0] * 2
    heads = ["images", "method", "mask", "level", "n", *(f"steps {steps}" for steps in (25, 50, 100, 200))]
    assert table.wide.columns.tolist() == [*heads, "the last doubling adds, %", "enough"]
    assert table.wide["method"].tolist() == ["TV", "other"]
    assert table.wide["enough"].tolist() == ["50 (100)", "more than 200"]
    assert table.wide["steps 25"].tolist()[0].startswith("0.898")
    assert table.wide["steps 25"].tolist()[0].endswith("(50)")
    assert table.wide["the last doubling adds, %"].tolist()[1].startswith("11.1")
    assert (
        frame.loc[frame["enough"], ["method", "value", "evaluations"]].to_numpy().tolist()
        == [["m", 50.0, 100.0]] * 2
    )
    assert "gradient evaluations\n(mean over images)" in texts_of(figure)
    assert any("attack effort" in text and "Severity" in text for text in texts_of(figure))
    assert {"TV", "other", "from here a doubling adds less than 1 %"} <= legend(figure)
    stars = [line for line in figure.axes[0].get_lines() if line.get_marker() == "*"]
    assert [line.get_xydata().tolist() for line in stars if len(line.get_xdata())] == [
        [[100.0, pytest.approx(0.995 / 1.002)]]
    ]


def test_efforts_that_are_no_doublings_count_by_doublings():
    records, *_ = drawn(EffortStudy(attack="effort"), study_run(by_effort({10: 1.0, 40: 1.21, 80: 1.33})))
    gains = [each.value for each in records if each.quantity == "doubling_gain"]
    assert gains == pytest.approx([0.1, 1.33 / 1.21 - 1])


def test_a_gain_that_comes_back_takes_what_seemed_enough():
    records, *_ = drawn(EffortStudy(attack="effort"), study_run(by_effort({25: 1.0, 50: 1.001, 100: 1.2})))
    assert not [each for each in records if each.quantity == "enough"]


def test_efforts_that_failed_are_missing_and_other_quantities_may_be_asked():
    rows = by_effort({25: 0.9, 50: 1.0, 100: 1.0})
    failed = {"failed": "max_steps", "severity": math.nan, "artifact_norm": math.nan}
    rows[2] |= failed
    records, _, table, _ = drawn(EffortStudy(attack="effort"), study_run(rows))
    shares = [each for each in records if each.quantity == "share_of_largest"]
    assert [(each.n, each.missing) for each in shares] == [(1, 1)] * 3
    assert table.wide["n"].tolist() == ["1"]
    records, *_ = drawn(EffortStudy(attack="effort", quantity="artifact_norm"), study_run(rows))
    assert {each.quantity for each in records} >= {"artifact_norm", "share_of_largest"}


def test_a_study_of_effort_needs_an_effort_and_a_number_of_perturbations():
    run = study_run(by_factor())
    with pytest.raises(ValueError, match=r"effort-study: expected an attack that varies its effort.*'mine'"):
        EffortStudy(attack="mine").records(run)
    with pytest.raises(ValueError, match=r"effort-study: expected a quantity of perturbations.*'ssim'"):
        EffortStudy(attack="effort", quantity="ssim").records(run)


@pytest.mark.parametrize(
    "experiment",
    [
        RadiusStudy(attack="radii", limits=["peak"]),
        WeightStudy(attacks=["mine", "reference"]),
        EffortStudy(attack="effort"),
    ],
    ids=["radius", "weight", "effort"],
)
def test_studies_without_any_score_say_so(experiment, texts_of):
    records, frame, table, figure = drawn(experiment, study_run(pd.DataFrame([], columns=list(COLUMNS))))
    assert records == []
    assert frame.empty
    assert table.wide.empty
    assert "no data" in texts_of(figure)


def test_an_attack_that_is_not_there_is_refused():
    run = study_run(by_radius())
    for experiment in (RadiusStudy(attack="disk"), RadiusStudy(attack="radii", limits=["disk"])):
        with pytest.raises(ValueError, match=r"radius-study: expected an attack of \['peak', .*got 'disk'"):
            experiment.records(run)
    with pytest.raises(ValueError, match="weight-study: expected an attack of"):
        WeightStudy(attacks=["disk"]).records(run)


def test_ordinary_tables_leave_varied_attacks_out():
    ordinary = [clean(0.1, ssim=0.9), peak(2.0), peak(1.0, made_for="other")]
    with_studies = [*ordinary, *by_factor(), *by_radius()[:6], *by_factor(made_for="other")]
    plain, both = study_run(ordinary), study_run(with_studies)
    for experiment in (
        Quality(),
        Attacks(quantity="amplification"),
        Attacks(quantity="relative_error"),
        Transfer(quantity="severity"),
    ):
        found = experiment.records(plain)
        assert found
        assert repr(experiment.records(both)) == repr(found)
    for choose in (own_scores, clean_scores, lowest_tuned):
        assert len(choose(both.scores)) == 1


@pytest.fixture
def texts_of():
    from matplotlib.text import Text

    return lambda figure: {text.get_text() for text in figure.findobj(Text)}

"""Medians of what was searched between two ends, over images of patients."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.columns import FEATURES
from mrilib.experiments.pattern import SmallestLevel
from mrilib.experiments.scores import with_usual_domains
from mrilib.experiments.worst_feature import MARKS, SmallestContrast
from mrilib.metrics.censored import censored_median, lower_median
from mrilib.store.records import read_records, write_records
from mrilib.store.tables import empty_table
from tests.experiments.frames import EMPTY, run_of

LEAST, MOST = 0.02, 1.0


def contrasts(values, *, method="m", patients=None, place="worst", shape="window", **changes):
    """Rows of an entry, one an image; `∞` and `−∞` for numbers beyond the ends."""
    rows = []
    for position, value in enumerate(values):
        patient = f"p{position}" if patients is None else patients[position]
        censored = int(np.sign(value)) if math.isinf(value) else 0
        about = {"feature": "small", "kind": "worst-feature", "method": method, "domain": "set@mask"}
        about |= {"source": "set", "mask": "mask", "position": position, "volume": f"v{position}"}
        about |= {"slice": 0.0, "patient": patient, "failed": "", "place": place, "shape": shape}
        about |= {"simulated": False}
        about |= {"contrast": value if not censored else math.nan, "tried": math.nan, "censored": censored}
        rows.append(about | {"least": LEAST, "most": MOST, "searched": 1} | changes)
    return rows


def scored(*rows, **changes):
    told = [row for part in rows for row in part]
    frame = pd.DataFrame(told) if told else empty_table(FEATURES)
    return run_of(pd.DataFrame(columns=list(EMPTY)), features=with_usual_domains(frame), **changes)


def found(run, experiment=None):
    records = (experiment or SmallestContrast(feature="small", source="set")).records(run)
    return {(each.method, each.row.get("place", ""), each.row.get("shape", "")): each for each in records}


def slow_interval(values, groups, seed):
    """The same draws, each written out."""
    unique = list(dict.fromkeys(groups))
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=1999)
    medians = []
    for times in drawn:
        pool = [
            value
            for name, count in zip(unique, times, strict=True)
            for value, group in zip(values, groups, strict=True)
            if group == name
            for _ in range(count)
        ]
        medians.append(sorted(pool)[(len(pool) - 1) // 2])
    medians.sort()
    return medians[math.ceil(0.025 * 1999) - 1], medians[math.ceil(0.975 * 1999) - 1]


@pytest.mark.parametrize("beyond", [0, 3, 7])
def test_medians_and_their_intervals_are_those_of_every_draw_written_out(beyond):
    generator = np.random.default_rng(2)
    values = list(generator.lognormal(size=12))
    values[:beyond] = [math.inf] * beyond
    values[-1] = -math.inf
    groups = [f"p{index % 5}" for index in range(12)]
    summary = censored_median(values, groups=groups, seed=4)
    assert summary.mean == sorted(values)[5] == lower_median(values)
    assert (summary.low, summary.high) == slow_interval(values, groups, 4)


def test_medians_of_nothing_of_one_patient_and_of_equal_values_have_no_interval():
    assert math.isnan(censored_median([], groups=[], seed=0).mean)
    for values, groups in (([1.0, 2.0], ["p", "p"]), ([1.0] * 4, list("abcd")), ([math.inf] * 4, "abcd")):
        summary = censored_median(values, groups=list(groups), seed=0)
        assert np.isnan([summary.low, summary.high]).all()
    with pytest.raises(ValueError, match="expected 2 groups and values that are no NaN, got 1 groups and 1"):
        censored_median([math.nan, 1.0], groups=["p"], seed=0)


def test_a_planted_difference_between_methods_and_places_is_found():
    luck = np.linspace(0.8, 1.2, 21)
    run = scored(
        contrasts(0.1 * luck),
        contrasts(0.4 * luck, method="other"),
        contrasts(0.05 * luck, place="best"),
        contrasts(0.3 * luck, shape="worst shape"),
    )
    records = found(run)
    assert records["m", "worst", "window"].value == pytest.approx(0.1)
    assert records["other", "worst", "window"].value == pytest.approx(0.4)
    assert records["m", "best", "window"].value == pytest.approx(0.05)
    assert records["m", "worst", "worst shape"].value == pytest.approx(0.3)
    first, other = records["m", "worst", "window"], records["other", "worst", "window"]
    assert first.low < first.value < first.high < other.low
    assert (first.n, first.missing, first.unit) == (21, 0, "image maximum")


def test_numbers_beyond_the_ends_count_as_beyond_and_survive_the_file(tmp_path):
    half = [0.2, 0.3, math.inf, math.inf, math.inf]
    few = [0.2, 0.3, 0.4, 0.5, math.inf]
    below = [-math.inf, -math.inf, -math.inf, 0.3, 0.4]
    run = scored(contrasts(half), contrasts(few, method="other"), contrasts(below, place="best"))
    records = found(run)
    above = records["m", "worst", "window"]
    assert (above.row["beyond"], math.isnan(above.value)) == ("above", True)
    assert (records["other", "worst", "window"].value, records["other", "worst", "window"].n) == (0.4, 5)
    assert records["other", "worst", "window"].row["high_beyond"] == "above"
    assert records["m", "best", "window"].row["beyond"] == "below"
    path = tmp_path / "records.json"
    write_records(path, records.values())
    assert [each.row for each in read_records(path)] == [each.row for each in records.values()]
    assert json.loads(path.read_text())[0]["value"] is None


def test_failed_images_are_missing_and_a_method_that_failed_on_all_is_told():
    gone = contrasts([math.nan] * 3, method="other", failed="max_steps", place=math.nan, shape=math.nan)
    fails = [
        row | {"position": 7, "volume": "v7"} for row in contrasts([math.nan], failed="not_finite", place="")
    ]
    records = found(scored(contrasts([0.1, 0.2]), fails, gone))
    assert (records["m", "worst", "window"].n, records["m", "worst", "window"].missing) == (2, 1)
    nothing = records["other", "", ""]
    assert (nothing.n, nothing.missing, math.isnan(nothing.value)) == (0, 3, True)


def test_of_places_of_an_image_their_median_counts():
    rows = []
    for place, factor in enumerate((1.0, 2.0, 30.0)):
        for row in contrasts([0.01, 0.02, 0.03], kind="appear", place=place):
            rows.append(row | {"level": factor * row["contrast"]})
    records = SmallestLevel(feature="small", source="set").records(scored(rows))
    assert [(each.value, each.n, each.row["kind"]) for each in records] == [(0.04, 3, "appear")]


def test_the_mask_has_to_be_named_where_there_are_several_and_other_domains_do_not_count():
    elsewhere = contrasts([0.9], domain="other@mask")
    run = scored(contrasts([0.1]), elsewhere, adapted=["m"])
    assert found(run)["m", "worst", "window"].value == 0.1
    several = scored(contrasts([0.1]), contrasts([0.2], mask="columns", domain="set@columns"))
    with pytest.raises(ValueError, match=r"was studied under \['mask', 'columns'\]; name the mask"):
        found(several)
    named = SmallestContrast(feature="small", source="set", mask="columns")
    assert found(several, named)["m", "worst", "window"].value == 0.2
    for wrong in ({"feature": "large"}, {"source": "knee"}, {"mask": "radial"}):
        experiment = SmallestContrast(**{"feature": "small", "source": "set"} | wrong)
        with pytest.raises(ValueError, match="smallest-contrast: no image of"):
            experiment.records(several)
    with pytest.raises(ValueError, match="no image of set under any mask was studied by small"):
        found(scored())


def test_every_mark_has_its_row():
    places = [contrasts([0.1, 0.2], place=place, shape=shape) for place, shape in MARKS]
    experiment = SmallestContrast(feature="small", source="set")
    run = scored(*places)
    frame = experiment.frame(run, experiment.records(run))
    assert list(frame["mark"]) == list(MARKS.values())

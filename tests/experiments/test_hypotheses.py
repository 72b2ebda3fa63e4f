"""Hypotheses on amplification, on scores whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.amplification_hypotheses import AmplificationHypotheses
from mrilib.experiments.columns import COLUMNS
from mrilib.report.tables import render
from mrilib.store.functions import load_function
from tests.experiments.frames import peak, run_of

LEVELS = (0.005, 0.01, 0.04, 0.1)
EXPERIMENT = AmplificationHypotheses(attack="peak")


def rows(exponent=0.0, factor=1.0, *, images=12, spread=0.05, **changes):
    """Images whose α is `factor·n²/m·(level/0.01)^exponent`, with a spread that averages out."""
    noise = spread * np.random.default_rng(5).normal(size=(images, len(LEVELS)))
    noise -= noise.mean(axis=0)
    return [
        peak(
            factor * 4.0 * (level / 0.01) ** exponent * math.exp(noise[image, index]),
            level=level,
            **{"position": image, "patient": f"p{image}", "accuracy": 1e-3} | changes,
        )
        for image in range(images)
        for index, level in enumerate(LEVELS)
    ]


def answered(scores):
    run = run_of(scores)
    records = EXPERIMENT.records(run)
    table = load_function(EXPERIMENT.table)(records, **EXPERIMENT.table_arguments(run))
    return {(each.quantity, each.row.get("level")): each for each in records}, table


def test_an_amplification_that_is_the_spikes_at_every_level_is_not_refuted():
    records, table = answered(rows())
    slope, ratio = records["level_slope", None], records["spike_ratio", None]
    assert slope.low < 0 < slope.high
    assert ratio.low < 1 < ratio.high
    assert records["level_p", None].value > 0.05
    assert (slope.n, slope.missing, slope.doubtful) == (12, 0, 0)
    line = table.wide.iloc[0]
    assert line["does not depend on the level"] == line["equals n²/m"] == "not refuted"
    assert line[["images", "method", "mask", "n"]].tolist() == ["set", "m", "40 lines", "12"]


def test_one_that_grows_with_the_level_is_refuted_with_its_exponent():
    records, table = answered(rows(0.3))
    slope = records["level_slope", None]
    assert slope.value == pytest.approx(0.3, abs=0.02)
    assert slope.low < 0.3 < slope.high
    assert slope.low > 0
    assert records["level_p", None].value < 0.001
    assert table.wide["does not depend on the level"].tolist() == ["refuted"]
    by_level = [records["spike_ratio", level].value for level in LEVELS]
    assert by_level == pytest.approx([(level / 0.01) ** 0.3 for level in LEVELS], rel=0.05)
    assert records["spike_ratio", None].value == pytest.approx(np.mean(by_level))


def test_one_that_is_not_the_spikes_is_refuted_and_may_still_be_flat():
    _, table = answered(rows(factor=0.8))
    assert table.wide["equals n²/m"].tolist() == ["refuted"]
    assert table.wide["does not depend on the level"].tolist() == ["not refuted"]
    assert table.wide["α/(n²/m)"].item().startswith("0.8")


def test_images_without_a_number_at_a_level_are_missing_and_doubts_are_counted():
    frame = pd.DataFrame(rows())
    frame.loc[1, ["failed", "amplification"]] = ["max_steps", math.nan]
    frame.loc[[4, 5, 8], "accuracy"] = 1.0
    frame.loc[9, "weaker_than"] = "gaussian"
    records, table = answered(frame)
    slope = records["level_slope", None]
    assert (slope.n, slope.missing, slope.doubtful, slope.flagged) == (11, 1, 2, 1)
    assert "‡k: for k images" in table.note
    assert "(1 missing)" in table.wide["slope of log α over log level"].item()


def test_slices_of_a_patient_count_as_one():
    alone, _ = answered(rows(0.3))
    frame = pd.DataFrame(rows(0.3))
    grouped, _ = answered(frame.assign(patient=np.where(frame["position"] < 6, "a", "b")))
    # Of two patients the second has one of 24 orders of four levels by chance.
    assert grouped["level_p", None].value == pytest.approx(1 / 24, abs=0.01)
    assert alone["level_p", None].value == 1e-4
    assert grouped["level_slope", None].n == alone["level_slope", None].n == 12
    one, table = answered(frame.assign(patient="a"))
    assert ("level_p", None) not in one
    assert math.isnan(one["level_slope", None].low)
    assert table.wide[["p", "does not depend on the level", "equals n²/m"]].iloc[0].tolist() == ["—"] * 3


def test_methods_masks_and_sources_have_a_row_each_and_coils_no_spike():
    scan = {"mask": "columns", "domain": "set@columns", "coils": 4}
    others = rows(method="other", made_for="other") + rows(**scan, through_adjoint=True)
    _, table = answered(
        rows() + others + rows(**scan, method="other", made_for="other", amplification=math.nan)
    )
    assert table.wide[["method", "mask"]].to_numpy().tolist() == [
        ["m", "40 lines"],
        ["m", "columns"],
        ["other", "40 lines"],
    ]
    coils = table.wide.iloc[1]
    assert coils[["α/(n²/m)", "by level", "equals n²/m"]].tolist() == ["—"] * 3
    assert coils["does not depend on the level"] == "not refuted"


def test_one_level_tells_nothing_of_levels():
    records, table = answered([row for row in rows() if row["level"] == 0.01])
    assert {quantity for quantity, _ in records} == {"spike_ratio"}
    assert table.wide["p"].tolist() == ["—"]


def test_without_scores_there_is_a_table_without_rows():
    records, table = answered(pd.DataFrame([], columns=list(COLUMNS)))
    assert records == {}
    assert table.wide.empty
    assert "images" in render(table)["md"]
    with pytest.raises(ValueError, match=r"amplification-hypotheses: expected an attack of .*got 'disk'"):
        AmplificationHypotheses(attack="disk").records(run_of(rows()))

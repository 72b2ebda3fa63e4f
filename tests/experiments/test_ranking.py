"""The ranking of methods under a shift, on scores with planted rankings."""

import json
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from mrilib.experiments.base import experiment_from
from mrilib.experiments.conditions import Condition
from mrilib.experiments.ranking import Ranking
from mrilib.metrics.statistics import summarise
from mrilib.report.tables import render
from mrilib.store.functions import load_function
from tests.experiments.frames import clean, run_of

METHODS = ("a", "b", "c", "d")
GOOD = (0.9, 0.8, 0.7, 0.6)


def rows(means, source="set", *, patients=8, slices=3, spread=0.01, seed=0, quantity="ssim", **changes):
    """Scores of methods with these means; images differ by more, and alike for all methods."""
    generator = np.random.default_rng(seed)
    found = []
    for patient in range(patients):
        for number in range(slices):
            image = 0.1 * generator.normal()
            about = {"position": patient * slices + number, "slice": number, "volume": f"v{patient}"}
            about |= {"source": source, "domain": f"{source}@mask", "patient": f"p{patient}"} | changes
            for method, mean in zip(METHODS, means, strict=False):
                value = mean + image + spread * generator.normal()
                found.append(clean(0.1, **about | {"method": method, quantity: value}))
    return found


def answered(scores, *, quantity="ssim", after="other", seed=0, **more):
    run = run_of(scores, methods=dict.fromkeys(METHODS), sources=["set", "other"], seed=seed, **more)
    experiment = Ranking(before=Condition(source="set"), after={"source": after}, quantity=quantity)
    records = experiment.records(run)
    table = load_function(experiment.table)(records, **experiment.table_arguments(run))
    return records, table


def tau(records):
    (found,) = (each for each in records if each.quantity == "kendall_tau")
    return found


def of_methods(records, quantity):
    return {each.method: each.value for each in records if each.quantity == quantity}


def planted(after, **options):
    return answered(rows(GOOD) + rows(after, "other", seed=1, **options))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ((0.5, 0.4, 0.3, 0.2), 1.0),
        (GOOD[::-1], -1.0),
        ((0.8, 0.9, 0.7, 0.6), 4 / 6),
        ((0.9, 0.6, 0.7, 0.8), 0.0),
    ],
)
def test_planted_rankings_have_their_tau(after, expected):
    records, table = planted(after)
    found = tau(records)
    assert found.value == pytest.approx(expected, abs=1e-14)
    assert found.value == pytest.approx(kendalltau(GOOD, after).statistic, abs=1e-14)
    assert (found.method, found.n, found.missing, found.unit) == ("all", 24, 0, "1")
    # Far apart, they are in this order in every resample.
    assert math.isnan(found.low)
    assert f"two rankings: {expected:.2f}, without an interval" in table.note
    assert of_methods(records, "rank_before") == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    places = [1.0 + sum(other > mean for other in after) for mean in after]
    ranks = dict(zip(METHODS, places, strict=True))
    for quantity in ("rank_after", "best_rank_after", "worst_rank_after"):
        assert of_methods(records, quantity) == ranks
    assert table.wide["method"].tolist() == list(METHODS)
    assert table.wide["rank after"].tolist() == [f"{ranks[method]:.0f}" for method in METHODS]


def test_a_copy_of_the_test_set_has_the_same_ranking():
    scores = rows(GOOD) + [row | {"source": "other", "domain": "other@mask"} for row in rows(GOOD)]
    records, _ = answered(scores)
    assert tau(records).value == 1.0
    assert of_methods(records, "value_before") == of_methods(records, "value_after")
    # Patients of both are drawn alike: with ties as well every resample of a copy has τ = 1.
    close = rows((0.9, 0.7, 0.7, 0.6), spread=0.05)
    records, _ = answered(close + [row | {"source": "other", "domain": "other@mask"} for row in close])
    assert (tau(records).value, math.isnan(tau(records).low)) == (1.0, True)
    records, _ = answered(close, after="set")
    assert tau(records).value == 1.0


def test_methods_that_are_not_told_apart_are_tied():
    """b and c are tied before and told apart after: (3 + 2)/√(5·6), by hand."""
    records, table = answered(rows((0.9, 0.7, 0.7, 0.6), spread=0.05) + rows(GOOD, "other"))
    assert tau(records).value == pytest.approx(5 / math.sqrt(5 * 6))
    assert sorted(table.wide["rank before"]) == ["1", "2–3", "2–3", "4"]
    assert sorted(table.wide["rank after"]) == ["1", "2", "3", "4"]
    ranks = [of_methods(records, f"{name}_before") for name in ("rank", "best_rank", "worst_rank")]
    assert {ranks[0]["b"], ranks[0]["c"]} == {2.0, 3.0}
    assert [each["b"] for each in ranks[1:]] == [each["c"] for each in ranks[1:]] == [2.0, 3.0]
    pairs = {
        (each.method, each.row["than"]): each for each in records if each.row.get("condition") == "before"
    }
    assert len(pairs) == 6
    tied = pairs.get(("b", "c")) or pairs["c", "b"]
    assert tied.low < 0 < tied.high
    assert all(each.low > 0 for each in pairs.values() if each is not tied)


def test_equal_methods_are_tied_and_a_tie_of_all_has_no_tau():
    same = rows((0.7,) * 4, spread=0.0)
    records, table = answered(same + rows(GOOD, "other"))
    found = tau(records)
    assert math.isnan(found.value)
    assert (found.n, found.missing) == (0, 0)
    assert "none, for in one condition no two methods are told apart" in table.note
    assert table.wide["rank before"].tolist() == ["1–4"] * 4
    assert of_methods(records, "rank_before") == dict.fromkeys(METHODS, 1.0)
    assert "nan" not in render(table)["md"].lower()


def test_lower_is_better_where_the_quantity_says_so():
    scores = rows(GOOD, quantity="nmse") + rows(GOOD[::-1], "other", quantity="nmse")
    records, table = answered(scores, quantity="nmse")
    assert tau(records).value == -1.0
    assert of_methods(records, "rank_before") == {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    assert table.wide[["method", "rank before", "rank after"]].to_numpy().tolist() == [
        [method, str(place), str(5 - place)] for place, method in enumerate(METHODS[::-1], start=1)
    ]
    # Seconds are ranked by means, as they are compared.
    seconds = [row | {"seconds": 1.0 + 99.0 * (row["position"] == 0)} for row in scores]
    records, _ = answered(seconds, quantity="seconds")
    assert of_methods(records, "value_before")["a"] == pytest.approx(1.0 + 99.0 / 24)


def test_differences_are_of_the_images_that_both_have():
    """c fails on the hard images: its mean is the best, and image by image it is the worst of all."""
    frame = pd.DataFrame(rows((0.90, 0.88, 0.86, 0.87)) + rows(GOOD, "other"))
    hard = (frame["source"] == "set") & (frame["slice"] == 0)
    frame.loc[hard, "ssim"] -= 0.5
    frame.loc[hard & (frame["method"] == "c"), ["failed", "ssim"]] = ["max_steps", math.nan]
    records, table = answered(frame)
    assert of_methods(records, "rank_before") == {"c": 1.0, "a": 2.0, "b": 3.0, "d": 4.0}
    assert of_methods(records, "best_rank_before")["c"] == 4.0
    number = next(each for each in records if (each.quantity, each.method) == ("value_before", "c"))
    assert (number.n, number.missing) == (16, 8)
    assert "(8 missing)" in table.wide["mean before"].iloc[0]
    pairs = {
        frozenset((each.method, each.row["than"])): each
        for each in records
        if each.row.get("condition") == "before"
    }
    with_c = pairs[frozenset("ac")]
    wide = frame[frame["source"] == "set"].pivot(index="position", columns="method", values="ssim")
    expected = (wide[with_c.method] - wide[with_c.row["than"]]).dropna()
    assert with_c.value == pytest.approx(expected.mean(), rel=1e-9)
    assert with_c.sd == pytest.approx(expected.std(), rel=1e-9)
    assert (with_c.n, with_c.missing, pairs[frozenset("ab")].missing) == (16, 8, 0)
    # after it c is the third and d the fourth
    assert tau(records).value == pytest.approx(4 / 6)
    assert (tau(records).n, tau(records).missing) == (24, 0)


def test_methods_of_one_condition_alone_are_left_out():
    scores = [row for row in rows(GOOD) if row["method"] != "b"]
    other = [
        row | ({"failed": "max_steps", "ssim": math.nan} if row["method"] == "d" else {})
        for row in rows(GOOD[::-1], "other")
    ]
    records, table = answered(scores + other, labels={"b": "My method"})
    assert of_methods(records, "rank_before") == {"a": 1.0, "c": 2.0}
    assert tau(records).value == -1.0
    assert table.note.endswith("no value in one of the two conditions: d, My method.")
    (row,) = [json.loads(json.dumps(each.row)) for each in records if each.quantity == "kendall_tau"]
    assert row == {
        "measure": "ssim",
        "source": "set",
        "mask": "mask",
        "source_after": "other",
        "mask_after": "mask",
    }


def test_with_one_method_or_none_there_is_nothing_to_rank():
    records, table = answered(rows(GOOD[:1]) + rows(GOOD, "other"))
    assert of_methods(records, "worst_rank_after") == {"a": 1.0}
    assert math.isnan(tau(records).value)
    assert (tau(records).n, tau(records).missing) == (0, 24)
    assert table.wide["rank before"].tolist() == ["1"]
    records, table = answered(rows(GOOD[:1]) + [row | {"method": "b"} for row in rows(GOOD[:1], "other")])
    assert records == []
    assert table.wide.empty
    assert table.note.startswith("No method has a value in both conditions.")
    assert "method" in render(table)["md"]


@pytest.mark.parametrize("single", ["set", "other"])
def test_with_fewer_than_two_patients_the_signs_decide(single):
    frame = pd.DataFrame(rows(GOOD) + rows((0.8, 0.9, 0.7, 0.6), "other"))
    frame.loc[frame["source"] == single, "patient"] = "one"
    records, table = answered(frame)
    found = tau(records)
    assert found.value == pytest.approx(4 / 6)
    assert math.isnan(found.low)
    end = "before" if single == "set" else "after"
    assert f"{end}: 24 images of 1 patient. With fewer than two patients {end} the sign" in table.note
    assert "fewer than two patients in a condition" in table.note
    told = {each.row["condition"]: each for each in records if each.quantity == "paired_difference"}
    assert math.isnan(told[end].low)
    assert math.isfinite(told["after" if end == "before" else "before"].low)


def test_the_mean_and_its_interval_are_those_of_other_tables():
    scores = rows(GOOD, spread=0.05) + rows(GOOD, "other", patients=3, spread=0.05)
    records, table = answered(scores, seed=3, mask_labels={"mask": "40 lines"})
    own = [row for row in scores if row["source"] == "other" and row["method"] == "b"]
    expected = summarise([row["ssim"] for row in own], groups=[row["patient"] for row in own], seed=3)
    number = next(each for each in records if (each.quantity, each.method) == ("value_after", "b"))
    assert (number.value, number.sd, number.low, number.high, number.n) == (
        expected.mean,
        expected.sd,
        expected.low,
        expected.high,
        9,
    )
    text = f"{expected.mean:.3f} ± {expected.sd:.3f} [{expected.low:.3f}, {expected.high:.3f}]"
    assert table.wide.set_index("method").loc["b", "mean after"] == text
    assert table.title == "Ranking of methods by SSIM, before: set, 40 lines; after: other, 40 lines"
    _, simulated = answered([row | {"simulated": True} for row in scores])
    assert simulated.title.startswith("Ranking of methods by SSIM (simulated data), before: set")
    assert "before: 24 images of 8 patients. after: 9 images of 3 patients." in table.note
    assert len(table.long) == len(records)
    rendered = render(table)
    assert rendered["tex"].isascii()
    assert "τ-b" in rendered["md"]


def test_the_interval_covers_the_planted_tau():
    """Two of four methods change places, by as much as noise does not always tell apart."""
    covered, lengths = [], []
    for seed in range(20):
        options = {"patients": 20, "slices": 2, "spread": 0.03}
        before = rows((0.66, 0.64, 0.62, 0.60), seed=2 * seed, **options)
        after = rows((0.64, 0.66, 0.62, 0.60), "other", seed=2 * seed + 1, **options)
        found = tau(answered(before + after, seed=seed)[0])
        covered.append(found.low <= 4 / 6 <= found.high)
        lengths.append(found.high - found.low)
    assert np.mean(covered) >= 0.9
    assert 0.1 < np.mean(lengths) < 1.2


def test_conditions_of_a_config_are_taken_and_wrong_ones_are_refused():
    described = {"class": "mrilib.experiments.ranking:Ranking"}
    arguments = {"before": {"source": "set", "mask": "mask"}, "after": {"source": "set", "domain": "x"}}
    scores = rows(GOOD) + [row | {"domain": "x"} for row in rows(GOOD[::-1])]
    run = run_of(scores, methods=dict.fromkeys(METHODS), adapted=METHODS)
    experiment = experiment_from(described | {"arguments": arguments})
    records = experiment.records(run)
    assert tau(records).value == -1.0
    assert tau(records).row["domain_after"] == "x"
    with pytest.raises(ValueError, match=r"ranking: expected a quantity of .*, got 'sim'"):
        Ranking(**arguments, quantity="sim").records(run)
    with pytest.raises(ValueError, match=r"ranking: expected a quantity of reconstructions.*'severity'"):
        Ranking(**arguments, quantity="severity").records(run)
    with pytest.raises(ValueError, match="ranking: no reconstruction of knee"):
        Ranking(before={"source": "knee"}, after=arguments["after"]).records(run)
    with pytest.raises(ValueError, match="masc"):
        Ranking(before={"source": "knee", "masc": "mask"}, after=arguments["after"])


def test_pairs_are_in_the_order_of_the_run():
    records, _ = planted(GOOD[::-1])
    pairs = [(each.method, each.row["than"]) for each in records if each.quantity == "paired_difference"]
    assert pairs == 2 * list(combinations(METHODS, 2))

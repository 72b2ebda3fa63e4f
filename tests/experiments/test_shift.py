import math
from dataclasses import replace

import numpy as np
import pytest

from mrilib.experiments.comparison import compared
from mrilib.experiments.conditions import resampled_patients
from mrilib.experiments.shift import ALL, Shift, line_of
from tests.experiments.frames import clean, run_of

METHODS = {"zero": None, "tv": None, "l1": None, "unet": None, "varnet": None}
SCORES = dict(zip(METHODS, (0.50, 0.62, 0.66, 0.74, 0.82), strict=True))
FAMILIES = {"zero": "linear", "tv": "sparse", "l1": "sparse", "unet": "trained", "varnet": "trained"}
HERE = {"source": "knee", "mask": "mask"}
THERE = {"source": "stanford", "mask": "mask"}
NAMED = {"knee": {"mask": "home"}}
ELSEWHERE = HERE | {"domain": "brain@mask"}


def rows(place, change=lambda value: value, *, methods=METHODS, images=12, patients=6, seed=0, **more):
    """A source's images, harder and easier ones, under every method."""
    generator = np.random.default_rng(seed)
    hard = generator.normal(0, 0.03, images)
    noise = generator.normal(0, 0.004, (len(METHODS), images))
    place = dict(place)
    domain = place.pop("domain", f"{place['source']}@{place['mask']}")
    return [
        clean(
            0.1,
            **place,
            domain=domain,
            method=name,
            position=image,
            volume=f"v{image % patients}",
            slice=float(image),
            patient=f"p{image % patients}",
            ssim=change(SCORES[name] + hard[image] + noise[list(METHODS).index(name), image]),
            snr=20.0 + image,
            **more,
        )
        for name in methods
        for image in range(images)
    ]


def run(*parts):
    every = [row for part in parts for row in part]
    return run_of(every, methods=METHODS, adapted=list(METHODS)[1:], families=FAMILIES, sources=[])


def found(experiment, scored):
    return {
        (each.quantity, each.method, each.row.get("family", "")): each for each in experiment.records(scored)
    }


def test_a_planted_loss_is_the_line():
    scored = run(rows(HERE), rows(THERE, lambda value: 0.9 * value))
    records = found(Shift(before=HERE, after=THERE), scored)
    slope, offset = records["slope", ALL, ""], records["offset", ALL, ""]
    assert slope.value == pytest.approx(0.9)
    assert offset.value == pytest.approx(0.0, abs=1e-12)
    assert slope.low < 0.9 < slope.high or math.isnan(slope.low)
    change = records["change", "tv", ""]
    assert change.value == pytest.approx(-0.1 * records["before", "tv", ""].value)
    assert records["share_better", ALL, ""].value == 0.0


def test_an_exact_copy_gives_the_diagonal():
    scored = run(rows(HERE), rows(THERE, patients=6))
    records = found(Shift(before=HERE, after=THERE), scored)
    assert records["slope", ALL, ""].value == pytest.approx(1.0)
    assert records["offset", ALL, ""].value == pytest.approx(0.0, abs=1e-12)
    assert all(abs(records["residual", name, ""].value) < 1e-12 for name in METHODS)


def test_other_images_of_the_same_kind_give_the_diagonal_within_the_interval():
    inside = []
    for seed in range(20):
        other = [row | {"patient": f"q{row['patient']}"} for row in rows(THERE, seed=100 + seed)]
        here = compared(run(rows(HERE, seed=seed), other), HERE, THERE, "ssim", "test")
        low, high = here.interval(line_of(here).slopes)
        inside.append(low <= 1.0 <= high)
    # Percentile intervals of six patients are short; of 95 % a few more miss.
    assert sum(inside) >= 15


def test_methods_that_are_not_adapted_are_controls_on_the_diagonal():
    worse = rows(ELSEWHERE, lambda value: value - 0.05, methods=list(METHODS)[1:])
    scored = run(rows(HERE), worse)
    experiment = Shift(before=HERE, after=ELSEWHERE)
    records = found(experiment, scored)
    assert records["change", "zero", ""].value == 0.0
    assert math.isnan(records["change", "zero", ""].low)
    assert records["change", "tv", ""].value == pytest.approx(-0.05)
    assert ("residual", "zero", "") not in records
    # Without the control the line is parallel to the diagonal.
    assert records["slope", ALL, ""].value == pytest.approx(1.0)
    assert records["offset", ALL, ""].value == pytest.approx(-0.05)
    frame = experiment.frame(scored, experiment.records(scored))
    assert frame.set_index("method")["fitted"].to_dict() == {name: name != "zero" for name in METHODS}


def test_changes_of_the_same_images_are_paired():
    worse = rows(ELSEWHERE, lambda value: value - 0.05, methods=list(METHODS)[1:])
    scored = run(rows(HERE), worse)
    paired = found(Shift(before=HERE, after=ELSEWHERE), scored)["change", "tv", ""]
    # All images lose alike, whatever they are.
    assert math.isnan(paired.low)
    others = [row | {"patient": f"q{row['patient']}"} for row in rows(THERE, lambda value: value - 0.05)]
    apart = found(Shift(before=HERE, after=THERE), run(rows(HERE), others))["change", "tv", ""]
    assert apart.high - apart.low > 0.01


def test_families_have_the_mean_of_their_residuals():
    above = rows(THERE, lambda value: value)
    above = [row | {"ssim": row["ssim"] + 0.02 * (row["method"] in ("tv", "l1"))} for row in above]
    records = found(Shift(before=HERE, after=THERE), run(rows(HERE), above))
    sparse = [records["residual", name, ""].value for name in ("tv", "l1")]
    assert records["residual", ALL, "sparse"].value == pytest.approx(np.mean(sparse))
    assert records["residual", ALL, "sparse"].value > 0 > records["residual", ALL, "trained"].value


def test_an_image_that_failed_counts_in_neither_condition():
    worse = rows(ELSEWHERE, lambda value: value - 0.05, methods=list(METHODS)[1:])
    worse = [
        row | {"ssim": math.nan, "failed": "not finite"}
        if (row["method"], row["position"]) == ("tv", 3)
        else row
        for row in worse
    ]
    records = found(Shift(before=HERE, after=ELSEWHERE), run(rows(HERE), worse))
    change = records["change", "tv", ""]
    assert change.value == pytest.approx(-0.05)
    assert (change.n, change.missing) == (11, 1)
    assert records["before", "tv", ""].n == 11


def test_noisy_references_are_left_out():
    scored = run(rows(HERE), rows(THERE, lambda value: 0.9 * value))
    records = found(Shift(before=HERE, after=THERE, least_snr=26.0), scored)
    assert records["before", "tv", ""].n == 6
    assert records["before", "tv", ""].row["least_snr"] == 26.0
    title = Shift(before=HERE, after=THERE, least_snr=26.0).figure_arguments(scored)["title"]
    assert "signal to noise ≥ 26" in title


def test_fewer_than_three_methods_have_no_line():
    scored = run(rows(HERE, methods=["tv", "l1"]), rows(THERE, methods=["tv", "l1"]))
    records = found(Shift(before=HERE, after=THERE), scored)
    assert math.isnan(records["slope", ALL, ""].value)
    assert ("residual", "tv", "") not in records


def test_one_patient_has_no_intervals():
    scored = run(rows(HERE, patients=1), rows(THERE, lambda value: 0.9 * value, patients=1))
    records = found(Shift(before=HERE, after=THERE), scored)
    assert records["slope", ALL, ""].value == pytest.approx(0.9)
    assert all(math.isnan(each.low) for each in records.values())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (HERE, {"source": "moon"}, "no reconstruction of moon"),
        (HERE, HERE | {"domain": "moon@mask"}, None),
        ({"source": "knee"}, THERE, "was measured under"),
    ],
)
def test_conditions_that_are_not_there(before, after, message):
    other = [row | {"mask": "columns", "domain": "knee@columns"} for row in rows(HERE)]
    scored = run(rows(HERE), rows(THERE), other)
    if message is None:
        # Controls alone are left.
        assert {each.method for each in Shift(before=before, after=after).records(scored)} == {"zero", ALL}
        return
    with pytest.raises(ValueError, match=message):
        Shift(before=before, after=after).records(scored)


def test_a_number_of_perturbations_is_refused():
    with pytest.raises(ValueError, match="expected a quantity of reconstructions"):
        Shift(before=HERE, after=THERE, quantity="severity").records(run(rows(HERE), rows(THERE)))


def test_the_usual_domain_may_be_named():
    scored = run(rows(HERE), rows(THERE))
    plain = [each.value for each in Shift(before=HERE, after=THERE).records(scored)]
    for usual, name in (({}, "knee@mask"), (NAMED, "home"), (NAMED, "knee@mask")):
        given = replace(scored, usual=usual)
        named = Shift(before=HERE | {"domain": name}, after=THERE).records(given)
        assert [each.value for each in named] == pytest.approx(plain, nan_ok=True)


def test_patients_of_both_conditions_are_drawn_alike_and_each_group_keeps_its_size():
    first, second = ["a", "b", "b", "c"], ["c", "d", "e", "d", "b"]
    names, weights = resampled_patients(first, second, draws=50, seed=1)
    assert sorted(names) == ["a", "b", "c", "d", "e"]
    columns = dict(zip(names, weights.T, strict=True))
    np.testing.assert_array_equal(columns["b"] + columns["c"], 2)
    np.testing.assert_array_equal(columns["a"], 1)
    np.testing.assert_array_equal(columns["d"] + columns["e"], 2)
    assert len(np.unique(columns["d"])) == 3

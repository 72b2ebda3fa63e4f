import math

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from mrilib.experiments.assessment import assess, cropped_modulus
from mrilib.experiments.quality import best_first, paired_differences, quality_records
from mrilib.metrics.quantities import QUALITY
from mrilib.metrics.statistics import summarise
from tests.experiments.frames import clean, peak, run_of

METHODS = ["zero-filled", "tv", "varnet"]


@pytest.fixture
def slices():
    """A reconstruction on a grid that is larger than its target, and the target."""
    rng = np.random.default_rng(0)
    target = rng.uniform(0.1, 1.0, (21, 18))
    reconstruction = rng.standard_normal((30, 25)) * np.exp(1j * rng.uniform(0, 6, (30, 25)))
    # the middle begins at (size − length) // 2
    noisy = target + 0.1 * rng.standard_normal(target.shape)
    reconstruction[4:25, 3:21] = np.abs(noisy) * np.exp(1j * rng.uniform(0, 6, target.shape))
    return reconstruction, target, np.abs(noisy)


def test_scores_are_those_of_the_definitions(slices):
    reconstruction, target, middle = slices
    np.testing.assert_allclose(cropped_modulus(reconstruction, target.shape), middle, rtol=1e-14)
    maximum = 1.7
    found = assess(reconstruction, target, maximum=maximum)
    error, energy = ((middle - target) ** 2).sum(), (target**2).sum()
    options = {"win_size": 7, "gaussian_weights": False, "use_sample_covariance": True}
    assert found == pytest.approx(
        {
            "ssim": structural_similarity(middle, target, data_range=maximum, **options),
            "ssim_slice": structural_similarity(middle, target, data_range=target.max(), **options),
            "psnr": 10 * math.log10(maximum**2 / (error / target.size)),
            "nmse": error / energy,
        },
        rel=1e-10,
    )
    assert set(found) | {"relative_error", "null_space_share", "seconds"} == set(QUALITY)


def test_scores_are_relative_and_of_moduli(slices):
    reconstruction, target, _ = slices
    found = assess(reconstruction, target, maximum=1.7)
    scaled = assess(-3e-5 * reconstruction, 3e-5 * target, maximum=3e-5 * 1.7)
    assert scaled == pytest.approx(found, rel=1e-9)
    single = assess(reconstruction.astype(np.complex64), target.astype(np.float32), maximum=1.7)
    assert single == pytest.approx(found, rel=1e-5)


def test_a_perfect_reconstruction(slices):
    _, target, _ = slices
    found = assess(target, target, maximum=2.0)
    assert (found["ssim"], found["nmse"], found["psnr"]) == (pytest.approx(1.0), 0.0, math.inf)


def test_what_cannot_be_scored_is_refused(slices):
    reconstruction, target, _ = slices
    broken = reconstruction.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="assess: expected a finite reconstruction; count it as failed"):
        assess(broken, target, maximum=2.0)
    with pytest.raises(ValueError, match="assess: expected a finite reference that is not zero"):
        assess(reconstruction, 0 * target, maximum=2.0)
    with pytest.raises(ValueError, match="assess: expected the volume's maximum in the reference's units"):
        assess(reconstruction, target, maximum=0.5)
    with pytest.raises(ValueError, match="center_crop: expected a shape from 1×1 to 20×20"):
        assess(reconstruction[:20, :20], target, maximum=2.0)


def frame(**changes):
    """Two volumes of two slices and one of one slice; the SSIM of a method is known by its place."""
    rows = [
        clean(
            0.1,
            source=source,
            mask=mask,
            domain="",
            method=method,
            volume=f"v{patient}",
            position=position,
            patient=f"p{patient}",
            seconds=1.0 + 10.0 * position,
            ssim=0.5 + 0.1 * place + 0.01 * patient + 0.001 * position * (1 + place),
            psnr=30.0 + place,
            nmse=0.01 / (1 + place),
        )
        | changes
        for source in ("knee", "brain")
        for mask in ("random-4", "random-8")
        for place, method in enumerate(METHODS)
        for patient, position in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
    ]
    return pd.DataFrame(rows)


ORDER = {
    "methods": dict.fromkeys(METHODS),
    "masks": {"random-4": {}, "random-8": {}},
    "sources": ["knee", "brain"],
}


def records(scores, quantity="ssim", **options):
    return quality_records(run_of(scores, **ORDER, seed=3), quantity, **options)


def test_a_record_for_each_source_mask_and_method_in_their_order():
    found = records(frame().sample(frac=1.0, random_state=0).sort_values("source", ascending=False))
    keys = [(each.row["source"], each.row["mask"], each.method) for each in found]
    masks = ("random-4", "random-8")
    assert keys == [(s, m, method) for s in ("knee", "brain") for m in masks for method in METHODS]
    assert {(each.quantity, each.unit, each.seed, each.n) for each in found} == {("ssim", "1", 3, 5)}
    assert all(math.isnan(each.paper) for each in found)


def test_means_and_intervals_are_resampled_by_patient():
    scores = frame()
    values = scores["ssim"].iloc[:5].tolist()
    expected = summarise(values, groups=["p0", "p0", "p1", "p1", "p2"], seed=3)
    first = records(scores)[0]
    assert (first.value, first.sd, first.low, first.high) == (
        expected.mean,
        expected.sd,
        expected.low,
        expected.high,
    )
    unknown = records(frame(patient=""))[0]
    assert (unknown.low, unknown.high) == (expected.low, expected.high)
    assert math.isnan(records(frame(patient="one"))[0].low)


def test_what_failed_is_counted_and_not_averaged():
    scores = frame()
    scores.loc[0, "failed"] = "no convergence"
    scores.loc[1, "ssim"] = math.nan
    scores.loc[2, "psnr"] = math.inf
    first = records(scores)[0]
    assert (first.n, first.missing) == (3, 2)
    assert first.value == pytest.approx(scores["ssim"].iloc[2:5].mean())
    assert records(scores, "psnr")[0].missing == 2
    none = records(frame(failed="out of memory"))[0]
    assert (none.n, none.missing) == (0, 5)
    assert math.isnan(none.value)


def test_seconds_are_a_median():
    first = records(frame(), "seconds")[0]
    assert (first.value, first.n, first.unit) == (1.0, 5, "s")
    assert math.isnan(first.sd)
    assert math.isnan(first.low)


def test_a_papers_value_stands_where_it_is_given():
    found = records(frame(), papers={("knee", "random-8", "tv"): (0.8, 0.02)})
    given = [each for each in found if math.isfinite(each.paper)]
    assert [(each.row["mask"], each.method, each.paper, each.paper_sd) for each in given] == [
        ("random-8", "tv", 0.8, 0.02)
    ]


def test_best_first():
    scores = frame()
    scores.loc[scores["method"] == "tv", "failed"] = "no convergence"
    for quantity in ("ssim", "psnr", "nmse"):
        found = best_first(records(scores, quantity))
        assert [each.method for each in found] == ["varnet", "zero-filled", "tv"] * 4
        assert [each.row["source"] for each in found] == ["knee"] * 6 + ["brain"] * 6
    assert best_first([]) == []


def test_differences_are_of_the_same_slices():
    scores = frame()
    tv = scores["method"] == "tv"
    knee = (scores["source"] == "knee") & (scores["mask"] == "random-4")
    scores.loc[scores.index[tv & knee][0], "failed"] = "no convergence"
    # a slice that the baseline alone has, and a mask that the method was not tried on
    scores = scores.drop(scores.index[tv & knee][4])
    scores = scores[~((scores["method"] == "varnet") & (scores["mask"] == "random-8"))]
    found = paired_differences(scores, "ssim", "zero-filled", seed=3).set_index(["source", "mask", "method"])
    assert len(found) == 6
    row = found.loc[("knee", "random-4", "tv")]
    differences = [0.1 + 0.001, 0.1, 0.1 + 0.001]
    expected = summarise(differences, groups=["p0", "p1", "p1"], seed=3)
    assert row["mean"] == pytest.approx(expected.mean, rel=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (row["n"], row["missing"]) == (3, 2)
    assert paired_differences(scores[scores["method"] == "tv"], "ssim", "tv").empty


def test_scores_that_say_too_little_or_too_much_are_refused():
    scores = frame()
    with pytest.raises(ValueError, match=r"quality_records: expected one of \['ssim'.*, got 'sim'"):
        records(scores, "sim")
    with pytest.raises(ValueError, match="quality_records: expected one row an image"):
        records(pd.concat([scores, scores.iloc[:1]]))
    with pytest.raises(ValueError, match=r"paired_differences: expected a baseline of .*, got 'mine'"):
        paired_differences(scores, "ssim", "mine")


def test_methods_that_are_tuned_by_level_count_at_the_lowest():
    low, high = ({"tuned": f"{level:g}", "level": level} for level in (0.01, 0.04))
    scores = pd.concat([frame(**high, ssim=0.2), frame(**low), pd.DataFrame([peak(1.0)])], ignore_index=True)
    found = records(scores)
    assert {each.row["tuned"] for each in found} == {"0.01"}
    assert [each.value for each in found] == [each.value for each in records(frame())]
    assert all("tuned" not in each.row for each in records(frame()))


def test_methods_that_were_tuned_elsewhere_have_rows_of_their_own():
    found = records(pd.concat([frame(), frame(domain="else")]))
    assert [each.row.get("domain", "") for each in found] == ["", "", "", "else", "else", "else"] * 4

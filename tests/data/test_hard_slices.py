import itertools

import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import Entry, read_catalogue, to_frame
from mrilib.data.hard_slices import hardest_slices, matched_control

BY = ["zero-filled", "tikhonov"]


def pool_of(scales, *, noises=None, anatomies=None):
    """A set of slices, four of a volume, with these scales; the noise is 1 where none is given."""
    noises, anatomies = noises or [1.0] * len(scales), anatomies or ["brain"] * len(scales)
    entries = [
        Entry("d", f"v{place // 4}", "p", anatomy, slice=place % 4, scale=scale, noise=noise, accepted=True)
        for place, (scale, noise, anatomy) in enumerate(zip(scales, noises, anatomies, strict=True))
    ]
    return to_frame(entries).rename_axis("position").reset_index().astype({"noise": float, "slice": "Int64"})


def scored(**numbers):
    """Scores of methods, whose names have `_` for `-`, by position."""
    rows = [
        {"position": position, "method": method.replace("_", "-"), "number": number}
        for method, values in numbers.items()
        for position, number in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["position", "method", "number"])


def places(slices):
    return list(zip(slices["volume"], slices["slice"], strict=True))


def hardest(pool, scores, **changes):
    given = {"by": BY, "higher_is_better": True, "count": 3} | changes
    return hardest_slices(pool, scores, **given)


@pytest.fixture
def planted():
    """A hundred slices, ten of which both methods find hard, and others that one of them finds hard."""
    drawn = np.random.default_rng(1)
    pool = pool_of(drawn.uniform(1, 9, 100).tolist())
    hard = drawn.permutation(100)[:10]
    numbers = drawn.uniform(0.8, 0.9, (2, 100))
    numbers[:, hard] = 0.5 + 0.01 * np.arange(10)
    rest = np.setdiff1d(np.arange(100), hard)
    numbers[0, rest[:5]] = 0.45
    return pool, scored(zero_filled=numbers[0], tikhonov=numbers[1]), hard


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_planted_hard_slices_are_chosen_hardest_first(planted, higher_is_better):
    pool, scores, hard = planted
    sign = 1 if higher_is_better else -1
    told = scores.assign(number=sign * scores["number"]).sample(frac=1.0, random_state=0)
    slices, left_out = hardest(pool, told, count=10, higher_is_better=higher_is_better)
    assert left_out == []
    assert places(slices) == places(pool.iloc[hard])
    assert list(slices["position"]) == list(range(10))
    assert slices["difficulty"].tolist() == pytest.approx([sign * (0.5 + 0.01 * n) for n in range(10)])
    assert [*slices.columns[:-1], slices.columns[-1]] == [*pool.columns, "difficulty"]
    assert places(hardest(pool, told, count=4, higher_is_better=higher_is_better)[0]) == places(slices)[:4]


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_of_equal_slices_the_first_in_the_pool_comes_first(higher_is_better):
    same = [0.5, 0.7, 0.5, 0.7, 0.5, 0.7]
    slices, _ = hardest(
        pool_of([1.0] * 6),
        scored(zero_filled=same, tikhonov=same),
        higher_is_better=higher_is_better,
    )
    assert places(slices) == (
        [("v0", 0), ("v0", 2), ("v1", 0)] if higher_is_better else [("v0", 1), ("v0", 3), ("v1", 1)]
    )


def test_what_a_method_has_no_number_of_is_left_out_and_told():
    pool = pool_of([1.0] * 8)
    numbers = np.linspace(0.1, 0.8, 8)
    first, second = numbers.copy(), numbers.copy()
    first[0], second[2] = np.nan, np.inf
    # Other methods do not count, nor do positions that the pool does not have.
    scores = scored(zero_filled=[*first, 0.0], tikhonov=[*second[:-1]], tv=[np.nan] * 8)
    slices, left_out = hardest(pool, scores, count=2)
    assert places(slices) == [("v0", 1), ("v0", 3)]
    assert left_out == [
        "v0, slice 0: left out, no number of zero-filled",
        "v0, slice 2: left out, no number of tikhonov",
        "v1, slice 3: left out, no number of tikhonov",
    ]


def test_half_of_the_pool_is_left_for_a_control():
    pool, numbers = pool_of([1.0] * 7), np.linspace(0.1, 0.7, 7)
    scores = scored(zero_filled=numbers, tikhonov=numbers)
    assert len(hardest(pool, scores)[0]) == 3
    expected = (
        "hardest_slices: expected 4 slices, at most half of those that zero-filled and tikhonov "
        "reconstructed, found 7 such slices of 7 in the pool; enlarge it, lower the count, or allow fewer"
    )
    with pytest.raises(ValueError, match=expected):
        hardest(pool, scores, count=4)
    assert places(hardest(pool, scores, count=4, fewer=True)[0]) == places(pool.iloc[:3])
    assert len(hardest(pool, scores, count=2, fewer=True)[0]) == 2
    with pytest.raises(ValueError, match="found 0 such slices of 7"):
        hardest(pool, scored(zero_filled=numbers), fewer=True)
    with pytest.raises(ValueError, match="found 1 such slices of 1"):
        hardest(pool_of([1.0]), scores, count=1, fewer=True)


def test_a_set_of_hard_slices_comes_back_from_its_file(tmp_path, planted):
    pool, scores, _ = planted
    slices, _ = hardest(pool, scores, count=10)
    slices.to_csv(tmp_path / "test.csv", index=False)
    again = read_catalogue(tmp_path / "test.csv")
    assert again["difficulty"].tolist() == slices["difficulty"].tolist()
    control, _ = matched_control(pool, again, count=10)
    assert places(control) == places(matched_control(pool, slices, count=10)[0])


def distance(control, hard):
    """Sum of the differences of logarithms of the SNR, pair by pair."""
    snr = [np.log(each["scale"].to_numpy() / each["noise"].to_numpy()) for each in (control, hard)]
    return np.abs(snr[0] - snr[1]).sum()


@pytest.mark.parametrize("seed", range(20))
def test_a_control_is_the_best_of_all_assignments(seed):
    drawn = np.random.default_rng(seed)
    pool = pool_of(drawn.lognormal(size=9).tolist(), noises=drawn.lognormal(size=9).tolist())
    hard = pool.iloc[drawn.permutation(9)[:4]].reset_index(drop=True)
    control, distances = matched_control(pool, hard, count=4)
    rest = pool[~pool["slice"].add(pool["volume"].str[1:].astype(int) * 4).isin(hard["position"])]
    best = min(distance(rest.loc[list(rows)], hard) for rows in itertools.permutations(rest.index, 4))
    assert distance(control, hard) == pytest.approx(best)
    assert distances.sum() == pytest.approx(best)
    assert list(control["position"]) == [0, 1, 2, 3]
    assert list(control.columns) == list(pool.columns)
    assert len({*places(control), *places(hard)}) == 8
    assert places(matched_control(pool, hard, count=4)[0]) == places(control)


def test_a_control_is_of_the_same_anatomy():
    anatomies = ["brain", "brain", "brain", "knee", "knee", "knee"]
    pool = pool_of([1.0, 8.0, 8.1, 1.0, 1.01, 8.0], anatomies=anatomies)
    control, distances = matched_control(pool, pool.iloc[[3, 0]], count=2)
    assert places(control) == [("v1", 0), ("v0", 1)]
    assert control["anatomy"].tolist() == ["knee", "brain"]
    assert distances.tolist() == pytest.approx([np.log(1.01), np.log(8)])
    expected = (
        "matched_control: expected 2 slices that are not hard, of the anatomy 'brain' and of known noise, "
        "found 1 in the pool; enlarge it, or lower the count"
    )
    with pytest.raises(ValueError, match=expected):
        matched_control(pool, pool.iloc[[3, 0, 1]], count=3)
    # No more than is asked for has to have a control.
    assert len(matched_control(pool, pool.iloc[[3, 0, 1]], count=2)[0]) == 2


@pytest.mark.parametrize("noise", [0.0, np.nan])
def test_without_a_known_noise_the_control_has_none_either(noise):
    pool = pool_of([1.0, 2.0, 1.0, 2.0, 1.0], noises=[1.0, noise, 1.0, noise, noise])
    control, distances = matched_control(pool, pool.iloc[[0, 1]], count=2)
    assert places(control) == [("v0", 2), ("v0", 3)]
    assert distances.iloc[0] == 0.0
    assert np.isnan(distances.iloc[1])
    with pytest.raises(ValueError, match=r"expected 2 slices .* of unknown noise, found 1"):
        matched_control(pool, pool.iloc[[1, 3]], count=2)


def test_there_is_a_control_for_no_more_than_there_are_hard_slices():
    pool = pool_of([1.0, 2.0, 3.0, 4.0])
    assert len(matched_control(pool, pool.iloc[[0]], count=3)[0]) == 1
    with pytest.raises(
        ValueError, match="expected hard slices of this pool, found 1 of 2 that are not in it"
    ):
        matched_control(pool.iloc[1:], pool.iloc[[0, 1]], count=2)

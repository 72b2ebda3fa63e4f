import pandas as pd
import pytest

from mrilib.data.selection import apart_from, select_slices, split_patients


@pytest.fixture
def catalogue():
    """Five volumes of ten slices, one of another acquisition, and a rejected one."""
    rows = [
        {
            "volume": f"v{volume}",
            "acquisition": "T2" if volume == 4 else "T1",
            "slice": position,
            "slices": 10,
            "accepted": True,
        }
        for volume in range(5)
        for position in range(10)
    ]
    rows.append({"volume": "bad", "acquisition": "", "slice": None, "slices": 0, "accepted": False})
    return pd.DataFrame(rows).astype({"slice": "Int64"})


def places(slices):
    return list(zip(slices["volume"], slices["slice"], strict=True))


def test_a_set_is_spread_over_the_volumes_and_begins_with_the_smaller_sets(catalogue):
    twelve = select_slices(catalogue, count=12, seed=1)
    assert list(twelve["position"]) == list(range(12))
    assert sorted(twelve["volume"].value_counts()) == [2, 2, 2, 3, 3]
    assert len(set(places(twelve))) == 12
    assert places(select_slices(catalogue, count=7, seed=1)) == places(twelve)[:7]
    assert places(select_slices(catalogue, count=12, seed=2)) != places(twelve)
    shuffled = catalogue.sample(frac=1.0, random_state=0).reset_index(drop=True)
    assert places(select_slices(shuffled, count=12, seed=1)) == places(twelve)


def test_another_volume_shifts_only_what_it_must(catalogue):
    fewer = catalogue[catalogue["volume"] != "v2"]
    kept = [place for place in places(select_slices(catalogue, count=5, seed=1)) if place[0] != "v2"]
    assert places(select_slices(fewer, count=4, seed=1)) == kept


def test_what_is_taken(catalogue):
    assert set(select_slices(catalogue, count=10, seed=1, acquisitions=["T2"])["volume"]) == {"v4"}
    middle = select_slices(catalogue, count=20, seed=1, middle=0.4)
    assert set(middle["slice"]) == {3, 4, 5, 6}
    odd = catalogue[(catalogue["volume"] == "v0") & (catalogue["slice"] < 5)].assign(slices=5)
    assert set(select_slices(odd, count=1, seed=1, middle=0.01)["slice"]) == {2}
    one = select_slices(catalogue, count=5, seed=1, per_volume=1)
    assert one["volume"].nunique() == 5


def test_too_few(catalogue):
    with pytest.raises(
        ValueError, match="expected 51 slices, found 50 in 5 volumes \\(1 more are rejected\\)"
    ):
        select_slices(catalogue, count=51, seed=1)
    with pytest.raises(ValueError, match="expected 6 slices, found 5"):
        select_slices(catalogue, count=6, seed=1, per_volume=1)
    assert len(select_slices(catalogue, count=51, seed=1, fewer=True)) == 50
    with pytest.raises(ValueError, match="found 0 in 0 volumes"):
        select_slices(catalogue, count=3, seed=1, acquisitions=["PD"], fewer=True)


def test_patients_are_dealt_out_whole():
    patients = [f"p{number % 10}" for number in range(25)]
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    parts = split_patients(patients, fractions, seed=1)
    assert sorted(parts) == sorted(set(patients))
    counts = pd.Series(parts).value_counts()
    assert counts.to_dict() == {"train": 6, "validation": 2, "test": 2}
    assert split_patients(patients[::-1], fractions, seed=1) == parts
    assert split_patients(patients, fractions, seed=2) != parts


def test_a_part_without_patients():
    with pytest.raises(ValueError, match=r"part 'test' \(0.1\) of 2 patients is empty"):
        split_patients(["a", "b"], {"train": 0.9, "test": 0.1}, seed=1)


def with_people(catalogue):
    hashes = [f"{volume}-{position}" for volume, position in places(catalogue)]
    return catalogue.assign(dataset="d", patient=catalogue["volume"].str.upper(), hash=hashes)


def test_nothing_is_trained_on_what_is_tested(catalogue):
    catalogue = with_people(catalogue)
    tested = catalogue.iloc[[3, 12]].assign(dataset="other", volume=["renamed", "renamed"], patient="nobody")
    kept, reasons = apart_from(catalogue, {"tests": tested})
    assert set(catalogue["volume"]) - set(kept["volume"]) == {"v0", "v1"}
    assert reasons == ["v0: left out, slice 3 is in tests", "v1: left out, slice 2 is in tests"]
    same = tested.iloc[:1].assign(hash="x", patient="V4")
    kept, reasons = apart_from(catalogue, {"tests": same})
    assert (set(catalogue["volume"]) - set(kept["volume"]), reasons) == (
        {"v4"},
        ["v4: left out, patient V4 is in tests"],
    )
    assert (kept["volume"] == "bad").sum() == 1


def test_sets_that_share_nothing_change_nothing(catalogue):
    catalogue = with_people(catalogue)
    tested = catalogue.assign(hash="x", patient="nobody")
    kept, reasons = apart_from(catalogue, {"tests": tested})
    pd.testing.assert_frame_equal(kept, catalogue)
    assert reasons == []
    assert apart_from(catalogue, {})[1] == []

import json
import math
import os
import stat

import h5py
import numpy as np
import pytest

from mrilib.store.arrays import Group, group_names, read_group, write_groups
from mrilib.store.atomic import atomic_path, write_text
from mrilib.store.records import Record, read_records, write_records
from mrilib.store.units import UnitStore, content_hash, derived_seed


def test_a_failed_write_leaves_neither_file_nor_partial(tmp_path):
    with pytest.raises(UnicodeEncodeError), atomic_path(tmp_path / "a.txt") as partial:
        partial.write_text("half\udcff", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_file_that_was_there(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt"):
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"


def test_results_are_readable_as_the_umask_says(tmp_path):
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_groups_come_back_with_units_and_equal_content_gives_equal_bytes(tmp_path):
    groups = {
        "": Group({"image": np.eye(3, dtype=np.float32)}, {"level": 0.1}, {"image": "image maximum"}),
        "a/b": Group({"kspace": np.ones(2, np.complex64)}, {"failed": "no", "skipped": None}),
    }
    for name in ("one.h5", "two.h5"):
        write_groups(tmp_path / name, groups)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    root = read_group(tmp_path / "one.h5")
    assert root.attributes == {"level": 0.1}
    assert root.units == {"image": "image maximum"}
    np.testing.assert_array_equal(root.arrays["image"], np.eye(3))
    assert read_group(tmp_path / "one.h5", "a/b").attributes == {"failed": "no"}
    assert group_names(tmp_path / "one.h5") == ["a/b"]


def test_reading_says_what_is_missing(tmp_path):
    write_groups(tmp_path / "a.h5", {"": Group({"image": np.zeros(2)})})
    with pytest.raises(ValueError, match=r"a\.h5: no dataset \['mask'\].*it has \['image'\]"):
        read_group(tmp_path / "a.h5", arrays=["mask"])
    with pytest.raises(ValueError, match=r"no group 'clean'"):
        read_group(tmp_path / "a.h5", "clean")
    (tmp_path / "b.h5").write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match=r"b\.h5: not a readable HDF5 file"):
        read_group(tmp_path / "b.h5")


def test_a_unit_is_computed_once_for_each_key(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return Group({"value": np.array([1.0])})

    store = UnitStore(tmp_path)
    for key in ({"level": 0.1}, {"level": 0.1}, {"level": 0.2}):
        np.testing.assert_array_equal(store.get(key, compute).arrays["value"], [1.0])
    assert len(calls) == 2
    assert (store.computed, store.found) == (2, 1)


def test_a_damaged_unit_is_computed_again(tmp_path, capsys):
    store = UnitStore(tmp_path)
    store.get({"a": 1}, lambda: Group({"value": np.array(1.0)}))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert store.get({"a": 1}, lambda: Group({"value": np.array(2.0)})).arrays["value"] == 2.0
    assert "computed again" in capsys.readouterr().out
    with h5py.File(path) as file:
        assert file["value"][()] == 2.0


def test_hashes_tell_values_types_and_shapes_apart():
    arrays = [np.zeros(4, np.float32), np.zeros(4, np.int32), np.zeros((2, 2), np.float32)]
    assert len({content_hash(array) for array in arrays}) == 3
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert derived_seed(1, "test") != derived_seed(1, "validation")


def test_records_survive_the_file_with_missing_numbers(tmp_path):
    record = Record(
        "localized",
        "severity",
        {"level": 0.01},
        "tv",
        1.5,
        math.nan,
        math.nan,
        math.nan,
        1,
        0,
        0,
        "1",
        math.nan,
        math.nan,
        "ab",
        3,
    )
    write_records(tmp_path / "r.json", [record])
    assert json.loads((tmp_path / "r.json").read_text())[0]["sd"] is None
    (back,) = read_records(tmp_path / "r.json")
    assert back.value == 1.5
    assert math.isnan(back.paper)


def test_a_found_unit_has_the_order_of_a_computed_one(tmp_path):
    def compute():
        return Group({"b": np.ones(2), "a": np.zeros(2)}, {"z": 1, "y": 2}, {"b": "m", "a": "s"})

    store = UnitStore(tmp_path)
    first, second = store.get({"key": 1}, compute), store.get({"key": 1}, compute)
    assert (store.computed, store.found) == (1, 1)
    for part in ("arrays", "attributes"):
        assert list(getattr(first, part)) == list(getattr(second, part)) == sorted(getattr(first, part))

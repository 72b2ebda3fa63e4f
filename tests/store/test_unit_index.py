import numpy as np
import pytest

from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore, content_hash, read_index


def unit(value):
    return Group(arrays={"value": np.array(value)})


def test_a_finished_job_lists_the_units_that_it_used(tmp_path):
    index = tmp_path / "index/job.txt"
    store = UnitStore(tmp_path, index)
    for level in (1, 2):
        store.get({"level": level}, lambda level=level: unit(level))
    store.claim("training-1.pt")
    store.finish()
    names = {path.name for path in tmp_path.glob("*.h5")} | {"training-1.pt"}
    assert set(read_index(index)) == names
    assert len(names) == 3


def test_a_unit_is_listed_before_it_is_computed_and_a_killed_job_forgets_none(tmp_path):
    index = tmp_path / "index/job.txt"
    first = UnitStore(tmp_path, index)
    first.get({"level": 1}, lambda: unit(1))
    first.finish()

    def killed():
        assert f"{content_hash({'level': 2})}.h5" in read_index(index)
        raise KeyboardInterrupt

    second = UnitStore(tmp_path, index)
    with pytest.raises(KeyboardInterrupt):
        second.get({"level": 2}, killed)
    assert len(read_index(index)) == 2

    third = UnitStore(tmp_path, index)
    third.get({"level": 2}, lambda: unit(2))
    third.finish()
    assert read_index(index) == [f"{content_hash({'level': 2})}.h5"]


def test_without_an_index_nothing_is_listed(tmp_path):
    store = UnitStore(tmp_path)
    store.get({"level": 1}, lambda: unit(1))
    store.finish()
    assert [path.suffix for path in tmp_path.iterdir()] == [".h5"]
    assert read_index(tmp_path / "index/job.txt") == []

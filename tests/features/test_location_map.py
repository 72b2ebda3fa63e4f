import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.features.kinds.location import LocationMap
from mrilib.reconstructors.linear import Tikhonov
from mrilib.reconstructors.total_variation import TotalVariation
from tests.features.scenes import Kept, phantom, scene_of

NUMBERS = ["loss", "error", "before"]


def frame_of(found):
    return pd.DataFrame(dict(found.columns)).assign(**found.about)


def test_a_planted_dependence_on_location_is_the_map():
    measurement = phantom()
    kept = torch.ones(64, 64)
    kept[32:] = 0.5
    kind = LocationMap(sizes=[2, 3], contrast=0.3, spacing=8, cells=4, checks=3)
    scene, names = scene_of(Kept(kept), measurement)
    found = kind.findings(scene)
    frame = frame_of(found)
    upper, lower = frame[frame["row"] + frame["size"] <= 32], frame[frame["row"] >= 32]
    assert np.abs(upper["loss"]).max() < 1e-6
    assert lower["loss"].to_numpy() == pytest.approx(0.25, abs=1e-4)
    # Pixels do not know of each other.
    assert found.about["interaction"] < 1e-6
    assert names == ["lattice", "alone-0", "alone-1", "alone-2"]
    maps = kind.map(frame)
    cells = maps[maps["size"] == 2].assign(mean=lambda each: each["loss"] / each["energy"])
    assert set(cells["row"]) == {0.125, 0.375, 0.625, 0.875}
    assert cells.loc[cells["row"] == 0.125, "mean"].abs().max() < 1e-6
    assert cells.loc[cells["row"] == 0.875, "mean"].to_numpy() == pytest.approx(0.25, abs=1e-4)
    assert maps["count"].sum() == len(frame)


def test_the_table_has_means_over_the_object_and_its_worst_places():
    frame = pd.DataFrame(
        {
            "size": [2] * 4,
            "loss": [0.1, 0.2, 0.3, 0.9],
            "error": [1.0, 2.0, 3.0, 9.0],
            "before": [0.0] * 4,
            "energy": [1.0, 1.0, 2.0, 1.0],
            "on_object": [True, True, True, False],
        }
    )
    (row,) = LocationMap(sizes=[2]).table(frame).to_dict("records")
    assert (row["size"], row["windows"]) == (2, 3)
    assert row["loss"] == pytest.approx((0.1 + 0.2 + 2 * 0.3) / 4)
    assert row["loss_everywhere"] == pytest.approx((0.1 + 0.2 + 2 * 0.3 + 0.9) / 5)
    assert row["worst"] == pytest.approx(np.quantile([0.1, 0.2, 0.3], 0.95))
    assert row["best"] == pytest.approx(np.quantile([0.1, 0.2, 0.3], 0.05))


def test_linear_methods_have_every_location_and_the_lattice_agrees():
    """The same method, once exactly and once as if it were not linear."""

    class Unknown(Tikhonov):
        response = None

    measurement, method = phantom(lines=20), {"weight": 1e-2, "tolerance": 1e-6}
    kind = LocationMap(sizes=[3], contrast=0.3, spacing=16, checks=0)
    exact = kind.findings(scene_of(Tikhonov(**method), measurement)[0])
    shared = kind.findings(scene_of(Unknown(**method), measurement)[0])
    assert (exact.about["exact"], shared.about["exact"]) == (True, False)
    assert len(exact.columns["loss"]) == 62 * 62
    wide = frame_of(exact).set_index(["row", "column"])
    few = frame_of(shared).set_index(["row", "column"])
    both = few.merge(wide, left_index=True, right_index=True, suffixes=("", "_exact"))
    # Windows 16 pixels apart do little to each other.
    assert np.abs(both["loss"] - both["loss_exact"]).max() < 0.2 * both["loss_exact"].mean()


def test_what_windows_do_to_each_other_is_measured():
    """TV takes from a window what is in its neighbourhood as well."""
    kind = LocationMap(sizes=[2], contrast=0.3, spacing=4, checks=2)
    method = TotalVariation(weight=2e-2, tolerance=1e-4)
    near = kind.findings(scene_of(method, phantom(lines=16))[0])
    far = LocationMap(sizes=[2], contrast=0.3, spacing=24, checks=2).findings(
        scene_of(method, phantom(lines=16))[0]
    )
    assert near.about["interaction"] > far.about["interaction"]


def test_the_lattice_is_that_of_the_image_and_not_of_the_method():
    kind = LocationMap(sizes=[2], spacing=8, checks=0)
    one, other = torch.ones(64, 64), torch.full((64, 64), 0.5)
    first, second = (kind.findings(scene_of(Kept(each), phantom())[0]) for each in (one, other))
    third = kind.findings(scene_of(Kept(one), phantom(), seed=(1, "set", 1))[0])
    assert (first.columns["row"] == second.columns["row"]).all()
    places = [
        sorted(zip(*(each.columns[name] for name in ("row", "column")), strict=True))
        for each in (first, third)
    ]
    assert places[0] != places[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"spacing": 5}, "spacing above the largest"), ({"contrast": 0.0}, "contrast above or below 0")],
)
def test_arguments_that_make_no_sense(arguments, told):
    with pytest.raises(ValueError, match=told):
        LocationMap(**arguments)

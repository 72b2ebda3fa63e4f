import json

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.data.measurement_files import write_measurement
from mrilib.experiments.columns import FEATURES
from mrilib.experiments.feature_rows import read_features, read_maps
from mrilib.experiments.feature_tables import feature_tables
from mrilib.features.kinds.base import FeatureKind, Findings, feature_from
from mrilib.jobs.feature import boxes_of, feature_image, feature_unit
from mrilib.jobs.methods import Methods
from mrilib.jobs.reconstruct import reconstruct_image
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.solvers.solution import Solution, Status
from mrilib.store.arrays import write_groups
from mrilib.store.units import UnitStore
from tests.features.scenes import phantom

MAPS = {"class": "mrilib.features.kinds.location:LocationMap", "arguments": {"sizes": [2], "spacing": 8}}
FIT = {
    "class": "mrilib.features.kinds.trace:FitTrace",
    "arguments": {"size": 2, "spacing": 8, "shares": [0.5, 1.0]},
}
TV = {
    "reconstructor": "mrilib.reconstructors.total_variation:TotalVariation",
    "parameters": {"tolerance": 1e-2},
    "tuned": "weight",
}
DECODER = {
    "reconstructor": "mrilib.reconstructors.untrained:Untrained",
    "parameters": {
        "network": {
            "class": "mrilib.networks.decoders:ConvDecoder",
            "arguments": {"channels": 4, "layers": 3},
        },
        "steps": 6,
    },
    "tuned": None,
}
IDENTITY = {"method": "m", "domain": "set@mask", "source": "set", "mask": "mask", "position": 3}


@pytest.fixture
def job(tmp_path):
    """Runs the job of a method and studies; returns groups and the store."""
    write_measurement(tmp_path / "y.h5", phantom(32, lines=12), source="set", position=3, patient="p")

    def run(method, features):
        inputs = {"measurement": tmp_path / "y.h5", "reconstruction": tmp_path / "r.h5"}
        if method["tuned"]:
            inputs["tuning"] = tmp_path / "tuned.json"
            inputs["tuning"].write_text(json.dumps({"tuned": {"clean": {"chosen": 1e-2}}}))
        store = UnitStore(tmp_path / "units", tmp_path / "index")
        from mrilib.data.measurement_files import read_measurement

        clean = reconstruct_image(
            read_measurement(inputs["measurement"]),
            Methods(method, inputs),
            ["clean"],
            store,
            identity=IDENTITY,
            code="c",
            keep_state=False,
        )
        write_groups(inputs["reconstruction"], clean)
        params = {
            "features": [{"feature": name, "described": described} for name, described in features.items()],
            "codes": dict.fromkeys(features, "code"),
            "method": method,
            "identity": IDENTITY,
            "tuned": "clean",
            "seed": 1,
        }
        store = UnitStore(tmp_path / "units", tmp_path / "index")
        groups = feature_image(inputs, params, store)
        store.finish()
        return groups, store

    return run


def test_units_are_found_again_and_tabulated(job, tmp_path):
    groups, store = job(TV, {"maps": MAPS})
    assert (store.computed, store.found) == (1, 0)
    again, store = job(TV, {"maps": MAPS})
    assert (store.computed, store.found) == (0, 1)
    for name, array in groups["features/maps"].arrays.items():
        assert np.array_equal(array, again["features/maps"].arrays[name], equal_nan=True)
    write_groups(tmp_path / "f.h5", groups)
    kinds = {"maps": feature_from(MAPS)}
    table, maps = feature_tables([tmp_path / "f.h5"], kinds)
    assert table[["feature", "kind", "method", "source", "position", "patient"]].to_dict("records") == [
        {
            "feature": "maps",
            "kind": "location-map",
            "method": "m",
            "source": "set",
            "position": 3,
            "patient": "p",
        }
    ]
    assert table["loss"].iloc[0] > 0
    # What was found of the image as a whole stands in every row, in numbers.
    assert table["contrast"].iloc[0] == pytest.approx(1 / 6)
    assert (table["exact"].iloc[0], table["interaction"].iloc[0] >= 0) == (0, True)
    assert maps["count"].sum() == len(groups["features/maps"].arrays["loss"])
    assert set(maps["images"]) == {1}
    # They come back from CSV as they went.
    table.to_csv(tmp_path / "t.csv", index=False)
    maps.to_csv(tmp_path / "m.csv", index=False)
    read = read_features([tmp_path / "t.csv"])
    assert read["patient"].tolist() == ["p"]
    assert read["loss"].tolist() == table["loss"].tolist()
    assert read_maps([tmp_path / "m.csv"])["loss"].tolist() == maps["loss"].tolist()


def test_sums_of_several_images_are_added(job, tmp_path):
    groups, _ = job(TV, {"maps": MAPS})
    for name in ("a", "b"):
        write_groups(tmp_path / f"{name}.h5", groups)
    one, two = (
        feature_tables([tmp_path / f"{name}.h5" for name in names], {"maps": feature_from(MAPS)})
        for names in ("a", "ab")
    )
    assert len(two[0]) == 2 * len(one[0])
    assert two[1]["count"].tolist() == (2 * one[1]["count"]).tolist()
    assert two[1]["loss"].to_numpy() == pytest.approx(2 * one[1]["loss"].to_numpy())


def test_fits_that_are_kept_go_when_the_unit_is_done(job, tmp_path):
    groups, store = job(DECODER, {"fit": FIT})
    assert groups["features/fit"].arrays["steps"].tolist() == [3, 6]
    assert store.computed == 1
    assert not list((tmp_path / "units").glob("fit-*"))


class Failing(FeatureKind):
    def findings(self, scene):
        raise FloatingPointError("nothing is finite here")


def test_a_failure_is_an_outcome_with_its_reason(job, tmp_path, capsys):
    features = {"maps": MAPS, "own": {"class": f"{__name__}:Failing", "arguments": {}}}
    groups, _ = job(TV, features)
    assert groups["features/own"].attributes["failed"] == "nothing is finite here"
    assert "m failed on set 3: nothing is finite here" in capsys.readouterr().out
    write_groups(tmp_path / "f.h5", groups)
    kinds = {name: feature_from(each) for name, each in features.items()}
    table, _ = feature_tables([tmp_path / "f.h5"], kinds)
    failed = table[table["feature"] == "own"].iloc[0]
    assert (failed["failed"], failed["kind"]) == ("nothing is finite here", "Failing")
    assert (table.loc[table["feature"] == "maps", "failed"] == "").all()


class Uneven(FeatureKind):
    def findings(self, scene):
        return Findings({"a": np.zeros(2), "b": np.zeros(3)})


def test_columns_of_findings_have_one_length(job):
    with pytest.raises(ValueError, match=r"expected columns of one length, got \{'a': 2, 'b': 3\}"):
        job(TV, {"own": {"class": f"{__name__}:Uneven", "arguments": {}}})


def test_a_position_without_an_image_has_no_rows(tmp_path):
    write_measurement(tmp_path / "y.h5", None, source="set", position=3)
    params = {"identity": IDENTITY, "features": []}
    groups = feature_image({"measurement": tmp_path / "y.h5"}, params, UnitStore(tmp_path / "units"))
    write_groups(tmp_path / "f.h5", groups)
    table, maps = feature_tables([tmp_path / "f.h5"], {})
    assert (len(table), len(maps)) == (0, 0)


class Boxed(FeatureKind):
    needs_boxes = True

    def findings(self, scene):
        return Findings({name: np.array([box[name] for box in scene.boxes]) for name in ("row", "column")})


def test_boxes_of_the_image_reach_the_study(tmp_path, monkeypatch):
    """Those of its slice alone, in pixels of the reference."""
    boxes = pd.DataFrame(
        {
            "file": ["v", "v", "other"],
            "slice": [4, 5, 4],
            "row": [6, 1, 1],
            "column": [8, 1, 1],
            "height": [3] * 3,
            "width": [4] * 3,
            "label": ["Cyst"] * 3,
            "study_level": [False] * 3,
            "source": ["fastmri+"] * 3,
        }
    )
    boxes.to_csv(tmp_path / "boxes.csv", index=False)
    row = {"position": 3, "volume": "v", "slice": 4, "rows": 32, "columns": 32}
    slices = pd.DataFrame([row | {"target_rows": 36, "target_columns": 32}])
    # Of a set these columns count.
    monkeypatch.setattr("mrilib.jobs.feature.read_catalogue", lambda path: slices)
    inputs = {"slices": "set.csv", "annotations": [tmp_path / "boxes.csv"]}
    found = boxes_of(inputs, {"annotations": ["ours"], "identity": IDENTITY})
    assert found == [{"label": "Cyst", "row": 4, "column": 8, "height": 3, "width": 4}]
    assert boxes_of({}, {"identity": IDENTITY}) == []
    measurement = phantom(32)
    clean = Solution(measurement.reference.to(torch.complex64), Status.CONVERGED, {})
    key = {"seed": [1], "boxes": found}
    store = UnitStore(tmp_path / "units")
    group = feature_unit(Boxed(), measurement, ZeroFilled, clean, key, store)
    assert group.arrays["row"].tolist() == [4]


def test_columns_of_texts_come_back_as_texts_and_others_as_numbers(tmp_path):
    about = dict.fromkeys(FEATURES, "") | {"position": 0, "simulated": False, "slice": 1.0, "patient": "0012"}
    rows = [
        about | {"feature": "worst", "place": "best", "loss": 0.25},
        about | {"feature": "maps", "loss": 0.5},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame([about | {"feature": "maps", "size": 2}]).to_csv(tmp_path / "b.csv", index=False)
    found = read_features([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert found["patient"].tolist() == ["0012"] * 3
    assert found["place"].tolist()[0] == "best"
    assert found["loss"].tolist()[:2] == [0.25, 0.5]
    assert np.isnan(found["loss"][2])
    assert found["size"].dtype == float
    assert read_features([]).empty

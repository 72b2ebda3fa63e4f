"""Experiments on small features, on tables with planted numbers."""

import math

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.columns import KINDS
from mrilib.experiments.fit_study import FitStudy
from mrilib.experiments.information_loss import InformationLoss
from mrilib.experiments.location_dependence import LocationDependence
from mrilib.report.figures_features import fit_figure, location_figure, loss_figure
from mrilib.store.tables import empty_table
from tests.experiments.frames import run_of

METHODS = {"tv": None, "convdecoder": None, "unet": None}
LOSSES = {"convdecoder": 0.1, "tv": 0.2, "unet": 0.4}


def table(images=12, patients=6, seed=0, sizes=(2, 5), methods=METHODS):
    """A row an image, method and size: harder images are so for all methods."""
    generator = np.random.default_rng(seed)
    hard = generator.normal(1.0, 0.1, images)
    rows = []
    for method in methods:
        own = generator.normal(1.0, 0.02, (images, len(sizes)))
        for image in range(images):
            for index, size in enumerate(sizes):
                loss = LOSSES[method] * hard[image] * own[image, index] * 2 / size
                rows.append(
                    {
                        "feature": "bright",
                        "kind": "location-map",
                        "method": method,
                        "domain": "",
                        "source": "set",
                        "mask": "mask",
                        "position": image,
                        "volume": f"v{image % patients}",
                        "slice": float(image),
                        "patient": f"p{image % patients}",
                        "anatomy": "",
                        "simulated": False,
                        "tuned": "clean",
                        "output": "magnitude",
                        "failed": "",
                        "size": float(size),
                        "contrast": 1 / 6,
                        "loss": loss,
                        "error": 2 * loss,
                        "before": loss,
                        "worst": 2 * loss,
                        "best": loss / 2,
                        "interaction": 0.01 if method != "tv" else math.nan,
                    }
                )
    return pd.DataFrame(rows)


def scored(features, **more):
    return run_of(empty_table(KINDS), methods=METHODS, features=features, **more)


def found(experiment, run):
    return {(each.quantity, each.method, each.row.get("size", "")): each for each in experiment.records(run)}


def test_a_planted_ranking_is_found_at_every_size():
    records = found(InformationLoss(feature="bright", source="set"), scored(table()))
    assert records["error", "tv", 2].value == pytest.approx(2 * records["loss", "tv", 2].value)
    for size in (2, 5):
        for method, loss in LOSSES.items():
            record = records["loss", method, size]
            assert record.value == pytest.approx(2 * loss / size, rel=0.1)
            assert record.low < record.value < record.high
            assert (record.n, record.missing) == (12, 0)
        assert records["best", "convdecoder", size].value == 1.0
        assert records["best", "tv", size].value == 0.0
    # Exact methods have no windows that share a reconstruction.
    assert ("interaction", "tv", "") not in records
    assert records["interaction", "unet", ""].value == pytest.approx(0.01)
    assert records["interaction", "unet", ""].n == 12


def test_an_image_that_a_method_failed_on_is_missing_and_no_number():
    features = table()
    failed = (features["method"] == "tv") & (features["position"] == 3)
    numbers = ["size", "loss", "error", "before", "worst", "best", "contrast"]
    features.loc[failed, numbers] = math.nan
    features.loc[failed, "failed"] = "diverged"
    features = features.drop_duplicates(["method", "position", "size"])
    records = found(InformationLoss(feature="bright", source="set"), scored(features))
    assert (records["loss", "tv", 2].n, records["loss", "tv", 2].missing) == (11, 1)


def test_methods_that_are_alike_share_the_first_place():
    features = table()
    same = features[features["method"] == "tv"].assign(method="unet")
    noise = np.random.default_rng(1).normal(1.0, 0.1, len(same))
    features = pd.concat([features[features["method"] == "tv"], same.assign(loss=same["loss"] * noise)])
    records = found(InformationLoss(feature="bright", source="set"), scored(features))
    assert 0.02 < records["best", "tv", 2].value < 0.98
    total = sum(records["best", name, 2].value for name in ("tv", "unet"))
    assert total == pytest.approx(1.0)


def test_differences_are_to_the_first_method_on_the_same_images():
    features = table()
    experiment = LocationDependence(
        feature="bright", source="set", size=2, methods=["convdecoder", "unet"], measure="error"
    )
    records = found(experiment, scored(features))
    assert {name for _, name, _ in records} == {"convdecoder", "unet"}
    difference = records["difference", "unet", 2]
    both = features[features["size"] == 2].pivot(index="position", columns="method", values="error")
    assert difference.value == pytest.approx((both["unet"] - both["convdecoder"]).mean())
    assert difference.low < difference.value < difference.high
    assert records["worst", "unet", 2].value == pytest.approx(both["unet"].mean())
    lacking = features[~((features["method"] == "convdecoder") & (features["position"] < 4))]
    assert found(experiment, scored(lacking))["difference", "unet", 2].n == 8


def maps():
    rows = []
    for index, method in enumerate(METHODS):
        for row in (0.25, 0.75):
            for column in (0.25, 0.75):
                value = (index + 1) * (1 + (row > 0.5))
                whose = {"feature": "bright", "kind": "location-map", "method": method, "domain": ""}
                place = {"source": "set", "mask": "mask", "size": 2.0, "row": row, "column": column}
                sums = {"loss": 3.0 * value, "error": 6.0 * value, "energy": 3.0, "images": 3.0}
                rows.append(whose | place | sums)
    return pd.DataFrame(rows)


def test_mean_maps_are_sums_over_counts_and_drawn_for_every_method():
    run = scored(table(), feature_maps=maps())
    experiment = LocationDependence(feature="bright", source="set", size=2)
    frame = experiment.frame(run, [])
    told = frame.set_index(["method", "row", "column"])["value"]
    assert told["tv", 0.25, 0.75] == 1.0
    assert told["unet", 0.75, 0.25] == 6.0
    figure = location_figure(frame, **experiment.figure_arguments(run))
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images and axes.get_title()]
    assert len(drawn) == 3
    assert drawn[0].tolist() == [[1.0, 1.0], [2.0, 2.0]]


def test_curves_of_loss_have_a_point_a_size():
    run = scored(table())
    experiment = InformationLoss(feature="bright", source="set")
    frame = experiment.frame(run, experiment.records(run))
    assert sorted(set(frame["size"])) == [2, 5]
    figure = loss_figure(frame, **experiment.figure_arguments(run))
    assert [len(panel.lines) for panel in figure.axes] == [3, 3]
    assert figure.axes[0].get_yscale() == "log"


def test_fits_have_a_panel_a_measure():
    rows = table(methods=["convdecoder"], sizes=(2,))
    fits = pd.concat([rows.assign(feature="fit", steps=float(steps)) for steps in (10, 20)])
    experiment = FitStudy(feature="fit", source="set")
    run = scored(fits)
    records = experiment.records(run)
    assert {each.row["steps"] for each in records} == {10, 20}
    figure = fit_figure(experiment.frame(run, records), **experiment.figure_arguments(run))
    assert len(figure.axes) == 3


@pytest.mark.parametrize(
    ("experiment", "told"),
    [
        (InformationLoss(feature="dark", source="set"), "no image of set under any mask was studied by dark"),
        (LocationDependence(feature="bright", source="set", size=3), "expected a size that bright studied"),
        (
            LocationDependence(feature="bright", source="set", size=2, methods=["tv", "itnet"]),
            "expected methods that bright studied, got \\['itnet'\\]",
        ),
    ],
)
def test_what_was_not_studied(experiment, told):
    with pytest.raises(ValueError, match=told):
        experiment.records(scored(table()))


def test_several_masks_have_to_be_told_apart():
    features = pd.concat([table(), table().assign(mask="columns")])
    with pytest.raises(ValueError, match=r"was studied under \['mask', 'columns'\]; name the mask"):
        InformationLoss(feature="bright", source="set").records(scored(features))
    assert InformationLoss(feature="bright", source="set", mask="mask").records(scored(features))

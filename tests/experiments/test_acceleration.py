import math

import pytest

from mrilib.experiments.acceleration_shift import HOME, LOSS, THERE, AccelerationShift
from mrilib.report.tables_acceleration import acceleration_table
from tests.experiments.frames import clean, run_of

METHODS = {"zero": None, "tv": None, "unet": None}
MASKS = {"four": 4.0, "two": 2.0, "eight": 8.0}
LOST = 0.03


def rows(mask, method, *, domain=None, change=0.0, images=6):
    return [
        clean(
            0.1,
            source="knee",
            mask=mask,
            domain=f"knee@{domain or mask}",
            method=method,
            position=image,
            volume=f"v{image}",
            slice=1.0,
            patient=f"p{image}",
            acceleration=MASKS[mask] + 0.01 * image,
            ssim=0.9 - 0.02 * MASKS[mask] + 0.01 * image + change,
        )
        for image in range(images)
    ]


@pytest.fixture(scope="module")
def run():
    every = [row for mask in MASKS for method in ("zero", "tv") for row in rows(mask, method)]
    every += rows("four", "unet")
    for mask in ("two", "eight"):
        every += rows(mask, "tv", domain="four", change=-LOST) + rows(mask, "unet", domain="four")
    labels = {name: f"{value:g}×" for name, value in MASKS.items()}
    return run_of(every, methods=METHODS, adapted=["tv", "unet"], mask_labels=labels, sources=["knee"])


def experiment(**changes):
    return AccelerationShift(**({"source": "knee", "home": "four", "masks": ["two", "eight"]} | changes))


def test_what_was_tuned_at_home_loses_what_was_planted(run):
    found = {(each.quantity, each.method, each.row["mask"]): each for each in experiment().records(run)}
    for mask in ("two", "eight"):
        assert found[LOSS, "tv", mask].value == pytest.approx(-LOST)
        # The same on every image: it has no spread.
        assert math.isnan(found[LOSS, "tv", mask].low)
        assert found[HOME, "tv", mask].value == pytest.approx(found[THERE, "tv", mask].value - LOST)
    assert (LOSS, "tv", "four") not in found
    assert found[HOME, "tv", "four"].value == found[THERE, "tv", "four"].value
    assert found[THERE, "tv", "four"].row["acceleration"] == pytest.approx(4.025)


def test_a_method_that_nobody_tuned_there_stands_alone(run):
    found = {(each.quantity, each.method, each.row["mask"]) for each in experiment().records(run)}
    assert (HOME, "unet", "two") in found
    assert not {(THERE, "unet", "two"), (LOSS, "unet", "two")} & found


def test_a_method_without_tuning_is_the_same_in_both(run):
    found = {(each.quantity, each.method, each.row["mask"]): each for each in experiment().records(run)}
    assert found[LOSS, "zero", "two"].value == 0.0
    assert found[HOME, "zero", "two"].value == found[THERE, "zero", "two"].value


def test_the_table_has_a_row_a_method_and_mask(run):
    made = experiment()
    table = acceleration_table(made.records(run), **made.table_arguments(run))
    assert list(table.wide["method"]) == [name for name in METHODS for _ in MASKS]
    told = table.wide[table.wide["method"] == "unet"].set_index("mask")["SSIM, tuned there"]
    assert told["2×"] == "—"


@pytest.mark.parametrize("masks", [[], ["four"], ["two", "two"]])
def test_masks_have_to_be_others(masks):
    with pytest.raises(ValueError, match="expected masks beside the home 'four', each once"):
        experiment(masks=masks)


def test_a_mask_without_reconstructions_is_told(run):
    with pytest.raises(ValueError, match="no reconstruction of knee under six"):
        experiment(masks=["six"]).records(run)

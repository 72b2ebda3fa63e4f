"""The feature that a method loses most: closed forms, brute force, and planted places."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.features.crossings import ABOVE, BELOW, BETWEEN, smallest_holding
from mrilib.features.kinds.worst import PLACES, SHAPES, WorstFeature
from mrilib.features.maps import with_features
from mrilib.features.places import places_by_loss
from mrilib.features.shape_search import shapes_shown_least
from mrilib.features.shapes import first_shapes, placed, survival
from mrilib.features.truth import Truth
from mrilib.features.windows import lattice
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from tests.features.planted import (
    FULL,
    Kept,
    Opaque,
    RootSumOfSquares,
    SoftThreshold,
    coil_scene,
    columns,
    object_image,
    scene_of,
)

WHOLE = torch.ones(FULL, dtype=torch.bool)


def rows_of(found):
    frame = WorstFeature(size=2).table(pd.DataFrame(dict(found.columns)))
    return {(row["place"], row["shape"]): row for row in frame.to_dict("records")}


def test_shapes_and_places_are_what_they_say():
    shapes = first_shapes(3)
    assert shapes.sum(dim=(1, 2)).tolist() == [9, 1, 3, 3, 5]
    assert len(first_shapes(1)) == 1
    assert [len(first_shapes(size)) for size in (2, 4)] == [5, 5]
    images = placed(shapes, [(4, 5)] * 5, FULL)
    torch.testing.assert_close(images[:, 4:7, 5:8], shapes)
    torch.testing.assert_close(images.sum(dim=(1, 2)), shapes.sum(dim=(1, 2)))
    with pytest.raises(ValueError, match=r"expected 3×3 pixels from \(30, 0\) inside of 32×28"):
        placed(shapes[:1], [(30, 0)], FULL)


@pytest.mark.parametrize("threshold", [0.03, 0.2, 0.011, 0.9, 2.0])
def test_bisection_finds_thresholds_of_all_features_at_once(threshold):
    thresholds = threshold * np.array([1.0, 1.7, 0.4])
    ladder = np.geomspace(0.02, 1.0, 4)
    found = smallest_holding(
        lambda contrasts, chosen: contrasts >= thresholds[chosen], ladder, 3, halvings=12
    )
    expected = np.where(thresholds <= 0.02, BELOW, np.where(thresholds > 1.0, ABOVE, BETWEEN))
    assert found.censored.tolist() == expected.tolist()
    inside = expected == BETWEEN
    np.testing.assert_allclose(found.contrast[inside], thresholds[inside], rtol=1e-3)
    assert (found.tried[inside] < thresholds[inside]).all()
    assert (found.contrast[inside] >= thresholds[inside]).all()
    assert np.isnan(found.contrast[~inside]).all()
    assert np.isnan(found.tried[~inside]).all()


def test_what_does_not_hold_at_a_larger_rung_does_not_count():
    def holds(contrasts, chosen):
        return (contrasts < 0.05) | (contrasts > 0.3)

    found = smallest_holding(holds, np.geomspace(0.01, 1.0, 5), 1, halvings=10)
    assert found.contrast == pytest.approx(0.3, rel=1e-2)
    assert found.censored == BETWEEN


@pytest.mark.parametrize("coils", ["maps", "constant"])
def test_survival_is_of_what_coils_see(coils):
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(3, *FULL, generator=generator, dtype=torch.complex128)
    operator = CoilFourier(mask=WHOLE, coil_maps=maps)
    images = maps * torch.randn(FULL, generator=generator, dtype=torch.complex128)
    truth = Truth(
        torch.linalg.vector_norm(images, dim=0),
        (maps.conj() * images).sum(0),
        images.sum(0),
        maps.abs().square().sum(0),
        3,
    )
    features = 0.3 * placed(first_shapes(3).double(), [(4, 5), (14, 12), (1, 1), (20, 3), (9, 22)], FULL)
    kspace = torch.fft.fftshift(
        torch.fft.fft2(torch.fft.ifftshift(images, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
    )
    data = with_features(kspace, operator, truth, features, coils)
    assert data.shape == (5, 3, *FULL)
    altered = torch.linalg.vector_norm(
        torch.fft.fftshift(
            torch.fft.ifft2(torch.fft.ifftshift(data, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
        ),
        dim=1,
    )
    # All coils are fully sampled, so that the RSS image shows all there is to be seen.
    shown = survival(altered - truth.reference, truth, features, coils)
    torch.testing.assert_close(shown, torch.ones(5, dtype=torch.float64))
    half = survival(0.5 * (altered - truth.reference), truth, features, coils)
    torch.testing.assert_close(half, torch.full((5,), 0.5, dtype=torch.float64))


def test_a_planted_loss_is_the_worst_place_and_its_survival_the_share():
    kept = torch.ones(FULL, dtype=torch.float64)
    kept[16:, :14], kept[16:, 14:] = 0.3, 0.7
    scene, names = scene_of(object_image(), WHOLE, Kept(kept))
    found = WorstFeature(size=2, spacing=6, steps=3, lattices=2, halvings=3).findings(scene)
    rows = rows_of(found)
    assert len(names) == len(set(names))
    worst, best = rows["worst", "window"], rows["best", "window"]
    assert (worst["row"] >= 16, worst["column"] < 14) == (True, True)
    assert worst["survival"] == pytest.approx(0.3, rel=1e-5)
    assert best["survival"] == pytest.approx(1.0, rel=1e-5)
    # Of a linear method on a real image it is the same at all contrasts: never, or always.
    assert (worst["censored"], best["censored"]) == (ABOVE, BELOW)
    np.testing.assert_allclose(np.ptp(found.images["survivals"], axis=0), 0.0, atol=1e-5)


def test_a_soft_threshold_keeps_bright_features_from_a_known_contrast_on():
    image = torch.zeros(FULL, dtype=torch.float64)
    image[2:30, 2:26] = 0.06
    image[0, 0] = 1.0
    scene, _ = scene_of(image, WHOLE, SoftThreshold(0.1))
    found = WorstFeature(size=2, spacing=8, halvings=8, steps=4).findings(scene)
    for row in rows_of(found).values():
        # (0.06 + c − 0.1)·c ≥ ½c² for every pixel of a window.
        if row["shape"] == "window":
            assert row["contrast"] == pytest.approx(0.08, rel=0.02)
        assert row["tried"] < row["contrast"]
    # Fainter pixels beside the brightest are lost as well.
    assert rows_of(found)["worst", "worst shape"]["contrast"] > 0.08


def test_a_soft_threshold_takes_nothing_from_dark_features_far_above_it():
    image = torch.zeros(FULL, dtype=torch.float64)
    image[2:30, 2:26] = 1.0
    scene, _ = scene_of(image, WHOLE, SoftThreshold(0.05))
    rows = rows_of(WorstFeature(size=2, spacing=8, dark=True, most=0.8).findings(scene))
    assert {row["censored"] for row in rows.values()} == {BELOW}


def test_on_air_a_soft_threshold_keeps_features_from_exactly_twice_it_on():
    threshold, at = 0.07, (3, 4)
    scene, _ = scene_of(
        torch.nn.functional.pad(torch.ones(1, 1, dtype=torch.float64), (0, 27, 0, 31)),
        WHOLE,
        SoftThreshold(threshold),
    )
    kind = WorstFeature(size=3)

    def holds(contrasts, chosen):
        shapes = first_shapes(3).double()[chosen]
        amplitudes = torch.from_numpy(contrasts)
        return kind._survivals(scene, shapes, [at] * len(chosen), amplitudes, "any") >= 0.5

    found = smallest_holding(holds, kind.ladder, 5, halvings=12)
    np.testing.assert_allclose(found.contrast, 2 * threshold, rtol=1e-3)


@pytest.mark.parametrize("method", [ZeroFilled(), Tikhonov(weight=0.05, tolerance=1e-10)])
def test_the_worst_shape_of_a_linear_method_is_that_of_brute_force(method):
    scene, _ = scene_of(object_image(), columns(), method)
    place, starts = (10, 11), first_shapes(2).double()
    found = shapes_shown_least(scene, place, 0.2, starts, coils="maps", steps=60)
    # K of s(u) = ⟨u, K u⟩/‖u‖², pixel by pixel.
    pixels = torch.eye(4, dtype=torch.float64).reshape(4, 2, 2)
    data = with_features(scene.kspace, scene.operator, scene.truth, placed(pixels, [place] * 4, FULL), "maps")
    change = (method(data, scene.operator) - scene.clean).real[:, 10:12, 11:13].reshape(4, 4)
    grid = np.array([u for u in itertools.product(np.linspace(0, 1, 21), repeat=4) if max(u) == 1.0])
    values = np.einsum("ni,ij,nj->n", grid, change.numpy(), grid) / np.square(grid).sum(axis=1)
    shown = WorstFeature(size=2)._survivals(
        scene, found.shapes, [place] * len(starts), torch.full((len(starts),), 0.2), "any"
    )
    assert shown.min() < values.min() + 1e-3
    # The search beats what it began with, and its descent is that of the survival itself.
    first = WorstFeature(size=2)._survivals(
        scene, starts, [place] * len(starts), torch.full((len(starts),), 0.2), "any"
    )
    assert (shown <= first + 1e-9).all()


@pytest.mark.parametrize("dark", [False, True])
def test_total_variation_shrinks_an_isolated_square_by_its_perimeter(dark):
    # On flat ground each of the k² pixels of the feature loses λ·4k/k².
    weight, size, shape = 0.02, 3, (16, 16)
    image = torch.ones(shape, dtype=torch.float64)
    method = TotalVariation(weight=weight, coupling="split", tolerance=1e-6)
    scene, _ = scene_of(image, torch.ones(shape, dtype=torch.bool), method)
    kind = WorstFeature(
        size=size, dark=dark, least=0.03, most=0.4, spacing=7, steps=1, rungs=3, halvings=6, lattices=1
    )
    rows = rows_of(kind.findings(scene))
    for place in PLACES:
        assert rows[place, "window"]["contrast"] == pytest.approx(2 * weight * 4 / size, rel=0.03)
    # A shape with more perimeter for its area is lost up to a larger contrast: for one pixel 8λ.
    assert rows["worst", "worst shape"]["contrast"] > 1.5 * rows["worst", "window"]["contrast"]


@pytest.mark.parametrize("make", [coil_scene, lambda method: scene_of(object_image(), columns(), method)])
def test_losses_of_linear_methods_are_those_of_every_window_alone(make):
    scene, names = make(Tikhonov(weight=0.05, tolerance=1e-10))
    windows = lattice(scene.truth.shape, [2], 7, np.random.default_rng(1))
    found = places_by_loss(scene, [windows], 0.2, "maps", name="any")
    assert names == ["clean"]
    assert len(found) == len(windows)
    assert found.loss.tolist() == sorted(found.loss.tolist(), reverse=True)
    for index in (0, len(found) - 1):
        row, column = found.at(index)
        feature = 0.2 * placed(torch.ones(1, 2, 2).double(), [(row, column)], scene.truth.shape)
        data = with_features(scene.kspace, scene.operator, scene.truth, feature, "maps")
        wanted = scene.truth.with_feature(feature, "maps") - scene.truth.reference
        change = scene.reconstructed(data, "alone") - scene.without
        inside = (slice(None), slice(row, row + 2), slice(column, column + 2))
        expected = (change - wanted)[inside].square().sum() / wanted[inside].square().sum()
        assert float(found.loss[index]) == pytest.approx(float(expected), rel=1e-5)


def test_methods_that_return_moduli_on_coils_are_searched_too():
    scene, names = coil_scene(RootSumOfSquares(), dtype=torch.complex64)
    kind = WorstFeature(size=2, spacing=7, steps=4, halvings=2)
    rows = rows_of(kind.findings(scene))
    assert len(names) == len(set(names))
    assert rows["worst", "worst shape"]["survival"] <= rows["worst", "window"]["survival"] + 1e-6
    assert rows["worst", "worst shape"]["searched"] == 1


def test_methods_without_derivative_have_the_first_shapes_alone():
    kept = torch.ones(FULL, dtype=torch.float64)
    scene, _ = scene_of(object_image(), WHOLE, Opaque(kept))
    found = WorstFeature(size=2, spacing=8).findings(scene)
    assert found.about["searched"] is False
    assert found.columns["searched"].tolist() == [0] * 4
    shape = torch.from_numpy(found.images["shape"])
    assert any(torch.equal(shape, start.to(shape)) for start in first_shapes(2))


@pytest.mark.parametrize("dark", [False, True])
def test_shapes_are_searched_where_the_object_is_zero_too(dark):
    image = torch.zeros(FULL, dtype=torch.float64)
    image[10, 10], image[5, 5] = 1.0, 0.2
    kept = torch.ones(FULL, dtype=torch.float64)
    kept[10, 11] = 0.1
    scene, _ = scene_of(image, WHOLE, Kept(kept))
    amplitude, starts = (-0.2 if dark else 0.2), first_shapes(3).double()
    found = shapes_shown_least(scene, (9, 9), amplitude, starts, coils="maps", steps=20)
    shown = WorstFeature()._survivals(
        scene, found.shapes, [(9, 9)] * 5, torch.full((5,), amplitude, dtype=torch.float64), "any"
    )
    # The pixel that is lost alone, of whose surroundings the object has nothing.
    assert shown.min() == pytest.approx(0.1, abs=0.02)
    least = found.shapes[int(shown.argmin())]
    assert float(least[1, 2]) == pytest.approx(1.0)


def test_an_image_without_an_object_has_no_rows():
    image = torch.zeros(FULL, dtype=torch.float64)
    image[0, 0] = 1.0
    scene, _ = scene_of(image, WHOLE, Kept(torch.ones(FULL, dtype=torch.float64)))
    kind = WorstFeature(size=2, spacing=27, lattices=1)
    found = kind.findings(scene)
    assert found.about["windows"] == 0
    assert kind.table(pd.DataFrame(dict(found.columns))).empty


def test_findings_are_the_same_again_and_have_their_words():
    scene, _ = scene_of(object_image(), columns(), Tikhonov(weight=0.05))
    kind = WorstFeature(size=2, spacing=8, steps=2, halvings=1)
    first, second = (kind.findings(scene) for _ in range(2))
    for name, values in first.columns.items():
        np.testing.assert_array_equal(values, second.columns[name])
    assert len({len(values) for values in first.columns.values()}) == 1
    assert set(rows_of(first)) == {("worst", "worst shape"), *((place, "window") for place in PLACES)}
    assert {shape for _, shape in rows_of(first)} == set(SHAPES)
    order = [rows_of(first)[place, "window"]["loss"] for place in PLACES]
    assert order == sorted(order, reverse=True)
    worst = rows_of(first)["worst", "worst shape"]
    assert worst["survival"] <= rows_of(first)["worst", "window"]["survival"] + 1e-6
    assert not math.isnan(worst["survival"])


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"least": 0.5, "most": 0.5}, "expected least below most, got 0.5 and 0.5"),
        ({"size": 16}, "expected spacing above the size 16, got 16"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments, wrong):
    with pytest.raises(ValueError, match=wrong):
        WorstFeature(**arguments)

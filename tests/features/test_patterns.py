"""The smallest perturbations that make a pattern appear or hide one: closed forms and planted methods."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.features.crossings import ABOVE, BELOW, BETWEEN
from mrilib.features.kinds.pattern import Appear, Hide, annotated_feature
from mrilib.features.maps import embedded
from mrilib.features.patterns import Pattern, SmallestSearch, matched
from mrilib.operators.base import ifft2c
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from tests.features.planted import (
    FULL,
    Kept,
    Opaque,
    RootSumOfSquares,
    coil_scene,
    columns,
    object_image,
    scene_of,
)

WHOLE = torch.ones(FULL, dtype=torch.bool)
LINEAR = {
    "zero-filled": ZeroFilled(),
    # Of small weight, so that its best direction is not that of the zero-filled image.
    "Tikhonov": Tikhonov(weight=0.02, tolerance=1e-10),
}
FINE = {"least": 1e-3, "most": 0.3, "rungs": 4, "halvings": 4}
BOX = {"label": "cyst", "row": 10, "column": 9, "height": 4, "width": 5}


def with_box(depth=0.3):
    image = object_image()
    image[10:14, 9:14] += depth
    return image


def closed_form(scene, weights, wanted):
    """Smallest `‖z‖/‖y‖` of a linear method whose image is far above 0: `wanted/‖Rᴴ(w u)‖`, `u` its phase.

    Of one coil `R` is written out as a matrix, of several its adjoint is applied.
    """
    operator, phase = scene.operator, torch.sgn(scene.clean)
    if operator.kspace_axes > 2:
        right = operator.seen(weights * phase)
        slope = operator.forward(dense_inverse(scene, right) if isinstance(scene.method, Tikhonov) else right)
    else:
        basis = torch.eye(weights.numel(), dtype=torch.complex128).reshape(-1, *FULL)
        images = scene.method(basis[operator.mask.flatten()], operator)
        # ⟨Re R z, w⟩ of every entry of z, and of i times it.
        along = torch.stack([(phase.conj() * each).real for each in (images, 1j * images)])
        slope = (along * weights).sum(dim=(-2, -1))
    return wanted / float(slope.norm()) / float(scene.kspace.norm())


def dense_inverse(scene, right):
    """`(AᴴA + λ)⁻¹` of an image, `A` written out."""
    pixels = torch.eye(right.numel(), dtype=torch.complex128).reshape(-1, *FULL)
    matrix = scene.operator.forward(pixels).flatten(1).T
    normal = matrix.conj().T @ matrix + scene.method.weight * torch.eye(right.numel())
    return torch.linalg.solve(normal, right.flatten()).reshape(FULL)


@pytest.mark.parametrize("method", LINEAR.values(), ids=LINEAR)
def test_the_smallest_that_makes_a_feature_appear_is_that_of_the_closed_form(method):
    scene, names = scene_of(object_image(), columns(), method)
    found = Appear(size=2, contrast=0.1, places=2, steps=15, **FINE).findings(scene)
    assert len(names) == len(set(names))
    for number in range(2):
        place = {name: found.columns[name][number] for name in found.columns}
        pattern = torch.zeros(FULL, dtype=torch.float64)
        pattern[place["row"] : place["row"] + 2, place["column"] : place["column"] + 2] = 0.1 * scene.peak
        expected = closed_form(scene, pattern, 0.5 * float(pattern.square().sum()))
        assert place["level"] == pytest.approx(expected, rel=0.02)
        assert place["level"] >= 0.999 * expected
        assert place["tried"] < place["level"]
        assert (place["censored"], place["searched"], place["response"] >= 1.0) == (BETWEEN, 1, True)


@pytest.mark.parametrize("method", LINEAR.values(), ids=LINEAR)
def test_the_smallest_that_hides_a_feature_is_that_of_the_closed_form(method):
    scene, _ = scene_of(with_box(), columns(), method, boxes=[BOX])
    kind = Hide(steps=15, **FINE)
    found = kind.findings(scene)
    _, weights = annotated_feature(scene.measurement.reference, BOX, kind.margin)
    presence = float((scene.without * weights).sum())
    assert found.columns["presence"][0] == pytest.approx(presence)
    expected = closed_form(scene, weights, 0.5 * presence)
    assert found.columns["level"][0] == pytest.approx(expected, rel=0.02)
    assert found.columns["level"][0] >= 0.999 * expected
    left = float((torch.from_numpy(found.images["perturbed"]) * weights).sum())
    assert left <= 0.5 * presence * (1 + 1e-5)


@pytest.mark.parametrize("method", [ZeroFilled(), Tikhonov(weight=0.3, tolerance=1e-6)])
def test_with_coils_the_norm_is_that_of_all_and_the_reference_may_be_cropped(method):
    scene, _ = coil_scene(method)
    kind = Appear(size=2, contrast=0.1, places=1, steps=8, halvings=3)
    found = kind.findings(scene).columns
    pattern = torch.zeros(scene.truth.shape, dtype=torch.float64)
    row, column = int(found["row"][0]), int(found["column"][0])
    pattern[row : row + 2, column : column + 2] = 0.1 * scene.peak
    expected = closed_form(scene, embedded(pattern, FULL), 0.5 * float(pattern.square().sum()))
    assert found["level"][0] == pytest.approx(expected, rel=0.03)
    assert found["level"][0] >= 0.999 * expected


def test_methods_that_return_moduli_are_searched_too():
    box = BOX | {"row": 6, "column": 5}
    scene, _ = coil_scene(RootSumOfSquares(), boxes=[box], dtype=torch.complex64)
    for kind in (Appear(size=2, places=1), Hide()):
        found = kind.findings(scene)
        assert found.columns["censored"].tolist() == [BETWEEN]
        assert found.images["perturbed"].shape == found.images["picture"].shape == (24, 20)


def test_the_search_finds_what_the_matched_direction_does_not():
    class Sheared(Reconstructor):
        """The image, to which it is added once more, shifted: what is best for `Aᴴ` is not for it."""

        def __call__(self, kspace, operator):
            image = ifft2c(kspace)
            return image + 2.0 * image.roll(5, dims=-1)

    class Blind(Sheared):
        search = None

    numbers = {}
    for method in (Sheared(), Blind()):
        scene, _ = scene_of(object_image(), WHOLE, method)
        kind = Appear(size=2, contrast=0.1, places=1, **FINE | {"halvings": 7})
        numbers[type(method).__name__] = kind.findings(scene).columns
    seen, blind = numbers["Sheared"], numbers["Blind"]
    assert (seen["searched"][0], blind["searched"][0]) == (1, 0)
    # ‖Rᴴw‖ is √(1 + 4)‖w‖, of which the matched direction has 1.
    assert blind["level"][0] / seen["level"][0] == pytest.approx(math.sqrt(5.0), rel=0.03)


class Kinked(Reconstructor):
    """A method that shows nothing of a change below a threshold, pixel by pixel."""

    def __init__(self, image, threshold):
        self.image, self.threshold = image, threshold

    def __call__(self, kspace, operator):
        change = ifft2c(kspace) - self.image
        size = change.abs()
        return self.image + torch.sgn(change) * (size - self.threshold).clamp(min=0.0)


def test_a_planted_threshold_moves_the_level_as_it_should():
    image, threshold = object_image(), 0.2
    levels = {}
    for value in (0.0, threshold):
        scene, _ = scene_of(image, WHOLE, Kinked(image, value))
        kind = Appear(size=2, contrast=0.2, places=1, **FINE)
        levels[value] = float(kind.findings(scene).columns["level"][0])
    # All four pixels need a change of half the pattern beside the threshold, or two pixels a larger one.
    half = 0.1 * scene.peak
    assert levels[0.0] == pytest.approx(2 * half / float(scene.kspace.norm()), rel=0.02)
    ratio = levels[threshold] / levels[0.0]
    fewest = min((threshold + 4 / n * half) * math.sqrt(n) for n in (1, 2, 3, 4)) / (2 * half)
    assert 0.98 * fewest <= ratio <= 1.02 * (threshold + half) / half


def test_ends_are_told():
    scene, _ = scene_of(object_image(), WHOLE, Kept(1.0))
    common = {"size": 2, "contrast": 0.1, "places": 1, "rungs": 3, "halvings": 2}
    below = Appear(least=0.2, most=0.9, **common).findings(scene).columns
    above = Appear(least=1e-6, most=1e-5, **common).findings(scene).columns
    assert (below["censored"][0], above["censored"][0]) == (BELOW, ABOVE)
    assert np.isnan([below["level"][0], above["level"][0], below["tried"][0]]).all()
    assert above["tried"][0] == pytest.approx(1e-5)
    assert above["response"][0] < 1.0 <= below["response"][0]


def test_perturbations_lie_on_the_mask_and_have_the_level():
    scene, _ = scene_of(object_image(), columns(), LINEAR["Tikhonov"])
    weights = torch.zeros(FULL, dtype=torch.float64)
    weights[10:12, 11:13] = 0.2
    search = SmallestSearch(np.geomspace(1e-3, 0.3, 4), 8, 4)
    found = search.found(scene, Pattern(weights, 0.08), scene.seed, "any")
    assert float((found.perturbation * ~scene.operator.mask).abs().max()) == 0.0
    norm = float(found.perturbation.norm() / scene.kspace.norm())
    assert norm == pytest.approx(found.level, rel=1e-5)
    change = scene.reconstructed(scene.kspace + found.perturbation, "again") - scene.without
    assert float((change * weights).sum()) / 0.08 == pytest.approx(found.response)
    again = search.found(scene, Pattern(weights, 0.08), scene.seed, "any")
    assert again.level == found.level
    assert float(matched(scene, weights).norm()) == pytest.approx(1.0)


def test_boxes_that_hold_no_small_feature_are_left_out_and_counted():
    image = with_box()
    boxes = [
        BOX | {"row": 8, "column": 5, "height": 20, "width": 20},
        BOX | {"row": 0, "column": 0, "height": 1, "width": 1},
        BOX,
    ]
    image[:5, :5] = 1.0
    kept = torch.ones(FULL, dtype=torch.float64)
    scene, _ = scene_of(image, WHOLE, Kept(kept), boxes=boxes)
    found = Hide(steps=2, halvings=1).findings(scene)
    assert found.columns["box"].tolist() == [2]
    assert (found.about["boxes"], found.about["left_out"]) == (3, 2)
    # A method that shows the contrary has nothing to hide.
    kept[10:14, 9:14] = 0.3
    scene, _ = scene_of(image, WHOLE, Kept(kept), boxes=[BOX])
    found = Hide().findings(scene)
    assert found.about["left_out"] == 1
    assert Hide().table(pd.DataFrame(dict(found.columns))).empty


def test_the_presence_of_a_feature_is_one_in_the_reference_on_flat_ground():
    image = torch.full(FULL, 0.5, dtype=torch.float64)
    image[10:14, 9:14] += 0.1 * torch.rand(4, 5, dtype=torch.float64)
    feature, weights = annotated_feature(image, BOX, 3)
    assert float((image * weights).sum()) == pytest.approx(1.0)
    # What is added everywhere is no feature.
    assert float(weights.sum()) == pytest.approx(0.0, abs=1e-12)
    assert float((feature > 0).sum()) == 20
    with pytest.raises(ValueError, match="expected a box inside of 32×28 pixels, got 4×5 from"):
        annotated_feature(image, BOX | {"row": 30}, 3)


def test_methods_without_derivative_say_so():
    scene, _ = scene_of(with_box(), WHOLE, Opaque(1.0), boxes=[BOX])
    for kind in (Appear(size=2, places=1), Hide()):
        found = kind.findings(scene)
        assert (found.about["searched"], found.columns["searched"].tolist()) == (False, [0])
        assert set(found.images) == {"perturbed", "picture", "pattern"}


@pytest.mark.parametrize("contrast", [0.1, -0.1])
def test_bright_and_dark_features_appear_alike_on_real_ground(contrast):
    scene, _ = scene_of(object_image(), WHOLE, Kept(1.0))
    found = Appear(size=2, contrast=contrast, places=1, **FINE).findings(scene).columns
    expected = 0.05 * scene.peak * 2 / float(scene.kspace.norm())
    assert found["level"][0] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "arguments", "wrong"),
    [
        (Appear, {"contrast": 0.0}, "expected a contrast above or below 0, got 0"),
        (Hide, {"least": 0.1, "most": 0.1}, "expected least below most, got 0.1 and 0.1"),
    ],
)
def test_arguments_that_do_not_fit_are_told(kind, arguments, wrong):
    with pytest.raises(ValueError, match=wrong):
        kind(**arguments)

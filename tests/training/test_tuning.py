import numpy as np
import pytest
import torch

from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.metrics.quality import relative_error
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.sparse import TotalVariation
from mrilib.training.tuning import gaussian_noise, tune_weight

SIZE = 32
WEIGHTS = np.logspace(-3.5, 0, 8).tolist()


@pytest.fixture(scope="module")
def operator():
    return MaskedFourier(mask=radial_mask(SIZE, 12))


def test_noise_has_the_level_in_the_mean_and_stays_on_the_mask(operator):
    kspace = operator.forward(ellipse_phantoms(200, size=SIZE, seed=1))
    noise = gaussian_noise(kspace, operator, 0.1, [0])
    assert not (noise * ~operator.mask).abs().any()
    ratio = (noise.abs().square().sum((1, 2)) / kspace.abs().square().sum((1, 2))).mean().sqrt()
    # m = 300 entries and 200 draws: the relative sd of the mean is 0.2 %
    assert float(ratio) == pytest.approx(0.1, rel=0.01)


def test_the_path_finds_the_weight_that_separate_solves_find(operator):
    images = ellipse_phantoms(2, size=SIZE, seed=2)
    found = tune_weight(
        lambda weight: TotalVariation(weight=weight), images, operator, level=0.05, weights=WEIGHTS, seed=4
    )
    kspace = operator.forward(images)
    kspace = kspace + gaussian_noise(kspace, operator, 0.05, [4])
    alone = [
        float(relative_error(TotalVariation(weight=weight)(kspace, operator), images).mean())
        for weight in WEIGHTS
    ]
    assert found.chosen == WEIGHTS[int(np.argmin(alone))]
    assert found.weights == sorted(WEIGHTS, reverse=True)[: len(found.weights)]
    # Both are certified to 1e-5 from different starts.
    np.testing.assert_allclose(found.errors.mean(1), sorted_like(found.weights, alone), rtol=2e-3)
    assert not found.at_edge
    assert found.unconverged == [0] * len(found.weights)


def sorted_like(weights, errors):
    return [errors[WEIGHTS.index(weight)] for weight in weights]


def test_the_edge_of_the_grid_is_told(operator):
    images = ellipse_phantoms(1, size=SIZE, seed=2)
    found = tune_weight(
        lambda weight: TotalVariation(weight=weight), images, operator, level=0.05, weights=[0.5, 1.0], seed=4
    )
    assert found.at_edge
    assert found.chosen == 0.5


def test_wrong_arguments_are_refused(operator):
    images = ellipse_phantoms(1, size=SIZE, seed=2)
    for level, weights in ((-0.1, [1.0]), (0.1, []), (0.1, [0.0])):
        with pytest.raises(ValueError, match="tune_weight: expected"):
            tune_weight(
                lambda weight: TotalVariation(weight=weight),
                images,
                operator,
                level=level,
                weights=weights,
                seed=0,
            )


def test_the_choice_does_not_depend_on_the_images_scale(operator):
    images = ellipse_phantoms(1, size=SIZE, seed=2)

    def choice(scale):
        return tune_weight(
            lambda weight: TotalVariation(weight=weight * scale),
            images * scale,
            operator,
            level=0.05,
            weights=WEIGHTS,
            seed=4,
        ).chosen

    assert choice(1.0) == choice(1e4)
    assert torch.isfinite(torch.tensor(choice(1.0)))

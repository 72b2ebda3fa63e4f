import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.data.measurement import Measurement, measure_image
from mrilib.metrics.quality import relative_error
from mrilib.operators.base import ifft2c
from mrilib.operators.bases import Cosine, Wavelet
from mrilib.operators.coil_images import center_crop, rss
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.solution import Solution, Status
from mrilib.store import unfinished
from mrilib.training.tuning import gaussian_noise, tune
from tests.reconstructors.scenes import multicoil

SIZE = 32
WEIGHTS = np.logspace(-3.5, 0, 8).tolist()
MASK = radial_mask(SIZE, 12)


@pytest.fixture(scope="module")
def operator():
    return MaskedFourier(mask=MASK)


def phantoms(count, size=SIZE, mask=MASK):
    return [measure_image(image, mask) for image in ellipse_phantoms(count, size=size, seed=2)]


def scans(count):
    """Scans of three coils, whose references are smaller than their images."""
    found = []
    for index in range(count):
        full, everything = multicoil((16, 16), seed=index, dtype=torch.complex64, mask=torch.ones(16) > 0)
        mask = torch.rand(16, generator=torch.Generator().manual_seed(index)) < 0.5
        mask[6:10] = True
        reference = rss(ifft2c(full))
        found.append(
            Measurement(
                kspace=full * mask,
                mask=mask,
                coil_maps=everything.coil_maps,
                reference=center_crop(reference, (12, 10)),
                scale=1.0,
                maximum=float(reference.max()),
            )
        )
    return found


def test_noise_has_the_level_in_the_mean_and_stays_on_the_mask(operator):
    kspace = operator.forward(ellipse_phantoms(200, size=SIZE, seed=1))
    noise = gaussian_noise(kspace, operator, 0.1, [0])
    assert not (noise * ~operator.mask).abs().any()
    ratio = (noise.abs().square().sum((1, 2)) / kspace.abs().square().sum((1, 2))).mean().sqrt()
    # m = 300 entries and 200 draws: the relative sd of the mean is 0.2 %
    assert float(ratio) == pytest.approx(0.1, rel=0.01)


def test_noise_of_coils_has_the_level_over_all_of_them():
    kspace, operator = multicoil((16, 16), coils=4, dtype=torch.complex64)
    batch = torch.stack([scale * kspace for scale in np.linspace(1.0, 2.0, 100)])
    noise = gaussian_noise(batch, operator, 0.1, [0])
    assert noise.shape == batch.shape
    assert not (noise * ~operator.mask).abs().any()
    energy = noise.abs().double().square()
    eta = 0.1 * operator.kspace_norm(batch).double()
    # C·m is at least 4·48, and 100 draws: the relative sd of the mean is 0.4 %
    assert float((energy.sum((1, 2, 3)) / eta.square()).mean().sqrt()) == pytest.approx(1.0, rel=0.015)
    # every entry of the mask has one variance, whichever coil has it
    variance = energy / eta.square()[:, None, None, None] * (4 * operator.samples)
    np.testing.assert_allclose(variance.sum((0, 2, 3)) / (100 * operator.samples), 1.0, rtol=0.05)


def test_noise_of_a_single_coil_has_the_numbers_that_it_always_had(operator):
    """The formula itself, in float64 but for the draw."""
    kspace = operator.forward(ellipse_phantoms(3, size=SIZE, seed=1))
    draw = np.random.default_rng([4]).standard_normal((3, SIZE, SIZE, 2), dtype=np.float32).astype(float)
    norms = np.sqrt((np.abs(kspace.numpy().astype(complex)) ** 2).sum((1, 2)))
    deviation = 0.05 * norms / np.sqrt(2 * operator.samples)
    expected = (draw[..., 0] + 1j * draw[..., 1]) * MASK.numpy() * deviation[:, None, None]
    found = gaussian_noise(kspace, operator, 0.05, [4]).numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


def test_the_path_finds_the_weight_that_separate_solves_find(operator):
    measurements = phantoms(2)
    found = tune(
        lambda weight: TotalVariation(weight=weight),
        measurements,
        level=0.05,
        weights=WEIGHTS,
        seed=4,
        name="level 0.05",
    )
    images = torch.stack([measurement.reference for measurement in measurements])
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


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_scans_are_compared_as_coils_see_them_in_the_middle_of_the_image(level):
    """The slow reference: a plain loop over weights and scans, with the steps of the path written out."""
    measurements = scans(2)
    weights = [0.3, 0.1, 0.03, 0.01]
    found = tune(
        lambda weight: Tikhonov(weight=weight, tolerance=1e-6),
        measurements,
        level=level,
        weights=weights,
        seed=7,
        name="scans",
    )
    expected = []
    for weight in found.weights:
        row = []
        for index, measurement in enumerate(measurements):
            maps = measurement.coil_maps
            operator = CoilFourier(mask=measurement.mask, coil_maps=maps)
            kspace = measurement.kspace
            if level:
                kspace = kspace + gaussian_noise(kspace, operator, level, [7, index])
            image = Tikhonov(weight=weight, tolerance=1e-6)(kspace, operator)
            seen = (maps * image).abs().square().sum(0).sqrt()[2:14, 3:13]
            row.append(float((seen - measurement.reference).norm() / measurement.reference.norm()))
        expected.append(row)
    np.testing.assert_allclose(found.errors, expected, rtol=1e-4)
    assert found.chosen == found.weights[int(np.argmin(np.mean(expected, axis=1)))]


def test_single_coils_of_unlike_masks_or_sizes_have_a_draw_each():
    measurements = [*phantoms(1), *phantoms(1, 16, radial_mask(16, 8))]
    found = tune(Weighted, measurements, level=0.1, weights=[1.0], seed=4, name="unlike")
    for index, measurement in enumerate(measurements):
        noise = gaussian_noise(measurement.kspace, measurement.operator, 0.1, [4, index])
        image = measurement.operator.adjoint(measurement.kspace + noise)
        expected = relative_error(image, measurement.reference)
        assert found.errors[0, index] == pytest.approx(float(expected), rel=1e-6)


class Weighted(ZeroFilled):
    """No state, and a weight without effect; a magnitude image is taken as it is."""

    def __init__(self, weight):
        self.weight = weight


class Failing(Weighted):
    """Diverges at the weights above 0.5, or at all."""

    everywhere = False

    def solve(self, kspace, operator, *, start=None, throw=True):
        image = operator.adjoint(kspace)
        if self.everywhere or self.weight > 0.5:
            return Solution(image * torch.nan, Status.NOT_FINITE, {})
        return Solution(image * (1 + self.weight), Status.CONVERGED, {})


def test_a_weight_at_which_a_solve_diverges_is_not_chosen(monkeypatch):
    found = tune(Failing, phantoms(2), level=0.0, weights=[0.1, 0.4, 1.0], seed=4, name="failing")
    assert found.chosen == 0.1
    assert found.unconverged == [2, 0, 0]
    assert np.isnan(found.errors[0]).all()
    monkeypatch.setattr(Failing, "everywhere", True)
    images = [replace(each, about={"volume": "one", "slice": 7}) for each in phantoms(2)]
    message = (
        "no weight has finite errors on all 2 measurements, and none on 2 of them, first slice 7 of one;"
    )
    with pytest.raises(FloatingPointError, match=f"tune: failing: {message}"):
        tune(Failing, images, level=0.0, weights=[0.1, 1.0], seed=4, name="failing")


class Off(Weighted):
    """Its relative error is |weight − 4|."""

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace) * (1 + abs(self.weight - 4))


def test_the_path_ends_at_the_first_weight_that_is_far_worse_than_the_best():
    measurements = phantoms(2, 16, torch.ones(16, 16) > 0)
    weights = [0.5, 7.0, 3.0, 2.76, 2.74, 6.0, 5.0]
    found = tune(Off, measurements, level=0.0, weights=weights, seed=4, name="off")
    # 2.76 is 1.24 times as far off as 3 and 5, 2.74 is 1.26 times
    assert found.weights == [7.0, 6.0, 5.0, 3.0, 2.76, 2.74]
    np.testing.assert_allclose(found.errors.T, 2 * [[3, 2, 1, 1, 1.24, 1.26]], rtol=1e-5)
    assert found.chosen in (5.0, 3.0)
    assert not found.at_edge


def test_the_edge_of_the_grid_is_told():
    found = tune(
        lambda weight: TotalVariation(weight=weight),
        phantoms(1),
        level=0.05,
        weights=[0.5, 1.0],
        seed=4,
        name="edge",
    )
    assert found.at_edge
    assert found.chosen == 0.5


def test_wrong_arguments_are_refused():
    for level, weights, images in ((-0.1, [1.0], 1), (0.1, [], 1), (0.1, [0.0], 1), (0.1, [1.0], 0)):
        with pytest.raises(ValueError, match="tune: expected"):
            tune(Weighted, phantoms(images), level=level, weights=weights, seed=0, name="wrong")


def test_the_choice_does_not_depend_on_the_images_scale():
    def choice(scale):
        return tune(
            lambda weight: TotalVariation(weight=weight * scale),
            [measure_image(image * scale, MASK) for image in ellipse_phantoms(1, size=SIZE, seed=2)],
            level=0.05,
            weights=WEIGHTS,
            seed=4,
            name="scaled",
        ).chosen

    assert choice(1.0) == choice(1e4)
    assert torch.isfinite(torch.tensor(choice(1.0)))


def interrupted(call, monkeypatch, kind, solves):
    """Whether `call`, killed at the given solve, came to it; and how many solves it did."""
    original, done = kind.solve, [0]

    @functools.wraps(original)
    def solve(*given, **named):
        if done[0] == solves:
            raise KeyboardInterrupt
        done[0] += 1
        return original(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "solve", solve)
        try:
            call()
        except KeyboardInterrupt:
            return True, done[0]
    return False, done[0]


def equal(found, expected):
    assert np.array_equal(found.errors, expected.errors)
    assert (found.weights, found.chosen, found.at_edge, found.unconverged) == (
        expected.weights,
        expected.chosen,
        expected.at_edge,
        expected.unconverged,
    )
    return True


GRID = np.logspace(-2, -0.5, 4).tolist()
# what is tuned, on what, at which levels
CASES = {
    "tv": (TotalVariation, {"tolerance": 1e-3}, lambda: phantoms(3, 16, radial_mask(16, 8)), 0.05),
    "tv-clean": (TotalVariation, {"tolerance": 1e-3}, lambda: phantoms(2, 16, radial_mask(16, 8)), 0.0),
    "coil-tv": (TotalVariation, {"tolerance": 1e-2}, lambda: scans(2), 0.05),
    "coil-tv-gives-up": (TotalVariation, {"tolerance": 1e-9, "max_steps": 15}, lambda: scans(2), 0.05),
    "cosine": (L1, {"basis": Cosine(), "tolerance": 3e-2}, lambda: scans(2), 0.0),
    "wavelet": (L1, {"basis": Wavelet(levels=1), "tolerance": 3e-2}, lambda: scans(2), 0.05),
    "tikhonov": (Tikhonov, {}, lambda: [*scans(1), *phantoms(2, 16, radial_mask(16, 8))], 0.05),
    "none": (Weighted, {}, lambda: phantoms(3, 16, radial_mask(16, 8)), 0.05),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("save_every", [0.0, 3600.0])
def test_a_tuning_that_is_killed_goes_on_and_ends_as_an_undisturbed_one(
    case, save_every, tmp_path, monkeypatch
):
    kind, arguments, measured, level = CASES[case]
    measurements, keep = measured(), tmp_path / "tuning.pt"

    def walk(**given):
        return tune(
            lambda weight: kind(weight=weight, **arguments),
            measurements,
            level=level,
            weights=GRID,
            seed=3,
            name="walk",
            **given,
        )

    expected = walk()
    if case == "coil-tv-gives-up":
        assert sum(expected.unconverged) > 0
    monkeypatch.setattr(unfinished, "SAVE_EVERY", save_every)
    total, count = expected.errors.size, len(measurements)
    generator = np.random.default_rng(list(case.encode()))
    kills = sorted(generator.choice(total, size=3, replace=False).tolist())
    at = 0
    for kill in kills:
        # a kill costs the solve that it hits; those of the weight too if they were not written
        kept = at if save_every == 0.0 else at - at % count
        assert interrupted(lambda: walk(keep=keep), monkeypatch, kind, kill - kept) == (True, kill - kept)
        at = kill
    kept = at if save_every == 0.0 else at - at % count
    assert interrupted(lambda: walk(keep=keep), monkeypatch, kind, -1) == (False, total - kept)
    # all is in the file now, and nothing is solved again
    assert interrupted(lambda: equal(walk(keep=keep), expected), monkeypatch, kind, 0) == (False, 0)
    assert equal(walk(), expected)


def test_starts_make_a_difference_that_a_kill_does_not(tmp_path, monkeypatch):
    """Without its starts a walk would end with other numbers, so the test above says something."""
    measurements = scans(2)
    given = {"level": 0.05, "weights": GRID, "seed": 3, "name": "walk"}

    def make(weight):
        return TotalVariation(weight=weight, tolerance=1e-3)

    class Forgetful(TotalVariation):
        def solve(self, kspace, operator, *, start=None, throw=True):
            return super().solve(kspace, operator, throw=throw)

    forgetful = tune(lambda weight: Forgetful(weight=weight, tolerance=1e-3), measurements, **given)
    assert not np.array_equal(tune(make, measurements, **given).errors, forgetful.errors)


@pytest.mark.parametrize("change", ["data", "level", "seed", "weights", "tolerance", "basis"])
def test_a_file_of_another_tuning_is_told_and_overwritten(change, tmp_path, monkeypatch, capsys):
    keep, measurements = tmp_path / "tuning.pt", scans(2)
    given = {"level": 0.05, "weights": GRID, "seed": 3}
    arguments = {"basis": Cosine(), "tolerance": 3e-2}

    def walk(**more):
        return tune(lambda weight: L1(weight=weight, **arguments), measurements, name="walk", **given, **more)

    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    assert interrupted(lambda: walk(keep=keep), monkeypatch, L1, 3) == (True, 3)
    capsys.readouterr()
    if change == "data":
        measurements[1].reference[0, 0] += 1e-3
    elif change in ("tolerance", "basis"):
        arguments |= {"tolerance": {"tolerance": 2e-2}, "basis": {"basis": Wavelet("db2", levels=1)}}[change]
    else:
        given |= {"level": {"level": 0.06}, "seed": {"seed": 4}, "weights": {"weights": GRID[:3]}}[change]
    expected = walk()
    assert equal(walk(keep=keep), expected)
    assert f"walk begins anew: {keep} holds the state of other work" in capsys.readouterr().out
    assert interrupted(lambda: equal(walk(keep=keep), expected), monkeypatch, L1, 0) == (False, 0)
    assert "walk: goes on after" in capsys.readouterr().out


@dataclass(frozen=True)
class Memory:
    """A state of a user's own method."""

    image: Tensor


class Own(Reconstructor):
    """A user's own method."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace) * (1 + self.weight)

    def solve(self, kspace, operator, *, start=None, throw=True):
        image = self(kspace, operator)
        return Solution(image, Status.CONVERGED, {}, Memory(image))


def test_a_method_whose_state_cannot_be_kept_is_tuned_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    given = {"level": 0.0, "weights": [0.1, 0.2], "seed": 3, "name": "own"}
    expected = tune(Own, phantoms(2), **given)
    assert equal(tune(Own, phantoms(2), keep=tmp_path / "tuning.pt", **given), expected)
    assert capsys.readouterr().out.count("own: after a kill it begins anew") == 1
    assert list(tmp_path.iterdir()) == []

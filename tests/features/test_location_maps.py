"""Maps of where features are lost: exact ones against brute force, and methods whose map is known."""

import pytest
import torch

from mrilib.data.features import feature_window
from mrilib.features.maps import Truth, location_map
from mrilib.features.response import has_responses, window_responses
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.coil_images import center_crop
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled

SIZE, CONTRAST = 3, 0.3
FULL = (32, 28)


def image(shape=FULL):
    generator = torch.Generator().manual_seed(3)
    phase = torch.exp(1j * torch.randn(shape, generator=generator, dtype=torch.float64))
    return (0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)) * phase


def columns(rows=False):
    mask = torch.zeros(FULL, dtype=torch.bool)
    (mask.T if rows else mask)[:, ::3] = True
    (mask.T if rows else mask)[:, 12:17] = True
    return mask


def coils(mask, count=4):
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(count, *FULL, generator=generator, dtype=torch.complex128)
    return CoilFourier(mask=mask, coil_maps=maps / torch.linalg.vector_norm(maps, dim=0))


def truth_of(x, operator, shape=FULL):
    """Of an image that the operator's coils see."""
    seen = center_crop(operator.seen(torch.ones(FULL, dtype=torch.float64)), shape)
    inside = center_crop(x, shape)
    return Truth(inside.abs() * seen, inside * seen**2, seen**2)


OPERATORS = {
    "columns": lambda: coils(columns()),
    "rows": lambda: coils(columns(rows=True)),
    "one coil": lambda: MaskedFourier(mask=columns()),
}
METHODS = {"zero-filled": ZeroFilled(), "Tikhonov": Tikhonov(weight=0.05, tolerance=1e-12)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("named", OPERATORS)
def test_exact_maps_are_what_every_single_feature_gives(named, method):
    operator, x, shape = OPERATORS[named](), image(), (24, 20)
    kspace, truth = operator.forward(x), truth_of(image(), operator, (24, 20))
    arguments = {"size": SIZE, "amplitude": CONTRAST}
    found = location_map(METHODS[method], kspace, operator, truth, **arguments)
    assert found.loss.shape == (22, 18)

    def moduli(data):
        image = operator.seen(METHODS[method](data, operator))
        return center_crop(image.abs(), shape)

    # Every location, by adding the feature to the data and reconstructing.
    places = [(row, column) for row in range(22) for column in range(18)]
    windows = torch.stack([window_at(row + 4, column + 4) for row, column in places])
    kept = center_crop(windows, shape) > 0
    with_feature, without = moduli(kspace + operator.forward(windows)), moduli(kspace)
    wanted = center_crop(operator.seen(x + windows).abs(), shape)

    def square(values):
        return (kept * values).square().sum(dim=(-2, -1)).reshape(22, 18)

    change = square(wanted - truth.reference)
    expected = {
        "loss": square(with_feature - without - wanted + truth.reference) / change,
        "error": square(with_feature - wanted) / change,
        "before": square(without - truth.reference) / change,
    }
    for name, values in expected.items():
        torch.testing.assert_close(getattr(found, name), values, rtol=1e-6, atol=0)


def window_at(row, column):
    return feature_window(FULL, row=row, column=column, size=SIZE, amplitude=CONTRAST).double()


def test_a_lattice_of_one_window_is_the_exact_map_there():
    operator, method = coils(columns()), METHODS["Tikhonov"]
    kspace, truth = operator.forward(image()), truth_of(image(), operator)
    arguments = {"size": SIZE, "amplitude": CONTRAST}
    exact = location_map(method, kspace, operator, truth, **arguments)
    one = location_map(method, kspace, operator, truth, **arguments, spacing=40, shift=(5, 9))
    assert (one.rows.tolist(), one.columns.tolist()) == ([5], [9])
    for name in ("loss", "error", "before"):
        torch.testing.assert_close(getattr(one, name)[0, 0], getattr(exact, name)[5, 9], rtol=1e-6, atol=0)


class Planted(Reconstructor):
    """The image, of which every pixel keeps a share: `rec(y) = w ⊙ Fᴴy`."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, kspace, operator):
        return self.kept * ifft2c(kspace)


def test_a_planted_dependence_on_location_is_the_map():
    operator = MaskedFourier(mask=torch.ones(FULL, dtype=torch.bool))
    kept = torch.linspace(0.2, 1.0, FULL[0], dtype=torch.float64)[:, None].expand(FULL)
    x = image().abs().to(torch.complex128)
    truth = truth_of(x, operator)
    arguments = {"size": SIZE, "amplitude": CONTRAST, "spacing": 4}
    found = location_map(Planted(kept), operator.forward(x), operator, truth, **arguments)
    expected = (1.0 - kept[:, 0]).square().unfold(0, SIZE, 1).mean(dim=-1)[found.rows]
    torch.testing.assert_close(found.loss, expected[:, None].expand_as(found.loss))


class Blurred(Reconstructor):
    """The mean of every pixel and its neighbours in the row."""

    def __call__(self, kspace, operator):
        x = ifft2c(kspace)
        return (x.roll(1, dims=-1) + x + x.roll(-1, dims=-1)) / 3


@pytest.mark.parametrize("amplitude", [CONTRAST, -CONTRAST])
def test_a_known_blur_loses_what_its_kernel_says(amplitude):
    operator = MaskedFourier(mask=torch.ones(FULL, dtype=torch.bool))
    x = torch.ones(FULL, dtype=torch.complex128)
    arguments = {"size": 4, "amplitude": amplitude, "spacing": 8, "shift": (2, 2)}
    found = location_map(Blurred(), operator.forward(x), operator, truth_of(x, operator), **arguments)
    # Of four pixels in a row both ends lose a third.
    torch.testing.assert_close(found.loss, torch.full_like(found.loss, 2 / 9 / 4))
    # On a flat image the error is what is lost of the feature.
    torch.testing.assert_close(found.error, found.loss)


@pytest.mark.parametrize("method", METHODS.values())
def test_what_the_coil_does_not_see_is_lost_by_all(method):
    operator = MaskedFourier(mask=columns())
    generator = torch.Generator().manual_seed(5)
    any_image = torch.randn(FULL, generator=generator, dtype=torch.complex128)
    unseen = any_image - operator.pinv(operator.forward(any_image))
    kspace = operator.forward(image())
    with_feature = kspace + operator.forward(unseen)
    change = method(with_feature, operator) - method(kspace, operator)
    assert float(change.norm() / unseen.norm()) < 1e-3


def test_the_truth_is_the_rss_of_the_altered_coil_images():
    operator, x = coils(columns()), image()
    images = x * operator.coil_maps
    window = torch.zeros(FULL, dtype=torch.float64)
    window[4:7, 5:8] = CONTRAST
    expected = torch.linalg.vector_norm(images + window * operator.coil_maps, dim=0)
    truth = Truth(
        torch.linalg.vector_norm(images, dim=0),
        (operator.coil_maps.conj() * images).sum(0),
        operator.coil_maps.abs().square().sum(0),
    )
    torch.testing.assert_close(truth.with_feature(window), expected)


def test_methods_without_a_response_need_a_lattice():
    operator = MaskedFourier(mask=columns())
    kspace, truth = operator.forward(image()), truth_of(image(), operator)
    method = Blurred()
    assert not has_responses(method, operator)
    with pytest.raises(ValueError, match="expected spacing for Blurred"):
        location_map(method, kspace, operator, truth, size=SIZE, amplitude=CONTRAST)
    with pytest.raises(ValueError, match="expected a linear method"):
        window_responses(method, operator, SIZE)
    with pytest.raises(ValueError, match=r"expected spacing > 3 .* got 3 and \(0, 0\)"):
        location_map(method, kspace, operator, truth, size=SIZE, amplitude=CONTRAST, spacing=3)


def test_coils_under_a_mask_of_no_lines_have_no_exact_map():
    mask = torch.rand(FULL, generator=torch.Generator().manual_seed(1)) < 0.4
    assert not has_responses(ZeroFilled(), coils(mask))
    assert has_responses(ZeroFilled(), MaskedFourier(mask=mask))

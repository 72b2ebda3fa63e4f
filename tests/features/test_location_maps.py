"""Errors in small windows: exact ones against brute force, and methods whose map is known."""

import numpy as np
import pytest
import torch

from mrilib.data.calibration import calibrated, with_truth
from mrilib.data.features import feature_window
from mrilib.data.masks import column_mask
from mrilib.data.measurement import measure
from mrilib.features.maps import embedded, exact_errors, window_errors, with_features
from mrilib.features.response import has_responses, window_responses
from mrilib.features.truth import Truth
from mrilib.features.truth import truth_of as truth_of_measurement
from mrilib.features.windows import Windows, everywhere, lattice
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.coil_images import center_crop
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled

SIZE, CONTRAST = 3, 0.3
FULL = (32, 32)
NUMBERS = ("loss", "error", "before")


def image(shape=FULL):
    generator = torch.Generator().manual_seed(3)
    phase = torch.exp(1j * torch.randn(shape, generator=generator, dtype=torch.float64))
    return (0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)) * phase


def columns(rows=False):
    mask = torch.zeros(FULL, dtype=torch.bool)
    (mask.T if rows else mask)[:, ::3] = True
    (mask.T if rows else mask)[:, 12:17] = True
    return mask


def coils(mask, count=2):
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(count, *FULL, generator=generator, dtype=torch.complex128)
    return CoilFourier(mask=mask, coil_maps=maps / torch.linalg.vector_norm(maps, dim=0))


def truth_of(x, operator, shape=FULL):
    """Of an image that the operator's coils see."""
    if isinstance(operator, MaskedFourier):
        inside = center_crop(x, shape)
        return Truth(inside.abs(), inside, inside, torch.ones(shape, dtype=torch.float64), 1)
    maps = operator.coil_maps
    parts = (x * maps, (maps.conj() * x * maps).sum(0), (x * maps).sum(0), maps.abs().square().sum(0))
    images, combined, coil_sum, sight = (center_crop(each, shape) for each in parts)
    return Truth(torch.linalg.vector_norm(images, dim=0), combined, coil_sum, sight, len(maps))


def errors_of(method, x, operator, windows, amplitude=CONTRAST, coils="maps", shape=FULL):
    """Of windows together in one image."""
    truth, kspace = truth_of(x, operator, shape), operator.forward(x)
    data = with_features(kspace, operator, truth, windows.image(shape, amplitude), coils)
    without, altered = (
        center_crop(observed(method, method.solve(each, operator).value, operator).abs(), shape)
        for each in (kspace, data)
    )
    return window_errors(truth, windows, amplitude, coils, without=without, altered=altered)


OPERATORS = {
    "columns": lambda: coils(columns()),
    "rows": lambda: coils(columns(rows=True)),
    "one coil": lambda: MaskedFourier(mask=columns()),
}
METHODS = {"zero-filled": ZeroFilled(), "Tikhonov": Tikhonov(weight=0.05, tolerance=1e-12)}


@pytest.mark.parametrize("coils_see", ["maps", "constant"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("named", OPERATORS)
def test_exact_errors_are_what_every_single_feature_gives(named, method, coils_see):
    operator, x = OPERATORS[named](), image()
    # Cropped as references of scans are, and once the whole image.
    shape = FULL if (named, method) == ("columns", "Tikhonov") else (24, 20)
    top, left = (32 - shape[0]) // 2, (32 - shape[1]) // 2
    kspace, truth, used = operator.forward(x), truth_of(x, operator, shape), METHODS[method]
    clean = used(kspace, operator)
    arguments = {"size": SIZE, "amplitude": CONTRAST, "coils": coils_see}
    found = exact_errors(used, clean, operator, truth, **arguments)
    assert len(found.windows) == (shape[0] - 2) * (shape[1] - 2)
    # Every location, by adding the feature to the data of every coil and reconstructing.
    places = list(zip(found.windows.rows.tolist(), found.windows.columns.tolist(), strict=True))
    windows = torch.stack([window_at(row + top, column + left) for row, column in places])
    phase = x / x.abs() if coils_see == "maps" else torch.ones_like(x)
    seen = torch.ones(1, *FULL) if named == "one coil" else operator.coil_maps
    added = windows * phase
    coil_images = (
        added[:, None] * seen if coils_see == "maps" else added[:, None].expand(-1, len(seen), *FULL)
    )
    data = fft2c(coil_images) * operator.mask
    data = data[:, 0] if named == "one coil" else data

    def moduli(data):
        return center_crop(operator.seen(used(data, operator)).abs(), shape)

    with_feature, without = moduli(kspace + data), moduli(kspace)
    wanted = center_crop(torch.linalg.vector_norm(x * seen + coil_images, dim=1), shape)
    kept = center_crop(windows, shape) > 0

    def square(values):
        return (kept * values).square().sum(dim=(-2, -1))

    change = square(wanted - truth.reference)
    expected = {
        "loss": square(with_feature - without - wanted + truth.reference) / change,
        "error": square(with_feature - wanted) / change,
        "before": square(without - truth.reference) / change,
    }
    for name, values in expected.items():
        torch.testing.assert_close(getattr(found, name), values, rtol=1e-6, atol=0)
    assert bool(found.on_object.all())


def window_at(row, column):
    return feature_window(FULL, row=row, column=column, size=SIZE, amplitude=CONTRAST).double()


@pytest.mark.parametrize("coils_see", ["maps", "constant"])
def test_a_lattice_of_one_window_is_the_exact_error_there(coils_see):
    operator, method = coils(columns()), METHODS["Tikhonov"]
    x = image()
    clean = method(operator.forward(x), operator)
    arguments = {"size": SIZE, "amplitude": CONTRAST, "coils": coils_see}
    exact = exact_errors(method, clean, operator, truth_of(x, operator), **arguments)
    one = errors_of(method, x, operator, single(5, 9, SIZE), coils=coils_see)
    place = 5 * (FULL[1] - SIZE + 1) + 9
    for name in NUMBERS:
        torch.testing.assert_close(getattr(one, name)[0], getattr(exact, name)[place], rtol=1e-6, atol=0)


def test_every_stride_th_location_is_told_of():
    operator, method, x = coils(columns()), ZeroFilled(), image()
    clean, truth = method(operator.forward(x), operator), truth_of(x, operator)
    arguments = {"size": SIZE, "amplitude": CONTRAST}
    whole = exact_errors(method, clean, operator, truth, **arguments)
    some = exact_errors(method, clean, operator, truth, **arguments, stride=4)
    chosen = (whole.windows.rows % 4 == 0) & (whole.windows.columns % 4 == 0)
    assert torch.equal(some.windows.rows, whole.windows.rows[chosen])
    assert torch.equal(some.loss, whole.loss[chosen])


def single(row, column, size):
    return Windows(*(torch.tensor([each]) for each in (row, column, size)))


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
    windows = lattice(FULL, [SIZE], 4, np.random.default_rng(1))
    found = errors_of(Planted(kept), x, operator, windows)
    expected = (1.0 - kept[:, 0]).square().unfold(0, SIZE, 1).mean(dim=-1)[windows.rows]
    torch.testing.assert_close(found.loss, expected)


class Blurred(Reconstructor):
    """The mean of every pixel and its neighbours in the row."""

    def __call__(self, kspace, operator):
        x = ifft2c(kspace)
        return (x.roll(1, dims=-1) + x + x.roll(-1, dims=-1)) / 3


@pytest.mark.parametrize("amplitude", [CONTRAST, -CONTRAST])
def test_a_known_blur_loses_what_its_kernel_says(amplitude):
    operator = MaskedFourier(mask=torch.ones(FULL, dtype=torch.bool))
    x = torch.ones(FULL, dtype=torch.complex128)
    found = errors_of(Blurred(), x, operator, everywhere(FULL, 4, 8)[:3], amplitude)
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
    images, truth = x * operator.coil_maps, truth_of(x, operator)
    window = torch.zeros(FULL, dtype=torch.float64)
    window[4:7, 5:8] = CONTRAST
    for named, added in (
        ("maps", window * x / x.abs() * operator.coil_maps),
        ("constant", window.expand_as(operator.coil_maps)),
    ):
        expected = torch.linalg.vector_norm(images + added, dim=0)
        torch.testing.assert_close(truth.with_feature(window, named), expected)


def test_in_phase_with_the_object_bright_and_dark_features_are_what_they_say():
    operator, x = coils(columns()), image()
    truth = truth_of(x, operator)
    for amplitude in (CONTRAST, -CONTRAST):
        wanted = truth.with_feature(torch.full(FULL, amplitude, dtype=torch.float64), "maps")
        torch.testing.assert_close(wanted, truth.reference + amplitude)


def test_a_feature_that_no_coil_sees_has_no_error():
    operator, x = coils(columns()), image()
    maps = operator.coil_maps.clone()
    maps[:, :8] = 0.0
    blind = CoilFourier(mask=columns(), coil_maps=maps)
    windows = everywhere(FULL, SIZE, 5)
    found = errors_of(ZeroFilled(), x, blind, windows)
    unseen = windows.rows + SIZE <= 8
    assert bool(found.loss[unseen].isnan().all())
    assert bool(found.loss[~unseen].isfinite().all())
    assert not bool(found.on_object[unseen].any())


def test_windows_lie_on_the_object_where_there_is_something():
    reference = torch.zeros(20, 20)
    reference[:, 10:] = 1.0
    reference[10:, 10:] = 0.2
    windows = Windows(torch.tensor([2, 2, 12]), torch.tensor([2, 12, 12]), torch.tensor([3, 3, 3]))
    assert windows.on_object(reference, 0.3).tolist() == [False, True, True]
    # A dark feature takes away no more than there is.
    assert windows.on_object(reference, -0.3).tolist() == [False, True, False]


def test_sums_over_windows_are_sums_over_windows():
    values = torch.rand(9, 11, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    windows = Windows(torch.tensor([0, 3, 4]), torch.tensor([0, 2, 6]), torch.tensor([2, 4, 5]))
    expected = [values[0:2, 0:2].sum(), values[3:7, 2:6].sum(), values[4:9, 6:11].sum()]
    torch.testing.assert_close(windows.sums(values), torch.stack(expected))


def test_a_lattice_has_all_sizes_apart_and_inside():
    windows = lattice((50, 40), [2, 5], 8, np.random.default_rng(0))
    assert sorted(set(windows.sizes.tolist())) == [2, 5]
    assert bool((windows.rows + windows.sizes <= 50).all())
    assert bool((windows.columns + windows.sizes <= 40).all())
    assert bool((windows.rows.unique().diff() == 8).all())
    # Pixels of windows that touched would be counted once.
    assert float(windows.image((50, 40)).sum()) == float((windows.sizes**2).sum())
    again = lattice((50, 40), [2, 5], 8, np.random.default_rng(0))
    assert torch.equal(windows.rows, again.rows)
    other = lattice((50, 40), [2, 5], 8, np.random.default_rng(1))
    assert (windows.rows[0], windows.columns[0]) != (other.rows[0], other.columns[0])
    with pytest.raises(ValueError, match="spacing above the largest of them"):
        lattice((50, 40), [2, 5], 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected room for windows"):
        lattice((3, 3), [4], 9, np.random.default_rng(0))


def test_windows_stay_inside_of_the_image():
    with pytest.raises(ValueError, match=r"expected 3×3 pixels from \(8, 2\) inside of 10×10"):
        single(8, 2, 3).image((10, 10))


def test_methods_without_a_response_have_no_exact_errors():
    operator = MaskedFourier(mask=columns())
    method, carrier = Blurred(), torch.ones(FULL, dtype=torch.complex128)
    assert not has_responses(method, operator)
    with pytest.raises(ValueError, match="expected a linear method"):
        window_responses(method, operator, SIZE, carrier)
    with pytest.raises(ValueError, match="expected 1 <= size <= 32, got 33"):
        window_responses(ZeroFilled(), operator, 33, carrier)


def test_coils_under_a_mask_of_no_lines_have_no_exact_map():
    mask = torch.rand(FULL, generator=torch.Generator().manual_seed(1)) < 0.4
    assert not has_responses(ZeroFilled(), coils(mask))
    assert has_responses(ZeroFilled(), MaskedFourier(mask=mask))


@pytest.mark.parametrize("coils_see", ["maps", "constant"])
def test_a_measured_slice_knows_what_is_to_be_seen_of_a_feature(coils_see):
    """Whatever ESPIRiT makes of the maps, it is the RSS of the fully sampled images with the feature."""
    generator = torch.Generator().manual_seed(6)
    shape, inner = (40, 36), (32, 30)
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in shape), indexing="ij")
    maps = torch.stack([torch.exp(-((y - a) ** 2) - (x - b) ** 2) for a, b in ((-1, 0), (1, 0), (0, 1))])
    phase = torch.exp(2j * x)
    smooth = 1.0 + 0.3 * torch.cos(3 * y) * torch.rand(shape, generator=generator)
    mask = column_mask(36, acceleration=3, center_fraction=0.25, kind="equispaced-fraction", seed=1)
    kspace = fft2c((smooth * phase * maps).to(torch.complex64))
    measured = with_truth(calibrated(measure(kspace, mask, reference_shape=inner)), kspace)
    truth = truth_of_measurement(measured)
    windows = single(9, 7, SIZE)
    feature = embedded(windows.image(inner, 0.2), shape)
    carrier = embedded(truth.carrier(coils_see), shape, outside=1.0)
    seen = measured.coil_maps if coils_see == "maps" else torch.ones_like(measured.coil_maps)
    images = ifft2c(kspace) / measured.scale + seen * feature * carrier
    expected = center_crop(torch.linalg.vector_norm(images, dim=0), inner)
    found = truth.with_feature(windows.image(inner, 0.2), coils_see)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    # What is added to the data is what a scanner would have measured of that object.
    image = windows.image(inner, 0.2)
    data = with_features(measured.kspace, measured.operator, truth, image, coils_see)
    torch.testing.assert_close(data, fft2c(images) * mask, rtol=1e-4, atol=1e-5)


def test_coils_without_their_full_images_have_no_truth():
    kspace = torch.ones(2, 12, 12, dtype=torch.complex64)
    measured = calibrated(measure(kspace, torch.ones(12, dtype=torch.bool)))
    with pytest.raises(ValueError, match="expected the images of the fully sampled data of image, got none"):
        truth_of_measurement(measured)

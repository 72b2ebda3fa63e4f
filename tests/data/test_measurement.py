import dataclasses
import math

import numpy as np
import pytest
import torch

from mrilib.data.calibration import calibrated
from mrilib.data.intensity import intensity_scale, rss_target
from mrilib.data.masks import column_mask
from mrilib.data.measurement import image_name, measure, measure_image
from mrilib.data.sampling.base import acquired_region
from mrilib.data.sampling.columns import Random
from mrilib.data.volumes.kspace_statistics import center_column, noise_estimate
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_images import center_crop, rss
from mrilib.operators.coils import calibration_shape, estimate_coil_maps
from tests.data.phantom_scan import scan


@pytest.fixture(scope="module")
def columns():
    return column_mask(128, acceleration=4, center_fraction=0.16, kind="equispaced-fraction", seed=0)


def test_rss_is_its_definition(draw):
    images = draw(2, 3, 5, 6)
    torch.testing.assert_close(rss(images), images.abs().square().sum(dim=1).sqrt())


def test_images_are_named_by_volume_and_slice_or_by_source_and_position():
    assert image_name({"volume": "one", "slice": 7, "source": "knee", "position": 0}) == "slice 7 of one"
    assert image_name({"source": "ellipses", "position": 0}) == "ellipses 0"
    assert image_name({}) == "image"


def test_rss_has_a_derivative_where_it_is_zero():
    images = torch.zeros(3, 2, 2, dtype=torch.complex64, requires_grad=True)
    rss(images).sum().backward()
    assert torch.equal(images.grad, torch.zeros_like(images))


def test_target_is_the_cropped_rss(draw):
    kspace = draw(2, 3, 12, 9)
    target = rss_target(kspace, (6, 4))
    torch.testing.assert_close(target, ifft2c(kspace).abs().square().sum(dim=1).sqrt()[:, 3:9, 2:6])


@pytest.mark.parametrize("shape", [(6, 4), (7, 5), (12, 9), (5, 8)])
def test_crops_are_those_of_fastmri(shape):
    from fastmri.data.transforms import center_crop as expected

    image = torch.arange(108.0).reshape(12, 9)
    assert torch.equal(center_crop(image, shape), expected(image, shape))


def test_scale_is_the_maximum_of_the_zero_filled_rss(columns):
    kspace = scan()
    expected = float(ifft2c(kspace * columns).abs().square().sum(dim=0).sqrt().max())
    assert intensity_scale(kspace, columns) == pytest.approx(expected, rel=1e-6)
    assert intensity_scale(kspace, columns.expand(128, 128)) == pytest.approx(expected, rel=1e-6)
    # what is not sampled does not count
    assert intensity_scale(kspace * columns, columns) == intensity_scale(kspace, columns)


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 5e13, 1e25])
def test_raw_units_neither_overflow_nor_vanish(columns, factor):
    kspace = scan(noise=0.05)
    assert intensity_scale(kspace * factor, columns) == pytest.approx(
        factor * intensity_scale(kspace, columns), rel=1e-5
    )
    assert noise_estimate(kspace * factor) == pytest.approx(factor * noise_estimate(kspace), rel=1e-5)
    assert center_column(kspace * factor) == 64
    target = rss_target(kspace * factor, (32, 32))
    torch.testing.assert_close(target / factor, rss_target(kspace, (32, 32)), rtol=1e-5, atol=0)


def test_the_energy_of_columns_is_that_of_the_full_kspace(columns):
    kspace = scan()
    measured = measure(kspace, columns)
    expected = (kspace.to(torch.complex128) / measured.scale).abs().square().sum(dim=(0, 1))
    torch.testing.assert_close(measured.column_energy, expected)
    assert measured.full_norm == pytest.approx(float(expected.sum().sqrt()))
    image = torch.rand(7, 12, generator=torch.Generator().manual_seed(1))
    single = measure_image(image, columns[:12] | True)
    torch.testing.assert_close(single.column_energy, fft2c(image.to(torch.complex128)).abs().square().sum(0))


@pytest.mark.parametrize("mask", ["columns", "plane"])
@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_prepared_arrays_have_no_units(columns, mask, factor):
    kspace, mask = scan(noise=0.01), columns if mask == "columns" else columns.expand(128, 128)
    expected, measured = calibrated(measure(kspace, mask)), calibrated(measure(kspace * factor, mask))
    for field in ("kspace", "coil_maps", "reference"):
        torch.testing.assert_close(getattr(measured, field), getattr(expected, field), rtol=1e-5, atol=1e-5)
    assert measured.scale == pytest.approx(factor * expected.scale, rel=1e-6)
    assert measured.acceleration == expected.acceleration


def test_prepared_parts_fit_together(columns):
    kspace = scan(noise=0.01)
    measured = calibrated(measure(kspace, columns, reference_shape=(100, 90)))
    assert measured.kspace.dtype == torch.complex64
    assert torch.equal(measured.kspace, kspace * columns / measured.scale)
    assert float(rss(ifft2c(measured.kspace)).max()) == pytest.approx(1.0, rel=1e-6)
    torch.testing.assert_close(measured.reference, rss_target(kspace, (100, 90)) / measured.scale)
    assert calibration_shape(measured.mask.expand(128, 128)) == (32, 20)
    assert torch.equal(measured.coil_maps, estimate_coil_maps(measured.kspace))
    assert measured.acceleration == pytest.approx(4.0, abs=0.1)
    # the model explains most of what was measured
    operator = measured.operator
    image = (measured.coil_maps.conj() * ifft2c(kspace / measured.scale)).sum(dim=0)
    residual = operator @ image - measured.kspace
    assert residual.norm() < 0.15 * measured.kspace.norm()
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.scale = 1.0


def test_only_the_target_sees_what_is_not_sampled(columns):
    kspace = scan(noise=0.01)
    first, second = (
        calibrated(measure(data, columns)) for data in (kspace, torch.where(columns, kspace, 7.0))
    )
    assert torch.equal(first.kspace, second.kspace)
    assert torch.equal(first.coil_maps, second.coil_maps)
    assert first.scale == second.scale
    assert not torch.equal(first.reference, second.reference)


def test_a_stored_target_is_scaled_alike(columns):
    kspace, stored = scan(), torch.rand(20, 30)
    measured = calibrated(measure(kspace, columns, reference=stored), width=16)
    torch.testing.assert_close(measured.reference * measured.scale, stored)
    assert torch.equal(measured.coil_maps, estimate_coil_maps(measured.kspace, calibration_width=16))
    with pytest.raises(ValueError, match="expected reference or reference_shape, got both"):
        measure(kspace, columns, reference=stored, reference_shape=(20, 30))


@pytest.mark.usefixtures("unchecked")
def test_refuses_data_that_are_none(columns):
    kspace = scan()
    broken, zero = kspace.clone(), torch.zeros_like(kspace)
    broken[1, 64, 64] = math.inf
    for call in (
        lambda data: intensity_scale(data, columns),
        lambda data: measure(data, columns),
        lambda data: rss_target(data, (8, 8)),
        noise_estimate,
        center_column,
    ):
        with pytest.raises(
            ValueError, match="expected finite kspace, got NaN or infinity; leave this slice out"
        ):
            call(broken)
        with pytest.raises(ValueError, match="kspace is zero wherever it is sampled; leave this slice out"):
            call(zero)
        with pytest.raises(
            ValueError, match=r"expected complex kspace \(\.\.\., coil, ky, kx\), got torch.float32"
        ):
            call(kspace.real)
    with pytest.raises(ValueError, match="kspace is zero wherever it is sampled"):
        intensity_scale(torch.where(columns, 0.0, kspace), columns)
    with pytest.raises(
        ValueError, match=r"intensity_scale: expected kspace \(\.\.\., 128, 100\) from the mask"
    ):
        intensity_scale(kspace, columns[:100])
    with pytest.raises(
        ValueError, match=r"center_crop: expected a shape from 1×1 to 128×128, .* got 128×129"
    ):
        rss_target(kspace, (128, 129))


@pytest.mark.parametrize("rows", [None, (6, 64)])
def test_what_was_not_acquired_counts_for_nothing(rows):
    acquired = acquired_region((64, 64), rows=rows, columns=(10, 54))
    kspace = scan(64) * acquired
    mask = Random(acceleration=3, center_fraction=0.16).drawn((64, 64), (1, 2), acquired)
    measured = calibrated(measure(kspace, mask, acquired=acquired))
    assert torch.equal(measured.acquired, acquired)
    entries = acquired.expand(64, 64).sum() / mask.expand(64, 64).sum()
    assert measured.acceleration == pytest.approx(float(entries))
    assert measured.operator.samples == int(mask.expand(64, 64).sum())
    assert not measured.operator.mask[~acquired.expand(64, 64)].any()
    assert torch.equal(measured.to("cpu").acquired, acquired)
    # without it, all of k-space counts, and nothing else differs
    plain = calibrated(measure(kspace, mask))
    assert plain.acceleration == pytest.approx(64 * 64 / measured.operator.samples)
    for name in ("kspace", "mask", "coil_maps", "reference", "scale", "maximum"):
        first, second = getattr(measured, name), getattr(plain, name)
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def test_a_mask_that_samples_what_was_not_acquired_is_refused(columns):
    kspace = scan()
    outside = int(columns[:20].sum())
    for acquired in (
        acquired_region((128, 128), columns=(20, 128)),
        acquired_region((128, 128), columns=(20, 128)).expand(128, 128),
    ):
        message = f"got {128 * outside} of {128 * int(columns.sum())} samples outside; draw it with `Samp"
        with pytest.raises(ValueError, match=message):
            measure(kspace, columns, acquired=acquired)
    with pytest.raises(ValueError, match="samples outside"):
        measure(kspace, columns, acquired=acquired_region((128, 128), rows=(0, 100)))


@pytest.mark.usefixtures("unchecked")
def test_refuses_what_was_acquired_of_another_size(columns):
    with pytest.raises(ValueError, match=r"measure: expected kspace \(\.\.\., 128, 100\) from the mask"):
        measure(scan(), columns, acquired=torch.ones(100, dtype=torch.bool))
    with pytest.raises(ValueError, match="measure: expected a boolean mask"):
        measure(scan(), columns, acquired=torch.ones(128))


@pytest.mark.data
def test_an_undersampled_scan(data_folder):
    kspace = torch.from_numpy(np.load(data_folder / "sigpy_cartesian_ksp.npy"))
    sampled = (kspace != 0).any(dim=0)
    measured = calibrated(measure(kspace, sampled))
    assert calibration_shape(sampled) == (24, 24)
    assert measured.acceleration == pytest.approx(1 / 0.124, rel=0.01)
    raw = calibrated(measure(kspace * 5e13, sampled))
    torch.testing.assert_close(raw.kspace, measured.kspace, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(raw.coil_maps, measured.coil_maps, rtol=0, atol=1e-4)

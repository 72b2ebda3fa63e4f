import dataclasses
import math

import h5py
import pytest
import torch

from mrilib.data.calibration import calibrated
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask, radial_mask
from mrilib.data.measurement import measure, measure_image
from mrilib.data.measurement_files import measurement_hash, read_about, read_measurement, write_measurement
from mrilib.operators.base import fft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier

ARRAYS = ("kspace", "mask", "coil_maps", "reference")


def image():
    return measure_image(
        ellipse_phantoms(1, size=32, seed=1)[0],
        radial_mask(32, 10),
        about={"patient": "0012", "simulated": False},
    )


def scan():
    maps = torch.rand(4, 40, 40, generator=torch.Generator().manual_seed(1)) + 0.5
    kspace = fft2c((ellipse_phantoms(1, size=40, seed=2)[0] * maps).to(torch.complex64))
    mask = column_mask(40, acceleration=3, center_fraction=0.25, kind="random", seed=1)
    about = {"volume": "file1", "slice": 3, "patient": "12", "simulated": True}
    return calibrated(
        measure(kspace, mask, reference_shape=(30, 20), volume_maximum=9.0, about=about), width=8
    )


@pytest.mark.parametrize("make", [image, scan])
def test_a_measurement_comes_back_as_it_was(make, tmp_path):
    written = make()
    write_measurement(tmp_path / "0.h5", written, source="a", position=0)
    found = read_measurement(tmp_path / "0.h5")
    for name in ARRAYS:
        first, second = getattr(written, name), getattr(found, name)
        assert (first is None and second is None) or (
            first.dtype == second.dtype and torch.equal(first, second)
        )
    assert (found.scale, found.maximum) == (written.scale, written.maximum)
    assert torch.equal(found.column_energy, written.column_energy)
    assert found.full_norm == written.full_norm > float(written.kspace.norm())
    assert found.about == dict(written.about) | {"source": "a", "position": 0}
    assert measurement_hash(found) == measurement_hash(written)
    assert read_about(tmp_path / "0.h5")["acceleration"] == pytest.approx(written.acceleration)


def test_what_was_acquired_is_kept(tmp_path):
    everything = scan()
    acquired = torch.ones(40, dtype=torch.bool)
    acquired[everything.mask.nonzero().max() + 1 :] = False
    assert not acquired.all()
    part = dataclasses.replace(everything, acquired=acquired)
    write_measurement(tmp_path / "part.h5", part)
    write_measurement(tmp_path / "all.h5", everything)
    found = read_measurement(tmp_path / "part.h5")
    assert torch.equal(found.acquired, acquired)
    assert found.acceleration == part.acceleration == int(acquired.sum()) / int(part.mask.sum())
    assert read_about(tmp_path / "part.h5")["acceleration"] == part.acceleration
    # a file without it, as all that were written before: everything was acquired
    with h5py.File(tmp_path / "all.h5") as file:
        assert "acquired" not in file
    assert read_measurement(tmp_path / "all.h5").acquired is None
    # no result depends on it
    assert measurement_hash(part) == measurement_hash(everything)


def test_the_operator_is_the_measurements():
    single, coils = image(), scan()
    assert isinstance(single.operator, MaskedFourier)
    assert isinstance(coils.operator, CoilFourier)
    assert torch.equal(single.kspace, single.operator.forward(single.reference))
    assert (single.scale, single.maximum) == (1.0, 1.0)
    assert coils.maximum == pytest.approx(9.0 / coils.scale)
    assert coils.compared(torch.ones(40, 40)).shape == (30, 20)
    # A mask of columns serves a single coil, too.
    mask = column_mask(32, acceleration=4, center_fraction=0.1, kind="equispaced", seed=0)
    assert measure_image(single.reference, mask).operator.mask.shape == (32, 32)


def test_a_place_without_an_image_is_none(tmp_path):
    write_measurement(tmp_path / "9.h5", None, position=9)
    assert read_measurement(tmp_path / "9.h5") is None


def test_a_file_that_lacks_an_array_is_told(tmp_path):
    write_measurement(tmp_path / "0.h5", image())
    with h5py.File(tmp_path / "0.h5", "r+") as file:
        del file["mask"]
    with pytest.raises(ValueError, match=r"0\.h5: no dataset \['mask'\]; delete it and run again"):
        read_measurement(tmp_path / "0.h5")


def test_coils_need_maps_and_a_centre_to_take_them_from():
    coils = scan()
    bare = measure(torch.ones(4, 40, 40, dtype=torch.complex64), coils.mask)
    with pytest.raises(ValueError, match="expected coil maps, got none"):
        _ = bare.operator
    narrow = torch.zeros(40, dtype=torch.bool)
    narrow[18:22] = True
    with pytest.raises(ValueError, match="got 32 rows and 4 columns; raise the mask's center_fraction"):
        calibrated(measure(torch.ones(4, 40, 40, dtype=torch.complex64), narrow))
    with pytest.raises(ValueError, match="a single coil needs no maps"):
        calibrated(image())


def test_a_mask_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="samples nothing"):
        measure_image(torch.ones(8, 8), torch.zeros(8, 8, dtype=torch.bool))
    assert math.isfinite(image().acceleration)

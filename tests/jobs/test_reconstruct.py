import math

import pytest
import torch

from mrilib.data.calibration import calibrated
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask, radial_mask
from mrilib.data.measurement import measure, measure_image
from mrilib.jobs.reconstruct import reconstruction_unit, stored_solution
from mrilib.operators.base import fft2c
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.store.arrays import read_group, write_groups


@pytest.fixture
def phantom():
    return measure_image(ellipse_phantoms(1, size=32, seed=1)[0], radial_mask(32, 10))


@pytest.fixture
def scan():
    image = ellipse_phantoms(1, size=40, seed=2)[0]
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 40)] * 2, indexing="ij")
    maps = torch.stack([torch.exp(-((y - a) ** 2) - (x - b) ** 2) for a, b in ((-1, 0), (1, 0), (0, 1))])
    mask = column_mask(40, acceleration=3, center_fraction=0.25, kind="equispaced-fraction", seed=1)
    return calibrated(measure(fft2c((image * maps).to(torch.complex64)), mask, reference_shape=(32, 30)))


METHODS = [
    ZeroFilled(),
    Tikhonov(weight=1e-2),
    TotalVariation(weight=1e-2, tolerance=1e-3),
    L1(
        basis={"class": "mrilib.operators.bases:Wavelet", "arguments": {"levels": 2}},
        weight=1e-2,
        tolerance=1e-3,
    ),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("kind", ["phantom", "scan"])
def test_a_stored_reconstruction_is_the_methods_own_and_a_later_solve_starts_from_it(
    method, kind, request, tmp_path
):
    measurement = request.getfixturevalue(kind)
    unit = reconstruction_unit(method, measurement, weight=0.5, keep_state=True)
    write_groups(tmp_path / "unit.h5", {"": unit})
    found = stored_solution(read_group(tmp_path / "unit.h5"), "cpu")
    direct = method.solve(measurement.kspace, measurement.operator)
    assert torch.equal(found.value, observed(method, direct.value, measurement.operator))
    assert unit.attributes["weight"] == 0.5
    assert unit.attributes["seconds"] > 0
    assert ("state" in unit.attributes) == (direct.state is not None)
    if direct.state is not None:
        started = [
            method.solve(measurement.kspace, measurement.operator, start=state)
            for state in (found.state, direct.state)
        ]
        assert torch.equal(started[0].value, started[1].value)


def test_no_state_is_stored_unless_it_is_asked_for(phantom):
    assert set(reconstruction_unit(METHODS[2], phantom).arrays) == {"reconstruction"}


def test_a_solve_that_gives_up_is_an_outcome(phantom):
    unit = reconstruction_unit(TotalVariation(weight=1e-2, tolerance=1e-6, max_steps=1), phantom)
    assert unit.attributes["failed"] == "max_steps"
    assert unit.arrays == {}
    assert stored_solution(unit, "cpu") == "max_steps"


class Broken(Reconstructor):
    """Returns a pixel that is not finite, or an array of a state of its own."""

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace)
        image[..., 0, 0] = math.nan
        return image


def test_pixels_that_are_not_finite_are_counted(phantom):
    assert reconstruction_unit(Broken(), phantom).attributes["failed"] == "converged, 1 pixels not finite"


class Stateful(ZeroFilled):
    """Has a state that no codec knows."""

    def solve(self, kspace, operator, *, start=None, throw=True):
        found = super().solve(kspace, operator)
        return type(found)(found.value, found.status, found.stats, object())


def test_a_users_own_state_is_told_and_left_out(phantom, capsys):
    unit = reconstruction_unit(Stateful(), phantom, keep_state=True)
    assert "state is not kept" in capsys.readouterr().out
    assert stored_solution(unit, "cpu").state is None


def test_compiled_loops_are_loaded_before_the_clock_starts(phantom, scan, monkeypatch):
    method, sizes = TotalVariation(weight=1e-2), []
    solve = method.solve
    monkeypatch.setattr(
        method,
        "solve",
        lambda kspace, *more, **options: sizes.append(kspace.shape) or solve(kspace, *more, **options),
    )
    reconstruction_unit(method, phantom)
    assert sizes == [(16, 16), (32, 32)]
    method.warm_up(scan.operator)
    assert len(sizes) == 2

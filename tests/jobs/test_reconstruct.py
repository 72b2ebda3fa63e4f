import math
from dataclasses import replace

import pytest
import torch

from mrilib.data.calibration import calibrated, with_truth
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask, radial_mask
from mrilib.data.measurement import measure, measure_image
from mrilib.jobs.methods import Methods
from mrilib.jobs.reconstruct import reconstruct_image, reconstruction_unit, stored_solution
from mrilib.operators.base import fft2c
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.null_space import null_space_share
from mrilib.solvers.solution import Solution, Status
from mrilib.store.arrays import read_group, write_groups
from mrilib.store.units import UnitStore


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


class Boasting(Broken):
    """Says that it converged whatever came of it."""

    def solve(self, kspace, operator, *, start=None, throw=True):
        return Solution(self(kspace, operator), Status.CONVERGED, {})


@pytest.mark.parametrize("method", [Broken(), Boasting()])
def test_an_image_that_is_not_finite_has_that_status_and_no_other(method, phantom, scan):
    unit = reconstruction_unit(method, phantom)
    assert unit.attributes["status"] == "not_finite"
    assert unit.attributes["failed"] == "not_finite, 1 of 1024 pixels"
    assert unit.arrays == {}
    assert stored_solution(unit, "cpu") == "not_finite, 1 of 1024 pixels"
    kspace = scan.kspace.clone()
    kspace[2] = 0
    unit = reconstruction_unit(method, replace(scan, kspace=kspace))
    assert unit.attributes["failed"] == "not_finite, 1 of 1600 pixels, coil 2 is zero"


def test_a_method_without_a_solver_of_its_own_says_that_its_image_is_not_finite(phantom):
    solution = Broken().solve(phantom.kspace, phantom.operator, throw=False)
    assert solution.status is Status.NOT_FINITE
    with pytest.raises(FloatingPointError, match="Broken: not_finite, 1 of 1024 pixels; look at"):
        Broken().solve(phantom.kspace, phantom.operator)


def test_a_unit_that_failed_says_method_volume_and_slice(scan, tmp_path, capsys):
    identity = {"method": "boast", "domain": "knee@four", "source": "knee", "mask": "four", "position": 3}
    measurement = replace(scan, about={"volume": "one", "slice": 7, "patient": "p"})
    path = "tests.jobs.test_reconstruct:Boasting"
    methods = Methods({"reconstructor": path, "parameters": {}, "tuned": None}, {})
    groups = reconstruct_image(
        measurement,
        methods,
        ["clean"],
        UnitStore(tmp_path / "units", tmp_path / "index"),
        identity=identity,
        code="code",
        keep_state=False,
    )
    about = groups["clean"].attributes
    assert identity.items() <= about.items()
    assert (about["volume"], about["slice"], about["status"]) == ("one", 7, "not_finite")
    assert "clean: boast failed on slice 7 of one: not_finite, 1 of 1600 pixels, " in capsys.readouterr().out


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


def test_the_null_space_share_is_of_the_complex_error(phantom):
    """Zero-filling errs by what is not sampled and nothing else; Tikhonov also shrinks what is."""
    weight, kspace = 0.5, fft2c(phantom.reference.to(torch.complex128))
    sampled, left_out = (float((kspace * part).norm() ** 2) for part in (phantom.mask, ~phantom.mask))
    shrunk = left_out / (left_out + sampled * (weight / (1 + weight)) ** 2)
    for method, expected in ((ZeroFilled(), 1.0), (Tikhonov(weight=weight, tolerance=1e-6), shrunk)):
        found = reconstruction_unit(method, phantom).attributes["null_space_share"]
        assert found == pytest.approx(expected, rel=1e-4)
    assert shrunk < 0.9


def test_with_coils_the_null_space_share_needs_the_phase_of_the_full_data(scan):
    assert "null_space_share" not in reconstruction_unit(ZeroFilled(), scan).attributes
    kspace = fft2c(torch.randn(3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.complex64))
    known = with_truth(scan, kspace * scan.scale)
    found = reconstruction_unit(ZeroFilled(), known).attributes["null_space_share"]
    error = ZeroFilled()(known.kspace, known.operator) - known.combined
    assert found == pytest.approx(null_space_share(error, known.operator), rel=1e-3)
    assert 0 < found < 1
    moduli = reconstruction_unit(Magnitude(), known)
    assert "null_space_share" not in moduli.attributes


class Magnitude(Reconstructor):
    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace).abs()

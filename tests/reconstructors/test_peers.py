"""BART and SigPy as the benchmarks run them: their conventions, and no lower objective than ours."""

import math
import shutil

import numpy as np
import pytest
import torch
from sigpy import linop
from sigpy.app import LinearLeastSquares

from benchmarks.multicoil_quality import tuned
from benchmarks.peers_multicoil import (
    Bart,
    about_centre,
    backward,
    sigpy_basis,
    sigpy_variation,
    variation_objective,
)
from mrilib.operators.base import fft2c
from mrilib.operators.bases import Wavelet
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov
from mrilib.reconstructors.total_variation import TotalVariation
from tests.reconstructors.scenes import multicoil

WEIGHT = 0.02
with_bart = pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed")
# Both signs of BART's images: halves of the sides add up to an even and to an odd number.
SHAPES = {"even": (32, 48), "odd": (32, 46)}


@pytest.fixture(params=SHAPES)
def problem(request):
    return multicoil(SHAPES[request.param], dtype=torch.complex64)


@pytest.fixture
def bart(problem):
    opened = Bart(*problem)
    yield opened
    opened.close()


@with_bart
def test_least_squares_are_those_of_bart(problem, bart):
    """Axes, centre, sign and scale: any of them wrong shows here."""
    expected = Tikhonov(weight=WEIGHT, tolerance=1e-6)(*problem)
    found, seconds = bart.pics("-l2", "-r", str(WEIGHT), steps=100)
    assert seconds > 0
    # single precision in both
    assert (found - expected).norm() <= 1e-3 * expected.norm()


def test_least_squares_are_those_of_sigpy(problem):
    kspace, operator = problem
    maps = operator.coil_maps.numpy()
    sense = linop.FFT(maps.shape, axes=(-2, -1)) * linop.Multiply(maps.shape[1:], maps)
    sense = linop.Multiply(maps.shape, operator.mask.numpy().astype(np.float32)) * sense
    app = LinearLeastSquares(sense, kspace.numpy(), lamda=WEIGHT, max_iter=100, show_pbar=False)
    expected = Tikhonov(weight=WEIGHT, tolerance=1e-6)(*problem)
    assert (torch.from_numpy(app.run()) - expected).norm() <= 1e-3 * expected.norm()


def test_reversal_commutes_with_the_transform(draw):
    image = draw(6, 8)
    assert torch.equal(about_centre(about_centre(image)), image)
    torch.testing.assert_close(fft2c(about_centre(image)), about_centre(fft2c(image)))


@pytest.mark.usefixtures("unchecked")
def test_backward_differences_are_forward_ones_of_the_reversed_image(problem):
    kspace, operator = problem
    method = TotalVariation(weight=WEIGHT, coupling="isotropic", tolerance=1e-4)
    solution = method.solve(*backward(kspace, operator))
    found = variation_objective(kspace, operator, "isotropic", WEIGHT)(about_centre(solution.value))
    assert found == pytest.approx(float(solution.stats["objective"]), rel=1e-5)
    # of differences summed apart the direction says nothing
    method = TotalVariation(weight=WEIGHT, coupling="complex", tolerance=1e-4)
    solution = method.solve(kspace, operator)
    found = variation_objective(kspace, operator, "complex", WEIGHT)(solution.value)
    assert found == pytest.approx(float(solution.stats["objective"]), rel=1e-5)


@with_bart
@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_isotropic_variation_has_the_minimum_of_bart(problem, bart):
    objective = variation_objective(*problem, "isotropic", WEIGHT)
    method = TotalVariation(weight=WEIGHT, coupling="isotropic", tolerance=1e-5)
    ours = objective(about_centre(method(*backward(*problem))))
    theirs = objective(bart.pics("-u", "0.1", "-R", f"T:3:0:{WEIGHT}", steps=2000)[0])
    assert ours <= theirs * (1 + 1e-5)
    assert theirs == pytest.approx(ours, rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_complex_variation_has_the_minimum_of_sigpy():
    problem = multicoil((32, 48), dtype=torch.complex64)
    objective = variation_objective(*problem, "complex", WEIGHT)
    ours = objective(TotalVariation(weight=WEIGHT, coupling="complex", tolerance=1e-5)(*problem))
    theirs = objective(sigpy_variation(*problem, WEIGHT, 2000, 0.1))
    assert ours <= theirs * (1 + 1e-5)
    assert theirs == pytest.approx(ours, rel=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_sigpy_with_our_basis_has_our_minimum():
    kspace, operator = multicoil((32, 48), dtype=torch.complex64)
    basis = Wavelet("db2", 2)
    solution = L1(basis=basis, weight=WEIGHT, tolerance=1e-5).solve(kspace, operator)
    found = sigpy_basis(kspace, operator, basis, WEIGHT, 300)
    assert (found - solution.value).norm() <= 1e-2 * solution.value.norm()


def test_bart_refuses_odd_sizes():
    with pytest.raises(ValueError, match=r"Bart: expected even sizes, got \(15, 16\)"):
        Bart(*multicoil((15, 16), dtype=torch.complex64))


@pytest.mark.parametrize("best", [2e-6, 3e-2, 40.0])
def test_the_weight_of_the_lowest_error_is_found_beyond_the_grid(best):
    weight, tried = tuned(lambda candidate: abs(math.log(candidate / best)), 1e-3)
    # a third of the grid's step of 10^¼, and half of that, as far as the nearest can be
    assert abs(math.log10(weight / best)) <= 0.25 / 3 / 2 + 1e-9
    assert (tried > 13) == (not 1e-3 < best < 1e-1)


def test_an_error_that_falls_for_ever_is_said():
    with pytest.raises(RuntimeError, match=r"the error still falls at λ = 1\.0e-09; begin nearer"):
        tuned(lambda candidate: candidate, 1e-3)

"""Unrolled steps end as the minimisation does, and their derivative is that of the image they end with."""

import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.searches.unrolled_ascent import UnrolledAscent
from mrilib.attacks.searches.unrolled_convex import ConvexUnrolling
from mrilib.attacks.searches.unrolled_decoder import DecoderUnrolling
from mrilib.attacks.target import Observed, Task
from mrilib.operators.bases import Wavelet
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.decoder import fit
from mrilib.solvers.differentiation import Implicit

SHAPE, ETA = (16, 18), 0.6
DECODER = {"class": "mrilib.networks.decoders:DeepDecoder", "arguments": {"channels": 6, "layers": 3}}
# Decoders that Adam or gradient descent fits, and convex models with and without zero-padding.
DECODERS = {
    "adam": {},
    "descent": {"optimiser": "gradient-descent", "learning_rate": 0.05, "momentum": 0.9},
}
CONVEX = {
    "tv": TotalVariation(weight=3e-2, coupling="isotropic", tolerance=1e-6),
    "l1": L1(basis=Wavelet("db2", 1), weight=3e-2, tolerance=1e-8),
    "padded": L1(
        basis=Wavelet("db2", 2), weight=3e-2, tolerance=1e-5, differentiation=Implicit(tolerance=1e-3)
    ),
}


@pytest.fixture
def scene():
    rows, columns = torch.meshgrid(
        *[torch.linspace(-1, 1, size, dtype=torch.float64) for size in SHAPE], indexing="ij"
    )
    image = ((rows.abs() < 0.6) & (columns.abs() < 0.5)) * torch.exp(1j * rows)
    maps = torch.stack([torch.exp(-((columns - shift) ** 2)) + 0j for shift in (-0.9, 0.9)])
    mask = torch.arange(SHAPE[1]) % 2 == 0
    mask[7:11] = True
    operator = CoilFourier(mask=mask, coil_maps=maps / maps.abs().square().sum(0).sqrt())
    return operator, operator.forward(image)


def untrained(**more):
    return Untrained(network=DECODER, steps=40, **more)


def task_of(method, operator, kspace):
    clean = Observed(torch.zeros(SHAPE, dtype=torch.float64))
    windows, starts = torch.ones(1, *SHAPE, dtype=torch.float64), torch.zeros_like(kspace)[None]
    return Task(method, operator, kspace, ETA, clean, "complex", windows=windows, starts=starts)


def check_derivative(image, kspace, mask, step, rtol):
    """`d/dt Re⟨c, image(y + t·v)⟩` against central differences, for a random `v` on the mask."""
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator) * mask
    point = kspace.clone().requires_grad_(True)
    with torch.enable_grad():
        found = image(point)
        cotangent = torch.randn(found.shape, dtype=found.dtype, generator=generator)
        (gradient,) = torch.autograd.grad(found, point, cotangent)
    slope = float((gradient.conj() * direction).real.sum())

    def value(distance):
        with torch.no_grad():
            return float((cotangent.conj() * image(kspace + distance * direction)).real.sum())

    assert slope == pytest.approx((value(step) - value(-step)) / (2 * step), rel=rtol)


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("last", [7, 40])
def test_the_last_steps_of_a_fit_end_where_the_fit_does(kind, last, scene):
    operator, kspace = scene
    method = untrained(**DECODERS[kind])
    unrolling = DecoderUnrolling(task_of(method, operator, kspace), last)
    problem, ends = method.problem(kspace, operator), []
    fit(problem, method.descent, save=lambda course: ends.append(dict(course.values)))
    torch.testing.assert_close(
        unrolling.image(kspace).detach(), problem.images(ends[-1])[0].detach(), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("kind", DECODERS)
def test_the_derivative_of_the_last_steps_of_a_fit_is_the_numerical_one(kind, scene):
    operator, kspace = scene
    unrolling = DecoderUnrolling(task_of(untrained(**DECODERS[kind]), operator, kspace), 5)
    check_derivative(unrolling.image, kspace, operator.mask, 1e-6, 1e-4)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", CONVEX)
def test_unrolled_steps_of_convex_models_come_to_the_minimiser_and_its_derivative(name, scene):
    operator, kspace = scene
    method = CONVEX[name]
    generator = torch.Generator().manual_seed(2)
    cotangent = torch.randn(SHAPE, dtype=torch.complex128, generator=generator)

    def gradient(image):
        point = kspace.clone().requires_grad_(True)
        return torch.autograd.grad(image(point), point, cotangent)[0]

    expected = gradient(lambda kspace: method(kspace, operator))
    errors = []
    for steps in (15, 300):
        unrolling = ConvexUnrolling(task_of(method, operator, kspace), steps)
        errors.append(float((gradient(unrolling.image) - expected).norm() / expected.norm()))
    torch.testing.assert_close(unrolling.image(kspace), method(kspace, operator), rtol=0, atol=5e-4)
    check_derivative(unrolling.image, kspace, operator.mask, 1e-6, 1e-3)
    assert errors[1] < min(0.05, 0.5 * errors[0])


@pytest.mark.usefixtures("unchecked")
def test_a_convex_model_is_attacked_about_as_strongly_as_by_its_derivative(scene):
    operator, kspace = scene
    method = L1(basis=Wavelet("db2", 1), weight=3e-2, tolerance=1e-4)
    given = {"radius": ETA, "steps": 12, "restarts": 2, "seed": 1}
    unrolled = global_attack(method, kspace, operator, search=UnrolledAscent(unrolled=60), **given)
    reference = global_attack(method, kspace, operator, search=GradientAscent(), **given)
    assert float(operator.kspace_norm(unrolled.perturbation)) <= ETA * (1 + 1e-6)
    assert float(unrolled.artifact.norm()) > 0.95 * float(reference.artifact.norm())
    assert float(unrolled.stats["solver_steps"]) > 24 * 60


def test_a_decoder_is_led_astray_and_judged_by_a_fresh_fit(scene):
    operator, kspace = scene
    method = untrained()
    search = UnrolledAscent(unrolled=8, rounds=[[4, 2], [6, 1]])
    found = localized_attack(
        method, kspace, operator, radius=ETA, grid=2, objective="disk", seed=1, search=search
    )
    fresh = method(kspace + found.perturbation, operator) - method(kspace, operator)
    torch.testing.assert_close(found.artifact, fresh, rtol=0, atol=1e-9)
    assert float(operator.kspace_norm(found.perturbation)) <= ETA * (1 + 1e-6)


def test_what_has_no_steps_to_unroll_says_so(scene):
    operator, kspace = scene
    given = {"radius": ETA, "seed": 0, "search": UnrolledAscent()}
    with pytest.raises(ValueError, match="ZeroFilled minimises nothing whose steps"):
        global_attack(ZeroFilled(), kspace, operator, **given)
    with pytest.raises(ValueError, match="TotalVariation has no steps to unroll under MaskedFourier"):
        global_attack(CONVEX["tv"], kspace[0], MaskedFourier(mask=operator.mask), **given)
    with pytest.raises(ValueError, match="expected unrolled >= 1"):
        UnrolledAscent(unrolled=0)

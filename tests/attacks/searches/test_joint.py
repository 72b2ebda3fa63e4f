"""Joint descent: without its own terms it is the method's minimisation; with them, the attack of eq. (3)."""

import pytest
import torch

from mrilib.attacks.kinds.joint import joint_attack
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.searches.joint import JointDescent
from mrilib.attacks.searches.joint_convex import ConvexStep
from mrilib.attacks.searches.joint_decoder import DecoderStep
from mrilib.attacks.target import Task, clean_of
from mrilib.operators.base import fft2c
from mrilib.operators.bases import Wavelet
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.coil_images import rss
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.decoder import fit

SIZE, COILS, ETA = 16, 2, 0.6
DECODER = {
    "class": "mrilib.networks.decoders:DeepDecoder",
    "arguments": {"channels": 6, "layers": 3},
}


def untrained(**more):
    return Untrained(network=DECODER, steps=40, **more)


METHODS = {
    "tv": TotalVariation(weight=3e-2, coupling="isotropic", tolerance=1e-5),
    "l1": L1(basis=Wavelet("db2", 2), weight=3e-2, tolerance=1e-7),
}


@pytest.fixture
def scene():
    rows, columns = torch.meshgrid(*2 * [torch.linspace(-1, 1, SIZE)], indexing="ij")
    image = ((rows.abs() < 0.6) & (columns.abs() < 0.5)) * torch.exp(1j * rows)
    maps = torch.stack([torch.exp(-((columns - shift) ** 2)) + 0j for shift in (-0.9, 0.9)])
    mask = torch.arange(SIZE) % 2 == 0
    mask[6:10] = True
    operator = CoilFourier(mask=mask, coil_maps=maps / maps.abs().square().sum(0).sqrt())
    return operator, operator.forward(image.to(torch.complex64))


def task_of(method, operator, kspace, **more):
    given = {"windows": torch.ones(1, SIZE, SIZE), "starts": torch.zeros_like(kspace)[None]} | more
    return Task(method, operator, kspace, ETA, clean_of(method, kspace, operator, None), "complex", **given)


@pytest.mark.parametrize("name", METHODS)
def test_without_its_term_the_image_is_the_minimiser(name, scene):
    operator, kspace = scene
    task = task_of(METHODS[name], operator, kspace)
    joint = ConvexStep(task, task.windows[0], task.clean.value, 0.0)
    for _ in range(300):
        image, residual = joint.step(torch.zeros_like(kspace))
    torch.testing.assert_close(image, task.clean.value, rtol=0, atol=2e-3)
    expected = operator.forward(METHODS[name](kspace, operator)) - kspace
    torch.testing.assert_close(residual, expected, rtol=0, atol=5e-3)


def test_without_its_term_the_network_is_fitted(scene):
    operator, kspace = scene
    method = untrained()
    task = task_of(method, operator, kspace)
    joint = DecoderStep(task, task.windows[0], task.clean.value, 0.0)
    problem = method.problem(kspace, operator)
    curve = fit(problem, method.descent).curve[0]
    for expected in curve[:12] * problem.unit:
        _, residual = joint.step(torch.zeros_like(kspace))
        found = 0.5 * residual.abs().square().sum()
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)


def test_a_step_descends_along_the_numerical_gradient_of_the_objective(scene):
    operator, kspace = scene
    kspace = kspace.to(torch.complex128)
    method = untrained(optimiser="gradient-descent", learning_rate=1e-3, growth=0.0)
    window = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    window[4:9, 5:11] = 1.0
    task = task_of(method, operator, kspace, windows=window[None])
    beta, change = 0.3, 0.1 * kspace
    joint = DecoderStep(task, window, task.clean.value, beta)
    before = {name: value.detach().clone() for name, value in joint._values.items()}
    joint.step(change)
    moved = {name: joint._values[name].detach() - before[name] for name in before}
    problem = method.problem(kspace, operator)

    def objective(distance):
        values = {name: before[name] + distance * moved[name] for name in before}
        coils = problem.scale[:, None, None, None] * problem.outputs(values)
        residual = (fft2c(coils) - kspace - change) * operator.mask
        away = (window * (rss(coils)[0] - task.clean.value)).square().sum()
        return float((0.5 * residual.abs().square().sum() - beta * away) / problem.unit[0])

    step = 1e-3
    slope = (objective(step) - objective(-step)) / (2 * step)
    # A step of length t along −g changes the objective by −t‖g‖², and ‖step‖² = t²‖g‖².
    square = sum(float(value.square().sum()) for value in moved.values())
    assert slope == pytest.approx(-square / 1e-3, rel=1e-8)


def change_by_noise(method, operator, kspace):
    noise = torch.randn(*kspace.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    noise = noise * operator.mask
    noise = noise * (ETA / operator.kspace_norm(noise))
    change = operator.seen(method(kspace + noise, operator) - method(kspace, operator))
    return float(change.norm())


@pytest.mark.parametrize("name", METHODS)
def test_convex_models_are_led_astray_and_judged_afresh(name, scene):
    operator, kspace = scene
    method = METHODS[name]
    result = joint_attack(method, kspace, operator, radius=ETA, beta=0.05, steps=150, warm=40, seed=1)
    assert float(operator.kspace_norm(result.perturbation)) <= ETA * (1 + 1e-6)
    assert not bool((result.perturbation * ~operator.mask).any())
    fresh = method(kspace + result.perturbation, operator) - method(kspace, operator)
    torch.testing.assert_close(result.artifact, operator.seen(fresh), rtol=0, atol=1e-3)
    assert float(result.artifact.norm()) > 1.05 * change_by_noise(method, operator, kspace)


def test_a_place_is_attacked_and_no_stronger_than_the_derivative_allows(scene):
    operator, kspace = scene
    method = L1(basis=Wavelet("db2", 2), weight=3e-2, tolerance=1e-4)
    given = {"radius": ETA, "grid": 2, "seed": 1}
    result = joint_attack(method, kspace, operator, beta=0.05, steps=100, warm=20, objective="peak", **given)
    reference = localized_attack(
        method, kspace, operator, search=GradientAscent(rounds=[[3, 1], [15, 1]]), **given
    )
    assert 0.2 * float(reference.severity) < float(result.severity) < 1.1 * float(reference.severity)
    assert result.severities.shape == (2, 2)


@pytest.mark.parametrize("objective", ["whole", "disk"])
def test_decoders_are_led_astray_and_judged_by_a_fresh_fit(objective, scene):
    operator, kspace = scene
    method = untrained()
    given = {"radius": ETA, "beta": 0.05, "steps": 40, "warm": 10, "seed": 3, "grid": 2}
    result = joint_attack(method, kspace, operator, objective=objective, **given)
    again = joint_attack(method, kspace, operator, objective=objective, **given)
    assert torch.equal(result.perturbation, again.perturbation)
    assert float(operator.kspace_norm(result.perturbation)) <= ETA * (1 + 1e-6)
    fresh = method(kspace + result.perturbation, operator) - method(kspace, operator)
    torch.testing.assert_close(result.artifact, fresh, rtol=0, atol=1e-5)


def test_what_cannot_be_attacked_so_says_why(scene):
    operator, kspace = scene
    given = {"radius": ETA, "seed": 0}
    with pytest.raises(ValueError, match="ZeroFilled minimises nothing"):
        joint_attack(ZeroFilled(), kspace, operator, **given)
    one = MaskedFourier(mask=operator.mask)
    with pytest.raises(ValueError, match="TotalVariation takes no such steps under MaskedFourier"):
        joint_attack(METHODS["tv"], kspace[0], one, **given)
    with pytest.raises(ValueError, match="expected beta > 0"):
        joint_attack(METHODS["l1"], kspace, operator, beta=0.0, **given)
    with pytest.raises(ValueError, match="steps >= 1"):
        joint_attack(METHODS["l1"], kspace, operator, steps=0, **given)
    with pytest.raises(ValueError, match="expected a reference"):
        joint_attack(METHODS["l1"], kspace, operator, reference=torch.ones(3, 3), **given)
    told = r"leaves for infinity at step \d+, before the perturbation moves \(‖ρ‖₂ = \d"
    with pytest.raises(FloatingPointError, match=told):
        joint_attack(METHODS["l1"], kspace, operator, beta=1e6, **given)


def test_an_iterate_that_leaves_for_infinity_has_shown_where(scene):
    operator, kspace = scene
    given = {"radius": ETA, "seed": 1, "steps": 300, "warm": 0}
    # Its image grows along what the coils measure weakest, and the perturbation turns there.
    left = joint_attack(METHODS["l1"], kspace, operator, beta=2.0, **given)
    assert float(left.stats["gradient_evaluations"]) < 2 * 300
    assert 0.9 * ETA < float(operator.kspace_norm(left.perturbation)) <= ETA * (1 + 1e-6)
    assert float(left.artifact.norm()) > 1.05 * change_by_noise(METHODS["l1"], operator, kspace)


def test_the_given_reference_is_what_the_image_leaves(scene):
    operator, kspace = scene
    reference = operator.seen(METHODS["l1"](kspace, operator)).abs()
    task = task_of(METHODS["l1"], operator, kspace)
    search = JointDescent(beta=0.05, warm=5, reference=reference)
    search.begin(task)
    search.run(30)
    assert float(search.found().abs().max()) > 0


def test_the_iterate_that_is_kept_is_the_farthest_over_the_window(scene):
    operator, kspace = scene
    method = METHODS["l1"]
    task = task_of(method, operator, kspace)
    search = JointDescent(beta=0.05, warm=3)
    search.begin(task)
    farthest, kept = 0.0, None
    for _ in range(25):
        position = search._climb.position.clone()
        search.run(1)
        # What the step looked at: the image before it.
        value = float(search._climb.value[0])
        if value > farthest:
            farthest, kept = value, position
    assert kept is not None
    torch.testing.assert_close(search.found(), kept)
    assert float(search._climb.value[0]) > 1.5 * float(search._climb.peak[0]) > 0


def test_restarts_of_a_place_begin_at_fits_of_their_own(scene):
    operator, kspace = scene
    method = untrained()
    windows = torch.ones(4, SIZE, SIZE)
    windows[1] = 0.0
    windows[1, 3, 4] = 1.0
    task = task_of(
        method, operator, kspace, windows=windows, starts=torch.zeros_like(kspace).expand(4, *kspace.shape)
    )
    search = JointDescent(beta=0.05, warm=0)
    search.begin(task)
    for joint, number in zip(search._joint, (0, 0, 1, 2), strict=True):
        expected = method.problem(kspace, operator, number=number).start()
        assert all(torch.equal(joint._values[name], value) for name, value in expected.items())
    first, second = (method.problem(kspace, operator, number=number).start() for number in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)

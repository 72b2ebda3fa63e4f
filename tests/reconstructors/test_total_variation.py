import shutil
import subprocess

import numpy as np
import pytest
import scipy.sparse
import torch

from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.differentiation import Implicit, Unrolled
from mrilib.solvers.solution import NotConvergedError, Status
from tests.reconstructors.cvxpy_tv import minimum_by_cvxpy

WEIGHT = 5e-3
# For 16² pixels: heavy enough that 1500 unrolled steps have converged, and light enough to leave edges.
HEAVY = 5e-2
COUPLINGS = ("split", "complex", "isotropic")


@pytest.fixture(params=COUPLINGS)
def coupling(request):
    return request.param


def minimise_with_cvxpy(kspace, mask, coupling):
    """`argmin ½‖Az − y‖² + λ‖∇z‖₁` and its value, with `A` and `∇` written out as matrices."""
    size = mask.shape[0]
    centred, eye = np.arange(size) - size // 2, np.eye(size)
    transform = np.exp(-2j * np.pi * np.outer(centred, centred) / size) / np.sqrt(size)
    operator = np.kron(transform, transform)[mask.flatten()]
    forward = np.roll(eye, 1, axis=1) - eye
    along_x, along_y = (scipy.sparse.csr_array(np.kron(*pair)) for pair in ((eye, forward), (forward, eye)))
    found, minimum = minimum_by_cvxpy(
        operator, kspace[mask], along_x, along_y, weight=WEIGHT, coupling=coupling
    )
    return found.reshape(size, size), minimum


def test_minimiser_is_that_of_cvxpy(measured, coupling):
    _, kspace, operator = measured(24, 8, phase=True, noise=0.02)
    expected, objective = minimise_with_cvxpy(kspace.numpy(), operator.mask.numpy(), coupling)
    solution = TotalVariation(weight=WEIGHT, coupling=coupling, tolerance=1e-11).solve(kspace, operator)
    np.testing.assert_allclose(solution.value, expected, rtol=0, atol=1e-5)
    assert float(solution.stats["objective"]) == pytest.approx(objective, rel=1e-9)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed")
def test_isotropic_minimiser_is_that_of_bart(measured, tmp_path):
    _, kspace, operator = measured(32, 10, phase=True, noise=0.02, dtype=torch.complex64)
    # BART takes backward differences: forward ones of the image read backwards, whose transform is, too.
    data = mirrored(kspace.numpy())[:, :, None, None]
    write_cfl(tmp_path / "kspace", data)
    write_cfl(tmp_path / "maps", np.ones_like(data))
    subprocess.run(
        ["bart", "pics", "-S", "-w", "1", "-m", "-u", "0.1", "-i", "5000", "-R", f"T:3:0:{WEIGHT}"]
        + [str(tmp_path / name) for name in ("kspace", "maps", "image")],
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = mirrored(np.fromfile(tmp_path / "image.cfl", np.complex64).reshape((32, 32), order="F"))
    ours = TotalVariation(weight=WEIGHT, coupling="isotropic", tolerance=1e-9)(kspace, operator)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def mirrored(array):
    """Index `−k` in place of `k`, about the centre of an even size."""
    return np.roll(array[::-1, ::-1], (1, 1), (0, 1))


def write_cfl(path, array):
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.astype(np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_image_scales_with_kspace_and_weight(measured, coupling, factor):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    solution = TotalVariation(weight=HEAVY, coupling=coupling, tolerance=1e-9).solve(kspace, operator)
    scaled = TotalVariation(weight=factor * HEAVY, coupling=coupling, tolerance=1e-9).solve(
        factor * kspace, operator
    )
    torch.testing.assert_close(scaled.value / factor, solution.value, rtol=0, atol=1e-9)
    assert float(scaled.stats["objective"]) == pytest.approx(
        factor**2 * float(solution.stats["objective"]), rel=1e-9
    )
    assert torch.equal(scaled.stats["steps"], solution.stats["steps"])


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_batch_equals_one_by_one(measured, coupling):
    _, first, operator = measured(16, 6, phase=True, noise=0.02)
    _, second, _ = measured(16, 6, index=1, phase=True, noise=0.02)
    method = TotalVariation(weight=HEAVY, coupling=coupling, tolerance=1e-6)
    batch = torch.stack([first, 10 * second])[:, None]
    together = method.solve(batch, operator)
    assert together.value.shape == (2, 1, 16, 16)
    assert together.stats["gap"].shape == (2, 1)
    for item in range(2):
        alone = method.solve(batch[item, 0], operator)
        torch.testing.assert_close(together.value[item, 0], alone.value, rtol=0, atol=1e-12)
        assert torch.equal(together.stats["steps"][item, 0], alone.stats["steps"])
    torch.testing.assert_close(method(batch, operator), together.value, rtol=0, atol=0)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_tolerance_is_kept_whatever_the_precision(measured, coupling):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02, dtype=torch.complex64)
    accurate = TotalVariation(weight=HEAVY, coupling=coupling, tolerance=1e-11)
    minimum = accurate.solve(kspace.to(torch.complex128), operator).stats["objective"]
    for dtype in (torch.complex64, torch.complex128):
        for tolerance in (1e-3, 1e-5, 1e-9):
            method = TotalVariation(weight=HEAVY, coupling=coupling, tolerance=tolerance)
            solution = method.solve(kspace.to(dtype), operator)
            assert solution.status is Status.CONVERGED
            assert solution.value.dtype == dtype
            assert 0 <= float(solution.stats["gap"]) <= tolerance
            excess = float(solution.stats["objective"] / minimum) - 1
            # Scaling in single precision changes the data by 1e-7, and with them the minimum.
            slack = 1e-6 if dtype == torch.complex64 else 1e-11
            assert -slack <= excess <= float(solution.stats["gap"]) + slack


def test_objective_is_that_of_the_image(measured):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    solution = TotalVariation(weight=HEAVY, tolerance=1e-6).solve(kspace, operator)
    z = solution.value
    residual = (operator.forward(z) - kspace * operator.mask).abs().square().sum()
    differences = torch.stack([z.roll(-1, -1) - z, z.roll(-1, -2) - z])
    norm = differences.real.abs().sum() + differences.imag.abs().sum()
    expected = float(0.5 * residual + HEAVY * norm)
    assert float(solution.stats["objective"]) == pytest.approx(expected, rel=1e-9)


def test_entries_outside_the_mask_count_for_nothing(measured):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    method = TotalVariation(weight=HEAVY)
    assert torch.equal(method(kspace + ~operator.mask, operator), method(kspace, operator))


def test_zero_kspace_gives_the_zero_image(coupling):
    operator = MaskedFourier(mask=torch.ones(8, 8, dtype=torch.bool))
    solution = TotalVariation(weight=HEAVY, coupling=coupling).solve(
        torch.zeros(2, 8, 8, dtype=torch.complex64), operator
    )
    assert solution.status is Status.CONVERGED
    assert not solution.value.any()
    assert not solution.stats["objective"].any()


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_warm_start_saves_steps(measured, coupling):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    batch = torch.stack([kspace, 2 * kspace])
    method = TotalVariation(weight=HEAVY, coupling=coupling, tolerance=1e-6)
    start = method.solve(batch, operator).state
    nearby = 1.001 * batch + 1e-3 * operator.mask
    cold, warm = method.solve(nearby, operator), method.solve(nearby, operator, start=start)
    assert (warm.stats["steps"] < cold.stats["steps"]).all()
    objectives = warm.stats["objective"] / cold.stats["objective"]
    torch.testing.assert_close(objectives, torch.ones_like(objectives), rtol=0, atol=1e-6)


def test_giving_up_is_said(measured):
    _, kspace, operator = measured(24, 8)
    method = TotalVariation(weight=WEIGHT, tolerance=1e-9, max_steps=50)
    with pytest.raises(NotConvergedError, match=r"after 50 steps, expected 1.0e-09; raise max_steps"):
        method(kspace, operator)
    solution = method.solve(kspace, operator, throw=False)
    assert solution.status is Status.MAX_STEPS
    assert float(solution.stats["gap"]) > 1e-9


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight": 0.0}, "expected weight > 0, got 0.0"),
        ({"weight": float("nan")}, "expected weight > 0, got nan"),
        (
            {"coupling": "anisotropic"},
            r"expected coupling in \['complex', 'isotropic', 'split'\], got 'aniso",
        ),
        ({"tolerance": 0.0}, "expected 0 < tolerance < 1, got 0.0"),
        ({"tolerance": 1.0}, "expected 0 < tolerance < 1, got 1.0"),
        ({"max_steps": 0}, "expected max_steps >= 1, got 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_refuses_settings_out_of_range(changed, message):
    with pytest.raises(ValueError, match=f"TotalVariation: {message}"):
        TotalVariation(**{"weight": WEIGHT} | changed)


def test_refuses_a_mask_without_the_zero_frequency(measured):
    _, kspace, operator = measured(16, 5)
    mask = operator.mask.clone()
    mask[8, 8] = False
    with pytest.raises(ValueError, match="TotalVariation: the mask misses the zero frequency"):
        TotalVariation(weight=WEIGHT)(kspace, MaskedFourier(mask=mask))


def test_refuses_bad_input(measured):
    _, kspace, operator = measured(16, 5)
    method = TotalVariation(weight=WEIGHT)
    with pytest.raises(ValueError, match="expected a MaskedFourier or CoilFourier operator, got _Adjoint"):
        method(kspace, operator.H)
    with pytest.raises(ValueError, match="expected complex kspace, got"):
        method(kspace.real, operator)
    with pytest.raises(ValueError, match=r"expected kspace \(\.\.\., 16, 16\) from the mask"):
        method(kspace[:, :15], operator)
    kspace[3, 4] = float("nan")
    with pytest.raises(ValueError, match="TotalVariation: kspace holds NaN or infinite entries"):
        method(kspace, operator)


def derivative(method, kspace, operator, cotangent):
    """Gradient of `Re⟨cotangent, rec(y)⟩`."""
    kspace = kspace.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(method(kspace, operator), kspace, cotangent)
    return found


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_implicit_derivative_equals_unrolled_and_finite_differences(measured, coupling, draw):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    cotangent, direction = draw(16, 16), draw(16, 16, seed=1) * operator.mask
    method = TotalVariation(
        weight=HEAVY, coupling=coupling, tolerance=1e-13, differentiation=Implicit(tolerance=1e-10)
    )
    implicit = derivative(method, kspace, operator, cotangent)
    assert not implicit[~operator.mask].any()

    unrolled = derivative(
        TotalVariation(weight=HEAVY, coupling=coupling, differentiation=Unrolled(steps=1500)),
        kspace,
        operator,
        cotangent,
    )
    assert (implicit - unrolled).norm() <= 1e-5 * implicit.norm()

    step = 1e-5 * direction / direction.norm()
    change = method(kspace + step, operator) - method(kspace - step, operator)
    numerical = float(torch.vdot(cotangent.flatten(), change.flatten()).real / 2e-5)
    along = float(torch.vdot(implicit.flatten(), direction.flatten()).real / direction.norm())
    assert along == pytest.approx(numerical, rel=1e-5)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_derivative_of_a_batch_is_that_of_its_items(measured, coupling, draw):
    _, first, operator = measured(16, 6, phase=True, noise=0.02)
    _, second, _ = measured(16, 6, index=1, phase=True, noise=0.02)
    method = TotalVariation(
        weight=HEAVY, coupling=coupling, tolerance=1e-8, differentiation=Implicit(tolerance=1e-7)
    )
    batch, cotangent = torch.stack([first, 10 * second])[:, None], draw(2, 1, 16, 16)
    together = derivative(method, batch, operator, cotangent)
    assert together.shape == batch.shape
    for item in range(2):
        alone = derivative(method, batch[item, 0], operator, cotangent[item, 0])
        # the linear solve's 1e-7 is a residual, and the batch goes on until its slowest item is done
        torch.testing.assert_close(together[item, 0], alone, rtol=0, atol=1e-5)


def test_derivative_in_single_precision(measured, coupling, draw):
    _, kspace, operator = measured(16, 6, phase=True, noise=0.02)
    cotangent = draw(16, 16)
    accurate = derivative(
        TotalVariation(weight=HEAVY, coupling=coupling, tolerance=1e-12), kspace, operator, cotangent
    )
    single = derivative(
        TotalVariation(weight=HEAVY, coupling=coupling),
        kspace.to(torch.complex64),
        operator,
        cotangent.to(torch.complex64),
    )
    assert single.dtype == torch.complex64
    # A gap of 1e-5 leaves the image, and with it the pieces and curvature, uncertain to its square root.
    assert (single - accurate).norm() <= 3e-4 * accurate.norm()


def test_derivative_at_zero_kspace_sees_the_mean_alone(measured, coupling, draw):
    _, kspace, operator = measured(16, 6)
    cotangent = draw(16, 16)
    expected = operator.forward(cotangent.mean().expand(16, 16))
    found = derivative(TotalVariation(weight=HEAVY, coupling=coupling), 0 * kspace, operator, cotangent)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    method = TotalVariation(weight=HEAVY, coupling=coupling, differentiation=Unrolled(steps=50))
    assert derivative(method, 0 * kspace, operator, cotangent).isfinite().all()


def test_a_second_derivative_is_refused(measured):
    _, kspace, operator = measured(16, 6)
    kspace.requires_grad_(True)
    image = TotalVariation(weight=HEAVY)(kspace, operator)
    (first,) = torch.autograd.grad(image.abs().square().sum(), kspace, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.abs().sum().backward()


def test_derivative_that_does_not_converge_says_so(measured, draw):
    _, kspace, operator = measured(16, 6)
    method = TotalVariation(weight=HEAVY, differentiation=Implicit(tolerance=1e-9, max_steps=20))
    with pytest.raises(NotConvergedError, match="linearised total variation: max_steps at residual"):
        derivative(method, kspace, operator, draw(16, 16))

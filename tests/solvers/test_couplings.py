import numpy as np
import pytest
import torch

from mrilib.solvers.couplings import COUPLINGS

THRESHOLD = 0.7


def draw(*batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((*batch, 2, 4, 5), generator=generator, dtype=torch.complex128)


@pytest.fixture(params=COUPLINGS)
def coupling(request):
    return request.param


def lengths(coupling, field):
    """Euclidean norm of every group of one field, from the table in the module's docstring."""
    parts = torch.view_as_real(field).numpy()
    if coupling == "split":
        return np.abs(parts)
    if coupling == "complex":
        return np.linalg.norm(parts, axis=-1)
    return np.linalg.norm(np.moveaxis(parts, -1, 0).reshape(4, 4, 5), axis=0)


def test_norm_and_dual_norm_are_the_sum_and_the_largest_of_the_groups(coupling):
    fields = draw(3)
    norms, duals = COUPLINGS[coupling].norm(fields), COUPLINGS[coupling].dual_norm(fields)
    assert norms.shape == duals.shape == (3,)
    for item in range(3):
        groups = lengths(coupling, fields[item])
        assert float(norms[item]) == pytest.approx(groups.sum(), rel=1e-12)
        assert float(duals[item]) == pytest.approx(groups.max(), rel=1e-12)


def test_shrink_is_the_proximal_point(coupling):
    # Optimality of ½‖z − s‖² + τ‖z‖: s − z is in the dual ball, and attains the norm of z.
    rule, field = COUPLINGS[coupling], draw()
    kept = rule.shrink(field, THRESHOLD)
    rest = field - kept
    assert float(rule.dual_norm(rest)) <= THRESHOLD * (1 + 1e-12)
    attained = float(torch.vdot(kept.flatten(), rest.flatten()).real)
    assert attained == pytest.approx(THRESHOLD * float(rule.norm(kept)), rel=1e-12)
    # both kinds of groups are there
    groups = lengths(coupling, kept)
    assert 0 < (groups == 0).sum() < groups.size


def test_shrink_takes_one_threshold_an_item(coupling):
    rule, fields = COUPLINGS[coupling], draw(2)
    thresholds = torch.tensor([0.2, 1.0], dtype=torch.float64)[:, None, None, None]
    together = rule.shrink(fields, thresholds)
    for item, threshold in enumerate((0.2, 1.0)):
        torch.testing.assert_close(together[item], rule.shrink(fields[item], threshold), rtol=1e-14, atol=0)


def test_jacobian_is_the_derivative_of_shrink(coupling):
    rule, field, direction = COUPLINGS[coupling], draw(), draw(seed=1)
    step = 1e-6
    numerical = (
        rule.shrink(field + step * direction, THRESHOLD) - rule.shrink(field - step * direction, THRESHOLD)
    ) / (2 * step)
    exact = rule.jacobian(field, direction, THRESHOLD)
    torch.testing.assert_close(exact, numerical, rtol=0, atol=1e-8)
    position = field.clone().requires_grad_(True)
    cotangent = draw(seed=2)
    (by_autograd,) = torch.autograd.grad(rule.shrink(position, THRESHOLD), position, cotangent)
    torch.testing.assert_close(by_autograd, rule.jacobian(field, cotangent, THRESHOLD), rtol=0, atol=1e-12)


def test_jacobian_is_symmetric(coupling):
    rule, field, first, second = COUPLINGS[coupling], draw(), draw(seed=1), draw(seed=2)
    left = torch.vdot(second.flatten(), rule.jacobian(field, first, THRESHOLD).flatten()).real
    right = torch.vdot(rule.jacobian(field, second, THRESHOLD).flatten(), first.flatten()).real
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_zero_is_kept_and_has_a_finite_derivative(coupling):
    rule = COUPLINGS[coupling]
    nothing = torch.zeros(2, 4, 5, dtype=torch.complex64, requires_grad=True)
    kept = rule.shrink(nothing, THRESHOLD)
    assert not kept.any()
    assert not torch.autograd.grad(kept, nothing, torch.ones_like(kept))[0].any()
    assert not rule.jacobian(nothing.detach(), torch.ones_like(nothing), THRESHOLD).any()
    assert float(rule.norm(nothing.detach())) == float(rule.dual_norm(nothing.detach())) == 0

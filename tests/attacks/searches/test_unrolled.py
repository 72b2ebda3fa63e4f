import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches.unrolled import UnrolledAdam
from mrilib.operators.base import norm2
from mrilib.reconstructors.linear import ZeroFilled


def reference(scene, **settings):
    method, kspace, operator, radius = scene()
    return localized_attack(
        method,
        kspace,
        operator,
        radius=radius,
        grid=2,
        objective="disk",
        disk_radius=3.0,
        seed=0,
        search=UnrolledAdam(**settings),
    )


def test_reference_attack_keeps_the_budget_and_counts(scene):
    _, _, operator, radius = scene()
    result = reference(scene, steps=5)
    assert float(norm2(result.perturbation)) <= radius * (1 + 1e-5)
    assert not result.perturbation[~operator.mask].any()
    # warm start and clean reconstruction once, then 50 steps forward and back at every gradient
    assert float(result.stats["solver_steps"]) == pytest.approx(100 + 50 + 4 * 5 * 50 * (1 + 1.48))
    assert float(result.stats["gradient_evaluations"]) == 4 * 5
    assert torch.equal(result.perturbation, reference(scene, steps=5).perturbation)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_reference_attack_is_not_stronger_than_ours(scene):
    method, kspace, operator, radius = scene()
    theirs = reference(scene)
    ours = localized_attack(method, kspace, operator, radius=radius, grid=2, seed=0)
    assert float(theirs.severity) <= float(ours.severity)
    # and yet it is one: its protocol leads a good part of the way
    assert float(theirs.severity) > 0.5 * float(ours.severity)


def test_refuses_other_methods(scene):
    _, kspace, operator, radius = scene()
    with pytest.raises(ValueError, match="UnrolledAdam: expected TotalVariation, got ZeroFilled"):
        localized_attack(ZeroFilled(), kspace, operator, radius=radius, seed=0, search=UnrolledAdam())

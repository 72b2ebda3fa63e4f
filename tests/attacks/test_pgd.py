import math

import pytest
import torch

from mrilib.attacks.base import Round, gaussian_starts, judge
from mrilib.attacks.coupled import CoupledAscent
from mrilib.attacks.localized import localized_attack
from mrilib.attacks.pgd import GradientAscent, global_attack
from mrilib.operators.base import ifft2c, norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.sparse import TotalVariation
from mrilib.solvers.differentiation import Implicit


def test_global_attack_reaches_the_norm_of_a_linear_method(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    result = global_attack(ZeroFilled(), kspace, operator, radius=0.7, steps=5, seed=0)
    assert float(norm2(result.artifact)) == pytest.approx(0.7, rel=1e-5)
    assert result.location.tolist() == [-1, -1]
    assert result.severities is None
    assert result.severities_first_round is None


class Diagonal(Reconstructor):
    """`Aᴴ(d·y)`: a linear method whose worst perturbations live where `d` is largest."""

    def __init__(self, diagonal):
        self.diagonal = diagonal

    def __call__(self, kspace, operator):
        return operator.adjoint(self.diagonal * kspace)


def test_global_attack_reaches_the_top_singular_value(measured, draw):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    diagonal = draw(24, 24).real.float()
    top = float((diagonal.abs() * operator.mask).max())
    result = global_attack(Diagonal(diagonal), kspace, operator, radius=0.7, seed=0)
    assert 0.99 * 0.7 * top <= float(norm2(result.artifact)) <= 0.7 * top * (1 + 1e-5)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("coupling", ["split", "isotropic"])
def test_global_attack_keeps_the_budget_and_beats_noise(scene, coupling):
    method, kspace, operator, radius = scene(coupling)
    result = global_attack(method, kspace, operator, radius=radius, seed=0)
    assert float(norm2(result.perturbation)) <= radius * (1 + 1e-5)
    assert not result.perturbation[~operator.mask].any()
    noise = gaussian_starts(operator, 8, radius, [1])
    harm = norm2(method(kspace + noise, operator) - method(kspace, operator))
    assert float(norm2(result.artifact)) > 1.5 * float(harm.max())


def test_global_attack_of_a_batch_equals_one_by_one(scene):
    method, kspace, operator, radius = scene()
    batch, radii = torch.stack([kspace, kspace]), radius * torch.tensor([1.0, 0.5], dtype=torch.float64)
    together = global_attack(method, batch, operator, radius=radii, steps=20, seed=3)
    alone = global_attack(method, kspace, operator, radius=radius, steps=20, seed=3)
    assert torch.equal(together.perturbation[0], alone.perturbation)
    assert torch.equal(together.severity[0], alone.severity)
    assert float(norm2(together.perturbation[1])) == pytest.approx(0.5 * radius)
    again = global_attack(method, kspace, operator, radius=radius, steps=20, seed=3)
    assert torch.equal(again.perturbation, alone.perturbation)
    other = global_attack(method, kspace, operator, radius=radius, steps=20, seed=4)
    assert not torch.equal(other.perturbation, alone.perturbation)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
class Unmasked(Reconstructor):
    """A method that looks at entries which were never sampled."""

    def __call__(self, kspace, operator):
        return ifft2c(kspace)


def test_perturbations_stay_on_the_mask_whatever_the_method_looks_at(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    result = localized_attack(Unmasked(), kspace, operator, radius=0.7, grid=2, seed=0)
    assert not result.perturbation[~operator.mask].any()


def test_gradient_ascent_and_coupled_ascent_agree(measured):
    # Two ways to the same derivative; the paths differ.
    _, kspace, operator = measured(16, 6, phase=True, dtype=torch.complex64)
    method = TotalVariation(weight=0.02, tolerance=1e-4, differentiation=Implicit(tolerance=1e-3))
    severities = [
        float(localized_attack(method, kspace, operator, radius=0.5, grid=1, seed=0, search=search).severity)
        for search in (GradientAscent(rounds=(Round(20, None),)), CoupledAscent())
    ]
    assert severities[0] == pytest.approx(severities[1], rel=0.05)


def test_chunks_change_nothing(scene, task_of):
    found = []
    for chunk in (1, 3):
        search = GradientAscent(chunk=chunk)
        _, kspace, operator, radius = scene()
        search.begin(task_of(search, ZeroFilled(), kspace, operator, radius, objective="disk"))
        search.run(5)
        search.keep(torch.tensor([2, 0]))
        search.run(5)
        found.append(search.found())
        assert search.costs["gradient_evaluations"] == 4 * 5 + 2 * 5
    torch.testing.assert_close(found[0], found[1])


def test_the_best_iterate_is_kept(scene, task_of):
    _, kspace, operator, radius = scene()
    # steps of ten radii throw the perturbation about
    search = GradientAscent(rate=10.0, decay=1.0)
    task = task_of(search, ZeroFilled(), kspace, operator, radius, objective="disk")
    search.begin(task)
    values = []
    for _ in range(6):
        seen = search.run(1)
        values.append(norm2(task.windows * judge(task, search.found()).artifacts))
    assert (torch.stack(values).diff(dim=0) >= -1e-6).all()
    torch.testing.assert_close(
        seen, (task.windows * judge(task, search.found()).artifacts).abs().amax(dim=(1, 2))
    )


def test_a_derivative_that_is_not_finite_stops_the_search(scene):
    _, kspace, operator, radius = scene()
    diagonal = torch.ones(24, 24)
    diagonal[12, 12] = math.nan
    with pytest.raises(FloatingPointError, match="GradientAscent: non-finite value or gradient at step 0"):
        global_attack(Diagonal(diagonal), kspace, operator, radius=radius, seed=0)


@pytest.mark.parametrize("changed", [{"steps": 0}, {"restarts": 0}])
def test_refuses_counts_out_of_range(scene, changed):
    method, kspace, operator, radius = scene()
    with pytest.raises(ValueError, match="global_attack: expected steps >= 1 and restarts >= 1, got"):
        global_attack(method, kspace, operator, radius=radius, seed=0, **changed)


def test_refuses_a_radius_of_zero(scene):
    method, kspace, operator, _ = scene()
    with pytest.raises(ValueError, match="global_attack: expected radius > 0"):
        global_attack(method, kspace, operator, radius=0.0, seed=0)

import math

import pytest
import torch

from mrilib.attacks import chunks
from mrilib.attacks.judge import judge
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.pgd import GradientAscent, global_attack
from mrilib.attacks.searches.base import Round, gaussian_starts
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.attacks.target import Observed, Start
from mrilib.operators.base import ifft2c, norm2
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.multicoil import TrainedMultiCoil
from mrilib.reconstructors.total_variation import TotalVariation
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


class Crowded(ZeroFilled):
    """A method that runs out of memory in its third call."""

    def __init__(self):
        self.sizes = []

    def __call__(self, kspace, operator):
        if torch.is_grad_enabled():
            self.sizes.append(kspace.shape[0])
            if len(self.sizes) == 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return super().__call__(kspace, operator)


def test_a_step_without_memory_is_repeated_with_fewer_candidates(scene, task_of, capsys):
    found = []
    for method, chunk in ((Crowded(), 3), (ZeroFilled(), 4)):
        search = GradientAscent(chunk=chunk)
        _, kspace, operator, radius = scene()
        search.begin(task_of(search, method, kspace, operator, radius, objective="disk"))
        seen = search.run(4)
        found.append((seen, search.found()))
        assert search.costs["gradient_evaluations"] == 4 * 4
        if chunk == 3:
            # step 0: 3 + 1 candidates; step 1: 3 fail, then one at a time
            assert method.sizes == [3, 1, 3] + 12 * [1]
            printed = capsys.readouterr().out
    torch.testing.assert_close(found[0], found[1])
    assert printed == "no memory for 3 candidates at once: from here 1\n"


class Flat(Reconstructor):
    """`Aᴴy` within a tenth, in one number or the other: there the derivative is lost."""

    def __init__(self, keep_graph=True):
        self._keep_graph = keep_graph

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace)
        rounded = torch.view_as_complex(torch.round(torch.view_as_real(image), decimals=1))
        return rounded if self._keep_graph else rounded.detach()


def test_a_lost_derivative_leaves_the_start(scene):
    _, kspace, operator, _ = scene()
    for start in ("spike", "gaussian"):
        search = GradientAscent()
        search.start = start
        nothing = Start((5, 7), torch.zeros_like(kspace))
        result = localized_attack(
            Flat(),
            kspace,
            operator,
            radius=0.7,
            grid=2,
            seed=0,
            restarts=2,
            search=search,
            starts=[nothing],
        )
        assert result.perturbation.isfinite().all()
    with pytest.raises(ValueError, match="GradientAscent: Flat returns an image without derivative"):
        localized_attack(Flat(keep_graph=False), kspace, operator, radius=0.7, grid=2, seed=0)


class Modulus(Reconstructor):
    """`|Aᴴy|`: on an empty image every derivative of the artifact's modulus is one of `|·|` at zero."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace).abs()


@pytest.mark.parametrize("method", [ZeroFilled(), Modulus()])
def test_the_objective_climbs_from_no_artifact_at_all(scene, method):
    _, kspace, operator, _ = scene()
    nothing = torch.zeros_like(kspace)
    # y + e = y at the start: ρ = 0, where the objective has no derivative
    search = GradientAscent(rounds=[[20, None]])
    result = localized_attack(
        method,
        kspace,
        operator,
        radius=0.7,
        grid=1,
        seed=0,
        search=search,
        starts=[Start((5, 7), nothing)],
    )
    severity = result.severity
    assert float(severity) == pytest.approx(0.7 * math.sqrt(operator.samples) / 24, rel=1e-3)
    assert search.found()[1].isfinite().all()
    # the candidate that began from nothing has come as far
    task = search._task
    assert float(judge(task, search.found()).severities[1]) == pytest.approx(float(severity), rel=1e-3)


def test_global_attack_goes_on_from_starts(measured, draw):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    diagonal = draw(24, 24).real.float()
    top = float((diagonal.abs() * operator.mask).max())
    worst = 3.0 * (diagonal.abs() == top).to(kspace)
    settings = {"radius": 0.7, "steps": 1, "restarts": 1, "seed": 0}
    alone = global_attack(Diagonal(diagonal), kspace, operator, **settings)
    assert float(norm2(alone.artifact)) < 0.9 * 0.7 * top
    planted = global_attack(Diagonal(diagonal), kspace, operator, **settings, starts=[Start((-5, 99), worst)])
    assert float(norm2(planted.artifact)) == pytest.approx(0.7 * top, rel=1e-5)
    assert planted.location.tolist() == [-1, -1]
    batch = torch.stack([kspace] * 2)
    with pytest.raises(ValueError, match="global_attack: starts are those of one item, got a batch"):
        global_attack(Diagonal(diagonal), batch, operator, **settings, starts=[Start((0, 0), worst)])


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
    method, clean = Diagonal(diagonal), Observed(operator.adjoint(kspace))
    with pytest.raises(FloatingPointError, match="GradientAscent: non-finite value or gradient at step 0"):
        global_attack(method, kspace, operator, radius=radius, seed=0, clean=clean)
    with pytest.raises(FloatingPointError, match="Diagonal: not_finite, 576 of 576 pixels"):
        global_attack(method, kspace, operator, radius=radius, seed=0)


@pytest.mark.parametrize("changed", [{"steps": 0}, {"restarts": 0}])
def test_refuses_counts_out_of_range(scene, changed):
    method, kspace, operator, radius = scene()
    with pytest.raises(ValueError, match="global_attack: expected steps >= 1 and restarts >= 1, got"):
        global_attack(method, kspace, operator, radius=radius, seed=0, **changed)


def test_refuses_a_radius_of_zero(scene):
    method, kspace, operator, _ = scene()
    with pytest.raises(ValueError, match="global_attack: expected radius > 0"):
        global_attack(method, kspace, operator, radius=0.0, seed=0)


def test_parts_have_no_part_in_what_is_found(monkeypatch, draw):
    maps = draw(3, 32, 36).to(torch.complex64)
    operator = CoilFourier(mask=torch.arange(36) % 3 == 0, coil_maps=maps / maps.abs().square().sum(0).sqrt())
    kspace = operator.forward(draw(32, 36).to(torch.complex64))
    method = TrainedMultiCoil(
        network={
            "class": "mrilib.networks.magnitude_unet:MagnitudeUnet",
            "arguments": {"chans": 2, "num_pool_layers": 2},
        }
    )
    seen, call = [], method.model.forward
    monkeypatch.setattr(
        method.model, "forward", lambda data, mask: seen.append(len(data)) or call(data, mask)
    )

    def found(room, chunk=None):
        monkeypatch.setattr(chunks, "gradient_room", lambda device: room)
        search = GradientAscent(rounds=[[3, 2], [3, 1]], chunk=chunk)
        seen.clear()
        result = localized_attack(method, kspace, operator, radius=1.0, grid=2, seed=0, search=search)
        return result, max(seen[2:-1])

    whole, at_once = found(1 << 30)
    assert at_once == 4
    for room, expected in ((1, 1), (1 << 30, 4)):
        result, at_once = found(room)
        assert at_once == expected
        torch.testing.assert_close(result.perturbation, whole.perturbation, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(result.severities, whole.severities, rtol=1e-4, atol=1e-5)
    assert found(1, chunk=3)[1] == 3

import math

import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.objectives import grid_locations, localized_windows
from mrilib.attacks.searches.base import Round, gaussian_starts
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import Start
from mrilib.metrics.artifacts import severity
from mrilib.operators.base import norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import ZeroFilled


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("coupling", ["split", "complex", "isotropic"])
@pytest.mark.parametrize("phase", [False, True], ids=["real", "complex image"])
def test_attack_keeps_the_budget_and_beats_noise_and_spikes(scene, coupling, phase):
    method, kspace, operator, radius = scene(coupling, phase=phase)
    result = localized_attack(method, kspace, operator, radius=radius, grid=3, seed=0)
    assert float(norm2(result.perturbation)) <= radius * (1 + 1e-5)
    assert not result.perturbation[~operator.mask].any()

    clean = method(kspace, operator)
    noise = gaussian_starts(operator, 9, radius, [0])
    assert float(result.severity) > 2 * float(severity(method(kspace + noise, operator) - clean).max())
    spikes = torch.stack([spike(operator, place, radius) for place in grid_locations(24, 24, 3)])
    assert float(result.severity) > float(severity(method(kspace + spikes, operator) - clean).max())


def test_result_says_what_the_perturbation_does(scene):
    method, kspace, operator, radius = scene()
    result = localized_attack(method, kspace, operator, radius=radius, grid=3, seed=0)
    clean, attacked = method(kspace, operator), method(kspace + result.perturbation, operator)
    assert torch.equal(result.reconstruction, attacked)
    assert torch.equal(result.artifact, attacked - clean)
    assert torch.equal(result.image_perturbation, operator.to_image(result.perturbation))
    assert float(result.severity) == float(result.artifact.abs().max())
    assert float(result.amplification) == pytest.approx(
        float(result.severity) / float(result.image_perturbation.abs().max())
    )
    row, column = result.location.tolist()
    assert (row, column) in {(r, c) for r in (4, 12, 20) for c in (4, 12, 20)}
    assert result.severities.shape == (3, 3)
    assert float(result.severities[row // 8, column // 8]) == float(result.severity)
    assert (result.severities > 0).all()
    # The search aims at the location itself; a neighbour may end up higher.
    assert (torch.nonzero(result.artifact.abs() == result.severity)[0] - result.location).abs().max() <= 1
    assert float(result.stats["gap"]) <= method.tolerance


@pytest.mark.parametrize(("coupling", "cost"), [("split", 1), ("complex", 2)])
def test_costs_count_what_was_run(scene, coupling, cost):
    # a step of two complex problems counts twice
    method, kspace, operator, radius = scene(coupling)
    search = CoupledAscent(rounds=(Round(10, 3), Round(20, 1)), every=2)
    result = localized_attack(method, kspace, operator, radius=radius, grid=3, seed=0, search=search)
    assert float(result.stats["solver_steps"]) == cost * (9 * 10 + 3 * 20)
    assert float(result.stats["gradient_evaluations"]) == 9 * 5 + 3 * 10
    # only three places had more steps than the first round's
    assert int((result.severities != result.severities_first_round).sum()) == 3
    assert (result.severities_first_round > 0).all()
    judged = method.solve(kspace + result.perturbation, operator)
    assert float(result.stats["judging_steps"]) == float(judged.stats["steps"])
    assert float(result.stats["seconds"]) > 0


@pytest.mark.parametrize("search", [None, CoupledAscent(rounds=(Round(20, 2), Round(20, None)))])
def test_batch_with_radii_equals_one_by_one(scene, search):
    method, kspace, operator, radius = scene()
    batch, radii = torch.stack([kspace, 2 * kspace.conj()])[:, None], radius * torch.tensor([[1.0], [0.5]])
    together = localized_attack(method, batch, operator, radius=radii, grid=2, seed=0, search=search)
    shapes = {
        "perturbation": (24, 24),
        "image_perturbation": (24, 24),
        "reconstruction": (24, 24),
        "artifact": (24, 24),
        "location": (2,),
        "severity": (),
        "amplification": (),
        "severities": (2, 2),
        "severities_first_round": (2, 2),
    }
    for item in range(2):
        alone = localized_attack(
            method, batch[item, 0], operator, radius=float(radii[item]), grid=2, seed=0, search=search
        )
        for name, shape in shapes.items():
            assert getattr(together, name).shape == (2, 1, *shape)
            assert torch.equal(getattr(together, name)[item, 0], getattr(alone, name))
        for name in ("solver_steps", "gradient_evaluations", "judging_steps", "gap"):
            assert together.stats[name].shape == (2, 1)
            assert float(together.stats[name][item, 0]) == float(alone.stats[name])


@pytest.mark.parametrize("start", ["spike", "gaussian"])
def test_the_same_seed_gives_the_same_bits(scene, start):
    method, kspace, operator, radius = scene()

    def attacked(seed):
        search = CoupledAscent(rounds=(Round(20, 2), Round(20, None)))
        search.start = start
        return localized_attack(
            method, kspace, operator, radius=radius, grid=2, seed=seed, search=search
        ).perturbation

    assert torch.equal(attacked(3), attacked(3))
    # the spike is no draw
    assert torch.equal(attacked(3), attacked(4)) is (start == "spike")


def test_peak_reaches_the_largest_pixel_of_a_linear_method(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    for start in ("spike", "gaussian"):
        search = GradientAscent()
        search.start = start
        result = localized_attack(ZeroFilled(), kspace, operator, radius=0.7, grid=2, seed=0, search=search)
        assert float(result.severity) == pytest.approx(0.7 * math.sqrt(operator.samples) / 24, rel=1e-5)
        assert float(result.amplification) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("start", ["spike", "gaussian"])
def test_disk_reaches_the_top_singular_value_of_a_linear_method(measured, start):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    windows = localized_windows(grid_locations(24, 24, 2), 24, 24, objective="disk", disk_radius=3.0)
    units = torch.eye(24 * 24, dtype=torch.complex128).reshape(-1, 24, 24)
    # the same at every place: a shift of the image turns phases in k-space
    top = float(torch.linalg.matrix_norm((windows[0] * operator.adjoint(units)).flatten(1), ord=2))
    search = GradientAscent()
    search.start = start
    result = localized_attack(
        ZeroFilled(),
        kspace,
        operator,
        radius=0.7,
        grid=2,
        seed=0,
        objective="disk",
        disk_radius=3.0,
        search=search,
    )
    reached = float(norm2(windows * result.artifact).max())
    assert 0.99 * 0.7 * top <= reached <= 0.7 * top * (1 + 1e-5)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("route", ["coupled", "coupled complex", "gradient"])
def test_restarts_never_make_it_worse(scene, route):
    coupling = "complex" if route == "coupled complex" else "split"
    method, kspace, operator, radius = scene(coupling)
    rounds = [[10, 2], [10, 1]]
    search = CoupledAscent(rounds=rounds)
    if route == "gradient":
        method, search = Magnitude(), GradientAscent(rounds=rounds)
    alone, more = (
        localized_attack(
            method, kspace, operator, radius=radius, grid=2, seed=0, search=search, restarts=restarts
        )
        for restarts in (1, 3)
    )
    # the first of them is the search without; rounding of larger batches apart
    assert float(more.severity) >= float(alone.severity) * (1 - 1e-3)
    assert more.severities.shape == more.severities_first_round.shape == (2, 2)
    assert (more.severities_first_round >= alone.severities_first_round * (1 - 1e-3)).all()
    assert float(more.severities.max()) == float(more.severity)
    assert float(more.stats["gradient_evaluations"]) == 3 * float(alone.stats["gradient_evaluations"])
    assert float(norm2(more.perturbation)) <= radius * (1 + 1e-5)
    assert not more.perturbation[~operator.mask].any()


def test_restarts_make_it_stronger_where_the_spike_is_a_trap(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    alone, more = (
        localized_attack(
            Trap(),
            torch.zeros_like(kspace),
            operator,
            radius=0.7,
            grid=2,
            seed=0,
            search=GradientAscent(rounds=[[10, 2], [10, 1]]),
            restarts=restarts,
        )
        for restarts in (1, 2)
    )
    assert float(more.severity) > 1.5 * float(alone.severity)


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("coupling", ["split", "complex"])
@pytest.mark.parametrize("objective", ["peak", "disk"])
def test_a_planted_start_wins(scene, coupling, objective):
    method, kspace, operator, radius = scene(coupling)
    search = CoupledAscent(rounds=[[30, 2], [30, 1]])
    strong = localized_attack(method, kspace, operator, radius=radius, grid=3, seed=0, search=search)
    row, column = strong.location.tolist()
    assert (row, column) not in {(6, 6), (6, 18), (18, 6), (18, 18)}
    result = localized_attack(
        method,
        kspace[None],
        operator,
        radius=radius,
        grid=2,
        seed=0,
        objective=objective,
        disk_radius=2.0,
        search=CoupledAscent(rounds=[[10, 2], [2, 1]]),
        # twice the budget, and off the mask: taken back to where it was
        starts=[Start((row, column), 2.0 * strong.perturbation + 1.0 * ~operator.mask)],
    )
    assert result.location.tolist() == [[row, column]]
    # solved anew
    assert float(result.severity) >= (1 - 1e-3) * float(strong.severity)
    # neither map knows of it
    assert result.severities.shape == result.severities_first_round.shape == (1, 2, 2)
    assert float(result.severity) > float(result.severities.max())
    assert float(norm2(result.perturbation[0])) <= radius * (1 + 1e-5)
    assert not result.perturbation[0][~operator.mask].any()


def test_the_search_goes_on_from_a_start(measured):
    # noise, at a pixel off the grid whose neighbours the method weakens
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    (noise,) = gaussian_starts(operator, 1, 0.7, [0])
    result = localized_attack(
        OnePixel(), kspace, operator, radius=0.7, grid=2, seed=0, starts=[Start((5, 7), noise)]
    )
    assert result.location.tolist() == [5, 7]
    assert float(result.severity) == pytest.approx(0.7 * math.sqrt(operator.samples) / 24, rel=1e-5)


class OnePixel(Reconstructor):
    """Zero-filled, a tenth of it except at one pixel."""

    def __call__(self, kspace, operator):
        weight = torch.full((24, 24), 0.1)
        weight[5, 7] = 1.0
        return weight * operator.adjoint(kspace)


class Magnitude(Reconstructor):
    """`|Aᴴy|`: a method that returns moduli."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace).abs()


class Trap(Reconstructor):
    """Zero-filled, but as soon as one pixel stands out there is nothing: spikes do not count."""

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace)
        size = image.abs().amax(dim=(-2, -1), keepdim=True)
        return image * (size < 0.2)


def test_methods_that_return_moduli_are_attacked(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    kspace = kspace + operator.forward(torch.full((24, 24), 5.0))
    result = localized_attack(Magnitude(), kspace, operator, radius=0.7, grid=2, seed=0, restarts=2)
    assert not result.artifact.is_complex()
    assert torch.equal(
        result.artifact, Magnitude()(kspace + result.perturbation, operator) - Magnitude()(kspace, operator)
    )
    # |a + b| − |a| reaches |b| where b has the phase of a
    assert float(result.severity) == pytest.approx(0.7 * math.sqrt(operator.samples) / 24, rel=1e-3)


def test_selection_by_truth_takes_the_place_that_is_furthest_from_it(measured):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    kspace = kspace + operator.forward(torch.full((24, 24), 5.0))
    image = ZeroFilled()(kspace, operator)
    search = GradientAscent(rounds=(Round(5, None),))
    for row, column in ((6, 6), (18, 6)):
        # the reconstruction is too bright here already, and more so after an attack at this place
        truth = image.abs()
        truth[row, column] -= 1.0
        result = localized_attack(
            ZeroFilled(),
            kspace,
            operator,
            radius=0.7,
            grid=2,
            seed=0,
            search=search,
            select="truth",
            truth=truth,
        )
        assert result.location.tolist() == [row, column]
        # judged by the change of the reconstruction all the same
        assert float(result.severity) == float((result.reconstruction - image).abs().max())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": 0}, "expected 1 <= grid <= 24, got 0"),
        ({"grid": 25}, "expected 1 <= grid <= 24, got 25"),
        ({"objective": "ring"}, "expected objective 'peak' or 'disk', got 'ring'"),
        ({"disk_radius": -1.0}, "expected disk_radius >= 0, got -1.0"),
        ({"select": "truth"}, "select='truth' goes with truth"),
        ({"truth": torch.zeros(24, 24)}, "select='truth' goes with truth"),
        ({"restarts": 0}, "expected restarts >= 1, got 0"),
        (
            {"starts": [Start((24, 0), torch.zeros(24, 24, dtype=torch.complex64))]},
            r"expected starts inside \(24, 24\), got \(24, 0\)",
        ),
        ({"radius": 0.0}, "expected radius > 0"),
        ({"radius": -0.1}, "expected radius > 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_refuses_arguments_out_of_range(scene, changed, message):
    method, kspace, operator, radius = scene()
    with pytest.raises(ValueError, match=f"localized_attack: {message}"):
        localized_attack(method, kspace, operator, **{"radius": radius, "seed": 0} | changed)


def test_refuses_kspace_with_nan(scene):
    method, kspace, operator, radius = scene()
    kspace[3, 4] = math.nan
    with pytest.raises(ValueError, match="localized_attack: kspace holds NaN or infinite entries"):
        localized_attack(method, kspace, operator, radius=radius, seed=0)

"""The coupled search on coils and for ℓ1 against minimisers and derivatives that are solved for."""

import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.objectives import localized_windows
from mrilib.attacks.searches import coupled_coils
from mrilib.attacks.searches.base import chosen_search
from mrilib.attacks.searches.coupled_coils import CoupledSplitting
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import Task, clean_of
from mrilib.operators.bases import Cosine, Wavelet
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.differentiation import Implicit

HEIGHT, WIDTH, COILS = 24, 20, 3
EXACT = Implicit(tolerance=1e-5, max_steps=20_000)
METHODS = {
    "tv-split": lambda **more: TotalVariation(weight=5e-2, coupling="split", **more),
    "tv-complex": lambda **more: TotalVariation(weight=5e-2, coupling="complex", **more),
    "tv-isotropic": lambda **more: TotalVariation(weight=5e-2, coupling="isotropic", **more),
    "wavelet": lambda **more: L1(basis=Wavelet("db2", 2), weight=5e-2, **more),
    "padded": lambda **more: L1(basis=Wavelet("db2", 3), weight=5e-2, **more),
    "cosine": lambda **more: L1(basis=Cosine(), weight=5e-2, **more),
}


def scene(mask, *, coils=COILS, dtype=torch.complex128):
    """An operator, smooth maps, and the data of a square with a phase."""
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, HEIGHT, dtype=torch.float64),
        torch.linspace(-1, 1, WIDTH, dtype=torch.float64),
        indexing="ij",
    )
    image = ((rows.abs() < 0.6) & (columns.abs() < 0.5)) * torch.exp(1j * (rows + 0.5 * columns))
    if coils == 1:
        operator = MaskedFourier(mask=mask)
    else:
        turns = 2 * torch.pi * torch.arange(coils, dtype=torch.float64)[:, None, None] / coils
        maps = torch.exp(-((rows - turns.cos()) ** 2) - (columns - turns.sin()) ** 2 + 1j * turns * rows)
        maps = maps / maps.abs().square().sum(0).sqrt()
        operator = CoilFourier(mask=mask, coil_maps=maps.to(dtype))
    return operator, operator.forward(image.to(dtype))


def lines():
    chosen = torch.zeros(WIDTH, dtype=torch.bool)
    chosen[::2], chosen[WIDTH // 2 - 2 : WIDTH // 2 + 2] = True, True
    return chosen.expand(HEIGHT, WIDTH).clone()


def points():
    generator = torch.Generator().manual_seed(0)
    chosen = torch.rand(HEIGHT, WIDTH, generator=generator) < 0.6
    chosen[HEIGHT // 2 - 2 : HEIGHT // 2 + 3, WIDTH // 2 - 2 : WIDTH // 2 + 3] = True
    return chosen


MASKS = {
    "columns": lines,
    "rows": lambda: lines()[:WIDTH].mT.contiguous().repeat(2, 1)[:HEIGHT],
    "points": points,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mask", "coils"),
    [
        ("tv-split", "columns", COILS),
        ("tv-complex", "points", COILS),
        ("tv-isotropic", "rows", COILS),
        ("wavelet", "columns", COILS),
        ("wavelet", "points", COILS),
        ("wavelet", "points", 1),
    ],
)
def test_both_iterations_end_where_solvers_do(name, mask, coils, draw):
    operator, kspace = scene(MASKS[mask](), coils=coils)
    method = METHODS[name](tolerance=1e-7, differentiation=EXACT)
    change = 0.1 * draw(*kspace.shape, seed=3).to(kspace) * operator.mask
    direction = draw(HEIGHT, WIDTH, seed=4).to(kspace)

    posed = method.posed(kspace, operator)
    start = method.solve(kspace, operator).state.reshape(-1)
    coupled = posed.coupled(start, 2)
    # The second candidate is not perturbed.
    perturbation = coupled.perturbation(torch.cat([posed.data(change), posed.data(0.0 * change)]))
    coupled.perturb(perturbation)
    coupled.aim(direction.expand(2, HEIGHT, WIDTH))
    for _ in range(400):
        coupled.step()

    for item, data in enumerate((kspace + change, kspace)):
        # Where images are kept of perturbations, conjugate gradients leave 1e-4 of them.
        torch.testing.assert_close(
            posed.images(coupled.image)[item], method(data, operator), rtol=0, atol=1e-3
        )
        variable = data.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(method(variable, operator), variable, direction)
        found = posed.kspace(coupled.derivative.coils(posed.measurement))[item]
        # `A'` is `A` over the largest map, and data are over the scale.
        torch.testing.assert_close(found / found.norm(), slope / slope.norm(), rtol=0, atol=4e-3)


@pytest.mark.parametrize("mask", ["columns", "points"])
def test_what_no_image_explains_is_dropped_where_images_are_kept(mask, draw):
    operator, kspace = scene(MASKS[mask]())
    posed = METHODS["tv-complex"]().posed(kspace, operator)
    noise = posed.data(draw(*kspace.shape, seed=5).to(kspace) * operator.mask)
    perturbation = posed.coupled(None, 1).perturbation(noise)
    coils = perturbation.coils(posed.measurement)
    gathered = posed.measurement.adjoint(noise)
    torch.testing.assert_close(posed.measurement.adjoint(coils), gathered, rtol=0, atol=1e-3)
    torch.testing.assert_close(perturbation.norm(), torch.linalg.vector_norm(coils)[None])
    assert float(perturbation.norm()) <= float(noise.norm()) * (1 + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mask"), [("tv-isotropic", "columns"), ("wavelet", "columns"), ("wavelet", "points")]
)
def test_it_reaches_what_the_derivative_of_the_minimiser_reaches(name, mask):
    operator, kspace = scene(MASKS[mask](), dtype=torch.complex64)
    method = METHODS[name](tolerance=1e-4)
    radius = 0.04 * float(operator.kspace_norm(kspace))
    given = {"radius": radius, "grid": 1, "seed": 1}
    reference = localized_attack(method, kspace, operator, search=GradientAscent(rounds=[[20, 1]]), **given)
    result = localized_attack(method, kspace, operator, search=CoupledSplitting(rounds=[[400, 1]]), **given)
    assert float(result.severity) >= 0.98 * float(reference.severity)
    norm = float(operator.kspace_norm(result.perturbation))
    assert norm <= radius * (1 + 1e-6)
    assert norm >= radius * (1 - 1e-5)
    assert not bool((result.perturbation * ~operator.mask).any())
    assert float(result.stats["solver_steps"]) == 2 * 400


def test_candidates_in_parts_are_as_together(monkeypatch):
    operator, kspace = scene(points(), dtype=torch.complex64)
    given = {
        "radius": 0.5,
        "grid": 3,
        "seed": 1,
        "search": CoupledSplitting(rounds=[[10, 4], [20, 2], [30, 1]]),
    }
    together = localized_attack(METHODS["cosine"](tolerance=1e-4), kspace, operator, **given)
    monkeypatch.setattr(coupled_coils, "LARGEST", 2 * COILS * HEIGHT * WIDTH)
    apart = localized_attack(METHODS["cosine"](tolerance=1e-4), kspace, operator, **given)
    torch.testing.assert_close(apart.severities, together.severities, rtol=1e-3, atol=1e-4)
    assert torch.equal(apart.location, together.location)
    assert float(apart.stats["solver_steps"]) == 2 * (9 * 10 + 4 * 20 + 2 * 30)


def test_parts_tell_of_candidates_in_the_order_that_was_asked_for(monkeypatch):
    operator, kspace = scene(points(), dtype=torch.complex64)
    method = METHODS["cosine"](tolerance=1e-4)
    places = torch.tensor([[row, column] for row in (6, 12, 18) for column in (5, 15)])
    starts = torch.stack([spike(operator, place, 0.5) for place in places])
    task = Task(
        method,
        operator,
        kspace,
        0.5,
        clean_of(method, kspace, operator, None),
        windows=localized_windows(places, HEIGHT, WIDTH, objective="peak", disk_radius=0.0),
        starts=starts,
    )
    told = []
    for largest in (1 << 25, 2 * COILS * HEIGHT * WIDTH):
        monkeypatch.setattr(coupled_coils, "LARGEST", largest)
        search = CoupledSplitting()
        search.begin(task)
        search.run(8)
        search.keep(torch.tensor([5, 0, 3]))
        search.run(8)
        search.keep(torch.tensor([2, 0]))
        seen = search.run(8)
        told.append((seen, search.promising(seen), search.found()))
    for together, apart in zip(*told, strict=True):
        torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("artifact", ["complex", "magnitude"])
def test_the_whole_image_is_attacked_and_both_artifacts(artifact):
    operator, kspace = scene(lines(), dtype=torch.complex64)
    method = METHODS["wavelet"](tolerance=1e-3)
    given = {"radius": 0.5, "restarts": 1, "seed": 2, "artifact": artifact}
    result = global_attack(method, kspace, operator, search=CoupledSplitting(), steps=100, **given)
    reference = global_attack(method, kspace, operator, search=GradientAscent(), steps=10, **given)
    assert float(result.artifact.norm()) >= 0.97 * float(reference.artifact.norm())


def test_it_is_what_convex_methods_are_searched_by_on_coils():
    several, one = (scene(lines(), coils=coils)[0] for coils in (COILS, 1))
    for name in METHODS:
        assert isinstance(chosen_search(None, METHODS[name](), several, "complex", "x"), CoupledSplitting)
    assert isinstance(chosen_search(None, Tikhonov(weight=0.1), several, "complex", "x"), GradientAscent)
    assert "TotalVariation takes no such steps" in CoupledSplitting.refusal(
        METHODS["tv-split"](), one, "complex"
    )
    assert "expected a convex model" in CoupledSplitting.refusal(Tikhonov(weight=0.1), several, "complex")
    assert CoupledSplitting.refusal(METHODS["wavelet"](), one, "magnitude") is None

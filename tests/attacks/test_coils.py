"""The attacks on several coils."""

import math

import pytest
import torch

from mrilib.attacks.judge import judge
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.objectives import disk_windows, grid_locations
from mrilib.attacks.pgd import GradientAscent, global_attack
from mrilib.attacks.places import grid_places
from mrilib.attacks.rivals import baselines, strengthened
from mrilib.attacks.searches.base import chosen_search, gaussian_starts, starts_of
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.attacks.searches.coupled_coils import CoupledSplitting
from mrilib.attacks.searches.unrolled import UnrolledAdam
from mrilib.attacks.target import NoPlaceError, Start, Target, Task, admitted, clean_of, visible_pixels
from mrilib.metrics.artifacts import severity
from mrilib.networks.magnitude_unet import MagnitudeUnet
from mrilib.operators.base import norm2
from mrilib.operators.bases import Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.multicoil import TrainedMultiCoil
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained

HEIGHT, WIDTH, COILS, ETA = 24, 20, 5, 0.7


def columns(width=WIDTH):
    """Every fourth column, the zero frequency among them."""
    return torch.arange(width) % 4 == (width // 2) % 4


@pytest.fixture
def coils(draw):
    """`coils(count, dtype)`: operator whose maps are zero in the upper left quarter, and k-space."""

    def set_up(count=COILS, dtype=torch.complex64, *, seed=0, items=()):
        maps = draw(*items, count, HEIGHT, WIDTH, seed=seed)
        maps = maps / torch.linalg.vector_norm(maps, dim=-3, keepdim=True)
        maps[..., : HEIGHT // 2, : WIDTH // 2] = 0
        operator = CoilFourier(mask=columns(), coil_maps=maps.to(dtype))
        image = draw(*items, HEIGHT, WIDTH, seed=seed + 1).abs() + 0.5
        return operator, operator.forward(image.to(dtype))

    return set_up


def double_norm(perturbation):
    return float(torch.linalg.vector_norm(perturbation.to(torch.complex128)))


def response(operator, weight):
    """`R` of Tikhonov and `s`, in float64: `(pixels, entries)` and `(pixels)`, by a dense solve."""
    pixels = HEIGHT * WIDTH
    if isinstance(operator, CoilFourier):
        operator = CoilFourier(mask=operator.mask, coil_maps=operator.coil_maps.to(torch.complex128))
        seen = operator.coil_maps.abs().square().sum(0).sqrt().flatten()
    else:
        seen = torch.ones(pixels, dtype=torch.float64)
    units = torch.eye(pixels, dtype=torch.complex128).reshape(pixels, HEIGHT, WIDTH)
    matrix = operator.forward(units).reshape(pixels, -1).T
    normal = matrix.mH @ matrix + weight * torch.eye(pixels, dtype=torch.float64)
    return torch.linalg.solve(normal, matrix.mH), seen


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize("several", [True, False], ids=["coils", "one coil"])
@pytest.mark.parametrize("weight", [0.05, 1.0])
def test_attacks_reach_the_closed_form_of_tikhonov(coils, several, weight):
    operator, kspace = coils()
    if not several:
        operator = MaskedFourier(mask=columns().expand(HEIGHT, WIDTH))
        kspace = operator.forward(torch.rand(HEIGHT, WIDTH))
    matrix, seen = response(operator, weight)
    if several:
        # the largest row of R at a pixel is ‖A(AᴴA + λ)⁻¹δ‖
        pixel = torch.zeros(HEIGHT, WIDTH, dtype=torch.complex64)
        pixel[20, 15] = 1
        picked = Tikhonov(weight=weight, tolerance=1e-7)(operator.forward(pixel), operator)
        torch.testing.assert_close(
            matrix @ operator.forward(pixel).flatten().to(matrix),
            picked.flatten().to(matrix),
            rtol=0,
            atol=1e-5,
        )
    method = Tikhonov(weight=weight)
    result = localized_attack(method, kspace, operator, radius=ETA, seed=0)
    bounds = (seen * torch.linalg.vector_norm(matrix, dim=1)).reshape(HEIGHT, WIDTH)
    places = grid_locations(HEIGHT, WIDTH, 8)
    best = ETA * float(bounds[places[:, 0], places[:, 1]].max())
    # beyond the bound only by what the solver leaves
    assert 0.99 * best <= float(result.severity) <= best * 1.01
    assert double_norm(result.perturbation) <= ETA * (1 + 1e-6)
    whole = global_attack(method, kspace, operator, radius=ETA, seed=0)
    top = ETA * float(torch.linalg.matrix_norm(seen[:, None] * matrix, ord=2))
    assert 0.99 * top <= float(norm2(whole.artifact)) <= top * 1.01
    assert double_norm(whole.perturbation) <= ETA * (1 + 1e-6)


def test_places_that_no_coil_sees_are_left_out(coils):
    operator, kspace = coils()
    result = localized_attack(Tikhonov(weight=0.3), kspace, operator, radius=ETA, grid=4, seed=0, restarts=2)
    for severities in (result.severities, result.severities_first_round):
        assert torch.isnan(severities[:2, :2]).all()
        assert int(torch.isnan(severities).sum()) == 4
    assert float(result.severities[~result.severities.isnan()].max()) == float(result.severity)
    row, column = result.location.tolist()
    assert row >= HEIGHT // 2 or column >= WIDTH // 2
    dead = CoilFourier(mask=columns(), coil_maps=torch.zeros_like(operator.coil_maps))
    for attack in (localized_attack, global_attack):
        with pytest.raises(NoPlaceError, match=f"{attack.__name__}: no coil sees any"):
            attack(ZeroFilled(), kspace, dead, radius=ETA, seed=0)


def test_results_are_what_coils_see(coils):
    operator, kspace = coils()
    # maps of another size than one, so that what is seen is not the image
    operator = CoilFourier(mask=columns(), coil_maps=0.5 * operator.coil_maps)
    method = Tikhonov(weight=0.3)
    clean = method.solve(kspace, operator)
    for given in (None, clean, clean_of(method, kspace, operator, clean)):
        result = localized_attack(
            method,
            kspace,
            operator,
            radius=ETA,
            grid=2,
            seed=0,
            clean=given,
            search=GradientAscent(rounds=[[5, 1]]),
        )
        attacked = method.solve(kspace + result.perturbation, operator).value
        torch.testing.assert_close(result.reconstruction, operator.seen(attacked))
        torch.testing.assert_close(result.artifact, operator.seen(attacked - clean.value), rtol=0, atol=1e-6)
        torch.testing.assert_close(result.image_perturbation, operator.adjoint(result.perturbation))
        assert float(result.amplification) == pytest.approx(
            float(result.artifact.abs().max() / result.image_perturbation.abs().max())
        )


class Whim(Reconstructor):
    """`|Aᴴy|`, and wherever no coil sees anything a hundred times the largest of it."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace).abs()
        return torch.where(visible_pixels(operator), image, 100 * image.amax(dim=(-2, -1), keepdim=True))


def test_what_a_network_writes_where_no_coil_sees_is_no_artifact(coils):
    operator, kspace = coils()
    (noise,) = gaussian_starts(operator, 1, ETA, [0])
    for attack in (localized_attack, global_attack):
        result = attack(Whim(), kspace, operator, radius=ETA, seed=0)
        assert not result.artifact[: HEIGHT // 2, : WIDTH // 2].any()
        # it is in the reconstruction all the same
        assert float(result.reconstruction[0, 0]) == pytest.approx(
            100 * float(result.reconstruction[-12:].max()), rel=0.5
        )
    target = Target(Whim(), operator, kspace, ETA, clean_of(Whim(), kspace, operator, None))
    judged = judge(target, noise[None])
    expected = operator.adjoint(kspace + noise).abs() - operator.adjoint(kspace).abs()
    torch.testing.assert_close(judged.artifacts[0], expected * visible_pixels(operator), rtol=0, atol=1e-6)
    assert float(judged.severities[0]) < 100 * float(expected.abs().max())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("several", [True, False], ids=["coils", "one coil"])
def test_the_artifact_can_be_that_of_moduli(coils, several):
    operator, kspace = coils()
    if not several:
        operator = MaskedFourier(mask=columns().expand(HEIGHT, WIDTH))
        kspace = operator.forward(torch.rand(HEIGHT, WIDTH) + 1.0)
    method = Tikhonov(weight=0.3)
    kspace = 20 * kspace
    clean = operator.seen(method(kspace, operator)).abs()
    settings = {"radius": ETA, "seed": 0, "artifact": "magnitude"}
    found = localized_attack(method, kspace, operator, **settings, grid=4)
    whole = global_attack(method, kspace, operator, **settings, steps=20)
    for result in (found, whole):
        moduli = operator.seen(method(kspace + result.perturbation, operator)).abs() - clean
        torch.testing.assert_close(result.artifact, moduli, rtol=0, atol=1e-4)
        assert not result.artifact.is_complex()
        assert result.reconstruction.is_complex()
    # at one pixel |x + ρ| − |x| reaches |ρ|, where the phases agree
    matrix, seen = response(operator, 0.3)
    bounds = (seen * torch.linalg.vector_norm(matrix, dim=1)).reshape(HEIGHT, WIDTH)
    places = grid_locations(HEIGHT, WIDTH, 4)
    assert float(found.severity) >= 0.99 * ETA * float(bounds[places[:, 0], places[:, 1]].max())
    # Moduli change less than what is complex: the attack that climbs them is no weaker than the other. Of one
    # coil both find the same; images of 40 in float32 leave their norms 1e-5 apart.
    other = global_attack(method, kspace, operator, radius=ETA, seed=0, steps=20)
    moduli = operator.seen(method(kspace + other.perturbation, operator)).abs() - clean
    assert float(norm2(whole.artifact)) >= (1.05 if several else 1 - 1e-4) * float(norm2(moduli))
    with pytest.raises(ValueError, match="localized_attack: expected artifact 'complex' or 'magnitude', got"):
        localized_attack(method, kspace, operator, radius=ETA, seed=0, artifact="modulus")


@pytest.mark.parametrize("artifact", ["complex", "magnitude"])
@pytest.mark.parametrize("method", [Tikhonov(weight=0.1, tolerance=1e-12), Whim()])
def test_the_derivative_of_the_objective_is_that_of_finite_differences(coils, draw, method, artifact):
    operator, kspace = coils(dtype=torch.complex128)
    windows = disk_windows(torch.tensor([[6, 6], [15, 12]]), HEIGHT, WIDTH, 6.0).double()
    position, direction = (operator.mask * draw(2, COILS, HEIGHT, WIDTH, seed=seed) for seed in (7, 8))
    task = Task(
        method,
        operator,
        kspace,
        10.0,
        clean_of(method, kspace, operator, None),
        artifact,
        windows=windows,
        starts=position,
    )
    search = GradientAscent()
    search.begin(task)
    value, _, derivative = search._look(position, windows)

    def objective(at):
        images = operator.seen if method.output == "complex" else visible_pixels(operator).double().mul
        before, after = (images(method(data, operator)) for data in (kspace.expand_as(at), kspace + at))
        change = after.abs() - before.abs() if artifact == "magnitude" else after - before
        return norm2(windows * change)

    step = 1e-6
    slope = (objective(position + step * direction) - objective(position - step * direction)) / (2 * step)
    torch.testing.assert_close(value, objective(position))
    torch.testing.assert_close(
        (derivative.conj() * direction).real.sum(dim=(1, 2, 3)), slope, rtol=1e-5, atol=1e-9
    )


def test_a_network_is_attacked_through_its_derivative(draw):
    maps = draw(3, HEIGHT, WIDTH)
    maps = (maps / torch.linalg.vector_norm(maps, dim=0)).to(torch.complex64)
    operator = CoilFourier(mask=columns(), coil_maps=maps)
    kspace = operator.forward((draw(HEIGHT, WIDTH).abs() + 0.5).to(torch.complex64))
    method = TrainedMultiCoil(network=MagnitudeUnet(chans=2, num_pool_layers=1))
    radius = 0.05 * float(operator.kspace_norm(kspace))
    target = Target(method, operator, kspace, radius, clean_of(method, kspace, operator, None))
    result = localized_attack(method, kspace, operator, radius=radius, grid=3, seed=0)
    whole = global_attack(method, kspace, operator, radius=radius, steps=30, seed=0)
    rivals = torch.cat(
        [gaussian_starts(operator, 8, radius, [1])]
        + [spike(operator, place, radius)[None] for place in grid_locations(HEIGHT, WIDTH, 3)]
    )
    judged = judge(target, rivals)
    assert float(result.severity) > 1.5 * float(judged.severities.max())
    assert float(norm2(whole.artifact)) > 1.2 * float(norm2(judged.artifacts).max())
    for found in (result, whole):
        assert double_norm(found.perturbation) <= radius * (1 + 1e-6)
        assert not found.perturbation[:, ~operator.mask].any()
        assert found.reconstruction.shape == (HEIGHT, WIDTH)


def test_gaussian_noise_and_spikes_have_the_norm_of_all_coils(coils):
    operator, _ = coils()
    noise = gaussian_starts(operator, 400, ETA, [3])
    assert noise.shape == (400, COILS, HEIGHT, WIDTH)
    for perturbation in noise[:5]:
        assert double_norm(perturbation) == pytest.approx(ETA, rel=1e-6)
    assert not noise[:, :, ~operator.mask].any()
    entries = 400 * COILS * operator.samples
    variance = float(noise.abs().double().square().sum()) / entries
    assert variance == pytest.approx(ETA**2 / (COILS * operator.samples), rel=1e-6)
    # every coil and both parts alike: five standard deviations of a share of the squares
    for part in (
        noise.real.square().sum() / noise.abs().square().sum() - 0.5,
        *(
            noise[:, coil].abs().square().sum() / noise.abs().square().sum() - 1 / COILS
            for coil in range(COILS)
        ),
    ):
        assert abs(float(part)) < 5 / math.sqrt(entries)

    perturbation = spike(operator, (20, 15), ETA)
    assert double_norm(perturbation) == pytest.approx(ETA, rel=1e-6)
    pixel = torch.zeros(HEIGHT, WIDTH, dtype=torch.complex64)
    pixel[20, 15] = 1
    measured = operator.forward(pixel)
    torch.testing.assert_close(perturbation, ETA * measured / double_norm(measured))
    with pytest.raises(ValueError, match=r"spike: no coil sees the pixel \(3, 4\)"):
        spike(operator, (3, 4), ETA)
    locations = torch.tensor([[20, 15], [13, 2]])
    assert torch.equal(starts_of(GradientAscent(), operator, locations, ETA, [0])[0], perturbation)


def test_the_budget_is_that_of_all_coils(coils, draw):
    operator, kspace = coils()
    wild = draw(COILS, HEIGHT, WIDTH).to(torch.complex64)
    inside = admitted(wild, operator, ETA)
    assert double_norm(inside) == pytest.approx(ETA, rel=1e-6)
    torch.testing.assert_close(inside, ETA * wild * operator.mask / double_norm(wild * operator.mask))
    target = Target(ZeroFilled(), operator, kspace, ETA, clean_of(ZeroFilled(), kspace, operator, None))
    judge(target, inside[None])
    # each coil is far below it
    assert float(norm2(inside).max()) < 0.6 * ETA
    with pytest.raises(ValueError, match=r"norm 0\.70000.* above the radius 0\.7"):
        judge(target, inside[None] * (1 + 5e-6))
    outside = inside.clone()
    outside[3, 0, 0] = 1e-6
    with pytest.raises(ValueError, match="a perturbation outside the mask"):
        judge(target, outside[None])


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize(
    "method",
    [
        TotalVariation(weight=0.02, tolerance=1e-3),
        L1(basis=Wavelet(name="db2", levels=1), weight=0.02, tolerance=1e-3),
    ],
)
def test_convex_methods_are_attacked_through_their_derivative(measured, method):
    image, _, _ = measured(16, 5, dtype=torch.complex64)
    rows, across = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    maps = torch.stack([torch.exp(across + 1j * rows), torch.exp(-across - 1j * rows)])
    maps = maps / torch.linalg.vector_norm(maps, dim=0)
    mask = columns(16)
    mask[6:10] = True
    operator = CoilFourier(mask=mask, coil_maps=maps.to(torch.complex64))
    kspace = operator.forward(image)
    radius = 0.04 * float(operator.kspace_norm(kspace))
    chosen = chosen_search(None, method, operator, "complex", "here")
    assert type(chosen) is CoupledSplitting
    search = GradientAscent(rounds=[[8, 1]])
    result = localized_attack(method, kspace, operator, radius=radius, grid=1, seed=0, search=search)
    assert double_norm(result.perturbation) <= radius * (1 + 1e-6)
    rivals = torch.cat([gaussian_starts(operator, 4, radius, [0]), spike(operator, (8, 8), radius)[None]])
    target = Target(method, operator, kspace, radius, clean_of(method, kspace, operator, None))
    assert float(result.severity) > float(judge(target, rivals).severities.max())


def test_searches_say_what_they_cannot_serve(coils, scene):
    operator, kspace = coils()
    method, single, one_coil, radius = scene()
    for search in (CoupledAscent(), UnrolledAdam()):
        name = type(search).__name__
        for attack in (localized_attack, global_attack):
            with pytest.raises(
                ValueError,
                match=f"{name}: expected a MaskedFourier operator, got CoilFourier; .*GradientAscent",
            ):
                attack(method, kspace, operator, radius=ETA, seed=0, search=search)
    with pytest.raises(
        ValueError, match=r"CoupledAscent: expected artifact 'complex', got 'magnitude'; .*Grad"
    ):
        localized_attack(
            method, single, one_coil, radius=radius, seed=0, search=CoupledAscent(), artifact="magnitude"
        )
    assert type(chosen_search(None, method, one_coil, "complex", "here")) is CoupledAscent
    assert type(chosen_search(None, method, one_coil, "magnitude", "here")) is GradientAscent
    assert type(chosen_search(None, method, operator, "complex", "here")) is CoupledSplitting
    assert type(chosen_search(None, ZeroFilled(), operator, "magnitude", "here")) is GradientAscent
    given = UnrolledAdam()
    assert chosen_search(given, method, one_coil, "complex", "here") is given


def test_methods_without_derivative_are_refused(coils):
    operator, kspace = coils()
    untrained = Untrained(
        network={"class": "mrilib.networks.decoders:ConvDecoder", "arguments": {"layers": 2, "channels": 4}},
        steps=2,
    )
    for attack in (localized_attack, global_attack):
        told = r"Untrained has no derivative .*; search with .*:JointDescent; .*: TotalVariation, L1"
        with pytest.raises(ValueError, match=told):
            attack(untrained, kspace, operator, radius=ETA, seed=0)
        told = "GradientAscent: Untrained has no derivative .*; search with .*:JointDescent$"
        with pytest.raises(ValueError, match=told):
            attack(untrained, kspace, operator, radius=ETA, seed=0, search=GradientAscent())


@pytest.mark.parametrize("own_maps", [True, False])
def test_a_batch_equals_one_by_one(coils, own_maps):
    operator, kspace = coils(3, items=(2,))
    if not own_maps:
        operator = operator.of_item(0, (2,))
    batch = torch.stack([kspace, 2 * kspace])
    assert batch.shape == (2, 2, 3, HEIGHT, WIDTH)
    radii = ETA * torch.tensor([[1.0, 0.5], [0.25, 2.0]])
    method, search = Tikhonov(weight=0.3), GradientAscent(rounds=[[4, 2], [4, 1]])
    together = localized_attack(method, batch, operator, radius=radii, grid=3, seed=0, search=search)
    whole = global_attack(method, batch, operator, radius=radii, steps=4, seed=0)
    assert together.severities.shape == (2, 2, 3, 3)
    assert together.perturbation.shape == whole.perturbation.shape == batch.shape
    assert together.artifact.shape == whole.reconstruction.shape == (2, 2, HEIGHT, WIDTH)
    alone = localized_attack(
        method,
        batch[0, 0],
        operator.of_item(0, (2,)),
        radius=float(radii[0, 0]),
        grid=3,
        seed=0,
        search=search,
    )
    assert torch.equal(together.perturbation[0, 0], alone.perturbation)
    assert torch.equal(together.location[0, 0], alone.location)
    for item in ((0, 1), (1, 0), (1, 1)):
        own = operator.of_item(item[1], (2,))
        radius = float(radii[item])
        for result in (together, whole):
            perturbation = result.perturbation[item]
            assert double_norm(perturbation) == pytest.approx(radius, rel=1e-6)
            artifact = method(batch[item] + perturbation, own) - method(batch[item], own)
            torch.testing.assert_close(result.artifact[item], own.seen(artifact), rtol=0, atol=1e-3 * radius)


def test_refuses_kspace_of_other_coils(coils):
    operator, kspace = coils()
    with pytest.raises(
        ValueError, match=r"expected kspace \(\.\.\., 5, 24, 20\) from the operator, got \(4, 24"
    ):
        localized_attack(ZeroFilled(), kspace[:4], operator, radius=ETA, seed=0)
    with pytest.raises(ValueError, match=r"starts shaped \(5, 24, 20\) as the data, got \(24, 20\)"):
        global_attack(ZeroFilled(), kspace, operator, radius=ETA, seed=0, starts=[Start((0, 0), kspace[0])])
    with pytest.raises(ValueError, match="expected clean as the image of one item"):
        global_attack(
            ZeroFilled(),
            kspace,
            operator,
            radius=ETA,
            seed=0,
            clean=ZeroFilled().solve(kspace[None], operator),
        )
    batched, data = coils(3, items=(2,))
    with pytest.raises(ValueError, match="of_item: expected the batch axes"):
        global_attack(ZeroFilled(), data[:1], batched, radius=ETA, seed=0)


def test_rivals_on_coils_make_a_weak_search_stronger(coils):
    operator, kspace = coils()
    method = Tikhonov(weight=0.3)
    target = Target(method, operator, kspace, ETA, clean_of(method, kspace, operator, None))
    cells, kept = grid_places(operator, 3, "image", None)
    rivals = baselines(target, {"spike": tuple(cells[kept][-1].tolist())}, [0])
    assert [double_norm(rival.perturbation) for rival in rivals] == pytest.approx([ETA, ETA], rel=1e-6)

    class Idle(GradientAscent):
        start = "gaussian"

        def run(self, steps):
            return severity(
                self._task.artifacts(self._task.observed(method(kspace + self.found(), operator)))
            )

    def run(restarts, starts):
        return localized_attack(
            method,
            kspace,
            operator,
            radius=ETA,
            grid=2,
            seed=0,
            search=Idle(),
            restarts=restarts,
            starts=starts,
        )

    first = run(1, [])
    result, record = strengthened(run, target, first, rivals, measure=severity, restarts=1)
    assert (record["weaker_than"], record["restarts"]) == ("spike", 4)
    assert float(result.severity) >= record["rival_value"] * (1 - 1e-3) > record["first_value"]
    assert double_norm(result.perturbation) <= ETA * (1 + 1e-6)

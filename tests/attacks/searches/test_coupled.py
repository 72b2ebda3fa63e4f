import gc
import tracemalloc

import pytest
import torch

from mrilib.attacks.judge import judge
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.pgd import global_attack
from mrilib.attacks.searches import coupled, schedule
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation

COUPLINGS = ("split", "complex", "isotropic")


def run_of(search):
    """The class of runs that a search chose."""
    (kind,) = {type(run) for run in search._runs}
    return kind


def test_route_is_chosen_by_coupling_and_image(scene, task_of):
    for coupling, phase, expected in (
        ("split", False, coupled._FusedRun),
        ("split", True, coupled._ComplexRun),
        ("complex", False, coupled._ComplexRun),
        ("isotropic", False, coupled._ComplexRun),
    ):
        search = CoupledAscent()
        search.begin(task_of(search, *scene(coupling, phase=phase)))
        assert run_of(search) is expected


@pytest.mark.parametrize("objective", ["peak", "disk"])
@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [
        (torch.complex128, 60, 1e-10),
        # Rounding moves pixels across a threshold sooner or later, and the derivative jumps.
        (torch.complex64, 12, 1e-4),
    ],
)
def test_fused_run_equals_the_plain_one(scene, task_of, objective, dtype, steps, tolerance):
    search = CoupledAscent(rate=1.0)
    task = task_of(search, *scene(dtype=dtype), objective=objective)
    search.begin(task)
    assert run_of(search) is coupled._FusedRun
    first = search._runs[0]
    plain = coupled._PairedRun(first._ground, first._moves, task.windows, task.starts)
    seen = search.run(steps)
    plain.advance(steps, 1)
    torch.testing.assert_close(seen, plain.best_peak.to(seen.dtype), rtol=tolerance, atol=0)
    torch.testing.assert_close(search.promising(seen), seen * plain.slope.to(seen), rtol=tolerance, atol=0)
    difference = norm2(search.found() - plain.found()) / task.radius
    assert float(difference.max()) <= tolerance
    # ... and they went somewhere
    assert float((norm2(search.found() - task.starts) / task.radius).min()) > 0.05


@pytest.mark.parametrize("phase", [False, True], ids=["real", "complex image"])
def test_coordinates_hold_the_perturbation(measured, task_of, draw, phase):
    # A mask without symmetry: some frequencies have their mirror image sampled, some do not.
    image, _, _ = measured(16, 5, phase=phase, dtype=torch.complex64)
    mask = draw(16, 16).real > 0.3
    mask[8, 8] = True
    operator = MaskedFourier(mask=mask)
    search = CoupledAscent()
    method = TotalVariation(weight=0.05, tolerance=1e-3)
    task = task_of(search, method, operator.forward(image), operator, 0.5)
    search.begin(task)
    ground = search._runs[0]._ground
    assert ground.real is not phase
    coordinates = ground.coordinates(task.starts)
    torch.testing.assert_close(ground.perturbations(coordinates), task.starts, rtol=0, atol=1e-6)
    torch.testing.assert_close(ground.norm(coordinates), norm2(task.starts)[:, None] / ground.scale)


def test_moves_of_a_round_fall_to_nothing(scene, task_of):
    search = CoupledAscent(rate=1.5, power=2.0)
    search.begin(task_of(search, *scene("complex")))
    (run,) = search._runs
    lengths, settled = [], []
    run._move = lambda length, counts: (lengths.append(length), settled.append(counts))
    for _ in range(2):  # every round anew
        search.run(4)
    expected = [1.5 * (1 - step / 4) ** 2 * run._ground.radius for step in range(4)]
    assert lengths == pytest.approx(2 * expected)
    assert settled == 2 * [False, False, False, True]


def test_disks_are_climbed_by_short_moves(scene, task_of):
    for objective, rate in (("peak", schedule.RATE), ("disk", schedule.DISK_RATE)):
        search = CoupledAscent()
        search.begin(task_of(search, *scene(), objective=objective))
        assert {run._moves.rate for run in search._runs} == {rate}


def test_the_slope_is_the_norm_of_the_derivative(scene, task_of):
    # Held in one place, the loop comes to the derivative of the minimiser.
    search = CoupledAscent(rate=1e-9)
    task = task_of(search, *scene(dtype=torch.complex128))
    search.begin(task)
    seen = search.run(2000)
    slope = search.promising(seen) / seen
    for candidate in range(len(seen)):
        kspace = (task.kspace + search.found()[candidate]).requires_grad_(True)
        artifact = task.artifacts(task.reconstructor(kspace, task.operator))
        norm2(task.windows[candidate] * artifact).backward()
        torch.testing.assert_close(
            slope[candidate], norm2(kspace.grad * task.operator.mask), rtol=0.02, atol=0
        )


@pytest.mark.parametrize("coupling", ["split", "isotropic"])
def test_the_best_iterate_is_kept(scene, task_of, coupling):
    # moves of two radii throw the perturbation about
    search = CoupledAscent(rate=2.0, power=0.0)
    search.begin(task_of(search, *scene(coupling)))
    seen, found, waited = search.run(2), search.found(), 0
    for _ in range(50):
        before, kept = seen, found
        seen, found = search.run(2), search.found()
        assert (seen >= before).all()
        same = seen == before
        waited += int(same.sum())
        # what came before, but for the scaling to the budget
        torch.testing.assert_close(found[same], kept[same], rtol=0, atol=1e-6)
    assert waited > 0


def test_dropping_candidates_changes_nothing_for_the_others(scene, task_of):
    for coupling in ("split", "isotropic"):
        found = []
        for kept in (None, [3, 1]):
            search = CoupledAscent()
            search.begin(task_of(search, *scene(coupling)))
            search.run(20)
            if kept is not None:
                search.keep(torch.tensor(kept))
            search.run(20)
            found.append(search.found())
        # sums over a batch of another size may be ordered otherwise
        torch.testing.assert_close(
            found[0][[3, 1]], found[1], rtol=0, atol=1e-3 * float(norm2(found[1]).max())
        )


def test_real_and_complex_routes_reach_the_same_severity(scene, task_of, monkeypatch):
    severities = []
    for real in (True, False):
        search = CoupledAscent()
        task = task_of(search, *scene(size=32, lines=10), grid=2)
        with monkeypatch.context() as patch:
            patch.setattr(coupled, "is_real", lambda task, real=real: real)
            search.begin(task)
        assert run_of(search) is (coupled._FusedRun if real else coupled._ComplexRun)
        search.run(230)
        severities.append(judge(task, search.found()).severities)
    # Two paths, parted by rounding, to local maxima of one function.
    torch.testing.assert_close(severities[0], severities[1], rtol=0.05, atol=0)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_severity_in_the_loop_is_near_the_judged_one(scene, task_of, coupling):
    search = CoupledAscent()
    task = task_of(search, *scene(coupling))
    search.begin(task)
    seen = search.run(230)
    # neither problem is solved to convergence between two moves
    torch.testing.assert_close(seen, judge(task, search.found()).severities.to(seen), rtol=0.05, atol=0)


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("objective", ["peak", "disk"])
def test_reaches_the_budget_where_the_method_is_nearly_the_identity(measured, coupling, objective):
    # Fully sampled and hardly regularised: ρ = A†e up to some λ, so that one pixel can take all of e.
    image, _, _ = measured(16, 5, dtype=torch.complex64)
    operator = MaskedFourier(mask=torch.ones(16, 16, dtype=torch.bool))
    method = TotalVariation(weight=1e-4, coupling=coupling, tolerance=1e-4)
    result = localized_attack(
        method,
        operator.forward(image),
        operator,
        radius=0.5,
        grid=2,
        seed=0,
        objective=objective,
        disk_radius=2.0,
    )
    assert 0.99 * 0.5 <= float(norm2(result.artifact)) <= 0.5 * 1.01
    if objective == "peak":
        assert float(result.severity) >= 0.99 * 0.5


@pytest.mark.parametrize("coupling", ["split", "complex"])
def test_memory_does_not_grow_with_the_steps(scene, task_of, coupling):
    search = CoupledAscent()
    search.begin(task_of(search, *scene(coupling)))
    search.run(4)
    search.run(4)
    saved = []

    def held():
        gc.collect()
        return sum(thing.nbytes for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor))

    def peak(steps):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        search.run(steps)
        return tracemalloc.get_traced_memory()[1] - before

    tensors = held()
    tracemalloc.start()
    try:
        with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda thing: thing):
            short, long = peak(4), peak(100)
    finally:
        tracemalloc.stop()
    assert saved == []  # nothing recorded for a backward pass
    assert held() == tensors
    # arrays of NumPy and Python's own objects: less than one image of 24² more
    assert long - short < 24 * 24 * 8


def test_serves_the_global_attack(scene):
    method, kspace, operator, radius = scene()
    result = global_attack(method, kspace, operator, radius=radius, steps=60, seed=0, search=CoupledAscent())
    assert float(result.stats["solver_steps"]) == 2 * 60
    assert float(norm2(result.perturbation)) == pytest.approx(radius)


def test_serves_double_precision(scene):
    single, double = (
        localized_attack(method, kspace, operator, radius=radius, grid=2, seed=0)
        for method, kspace, operator, radius in (scene(), scene(dtype=torch.complex128))
    )
    assert double.reconstruction.dtype == torch.complex128
    # rounding changes the path, not where it leads
    assert float(single.severity) == pytest.approx(float(double.severity), rel=0.05)


def test_refuses_other_methods(scene):
    _, kspace, operator, radius = scene()
    with pytest.raises(
        ValueError, match="CoupledAscent: expected TotalVariation, got ZeroFilled; search with"
    ):
        localized_attack(ZeroFilled(), kspace, operator, radius=radius, seed=0, search=CoupledAscent())

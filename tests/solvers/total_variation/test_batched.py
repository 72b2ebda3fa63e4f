import gc
import inspect
import warnings
import weakref
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.searches import coupled
from mrilib.operators.gradient import divergence, gradient
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers import certified
from mrilib.solvers.total_variation import admm, batched, passes
from mrilib.solvers.total_variation.batched import BatchLoop
from mrilib.solvers.total_variation.problem import OVER_RELAXATION, reflect, step


class Calls(TorchDispatchMode):
    """The operations that torch performs, with the tensors they read and made."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made

    def again(self):
        """As a CUDA graph does it: the same operations on the same memory, and nothing else."""
        for func, args, kwargs, made in self.calls:
            new = func(*args, **kwargs)
            if isinstance(new, torch.Tensor) and new.data_ptr() != made.data_ptr():
                made.copy_(new)


class Graphs:
    """Stands in for `Captured` on a CPU; `spoil` is what is done to its calls once they are recorded."""

    def __init__(self, spoil=lambda calls: None):
        self.captures, self.replayed, self._spoil = [], [], spoil

    def __call__(self, works, device):
        for work in works.values():
            work()
        recorded = {name: Calls() for name in works}
        for name, work in works.items():
            with recorded[name]:
                work()
        self._spoil(recorded)
        self.captures.append(list(works))

        def replay(name):
            self.replayed.append(name)
            recorded[name].again()

        return replay


@pytest.fixture
def graphs_of(monkeypatch):
    """Lets CPUs capture after two steps."""

    def install(*arguments):
        graphs = Graphs(*arguments)
        monkeypatch.setitem(batched.CAPTURES, "cpu", graphs)
        monkeypatch.setattr(batched, "CAPTURE_AFTER", 2)
        return graphs

    return install


def check_steps(loop, problem, state, expected, steps, relaxation=OVER_RELAXATION):
    """Step and average, and compare with the plain step; returns the last state and mean."""
    for _ in range(steps):
        loop.solve()
        state, image = step(problem, problem.inverse(), state, relaxation)
        torch.testing.assert_close(loop.image, image, rtol=0, atol=1e-10)
        torch.testing.assert_close(loop.spectrum, torch.fft.fft2(image), rtol=0, atol=1e-10)
        loop.update()
        torch.testing.assert_close(loop.state(), state, rtol=0, atol=1e-10)
        loop.average(0.3)
        expected = torch.lerp(expected, reflect(problem, state)[1], 0.3)
        torch.testing.assert_close(loop.mean(), expected, rtol=0, atol=1e-10)
    return state, expected


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("relaxation", [1.0, OVER_RELAXATION])
def test_loop_equals_the_plain_step(captured, relaxation, coupling, problem_of, stacked, draw, graphs_of):
    graphs = graphs_of()
    problems = [problem_of(6, 11, coupling=coupling), problem_of(6, 11, coupling=coupling)]
    problem = stacked(problems)
    state = 0.1 * draw(2, 2, 6, 11)
    loop = BatchLoop(problem, paired=False, relaxation=relaxation, graphs=captured)
    loop.load(state, state)
    state, expected = check_steps(loop, problem, state, state, 7, relaxation)
    loop.keep(torch.tensor([1]))
    torch.testing.assert_close(loop.state(), state[1:], rtol=0, atol=1e-10)
    check_steps(loop, stacked(problems[1:]), state[1:], expected[1:], 5, relaxation)
    works = [("solve", 0), ("update", 0), ("update", 1), ("average", 0), ("average", 1)]
    assert graphs.captures == ([works, works] if captured else [])
    # four replays of each kind compare, then come the steps: five, and three after `keep`
    assert len(graphs.replayed) == (6 + 3 * 5 + 6 + 3 * 3 if captured else 0)


def test_items_keep_their_own_weight_and_data(coupling, problem_of, stacked, draw):
    problems = [problem_of(6, 11, coupling=coupling, seed=seed) for seed in (0, 2)]
    problems = [replace(each, weight=each.weight * (1 + place)) for place, each in enumerate(problems)]
    problems[1] = replace(problems[1], spectrum=problems[0].spectrum)
    problem, state = stacked(problems), 0.1 * draw(2, 2, 6, 11)
    loop = BatchLoop(problem, paired=False)
    loop.load(state, state)
    state, expected = check_steps(loop, problem, state, state, 3)
    loop.keep(torch.tensor([False, True]))
    check_steps(loop, stacked(problems[1:]), state[1:], expected[1:], 3)


@pytest.mark.parametrize("captured", [False, True])
def test_paired_loop_equals_the_plain_step_and_its_derivative(captured, problem_of, stacked, draw, graphs_of):
    graphs = graphs_of()
    problem = stacked([problem_of(6, 11, real=True)] * 3)
    inverse, threshold, rho = problem.inverse(), problem.threshold, problem.rho[:, None, None]
    state, tangent = 0.1 * draw(3, 2, 6, 11).real, draw(3, 2, 6, 11).imag
    data = draw(3, 6, 11, seed=5).real
    loop = BatchLoop(problem, paired=True, graphs=captured)
    loop.source = torch.complex(torch.zeros_like(data), data / rho)
    loop.load(torch.complex(state, tangent))
    kept_items = None
    for count in range(12):
        loop.solve()
        active = state.abs() > threshold
        assert active.any()
        assert not active.all()
        kept = tangent * active
        spectrum = torch.fft.fft2(data) + rho * torch.fft.fft2(divergence(2 * kept - tangent))
        linear = torch.fft.ifft2(spectrum * inverse).real
        tangent = tangent + OVER_RELAXATION * (gradient(linear) - kept)
        moved, image = step(problem, inverse, state.to(torch.complex128))
        state = moved.real
        torch.testing.assert_close(loop.image, torch.complex(image.real, linear), rtol=0, atol=1e-10)
        if count % 2:
            # As the attack does: new data for both problems between the image and the new state.
            data = draw(*data.shape, seed=count).real
            loop.source = torch.complex(torch.zeros_like(data), data / rho)
            problem = replace(problem, data=problem.data * 0.9)
            loop.data = problem.data
        loop.update()
        torch.testing.assert_close(loop.state(), torch.complex(state, tangent), rtol=0, atol=1e-10)
        if count == 5:
            kept_items = torch.tensor([2, 0])
            loop.keep(kept_items)
            problem, state, tangent, data = (each[kept_items] for each in (problem, state, tangent, data))
            inverse, threshold, rho = problem.inverse(), problem.threshold, problem.rho[:, None, None]
    works = [("solve", 0), ("update", 0), ("update", 1)]
    assert graphs.captures == ([works, works] if captured else [])


def test_a_source_that_comes_late_is_captured_anew(problem_of, stacked, draw, graphs_of):
    graphs = graphs_of()
    problem = stacked([problem_of(6, 11, real=True)] * 2)
    state = 0.1 * draw(2, 2, 6, 11)
    found = []
    for captured in (False, True):
        loop = BatchLoop(problem, paired=True, graphs=captured)
        loop.load(state)
        for count in range(12):
            if count == 6:
                loop.source = 1j * draw(6, 11, seed=5).real
            loop.step()
        found.append((loop.state(), loop.source))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-10)
    assert len(graphs.captures) == 2
    assert found[1][1].shape == (2, 6, 11)


def no_driver(recorded):
    raise RuntimeError("operation not permitted\nwhen stream is capturing")


def no_memory(recorded):
    raise torch.OutOfMemoryError("no memory for the graph")


def empty(recorded):
    recorded["update", 1].calls.clear()


def double_image(recorded):
    calls = recorded["solve", 0].calls
    *_, made = calls[-1]
    calls.append((torch.mul, (made, 2.0), {"out": made}, made))


def undefined_image(recorded):
    calls = recorded["solve", 0].calls
    *_, made = calls[-1]
    calls.append((torch.mul, (made, float("nan")), {"out": made}, made))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_driver, r"\(RuntimeError: operation not permitted\)"),
        (no_memory, r"\(OutOfMemoryError: no memory for the graph\)"),
        (empty, r"differ by \d"),
        (double_image, r"differ by \d"),
        (undefined_image, "differ by nan"),
    ],
)
def test_a_graph_that_fails_or_errs_is_not_used(spoil, reason, problem_of, stacked, draw, graphs_of):
    graphs = graphs_of(spoil)
    problem, state = stacked([problem_of(6, 11)] * 2), 0.1 * draw(2, 2, 6, 11)
    loop = BatchLoop(problem, paired=False)
    loop.load(state, state)
    state, mean = check_steps(loop, problem, state, state, 2)
    with pytest.warns(RuntimeWarning, match=f"no CUDA graph .*{reason}.*goes on without"):
        state, mean = check_steps(loop, problem, state, mean, 1)
    state, mean = check_steps(loop, problem, state, mean, 4)  # warns once
    replayed = len(graphs.replayed)
    loop.keep(torch.tensor([0]))
    check_steps(loop, stacked([problem_of(6, 11)]), state[:1], mean[:1], 4)  # and does not try again
    assert len(graphs.replayed) == replayed


def test_what_is_lost_for_memory_is_not_the_state(problem_of, stacked, draw, graphs_of, monkeypatch):
    graphs_of()
    problem, state = stacked([problem_of(6, 11)] * 2), 0.1 * draw(2, 2, 6, 11)
    loop = BatchLoop(problem, paired=False)
    loop.load(state, state)
    state, mean = check_steps(loop, problem, state, state, 2)

    def fail(self, do):
        do(("solve", 0))
        do(("update", self._now))
        raise torch.OutOfMemoryError("in the middle")

    monkeypatch.setattr(BatchLoop, "_two_steps", fail)
    with pytest.warns(RuntimeWarning, match="in the middle"):
        state, mean = check_steps(loop, problem, state, mean, 1)
    check_steps(loop, problem, state, mean, 3)


def test_rounding_in_single_precision_is_no_error(coupling, problem_of, stacked, draw, graphs_of):
    graphs = graphs_of()
    problem = stacked([problem_of(16, 11, coupling=coupling)] * 2).to(torch.complex64)
    loop = BatchLoop(problem, paired=False)
    loop.load(0.1 * draw(2, 2, 16, 11).to(torch.complex64))
    for _ in range(5):
        loop.step()
    assert graphs.replayed.count(("solve", 0)) == 2 + 3


def test_an_average_starts_at_the_state_or_is_none(problem_of, stacked, draw):
    problem, state = stacked([problem_of(6, 11, real=True)]), draw(1, 2, 6, 11)
    loop = BatchLoop(problem, paired=False)
    loop.load(state)
    check_steps(loop, problem, state, state, 2)
    loop = BatchLoop(problem, paired=True)
    loop.load(state)
    torch.testing.assert_close(loop.mean(), loop.state())
    with pytest.raises(ValueError, match=r"average: expected a mean, .*; give one to load"):
        loop.average(0.4)


def test_what_a_loop_returned_stays(problem_of, stacked, draw):
    loop = BatchLoop(stacked([problem_of(6, 11)]), paired=False)
    state = draw(1, 2, 6, 11)
    loop.load(state, state)
    returned = loop.state(), loop.mean()
    for _ in range(2):
        loop.step()
        loop.average(0.4)
    torch.testing.assert_close(returned, (state, state), rtol=0, atol=0)


def test_memory_goes_with_the_loop(problem_of, stacked, draw):
    loop = BatchLoop(stacked([problem_of(6, 11)]), paired=False)
    loop.load(draw(1, 2, 6, 11))
    loop.step()
    held = weakref.ref(loop)
    gc.disable()
    try:
        del loop
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
def test_batches_are_solved_the_same_with_graphs(coupling, problem_of, stacked, graphs_of):
    problem = stacked([problem_of(12, 10, coupling=coupling)] * 3)
    # They end at different steps, and the last ones in double precision.
    problem = replace(problem, weight=problem.weight * torch.tensor([1.0, 0.2, 0.05], dtype=torch.float64))
    problem = problem.to(torch.complex64)
    without = certified.run(problem, admm.BatchRun(problem, None), tolerance=1e-6, max_steps=20_000)
    graphs = graphs_of()
    found = certified.run(problem, admm.BatchRun(problem, None), tolerance=1e-6, max_steps=20_000)
    assert len(graphs.captures) >= 2
    torch.testing.assert_close(found.stats, without.stats, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.value, without.value, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_the_attack_is_the_same_with_graphs(measured, monkeypatch, graphs_of):
    # GPUs take this route, which works anywhere.
    monkeypatch.setattr(coupled, "_FusedRun", lambda *arguments: coupled._PairedRun(*arguments[:-1]))
    _, kspace, operator = measured(32, 10)
    method = TotalVariation(weight=5e-3, tolerance=1e-6)
    found = []
    for install in (lambda: None, graphs_of):
        graphs = install()
        radius = 0.05 * float(kspace.norm())
        found.append(localized_attack(method, kspace, operator, radius=radius, grid=2, seed=0))
    assert len(graphs.captures) == 4  # one a place, which goes on through the rounds
    torch.testing.assert_close(found[1].perturbation, found[0].perturbation, rtol=0, atol=1e-8)
    torch.testing.assert_close(found[1].severity, found[0].severity, rtol=1e-8, atol=0)


@pytest.fixture
def compiler():
    """Compiles anew, and keeps nothing of it."""
    passes.passes_for.cache_clear()
    yield
    passes.passes_for.cache_clear()
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("rule", ["split", "complex", "isotropic", "paired"])
def test_compiled_passes_equal_the_plain_ones(rule, draw):
    clip = inspect.unwrap(passes.clip_paired if rule == "paired" else passes.RULES[rule])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch's own code
        compiled = passes.passes_for("cuda", clip)
    plain = passes.passes_for("cpu", clip)
    for count in (3, 2):  # another batch size is no other program
        image, source = (torch.view_as_real(draw(count, 6, 11, seed=seed)).float() for seed in (0, 3))
        state, mean = (torch.view_as_real(draw(count, 2, 6, 11, seed=seed)).float() for seed in (1, 2))
        threshold, share = torch.full((1, 1, 1, 1, 1), 0.5), torch.tensor(0.4)
        found = []
        for move, turn, blend, filtered in (compiled, plain):
            out, reflected, blended = torch.empty_like(state), torch.empty_like(image), mean.clone()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                warnings.simplefilter("error", RuntimeWarning)  # it did compile
                move(out, image, state, threshold, 1.9, clip)
                turn(reflected, out, threshold, clip, source)
                blend(blended, out, threshold, share, clip)
                spectrum = filtered(image, source, threshold[0], image[0, ..., :1])
            found.append([out, reflected, blended, spectrum])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_what_does_not_compile_runs_as_it_is_with_a_warning(monkeypatch, draw):
    def broken(function, **settings):
        def fail(*arguments):
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    compiled = passes.Compiled(passes.filtered)
    values = torch.view_as_real(draw(2, 4, 5))
    one = torch.ones(())
    with pytest.warns(RuntimeWarning, match="filtered: torch.compile failed .*no compiler.*plain torch"):
        found = compiled(values, values, one, one)
    torch.testing.assert_close(found, 2 * values)
    torch.testing.assert_close(compiled(values, values, one, one), 2 * values)  # and warns once

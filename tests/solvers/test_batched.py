import inspect
import warnings

import pytest
import torch

from mrilib.operators.gradient import divergence, gradient
from mrilib.solvers import batched
from mrilib.solvers.batched import BatchLoop
from mrilib.solvers.problem import OVER_RELAXATION, reflect, step


@pytest.mark.parametrize("relaxation", [1.0, OVER_RELAXATION])
def test_loop_equals_the_plain_step(relaxation, coupling, problem_of, stacked, draw):
    problem = stacked([problem_of(6, 11, coupling=coupling)] * 2)
    state = 0.1 * draw(2, 2, 6, 11)
    loop = BatchLoop(problem, paired=False, relaxation=relaxation)
    loop.load(state, state)
    expected = state
    for _ in range(5):
        loop.solve()
        state, image = step(problem, problem.inverse(), state, relaxation)
        torch.testing.assert_close(loop.image, image, rtol=0, atol=1e-10)
        torch.testing.assert_close(loop.spectrum, torch.fft.fft2(image), rtol=0, atol=1e-10)
        loop.update()
        torch.testing.assert_close(loop.state(), state, rtol=0, atol=1e-10)
        loop.average(0.3)
        expected = torch.lerp(expected, reflect(problem, state)[1], 0.3)
        torch.testing.assert_close(loop.mean(), expected, rtol=0, atol=1e-10)
    loop.keep(torch.tensor([1]))
    torch.testing.assert_close(loop.state(), state[1:], rtol=0, atol=1e-10)


def test_paired_loop_equals_the_plain_step_and_its_derivative(problem_of, stacked, draw):
    problem = stacked([problem_of(6, 11, real=True)] * 2)
    inverse, threshold, rho = problem.inverse(), problem.threshold, problem.rho[:, None, None]
    state, tangent = 0.1 * draw(2, 2, 6, 11).real, draw(2, 2, 6, 11).imag
    data = draw(2, 6, 11, seed=5).real
    loop = BatchLoop(problem, paired=True)
    loop.source = torch.complex(torch.zeros_like(data), data / rho)
    loop.load(torch.complex(state, tangent))
    for _ in range(5):
        loop.step()
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
        torch.testing.assert_close(loop.state(), torch.complex(state, tangent), rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["split", "complex", "isotropic", "paired"])
def test_compiled_passes_equal_the_plain_ones(rule, draw):
    clip = inspect.unwrap(batched.clip_paired if rule == "paired" else batched.RULES[rule])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch's own code
        compiled = batched.Compiled(batched.sweep)
    for count in (3, 2):  # another batch size is no other program
        image = torch.view_as_real(draw(count, 6, 11)).float()
        state, threshold = (
            torch.view_as_real(draw(count, 2, 6, 11, seed=1)).float(),
            torch.full((1, 1, 1, 1, 1), 0.5),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("error", RuntimeWarning)  # it did compile
            found = compiled(image, state, threshold, 1.9, clip, None)
        expected = batched.sweep(image, state, threshold, 1.9, clip, None)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_what_does_not_compile_runs_as_it_is_with_a_warning(monkeypatch, draw):
    def broken(function):
        def fail(*arguments):
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    compiled = batched.Compiled(batched.filtered)
    values = torch.view_as_real(draw(2, 4, 5))
    one = torch.ones(())
    with pytest.warns(RuntimeWarning, match="filtered: torch.compile failed .*no compiler.*plain torch"):
        found = compiled(values, values, one, one)
    torch.testing.assert_close(found, 2 * values)
    torch.testing.assert_close(compiled(values, values, one, one), 2 * values)  # and warns once

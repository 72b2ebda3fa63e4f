from dataclasses import replace

import numpy as np
import pytest
import torch

from mrilib.operators.gradient import divergence, gradient
from mrilib.solvers.total_variation.fused import FusedLoop
from mrilib.solvers.total_variation.problem import OVER_RELAXATION, reflect, step


def image_of(loop):
    return torch.view_as_complex(torch.from_numpy(loop.image).unflatten(-1, (-1, 2))).clone()


@pytest.mark.parametrize("shape", [(8, 8), (6, 11), (13, 4)])
@pytest.mark.parametrize("relaxation", [1.0, OVER_RELAXATION])
def test_loop_equals_the_plain_step(shape, relaxation, coupling, problem_of, draw):
    problem, state = problem_of(*shape, coupling=coupling), 0.1 * draw(2, *shape)
    inverse = problem.inverse()
    loop = FusedLoop(problem, paired=False, relaxation=relaxation)
    loop.load(state, state)
    expected = state
    for _ in range(5):
        if coupling == "split":
            active = torch.view_as_real(state).abs() > problem.threshold[..., None]
            assert torch.equal(loop.active(), active)
        loop.solve()
        state, image = step(problem, inverse, state, relaxation)
        torch.testing.assert_close(image_of(loop), image, rtol=0, atol=1e-10)
        spectrum = torch.fft.fft2(image, norm="forward")
        torch.testing.assert_close(loop.spectrum, spectrum, rtol=0, atol=1e-10)
        loop.update()
        torch.testing.assert_close(loop.state(), state, rtol=0, atol=1e-10)
        _, reflected = reflect(problem, state)
        loop.average(0.3)
        expected = torch.lerp(expected, reflected, 0.3)
        torch.testing.assert_close(loop.mean(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(8, 6), (1, 5), (3, 1)])
def test_data_beyond_the_mask_count(shape, coupling, problem_of, draw):
    problem = replace(problem_of(*shape, coupling=coupling), data=draw(*shape))
    assert (problem.spectrum == 0).any()
    state = 0.1 * draw(2, *shape)
    loop = FusedLoop(problem, paired=False)
    loop.load(state)
    loop.solve()
    moved, image = step(problem, problem.inverse(), state)
    torch.testing.assert_close(image_of(loop), image, rtol=0, atol=1e-10)
    loop.update()
    torch.testing.assert_close(loop.state(), moved, rtol=0, atol=1e-10)


def test_changed_values_are_those_of_changed_data(problem_of, draw):
    first, second = problem_of(8, 6), problem_of(8, 6)
    second = replace(second, data=second.spectrum * draw(8, 6, seed=9))
    state = 0.1 * draw(2, 8, 6)
    images = []
    for loop in FusedLoop(first, paired=False), FusedLoop(second, paired=False):
        loop.load(state)
        np.multiply(loop.gain, second.data.numpy().flat[loop.sampled], out=loop.values)
        loop.solve()
        images.append(image_of(loop))
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (6, 11), (13, 4)])
def test_paired_loop_equals_the_plain_step_and_its_derivative(shape, problem_of, draw):
    problem, inverse = problem_of(*shape, real=True), problem_of(*shape, real=True).inverse()
    state, tangent, data = 0.1 * draw(2, *shape).real, draw(2, *shape).imag, draw(*shape, seed=5).real
    loop = FusedLoop(problem, paired=True)
    loop.load(torch.complex(state, tangent))
    kept_some = False
    for _ in range(5):
        loop.reflected[:, 1::2] += data.numpy() / loop.rho
        loop.solve()
        fused = image_of(loop)
        loop.update()
        active = state.abs() > problem.threshold
        kept_some |= bool(active.any() and not active.all())
        kept = tangent * active
        spectrum = torch.fft.fft2(data) + problem.rho * torch.fft.fft2(divergence(2 * kept - tangent))
        linear = torch.fft.ifft2(spectrum * inverse).real
        tangent = tangent + OVER_RELAXATION * (gradient(linear) - kept)
        moved, image = step(problem, inverse, state.to(torch.complex128))
        state = moved.real
        torch.testing.assert_close(loop.state(), torch.complex(state, tangent), rtol=0, atol=1e-10)
        torch.testing.assert_close(fused, torch.complex(image.real, linear), rtol=0, atol=1e-10)
    assert kept_some

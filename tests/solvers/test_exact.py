"""Basis pursuit and total variation pursuit against a general solver, and what they say of uniqueness."""

import math

import numpy as np
import pytest
import torch

from mrilib.solvers.exact import basis_pursuit, total_variation_pursuit
from mrilib.solvers.solution import NotConvergedError


def matrix(frequencies, size):
    """The measurement as its formula has it."""
    phase = np.outer(np.asarray(frequencies), np.arange(size))
    return np.exp(-2j * np.pi * phase / size) / math.sqrt(size)


def periodic_differences(size):
    return np.roll(np.eye(size), 1, axis=1) - np.eye(size)


def instances(seed, batch=10, size=64):
    """Sparse signals, complex for every other seed, and frequencies of both signs beyond the size."""
    generator = np.random.default_rng(seed)
    samples = int(generator.integers(8, 28))
    signals, sets = np.zeros((batch, size), dtype=complex), []
    for signal in signals:
        count = int(generator.integers(1, 9))
        values = generator.standard_normal(count) + (seed % 2) * 1j * generator.standard_normal(count)
        signal[generator.choice(size, count, replace=False)] = values
        shifted = size * generator.integers(-2, 3, samples)
        sets.append(generator.choice(size, samples, replace=False) + shifted)
    data = [matrix(frequencies, size) @ signal for signal, frequencies in zip(signals, sets, strict=True)]
    return signals, np.stack(sets), np.stack(data)


def solved(frequencies, data, size, transform):
    """`min ‖Tz‖₁` subject to the data, by CVXPY."""
    import cvxpy

    unknown = cvxpy.Variable(size, complex=True)
    measured = matrix(frequencies, size) @ unknown == data
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm1(transform @ unknown)), [measured])
    problem.solve(solver="CLARABEL")
    return unknown.value, problem.value


def tensors(frequencies, data):
    return torch.as_tensor(data), torch.as_tensor(frequencies)


@pytest.mark.parametrize("seed", range(10))
def test_basis_pursuit_is_what_a_general_solver_finds(seed):
    signals, sets, data = instances(seed)
    found = basis_pursuit(*tensors(sets, data), 64)
    for item, (signal, frequencies) in enumerate(zip(signals, sets, strict=True)):
        value, objective = solved(frequencies, data[item], 64, np.eye(64))
        ours = found.value[item].numpy()
        assert float(found.stats["objective"][item]) == pytest.approx(objective, rel=2e-6)
        np.testing.assert_allclose(matrix(frequencies, 64) @ ours, data[item], atol=1e-9)
        recovered = np.abs(value - signal).max() < 1e-4 * np.abs(signal).max()
        assert bool(found.stats["unique"][item]) or not recovered
        if found.stats["unique"][item]:
            np.testing.assert_allclose(ours, value, atol=1e-4 * np.abs(value).max())
        if recovered:
            np.testing.assert_allclose(ours, signal, atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_total_variation_pursuit_is_what_a_general_solver_finds(seed):
    generator = np.random.default_rng(seed)
    signal = np.repeat(generator.standard_normal(4) + 1j * (seed % 2), [10, 20, 30, 4])
    frequencies = np.concatenate([[0], 1 + generator.choice(63, 12 + seed, replace=False)])
    data = matrix(frequencies, 64) @ signal
    value, objective = solved(frequencies, data, 64, periodic_differences(64))
    found = total_variation_pursuit(*tensors(frequencies, data), 64)
    assert float(found.stats["objective"]) == pytest.approx(objective, rel=2e-6)
    np.testing.assert_allclose(matrix(frequencies, 64) @ found.value.numpy(), data, atol=1e-9)
    differences = np.abs(periodic_differences(64) @ found.value.numpy()).sum()
    assert differences == pytest.approx(float(found.stats["objective"]), rel=1e-9)
    if found.stats["unique"]:
        np.testing.assert_allclose(found.value.numpy(), value, atol=1e-4)


def test_items_of_a_batch_have_sets_of_their_own():
    _, sets, data = instances(20, batch=3)
    together = basis_pursuit(*tensors(sets, data), 64)
    assert together.value.shape == (3, 64)
    for item in range(3):
        alone = basis_pursuit(*tensors(sets[item], data[item]), 64)
        torch.testing.assert_close(together.value[item], alone.value, rtol=0, atol=1e-9)


def test_one_set_of_frequencies_serves_all_items_and_a_sparse_signal_comes_back_to_rounding():
    generator = np.random.default_rng(5)
    frequencies = generator.choice(512, 60, replace=False)
    signals = np.zeros((4, 512), dtype=complex)
    for signal in signals:
        signal[generator.choice(512, 5, replace=False)] = generator.standard_normal(5)
    data = signals @ matrix(frequencies, 512).T
    found = basis_pursuit(*tensors(frequencies, data), 512)
    assert bool(found.stats["unique"].all())
    np.testing.assert_allclose(found.value.numpy(), signals, atol=1e-12)


def test_piecewise_constant_signals_come_back_with_their_mean():
    generator = np.random.default_rng(6)
    signal = np.repeat(generator.standard_normal(4), [100, 300, 500, 124])
    frequencies = np.concatenate([[0], 1 + generator.choice(1023, 80, replace=False)])
    data = matrix(frequencies, 1024) @ signal
    found = total_variation_pursuit(*tensors(frequencies, data), 1024)
    assert bool(found.stats["unique"])
    np.testing.assert_allclose(found.value.numpy(), signal, atol=1e-10)
    without = total_variation_pursuit(*tensors(frequencies[1:], data[1:]), 1024)
    np.testing.assert_allclose(without.value.numpy(), signal - signal.mean(), atol=1e-10)


def test_no_data_but_zeros_is_the_signal_of_zeros():
    found = basis_pursuit(torch.zeros(5, dtype=torch.complex128), torch.arange(5), 32)
    assert not bool(found.value.any())


def test_all_frequencies_leave_one_signal():
    signal = np.random.default_rng(7).standard_normal(16) + 0j
    data = matrix(range(16), 16) @ signal
    found = basis_pursuit(torch.as_tensor(data), range(16), 16)
    np.testing.assert_allclose(found.value.numpy(), signal, atol=1e-12)
    assert bool(found.stats["unique"])


def test_a_solver_that_may_not_step_says_so():
    data = matrix(range(6), 64) @ np.arange(64)
    with pytest.raises(NotConvergedError, match="basis_pursuit: 1 of 1 items ended above"):
        basis_pursuit(*tensors(np.arange(6), data), 64, max_steps=0)
    assert basis_pursuit(*tensors(np.arange(6), data), 64, max_steps=0, throw=False).status.failed


@pytest.mark.parametrize(
    ("samples", "frequencies", "message"),
    [
        (torch.zeros(2), torch.tensor([1, 33]), "once mod 32, got 1 several times"),
        (torch.tensor([1.0, math.nan]), torch.arange(2), "finite samples"),
    ],
)
def test_what_is_no_problem_is_refused(samples, frequencies, message):
    with pytest.raises(ValueError, match=message):
        basis_pursuit(samples.to(torch.complex128), frequencies, 32)

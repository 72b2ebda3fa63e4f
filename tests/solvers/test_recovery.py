"""Proofs and refutations of exact recovery: by hand, against linear programs, and where nothing is known."""

import math

import numpy as np
import pytest
import torch

from mrilib.solvers.partial_fourier import PartialFourier, frequency_mask
from mrilib.solvers.recovery import Outcome, decide, smaller_norm
from mrilib.solvers.sign_patterns import Duals, SignPattern
from tests.solvers.test_exact import matrix


def posed(size, frequencies, index, signs):
    """A batch of one."""
    index = torch.as_tensor(index)[None]
    signs = torch.as_tensor(signs, dtype=torch.complex128)[None]
    pattern = SignPattern(index, signs, torch.ones_like(index, dtype=torch.bool), size)
    return PartialFourier(frequency_mask(torch.as_tensor(frequencies)[None], size)), pattern


def drawn(seed, size, samples, support, complex_signs=False, batch=40):
    generator = torch.Generator().manual_seed(seed)

    def chosen(count):
        return torch.rand(batch, size, generator=generator).argsort(dim=1)[:, :count]

    mask = frequency_mask(chosen(samples), size)
    angle = torch.rand(batch, support, generator=generator, dtype=torch.float64)
    angle = 2 * math.pi * (angle if complex_signs else angle.round() / 2)
    signs = torch.polar(torch.ones_like(angle), angle)
    index = chosen(support)
    return PartialFourier(mask), SignPattern(index, signs, torch.ones_like(index, dtype=torch.bool), size)


def test_the_measurement_is_its_formula_and_gives_projections():
    size, frequencies = 12, torch.tensor([[0, 5, -1], [3, 14, 6]])
    fourier = PartialFourier(frequency_mask(frequencies, size))
    signal = torch.randn(2, size, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    for item in range(2):
        dense = matrix(frequencies[item].numpy(), size)
        expected = dense.conj().T @ dense @ signal[item].numpy()
        np.testing.assert_allclose(fourier.seen(signal)[item].numpy(), expected, atol=1e-14)
        measured = dense @ signal[item].numpy()
        places = frequencies[item] % size
        np.testing.assert_allclose(fourier.forward(signal)[item, places].numpy(), measured, atol=1e-14)
    index = torch.tensor([[1, 4], [0, 7]])
    gram = fourier.gram(index, torch.tensor([[True, True], [True, False]]))
    columns = matrix(frequencies[0].numpy(), size)[:, [1, 4]]
    np.testing.assert_allclose(gram[0].numpy(), columns.conj().T @ columns, atol=1e-15)
    np.testing.assert_allclose(gram[1].numpy(), np.diag([3 / 12, 1.0]), atol=1e-15)


def test_a_certificate_by_hand():
    """One entry and the frequencies −1, 0, 1 of 32: v_j = (1 + 2 cos(2πj/32))/3 is 1 at 0 alone."""
    fourier, pattern = posed(32, [-1, 0, 1], [0], [1.0])
    duals = Duals(fourier, pattern)
    by_hand = (1 + 2 * np.cos(2 * np.pi * np.arange(32) / 32)) / 3
    np.testing.assert_allclose(duals.least_squares[0].numpy(), by_hand, atol=1e-14)
    assert float(duals.smallest) == pytest.approx(math.sqrt(3 / 32))
    largest = (1 + 2 * math.cos(2 * math.pi / 32)) / 3
    assert float(duals.largest_off(duals.least_squares)) == pytest.approx(largest)
    decision = decide(fourier, pattern)
    assert int(decision.outcome) == Outcome.RECOVERED
    assert largest <= float(decision.bound) < largest + 1e-12


def test_a_certificate_that_must_fail():
    """Even frequencies alone do not tell x from x shifted by half: no proof, and no refutation either."""
    fourier, pattern = posed(32, range(-8, 8, 2), [3], [1.0])
    decision = decide(fourier, pattern, max_steps=200)
    assert int(decision.outcome) == Outcome.UNDECIDED
    assert math.isnan(float(decision.bound))
    assert math.isnan(float(decision.excess))


def test_two_entries_of_opposite_sign_side_by_side_are_refuted():
    """Low frequencies hardly see them: something smaller has the same data."""
    fourier, pattern = posed(32, range(-3, 4), [10, 11], [1.0, -1.0])
    decision = decide(fourier, pattern)
    assert int(decision.outcome) == Outcome.REFUTED
    assert float(decision.excess) > 0.1


def test_more_entries_than_frequencies_are_refuted():
    fourier, pattern = posed(32, [0, 1], [0, 1, 2], [1.0, 1.0, 1.0])
    assert int(decide(fourier, pattern).outcome) == Outcome.REFUTED


def test_columns_that_depend_on_each_other_prove_nothing():
    fourier, pattern = posed(32, [0, 2], [0, 16], [1.0, 1.0])
    assert int(decide(fourier, pattern, max_steps=100).outcome) == Outcome.UNDECIDED


@pytest.mark.parametrize("complex_signs", [False, True])
def test_decisions_are_those_of_a_convex_program(complex_signs):
    """`min ‖v_off‖∞` over dual vectors is below 1 where x is recovered, and above where it is not."""
    import cvxpy

    size, samples, support = 32, 9, 3
    fourier, pattern = drawn(3, size, samples, support, complex_signs)
    decision = decide(fourier, pattern)
    assert {int(each) for each in decision.outcome} >= {Outcome.RECOVERED, Outcome.REFUTED}
    for item in range(12):
        frequencies = fourier.mask[item].nonzero()[:, 0].numpy()
        dense = matrix(frequencies, size)
        on = pattern.index[item].numpy()
        unknown = cvxpy.Variable(samples, complex=True)
        vector = dense.conj().T @ unknown
        others = np.setdiff1d(np.arange(size), on)
        problem = cvxpy.Problem(
            cvxpy.Minimize(cvxpy.norm_inf(vector[others])), [vector[on] == pattern.signs[item].numpy()]
        )
        least = problem.solve(solver="CLARABEL")
        assert abs(least - 1.0) > 1e-5
        expected = Outcome.RECOVERED if least < 1.0 else Outcome.REFUTED
        assert int(decision.outcome[item]) == expected
        if expected == Outcome.RECOVERED:
            assert least - 1e-7 <= float(decision.bound[item]) < 1.0


def test_what_recovers_more_entries_recovers_fewer_and_more_frequencies_recover_no_less():
    fourier, pattern = drawn(4, 256, 26, 6)
    whole = decide(fourier, pattern).outcome
    part = SignPattern(pattern.index[:, :-1], pattern.signs[:, :-1], pattern.valid[:, :-1], 256)
    fewer = decide(fourier, part).outcome
    added = fourier.mask.clone()
    added.scatter_(
        1, torch.rand(40, 256, generator=torch.Generator().manual_seed(9)).argsort(1)[:, :10], True
    )
    more = decide(PartialFourier(added), pattern).outcome
    proved = whole == Outcome.RECOVERED
    assert 5 < int(proved.sum()) < 40
    assert bool((fewer[proved] == Outcome.RECOVERED).all())
    assert bool((more[proved] == Outcome.RECOVERED).all())


def test_a_dual_vector_that_is_1_up_to_rounding_is_no_proof():
    """Scaled so that an entry off the support has modulus 1 − ε: the bound counts what may be rounding."""
    fourier, pattern = drawn(5, 64, 20, 2, batch=1)
    duals = Duals(fourier, pattern)
    vector = duals.least_squares
    largest = float(duals.largest_off(vector))
    # Signs grow with the vector, so that it is a dual vector of the scaled pattern.
    grown = duals.signed(pattern.signs * ((1.0 - 2e-16) / largest))
    assert float(grown.largest_off(vector * ((1.0 - 2e-16) / largest))) < 1.0
    assert float(grown.bound(vector * ((1.0 - 2e-16) / largest))) >= 1.0


def test_the_bound_covers_what_is_wrong_on_the_support():
    fourier, pattern = drawn(6, 64, 20, 3, batch=1)
    duals = Duals(fourier, pattern)
    exact = duals.least_squares
    wrong = fourier.seen(exact + 1e-4 * torch.randn_like(exact.real))
    difference = float(duals.largest_off(duals.nearest(wrong)))
    assert float(duals.bound(wrong)) >= difference
    assert float(duals.bound(wrong)) > float(duals.largest_off(wrong))


def test_the_signal_itself_does_not_refute_itself():
    fourier, pattern = drawn(7, 128, 30, 4)
    signal = pattern.signal
    moved = signal + 1e-13 * torch.randn_like(signal.real)
    assert bool((smaller_norm(fourier, signal, moved) <= 0.0).all())


def test_items_do_not_depend_on_their_batch():
    fourier, pattern = drawn(8, 64, 18, 4)
    together = decide(fourier, pattern)
    for item in range(0, 40, 9):
        one = torch.tensor([item])
        alone = decide(fourier[one], pattern[one])
        assert int(alone.outcome) == int(together.outcome[item])

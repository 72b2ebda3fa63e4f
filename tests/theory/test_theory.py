"""Sampling schemes, signals, thresholds and what artifacts do, each against what its definition says."""

import math

import numpy as np
import pytest
import torch

from mrilib.jobs.recover import recover
from mrilib.solvers.recovery import Outcome, decide
from mrilib.store.units import UnitStore
from mrilib.theory.interpolation import interpolated
from mrilib.theory.sampling import centred, measured, ranks
from mrilib.theory.signals import draw_instances, product_margin
from mrilib.theory.thresholds import amplification, find_thresholds
from tests.solvers.test_exact import matrix

ENTRY = {"signal": "real", "sampling": "uniform", "artifact": "plateau", "width": 1, "max_steps": 300}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("scheme", ["uniform", "uniform-with-zero", "low-frequencies"])
def test_orders_are_permutations_that_differ(scheme):
    order = ranks(scheme, 32, 5, generator=seeded())
    for one in order:
        assert sorted(one.tolist()) == list(range(32))
    assert not torch.equal(order[0], order[1])
    assert (scheme == "uniform") != bool((order[:, 0] == 0).all())


def test_every_frequency_is_as_likely_in_a_uniform_set_and_low_ones_are_likelier_by_their_density():
    uniform = (ranks("uniform", 16, 8000, generator=seeded()) < 4).double().mean(dim=0)
    assert float((uniform - 0.25).abs().max()) < 0.02
    # The first after frequency 0: probability in proportion to 1/|f|.
    first = (ranks("low-frequencies", 16, 8000, generator=seeded()) == 1).double().mean(dim=0)
    weight = 1.0 / centred(16).abs().clamp(min=1)
    weight[0] = 0.0
    assert float((first - weight / weight.sum()).abs().max()) < 0.02


def test_the_centre_is_symmetric():
    fourier = measured(ranks("centre", 16, 1, generator=seeded()), torch.tensor([3]))
    assert centred(16)[fourier.mask[0]].tolist() == [0, 1, 2, 3, -3, -2, -1]


@pytest.mark.parametrize("signal", ["real", "complex", "non-negative"])
@pytest.mark.parametrize(("artifact", "width"), [("plateau", 1), ("plateau", 4), ("sparse", 4)])
def test_signals_have_their_entries_and_artifacts_lie_off_them(signal, artifact, width):
    found = draw_instances(signal, 64, 5, 20, artifact=artifact, width=width, generator=seeded())
    x, whole, rho = found.x.signal, found.with_artifact.signal, found.artifact
    assert torch.equal(whole, x + rho)
    assert bool(((x != 0).sum(dim=-1) == 5).all())
    assert bool(((whole != 0).sum(dim=-1) == 5 + width).all())
    assert bool(((rho == 0) | (rho == 1)).all())
    np.testing.assert_allclose(found.x.signs.abs().numpy(), 1.0, atol=1e-15)
    if signal != "complex":
        assert bool((x.imag == 0).all())
    if signal == "non-negative":
        assert bool((x.real >= 0).all())
    if artifact == "plateau":
        assert bool(((rho - rho.roll(1, -1)).abs().sum(dim=-1) == 2).all())


def test_entries_are_separated():
    found = draw_instances("separated", 200, 4, 50, generator=seeded())
    places = found.with_artifact.index.sort(dim=-1).values
    gaps = torch.cat([places.diff(dim=-1), places[:, :1] + 200 - places[:, -1:]], dim=-1)
    assert int(gaps.min()) >= 200 // 10


@pytest.mark.parametrize(("artifact", "width"), [("plateau", 1), ("plateau", 5), ("sparse", 3)])
def test_patterns_of_piecewise_constant_signals_are_those_of_their_differences(artifact, width):
    size, jumps = 128, 5
    found = draw_instances(
        "piecewise-constant", size, jumps, 20, artifact=artifact, width=width, generator=seeded()
    )
    differences = found.artifact.roll(-1, -1) - found.artifact
    assert torch.equal(found.x.signal + differences, found.with_artifact.signal)
    assert bool(((found.x.signal != 0).sum(dim=-1) == jumps).all())
    # Levels return to where they began, so that both signs occur.
    assert bool((found.x.signal.real.max(dim=-1).values > 0).all())
    assert bool((found.x.signal.real.min(dim=-1).values < 0).all())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit into 16"):
        draw_instances("real", 16, 14, 1, width=2, generator=seeded())
    with pytest.raises(ValueError, match="expected a spike beside separated entries"):
        draw_instances("separated", 64, 2, 1, width=2, generator=seeded())


def test_a_threshold_is_that_of_trying_every_number_of_frequencies():
    order = ranks("uniform", 32, 12, generator=seeded(3))
    instances = draw_instances("complex", 32, 2, 12, generator=seeded(4))
    found = find_thresholds(order, instances.with_artifact, max_steps=600)
    for draw in range(12):
        one = torch.tensor([draw])
        outcomes = []
        for count in range(1, 33):
            fourier = measured(order[one], torch.tensor([count - 1]))
            outcomes.append(int(decide(fourier, instances.with_artifact[one], max_steps=600).outcome))
        proved = [outcome == Outcome.RECOVERED for outcome in outcomes]
        # From the first proof on all are proved: sets are nested.
        assert all(proved[proved.index(True) :])
        assert int(found.recovered[draw]) == proved.index(True) + 1
        if not int(found.undecided[draw]):
            assert outcomes[int(found.refuted[draw]) - 1] == Outcome.REFUTED or not found.refuted[draw]
            assert int(found.recovered[draw]) - int(found.refuted[draw]) == 1


def test_a_spike_has_the_amplification_of_the_theorem_and_the_flattest_data():
    order = ranks("uniform", 64, 6, generator=seeded())
    fourier = measured(order, torch.arange(10, 16))
    spike = draw_instances("real", 64, 2, 6, generator=seeded(1)).artifact
    found, counts = amplification(fourier, spike), torch.arange(11, 17).double()
    torch.testing.assert_close(found["amplification"], 64 / counts)
    torch.testing.assert_close(found["least"], 64 / counts)
    torch.testing.assert_close(found["amplification_l2"], (64 / counts).sqrt())
    torch.testing.assert_close(found["flatness"], torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize(("artifact", "width"), [("plateau", 6), ("sparse", 6)])
def test_other_artifacts_are_amplified_by_no_less_than_their_bound(artifact, width):
    order = ranks("uniform", 64, 30, generator=seeded())
    fourier = measured(order, torch.full((30,), 20))
    rho = draw_instances("real", 64, 2, 30, artifact=artifact, width=width, generator=seeded(1)).artifact
    found = amplification(fourier, rho)
    assert bool((found["amplification"] >= found["least"] * (1 - 1e-12)).all())
    assert bool((found["flatness"] > 1.0).all())
    dense = matrix(fourier.mask[0].nonzero()[:, 0].numpy(), 64)
    seen = dense.conj().T @ dense @ rho[0].numpy()
    assert float(found["amplification"][0]) == pytest.approx(1 / np.abs(seen).max())
    assert float(found["amplification_l2"][0]) == pytest.approx(math.sqrt(width) / np.linalg.norm(seen))


def test_no_data_of_a_spikes_norm_have_a_smaller_largest_entry():
    """By a convex program: the least `‖e‖∞` with `Re⟨e, u⟩ ≥ ‖u‖²`, `u` a spike's data, is that of `u`."""
    import cvxpy

    frequencies = [0, 3, 4, 9, 17, 30]
    spike = matrix(frequencies, 32)[:, 5]
    unknown = cvxpy.Variable(len(frequencies), complex=True)
    longest = cvxpy.real(cvxpy.sum(cvxpy.multiply(spike.conj(), unknown))) >= np.linalg.norm(spike) ** 2
    least = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm_inf(unknown)), [longest]).solve(solver="CLARABEL")
    assert least == pytest.approx(np.abs(spike).max(), rel=1e-6)


def test_the_product_certificate_is_what_its_formula_says():
    index = torch.tensor([[2, 9, 17]])
    places = np.arange(32)
    product = np.prod([np.sin(np.pi * (places - each) / 32) ** 2 for each in (2, 9, 17)], axis=0)
    off = np.setdiff1d(places, [2, 9, 17])
    expected = math.log10(product[off].min() / product[off].max())
    assert float(product_margin(index, 32)) == pytest.approx(expected)
    # A polynomial of degree 3: the frequencies −3…3 hold it.
    spectrum = np.abs(np.fft.fft(1 - product / product.max()))
    assert spectrum[4:-3].max() < 1e-12
    fourier = measured(ranks("centre", 32, 1, generator=seeded()), torch.tensor([3]))
    pattern = draw_instances("non-negative", 32, 2, 1, generator=seeded()).with_artifact
    assert int(decide(fourier, pattern).outcome) == Outcome.RECOVERED


def test_low_frequencies_interpolate_separated_signs_with_slope_zero():
    order = ranks("centre", 256, 5, generator=seeded())
    pattern = draw_instances("separated", 256, 3, 5, generator=seeded(2)).with_artifact
    vector = interpolated(measured(order, torch.full((5,), 18)), pattern)
    np.testing.assert_allclose(pattern.at(vector).numpy(), pattern.signs.numpy(), atol=1e-10)
    spectrum = torch.fft.fft(vector)
    assert float(spectrum[:, 19:-18].abs().max()) < 1e-9
    slope = torch.fft.ifft(spectrum * 1j * centred(256).double())
    assert float(pattern.at(slope).abs().max()) < 1e-8
    assert bool((torch.where(pattern.on, 0.0, vector.abs()).amax(dim=-1) < 1.0).all())


def test_draws_are_kept_and_do_not_depend_on_how_many_there_are(tmp_path):
    store = UnitStore(tmp_path)
    few = recover(ENTRY | {"draws": 25}, 32, 2, store, seed=1, code="a")
    more = recover(ENTRY | {"draws": 30}, 32, 2, store, seed=1, code="a")
    assert (store.computed, store.found) == (2, 1)
    assert more.iloc[:25].equals(few)
    assert list(more["draw"]) == list(range(30))
    assert (more["x_recovered"] <= more["recovered"]).all()
    other = recover(ENTRY | {"draws": 25}, 32, 2, store, seed=2, code="a")
    assert not other["recovered"].equals(few["recovered"])


def test_non_negative_signals_need_no_more_than_the_product_formula(tmp_path):
    entry = ENTRY | {"signal": "non-negative", "sampling": "centre", "draws": 10}
    found = recover(entry, 64, 3, UnitStore(tmp_path), seed=1, code="a")
    assert (found["recovered"] <= 2 * 4 + 1).all()
    assert np.isfinite(found["log_margin"]).all()
    np.testing.assert_allclose(found["amplification"], 64 / found["recovered"])

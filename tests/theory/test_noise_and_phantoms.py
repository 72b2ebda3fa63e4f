"""Amplification under a weight, and phantoms with and without a spike."""

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.experiments.base import ScoredRun
from mrilib.experiments.recovery_noise import RecoveryNoise
from mrilib.experiments.recovery_phantoms import RecoveryPhantoms
from mrilib.experiments.scores import read_scores
from mrilib.jobs.recover import recover
from mrilib.jobs.recover_noisy import recover_noisy
from mrilib.jobs.recover_phantoms import flat_places, recover_phantoms
from mrilib.report.tables import render
from mrilib.solvers.lasso import lasso
from mrilib.solvers.partial_fourier import PartialFourier, frequency_mask
from mrilib.store.functions import load_function
from mrilib.store.units import UnitStore
from mrilib.theory.tables import NOISY_KINDS, PLANE_KINDS
from tests.solvers.test_exact import matrix

ENTRY = {"signal": "real", "sampling": "uniform", "artifact": "plateau", "width": 1, "max_steps": 300}
PHANTOMS = {"images": 1, "weight": 1e-4, "level": 0.01, "tolerance": 1e-4, "grid": 1, "seed": 1, "code": "a"}


def test_the_lasso_is_what_a_general_solver_finds():
    import cvxpy

    generator = np.random.default_rng(0)
    frequencies = generator.choice(32, 12, replace=False)
    dense = matrix(frequencies, 32)
    data = dense @ (generator.standard_normal(32) * (generator.random(32) < 0.2))
    spectrum = torch.zeros(2, 32, dtype=torch.complex128)
    spectrum[:, frequencies] = torch.as_tensor(data)
    fourier = PartialFourier(frequency_mask(torch.as_tensor(frequencies).expand(2, -1), 32))
    weights = torch.tensor([0.01, 0.2], dtype=torch.float64)
    found = lasso(fourier, spectrum, weights)
    for item, weight in enumerate(weights.tolist()):
        unknown = cvxpy.Variable(32, complex=True)
        misfit = cvxpy.sum_squares(dense @ unknown - data) / 2
        least = cvxpy.Problem(cvxpy.Minimize(misfit + weight * cvxpy.norm1(unknown))).solve(solver="CLARABEL")
        value = found.value[item].numpy()
        ours = np.linalg.norm(dense @ value - data) ** 2 / 2 + weight * np.abs(value).sum()
        assert ours == pytest.approx(least, rel=1e-6)
        assert float(found.gap[item]) <= 1e-7


def test_a_lasso_that_may_not_finish_says_so_by_its_gap():
    fourier = PartialFourier(frequency_mask(torch.arange(12)[None], 32))
    data = fourier.forward(
        torch.randn(1, 32, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    )
    weight = torch.tensor([1e-4], dtype=torch.float64)
    assert float(lasso(fourier, data, weight, max_steps=50).gap) > 1e-7


def noisy(tmp_path, weights, levels):
    thresholds = recover(ENTRY | {"draws": 12}, 128, 2, UnitStore(tmp_path), seed=1, code="a")
    settings = {"surplus": 2.0, "weights": weights, "levels": levels, "seed": 1}
    return recover_noisy(ENTRY, thresholds, 128, 2, **settings), thresholds


def test_a_small_weight_leaves_all_of_the_amplification_and_a_large_one_takes_it(tmp_path):
    found, thresholds = noisy(tmp_path, [0.01, 0.5], [0.05])
    assert list(found["samples"][:12]) == [2 * each for each in thresholds["recovered"]]
    share = (found["amplification"] * found["samples"] / 128).groupby(found["weight"]).median()
    assert share[0.01] == pytest.approx(1.0, abs=0.03)
    assert share[0.5] < 0.7
    assert (found["gap"] <= 1e-6).all()


def test_phantoms_without_ramps_are_the_same_ellipses_at_one_height_each():
    flat = ellipse_phantoms(2, size=64, seed=3, ramps=False)
    ramped = ellipse_phantoms(2, size=64, seed=3)
    for one, other in zip(flat, ramped, strict=True):
        # A sum of 14 ellipses at most has few values next to its pixels.
        assert len(one.unique()) < 120 < len(other.unique())
        assert float(one.max()) == 1.0
        assert ((one > 0) | (other == 0)).all()
    assert torch.equal(ramped, ellipse_phantoms(2, size=64, seed=3, ramps=True))


def test_flat_places_have_neighbours_of_the_same_value():
    image = torch.zeros(16, 16)
    image[4:9, 4:9] = 1.0
    assert sorted(map(tuple, flat_places(image).tolist())) == [(y, x) for y in (5, 6, 7) for x in (5, 6, 7)]


def test_a_phantom_and_its_spike_are_recovered_and_amplified_as_the_theorem_says(tmp_path):
    store = UnitStore(tmp_path)
    (row,) = recover_phantoms(48, 24, store, **PHANTOMS).to_dict("records")
    assert row["failed"] == ""
    assert row["least"] == pytest.approx(48**2 / row["samples"])
    assert row["distance"] < 5e-3
    assert row["artifact_distance"] < 5e-3
    assert row["gap"] <= 1e-4
    assert row["spike_amplification"] == pytest.approx(row["least"], rel=0.02)
    # The search begins at the spike, among others.
    assert row["amplification"] >= 0.99 * row["spike_amplification"]
    recover_phantoms(48, 24, store, **PHANTOMS)
    assert (store.computed, store.found) == (1, 1)


def test_the_papers_phantoms_are_not_recovered_and_a_spike_is_amplified_all_the_same(tmp_path):
    constant, linear = (
        recover_phantoms(48, 24, UnitStore(tmp_path), ramps=ramps, **PHANTOMS).iloc[0]
        for ramps in (False, True)
    )
    assert linear["distance"] > 3 * constant["distance"]
    # The same mask, and the spike at the same place.
    assert linear["least"] == constant["least"]
    assert linear["spike_amplification"] == pytest.approx(linear["least"], rel=0.05)


def test_few_lines_do_not_recover_a_phantom(tmp_path):
    (row,) = recover_phantoms(48, 4, UnitStore(tmp_path), **PHANTOMS).to_dict("records")
    assert row["distance"] > 0.05


def frame(kinds, rows):
    usual = {name: "" if kind == "text" else 0.0 for name, kind in kinds.items()}
    return pd.DataFrame([usual | {"entry": "a"} | row for row in rows])


def run_of(recoveries):
    return ScoredRun(scores=read_scores([]), recoveries=recoveries, theory={"a": {"label": "A"}}, seed=1)


def made(experiment, run):
    """Records of an experiment, of which a table and a figure can be made."""
    records = experiment.records(run)
    table = load_function(experiment.table)(records, **experiment.table_arguments(run))
    assert "A" in render(table)["md"]
    drawn = load_function(experiment.figure)(
        experiment.frame(run, records), **experiment.figure_arguments(run)
    )
    assert drawn.axes
    return records


def test_noise_is_told_by_weight_and_what_was_not_solved_is_missing():
    rows = [
        {"size": 64, "sparsity": 2, "draw": draw, "samples": 16, "weight": weight, "level": 0.1}
        | {"amplification": 4.0 * (1 - weight), "gap": 1.0 if draw == 3 else 0.0}
        for draw in range(10)
        for weight in (0.25, 0.5)
    ]
    records = made(RecoveryNoise(entry="a"), run_of(frame(NOISY_KINDS, rows)))
    shares = [record for record in records if record.quantity == "share"]
    assert [record.value for record in shares] == pytest.approx([0.75, 0.5])
    assert [(record.n, record.missing) for record in shares] == [(9, 1), (9, 1)]


def test_phantoms_are_told_by_size_and_what_failed_is_missing():
    rows = [
        {"size": size, "lines": 18, "draw": draw, "amplification": 2.0 * size, "least": float(size)}
        | {"spike_amplification": float(size), "distance": 1e-4, "artifact_distance": 2e-4, "gap": 1e-5}
        | {"failed": "gave up" if draw == 2 else ""}
        for size in (64, 128)
        for draw in range(3)
    ]
    records = made(RecoveryPhantoms(entries=["a"]), run_of(frame(PLANE_KINDS, rows)))
    found = [record for record in records if record.quantity == "amplification"]
    assert [(record.value, record.n, record.missing) for record in found] == [(128.0, 2, 1), (256.0, 2, 1)]

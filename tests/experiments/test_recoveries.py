"""Experiments on exact recovery find what was planted in the thresholds of draws."""

import math

import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.phase_transition import PhaseTransition
from mrilib.experiments.recoveries import quantile
from mrilib.experiments.recovery_artifacts import RecoveryArtifacts
from mrilib.experiments.recovery_growth import RecoveryGrowth
from mrilib.experiments.scores import read_scores
from mrilib.report.tables import render
from mrilib.store.functions import load_function
from mrilib.theory.tables import KINDS, read_recoveries

SIZES = (64, 256, 1024, 4096)


def draws(law, *, entry="a", sparsity=4, sizes=SIZES, count=60, undecided=0):
    """Thresholds around `law(n)`, of as many draws of each size; of some the next set is not refuted."""
    generator = np.random.default_rng(0)
    frames = []
    for size in sizes:
        found = np.round(law(size) * (1 + 0.05 * generator.standard_normal(count))).astype(int)
        below = found - 1 - (np.arange(count) < undecided)
        frame = pd.DataFrame(dict.fromkeys(KINDS, 0.0), index=range(count))
        frames.append(
            frame.assign(
                entry=entry,
                size=size,
                sparsity=sparsity,
                draw=range(count),
                x_recovered=found - 2,
                recovered=found,
                refuted=below,
                amplification=size / found,
                least=size / found / 10,
                amplification_l2=np.sqrt(size / found),
                flatness=1.0,
            )
        )
    return pd.concat(frames, ignore_index=True)


def run_of(*frames, **theory):
    return ScoredRun(
        scores=read_scores([]), recoveries=pd.concat(frames, ignore_index=True), theory=theory, seed=1
    )


def value(records, quantity, **row):
    (found,) = [
        record
        for record in records
        if record.quantity == quantity and all(record.row[key] == each for key, each in row.items())
    ]
    return found


def test_a_flat_ratio_is_found_flat_and_its_constant_is_measured():
    run = run_of(draws(lambda n: 2.5 * 4 * math.log(n)), a={"width": 1, "label": "A"})
    records = RecoveryGrowth(entries=["a"]).records(run)
    change = value(records, "change")
    assert change.low <= 0.0 <= change.high
    assert abs(change.value) < 0.02
    assert value(records, "ratio", size="1024").value == pytest.approx(2.5, rel=0.03)
    # 95 % of draws lie below 1.08 times the law.
    expected = 2.5 * 1.08 / math.log(20)
    assert value(records, "constant").value == pytest.approx(expected, rel=0.06)


def test_a_ratio_that_grows_is_found_to_grow():
    run = run_of(draws(lambda n: 4 * math.log(n) ** 2), a={"width": 1})
    change = value(RecoveryGrowth(entries=["a"]).records(run), "change")
    assert change.low > 0.0


def test_amplification_of_a_spike_is_that_of_the_median_threshold():
    frame = draws(lambda n: 30, sizes=(128,))
    records = RecoveryGrowth(entries=["a"]).records(run_of(frame, a={"width": 1}))
    half = quantile(frame["recovered"].to_numpy(dtype=float), 0.5)
    assert half == np.quantile(frame["recovered"], 0.5, method="inverted_cdf")
    assert (frame["recovered"] <= half).mean() >= 0.5 > (frame["recovered"] < half).mean()
    found = value(records, "amplification")
    assert found.value == pytest.approx(128 / half)
    assert found.low <= found.value <= found.high
    assert value(records, "amplification_l2").value == pytest.approx(math.sqrt(128 / half))


def test_draws_that_are_open_below_their_threshold_are_counted():
    records = RecoveryGrowth(entries=["a"]).records(run_of(draws(lambda n: 30, sizes=(128,), undecided=7)))
    assert value(records, "recovered_half").flagged == 7


def test_probabilities_are_shares_with_wilson_intervals():
    frame = draws(lambda n: 40, sizes=(128, 256))
    experiment = PhaseTransition(entry="a")
    records = experiment.records(run_of(frame))
    for record in records:
        part = frame[frame["size"] == int(record.row["size"])]
        column = "recovered" if record.quantity == "probability" else "x_recovered"
        assert record.value == pytest.approx((part[column] <= int(record.row["m"])).mean())
        assert record.low <= record.value <= record.high
    # Of both from none to all, of x as much or more everywhere.
    both, alone = (
        np.array([each.value for each in records if each.quantity == name and each.row["size"] == "128"])
        for name in ("probability", "probability_x")
    )
    assert (both[0], both[-1]) == (0.0, 1.0)
    assert (alone >= both).all()


def test_the_other_axis_may_be_the_sparsity():
    few, many = (draws(lambda n: 10 * s, sparsity=s, sizes=(64, 128)) for s in (2, 4))  # noqa: B023
    experiment = PhaseTransition(entry="a", by="sparsity")
    found = experiment.frame(run_of(few, many), [])
    assert set(found["size"]) == {128}
    assert set(found["sparsity"]) == {2, 4}


def test_artifacts_are_medians_of_their_draws():
    frames = [draws(lambda n: 30, entry=name, sizes=(128,)) for name in ("a", "b")]
    records = RecoveryArtifacts(entries=["a", "b"]).records(run_of(*frames))
    found = next(each for each in records if each.quantity == "amplification" and each.method == "b")
    assert found.value == pytest.approx(frames[1]["amplification"].median())


@pytest.mark.parametrize(
    "experiment",
    [RecoveryGrowth(entries=["a", "b"]), PhaseTransition(entry="a"), RecoveryArtifacts(entries=["a", "b"])],
    ids=lambda experiment: experiment.word,
)
def test_tables_and_figures_are_made(experiment):
    run = run_of(
        draws(lambda n: 3 * math.log(n)), draws(lambda n: 9, entry="b", sizes=(64, 256)), a={"label": "A"}
    )
    records = experiment.records(run)
    table = load_function(experiment.table)(records, **experiment.table_arguments(run))
    assert "A" in render(table)["md"]
    figure = load_function(experiment.figure)(
        experiment.frame(run, records), **experiment.figure_arguments(run)
    )
    assert figure.axes


def test_an_entry_without_recoveries_is_told():
    with pytest.raises(
        ValueError, match=r"recovery-growth: expected entries of the theory \['a'\], got \['c'\]"
    ):
        RecoveryGrowth(entries=["c"]).records(run_of(draws(lambda n: 30)))


def test_files_come_back_with_their_entry(tmp_path):
    path = tmp_path / "sparse" / "64-4.csv"
    path.parent.mkdir()
    frame = draws(lambda n: 30, sizes=(64,))[[*KINDS]]
    path.write_text(frame.to_csv(index=False))
    found = read_recoveries([path])
    assert set(found["entry"]) == {"sparse"}
    assert found["recovered"].dtype == "int64"
    assert list(read_recoveries([]).columns) == ["entry", *KINDS]

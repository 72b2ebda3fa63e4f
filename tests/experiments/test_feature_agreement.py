import numpy as np
import pandas as pd
import pytest

from mrilib.experiments.feature_agreement import ALL, FeatureAgreement
from tests.experiments.test_boxes import METHODS, PATIENTS, known


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("mrilib.experiments.feature_agreement.DRAWS", 199)


def windows(losses):
    """Of every method a loss at two sizes, the second the other way round."""
    generator = np.random.default_rng(2)
    rows = []
    for method, loss in losses.items():
        for patient in range(PATIENTS):
            about = {"feature": "bright", "kind": "location-map", "method": method, "domain": ""}
            about |= {"source": "set", "mask": "mask", "position": patient, "patient": f"p{patient}"}
            about |= {"volume": f"v{patient}", "slice": 0.0, "failed": ""}
            noise = generator.normal(0, 0.001)
            rows += [
                about | {"size": 2.0, "loss": loss + noise},
                about | {"size": 5.0, "loss": 1 - loss + noise},
            ]
    return pd.DataFrame(rows)


def test_orders_that_agree_and_orders_that_are_reversed():
    """Box errors fall from method to method, and losses of small windows; those of large ones rise."""
    losses = {name: 0.4 - 0.1 * rank for rank, name in enumerate(METHODS)}
    run = known()
    run = type(run)(**{**vars(run), "features": windows(losses)})
    records = FeatureAgreement(feature="bright", source="set").records(run)
    told = {(each.quantity, each.row["size"]): each for each in records}
    assert {each.method for each in records} == {ALL}
    assert told["agreement", 2].value == pytest.approx(1.0)
    assert told["agreement", 5].value == pytest.approx(-1.0)
    assert told["agreement_with_quality", 2].value == pytest.approx(-1.0)
    assert told["agreement", 2].n == len(METHODS)


def test_two_methods_have_no_rank_correlation():
    run = known()
    run = type(run)(**{**vars(run), "features": windows({"zero": 0.3, "tv": 0.2})})
    records = FeatureAgreement(feature="bright", source="set").records(run)
    assert {each.n for each in records} == {0}
    assert all(np.isnan(each.value) for each in records)

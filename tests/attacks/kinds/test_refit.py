"""Another fit to the clean data: the baseline of attacks on untrained networks."""

import math

import pandas as pd
import pytest
import torch

from mrilib.attacks.accuracy import refitted
from mrilib.attacks.kinds.base import Conditions
from mrilib.attacks.kinds.refit import Refit
from mrilib.attacks.target import Observed, Target
from mrilib.experiments.scores import doubtful, valued
from mrilib.experiments.scoring import score_image
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.untrained import Untrained
from tests.experiments.scenes import LEVEL, Stored, phantom, scan

NETWORK = {"class": "mrilib.networks.decoders:DeepDecoder", "arguments": {"channels": 6, "layers": 3}}


def untrained(**more):
    return Untrained(network=NETWORK, steps=20, **more)


def target_of(method, measurement):
    with torch.no_grad():
        clean = method(measurement.kspace, measurement.operator)
    return Target(method, measurement.operator, measurement.kspace, 1.0, Observed(clean))


@pytest.mark.parametrize("measured", [phantom, scan])
def test_it_is_the_difference_of_two_fits_without_a_perturbation(measured):
    found = measured()
    target = target_of(untrained(), found)
    result = Refit().attack(target, Conditions(reference=found.reference, seed=5))
    other = untrained(seed=5)(found.kspace, found.operator)
    assert not bool(result.perturbation.any())
    torch.testing.assert_close(result.reconstruction, other, rtol=0, atol=0)
    torch.testing.assert_close(result.artifact, target.artifacts(other), rtol=0, atol=0)
    assert float(result.severity) == float(result.artifact.abs().max()) > 0
    assert float(result.artifact[tuple(result.location.tolist())].abs()) == float(result.severity)


def test_a_method_stays_as_it_was_and_one_without_a_seed_says_so():
    method = untrained(seed=3)
    assert (method.reseeded(4).seed, method.seed) == (4, 3)
    with pytest.raises(ValueError, match="ZeroFilled: it draws nothing"):
        refitted(target_of(ZeroFilled(), scan()), 1)


@pytest.fixture(scope="module", params=[phantom, scan], ids=["phantom", "scan"])
def scored(request, tmp_path_factory):
    stored = Stored(tmp_path_factory.mktemp("refit"), request.param(), untrained())
    weak = {
        "kind": "global",
        "steps": 6,
        "restarts": 1,
        "search": "mrilib.attacks.searches.joint:JointDescent",
    }
    weak |= {"search_arguments": {"warm": 2}}
    rows = score_image(*stored.attacked(refit={"kind": "refit"}, weak=weak, noise={"kind": "gaussian"}))
    return pd.DataFrame(rows).set_index("attack")


def test_its_number_is_what_the_attacks_on_the_image_have_to_stand_out_of(scored):
    baseline = scored.loc["refit", "severity"]
    assert baseline > 0
    for attack in ("weak", "noise"):
        assert scored.loc[attack, "fit_to_fit"] == pytest.approx(baseline, rel=1e-6)
        assert scored.loc[attack, "perturbation_norm"] == pytest.approx(LEVEL, rel=1e-4)
        assert math.isnan(scored.loc[attack, "accuracy"])
    assert scored.loc["refit", "perturbation_norm"] == 0


def test_only_what_is_no_larger_is_doubted(scored):
    told = doubtful(scored, "severity")
    assert not told["refit"]
    for attack in ("weak", "noise"):
        assert told[attack] == (scored.loc[attack, "severity"] <= scored.loc["refit", "severity"])
    # Just above and just below.
    edge = scored.loc[["weak", "weak"]].assign(severity=[1.01, 0.99], fit_to_fit=1.0)
    assert doubtful(edge, "severity").tolist() == [False, True]


def test_what_was_not_perturbed_has_no_amplification_and_misses_none(scored):
    row = valued(scored, "amplification").loc["refit"]
    assert math.isnan(row["number"])
    assert not row["missing"]
    assert not valued(scored, "severity").loc["refit", "missing"]

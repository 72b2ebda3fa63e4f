"""An argument of a search is chosen on validation images: what is tried, kept, chosen, and used."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.attacks.kinds.joint import joint_attack
from mrilib.attacks.kinds.localized import Localized
from mrilib.attacks.kinds.refit import Refit
from mrilib.attacks.kinds.whole import Global
from mrilib.jobs.attack import with_tuned_searches
from mrilib.jobs.methods import Methods
from mrilib.jobs.perturbations import Attack
from mrilib.jobs.tune_search import strongest, tune_search
from mrilib.operators.base import norm2
from mrilib.store.units import UnitStore
from tests.experiments.scenes import scan
from tests.jobs.entries import entry_of

BASIS = {"class": "mrilib.operators.bases:Wavelet", "arguments": {"name": "db2", "levels": 2}}
METHOD = {
    "reconstructor": "mrilib.reconstructors.l1:L1",
    "parameters": {"basis": BASIS, "weight": 3e-2, "tolerance": 1e-4},
    "tuned": None,
}
STEPS, WARM, LEVEL = 40, 5, 0.05
ENTRY = {"kind": "global", "steps": STEPS, "restarts": 1}
ENTRY |= {"search": "mrilib.attacks.searches.joint:JointDescent", "search_arguments": {"warm": WARM}}
VALUES = [1e-3, 0.05, 1e30]


def validation():
    return [
        replace(scan(seed=seed), about={"source": "set", "position": seed, "volume": "v"}) for seed in (0, 1)
    ]


def tuned(store, measurements, values=VALUES):
    attack = entry_of("joint", ENTRY, levels=[])["described"]
    given = {"attack": attack, "parameter": "beta", "values": values, "level": LEVEL, "tuned": "clean"}
    return tune_search(Methods(METHOD, {}), measurements, store, **given, seed=7, code="code")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    return tuned(UnitStore(folder), validation()), folder


def test_the_value_that_does_most_and_stays_finite_is_chosen(found):
    result, _ = found
    # Of the whole image.
    assert result["maximised"] == "artifact_norm"
    norms = {
        value: [row.get("artifact_norm", math.nan) for row in result["rows"] if row["value"] == value]
        for value in VALUES
    }
    assert all(len(each) == 2 for each in norms.values())
    assert np.isfinite(norms[1e-3] + norms[0.05]).all()
    means = {value: np.mean(norms[value]) for value in VALUES[:2]}
    assert result["chosen"] == max(means, key=means.get)
    assert result["at_edge"] == (result["chosen"] == VALUES[0])
    failed = [row["failed"] for row in result["rows"] if row["value"] == 1e30]
    assert all("the joint iterate leaves for infinity at step" in told for told in failed)
    assert {row["position"] for row in result["rows"]} == {0, 1}
    json.dumps(result, allow_nan=False)


def test_a_number_is_that_of_the_attack_by_itself(found):
    result, _ = found
    (measurement, _), method = validation(), Methods(METHOD, {}).made(METHOD["parameters"])
    operator, value = measurement.operator, 0.05
    row = next(row for row in result["rows"] if (row["value"], row["position"]) == (value, 0))
    # The search starts at random: 40 steps away from it all starts are alike.
    alone = joint_attack(
        method,
        measurement.kspace,
        operator,
        radius=LEVEL * float(operator.kspace_norm(measurement.kspace)),
        beta=value,
        steps=STEPS,
        warm=WARM,
        restarts=1,
        seed=0,
    )
    peak = float(measurement.reference.max())
    assert row["severity"] == pytest.approx(float(alone.severity) / peak, rel=0.1)
    expected = float(norm2(alone.artifact) / norm2(measurement.reference))
    assert row["artifact_norm"] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("kind", [Global(), Localized(), Gaussian(), Refit()], ids=lambda kind: kind.word)
def test_what_a_kind_says_it_maximises_is_what_it_measures(kind, draw):
    artifact, reference = draw(6, 7), draw(6, 7, seed=1)
    found = kind.measure(artifact) / kind.measure(reference)
    relative = {
        "severity": artifact.abs().max() / reference.abs().max(),
        "artifact_norm": norm2(artifact) / norm2(reference),
    }
    assert float(found) == pytest.approx(float(relative[kind.maximised]))


def test_what_was_tried_is_kept(found):
    result, folder = found
    store = UnitStore(folder)
    assert tuned(store, validation()) == result
    assert (store.computed, store.found) == (0, 2 * 4)
    store = UnitStore(folder)
    tuned(store, validation(), [*VALUES, 0.02])
    assert store.computed == 2


def test_the_largest_mean_of_those_without_a_failure():
    nan = math.nan
    assert strongest(np.array([[1.0, 2.0], [5.0, nan], [2.0, 3.0], [nan, nan]])) == 2
    assert strongest(np.array([[nan, 1.0], [1.0, nan]])) is None


def test_the_attack_takes_the_value(tmp_path, found):
    result, _ = found
    (tmp_path / "joint.json").write_text(json.dumps(result))
    attacks = [
        entry_of("joint", ENTRY, levels=[LEVEL]),
        entry_of("noise", {"kind": "gaussian"}, levels=[LEVEL]),
    ]
    joint, noise = with_tuned_searches(attacks, {"joint": tmp_path / "joint.json"})
    assert joint["described"]["search_arguments"] == {"warm": WARM, "beta": result["chosen"]}
    assert Attack.of(joint["described"]).search_arguments["beta"] == result["chosen"]
    assert noise == attacks[1]
    assert "beta" not in attacks[0]["described"]["search_arguments"]


def test_where_nothing_stays_finite_every_unit_says_so(tmp_path, found):
    _, folder = found
    result = tuned(UnitStore(folder), validation(), [1e25, 1e30])
    assert result["chosen"] is None
    assert not result["at_edge"]
    (tmp_path / "joint.json").write_text(json.dumps(result))
    (joint,) = with_tuned_searches(
        [entry_of("joint", ENTRY, levels=[LEVEL])], {"joint": tmp_path / "joint.json"}
    )
    told = Attack.of(joint["described"]).impossible
    assert told.startswith(
        "with no beta of 1e+25, 1e+30 all attacks on validation images ended well; JointDescent"
    )

"""What an artifact has to stand out of: bounds that hold, rounding that is measured, when it is doubted."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.attacks.accuracy import accuracy, rounding
from mrilib.attacks.target import Observed, Target
from mrilib.experiments.scores import doubtful
from mrilib.jobs.attack import perturbed_unit
from mrilib.jobs.perturbations import Assault, stored
from mrilib.jobs.subjects import Subject
from mrilib.jobs.transfer import carried_unit, challenged_unit
from mrilib.operators.bases import Wavelet
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.solution import NotConvergedError, Solution, Status
from tests.experiments.scenes import ASCENT, PEAK, phantom, scan
from tests.jobs.entries import attack_of

GAUSSIAN = {"kind": "gaussian"}
GLOBAL = {"kind": "global", "steps": 1, "restarts": 1} | ASCENT
LOCALIZED = PEAK | ASCENT | {"grid": 1, "search_arguments": {"rounds": [[1, 1]]}}
ITERATIVE = {
    **{
        f"tv {each}": lambda each=each, **to: TotalVariation(weight=1e-3, coupling=each, **to)
        for each in ("split", "complex", "isotropic")
    },
    "l1": lambda **to: L1(basis=Wavelet(levels=2), weight=0.01, **to),
    "tikhonov": lambda **to: Tikhonov(weight=0.01, **to),
}


def target(method, measurement):
    with torch.no_grad():
        value = observed(
            method, method.solve(measurement.kspace, measurement.operator).value, measurement.operator
        )
    return Target(method, measurement.operator, measurement.kspace, 1.0, Observed(value))


@pytest.mark.parametrize("name", ITERATIVE)
@pytest.mark.parametrize("measured", [phantom, scan])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_the_bound_holds_what_it_says(name, measured, tolerance):
    found = measured()
    rough, fine = ITERATIVE[name](tolerance=tolerance), ITERATIVE[name](tolerance=1e-6, max_steps=200_000)
    first, second = (each.solve(found.kspace, found.operator) for each in (rough, fine))
    difference = found.operator.forward(first.value - second.value)
    bounds = [float(each.stats["error_bound"]) for each in (first, second)]
    # Both are off; 1e-5 of the data is float32.
    assert float(difference.norm()) <= sum(bounds) + 1e-5 * float(found.kspace.norm())
    assert 0 < bounds[1] <= bounds[0] < 0.2 * float(found.kspace.norm())


def test_a_batch_has_a_bound_an_item():
    found = phantom()
    kspace = torch.stack([found.kspace, 2.0 * found.kspace])
    for method in (TotalVariation(weight=0.01), Tikhonov(weight=0.01)):
        assert method.solve(kspace, found.operator).stats["error_bound"].shape == (2,)


def test_accuracy_is_the_larger_of_rounding_and_what_the_bounds_allow():
    found = target(ZeroFilled(), phantom())
    pixels = found.operator.mask.numel()
    assert accuracy(found, rounding=0.5, bounds=[None, None]) == 0.5
    assert accuracy(found, rounding=1e-9, bounds=[3.0, 1.0]) == 4.0 / math.sqrt(pixels)
    assert accuracy(found, rounding=1e-9, bounds=[None, 1.0]) == 1.0 / math.sqrt(pixels)
    assert accuracy(found, rounding=math.inf, bounds=[1.0, 1.0]) == math.inf


class Whimsical(Reconstructor):
    """`Aᴴy` with a tenth of noise that every bit of the data decides."""

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace)
        draw = np.random.default_rng(abs(hash(kspace.numpy().tobytes())))
        return image + 0.1 * torch.from_numpy(draw.standard_normal(image.shape)).to(image)


class GivesUp(ZeroFilled):
    """Converges on the clean data alone."""

    first = True

    def solve(self, kspace, operator, *, start=None, throw=True):
        found = super().solve(kspace, operator)
        if self.first:
            self.first = False
            return found
        raise NotConvergedError("out of steps", Solution(found.value, Status.MAX_STEPS, {}))


@pytest.mark.parametrize("measured", [phantom, scan])
def test_rounding_is_what_a_method_makes_of_the_last_bit(measured):
    found = measured()
    largest = float(found.operator.adjoint(found.kspace).abs().max())
    linear = rounding(target(ZeroFilled(), found), 1)
    assert 1e-8 * largest < linear < 1e-5 * largest
    assert linear == rounding(target(ZeroFilled(), found), 1)
    assert rounding(target(Whimsical(), found), 1) > 0.05
    assert rounding(target(GivesUp(), found), 1) == math.inf


def subject(method, level, measurement):
    solution = method.solve(measurement.kspace, measurement.operator)
    value = observed(method, solution.value, measurement.operator)
    clean = Solution(value, solution.status, solution.stats, solution.state)
    return Subject(measurement, method, level, "clean", None, 1.0, [0, "set", 0], clean)


def is_doubtful(unit, about):
    assert "failed" not in unit.attributes
    artifact = torch.from_numpy(unit.arrays["reconstruction"]) - about.clean.value
    row = {"severity": float(artifact.abs().max()), "accuracy": unit.attributes["accuracy"]}
    row["fit_to_fit"] = math.nan
    return doubtful(pd.DataFrame([row]), "amplification").item()


def found_by(kind, about):
    """What a search found, without the check that would repeat it."""
    attack = attack_of(kind)
    return stored(about, attack, Assault(attack, about).run(), {})


CERTIFIED = {name: lambda make=make: make(tolerance=1e-4) for name, make in ITERATIVE.items()}
OTHERS = {
    "zero-filled": ZeroFilled,
    "cycle-spinning": lambda: L1(basis=Wavelet(levels=1), weight=1e-3, cycle_spinning=True, steps=20),
}
PLACES = [
    *(("tv split", phantom), ("tv complex", phantom), ("tv isotropic", scan), ("cycle-spinning", phantom)),
    *((name, measured) for name in ("l1", "tikhonov", "zero-filled") for measured in (phantom, scan)),
]


@pytest.mark.parametrize(("name", "measured"), PLACES)
def test_rounding_is_doubted_and_an_artifact_is_not(name, measured):
    """At level 1e-8 there is nothing but rounding, of noise and of what was made for another method."""
    method, found = (CERTIFIED | OTHERS)[name](), measured()
    for level, expected in ((1e-8, True), (0.01, False)):
        about = subject(method, level, found)
        assert is_doubtful(found_by(GAUSSIAN, about), about) is expected
        assert is_doubtful(carried_unit(about, level * found.kspace), about) is expected


@pytest.mark.parametrize("kind", [GLOBAL, LOCALIZED], ids=["global", "localized"])
@pytest.mark.parametrize("name", ["tv split", "tikhonov", "zero-filled"])
def test_so_it_is_of_every_kind_of_attack(name, kind):
    for level, expected in ((1e-8, True), (0.01, False)):
        about = subject((CERTIFIED | OTHERS)[name](), level, phantom())
        assert is_doubtful(found_by(kind, about), about) is expected


def test_a_method_that_is_decided_by_bits_is_doubted_at_every_level():
    about = subject(Whimsical(), 0.04, phantom())
    assert is_doubtful(perturbed_unit(about, attack_of(GAUSSIAN)), about)


def test_a_strengthened_attack_has_its_own_accuracy():
    about = subject(TotalVariation(weight=0.01, tolerance=1e-4), 0.04, phantom())
    own = perturbed_unit(about, attack_of(GLOBAL))
    rival = perturbed_unit(about, attack_of(LOCALIZED)).arrays["perturbation"]
    found = challenged_unit(about, attack_of(GLOBAL), own, {"other": torch.from_numpy(rival)})
    assert found.attributes["accuracy"] > 0
    assert found.attributes["error_bound"] > 0


def test_rounding_is_measured_once_for_all_levels(monkeypatch):
    calls = []
    monkeypatch.setattr("mrilib.jobs.subjects.rounding", lambda *_: calls.append(1) or 1e-6)
    first = subject(ZeroFilled(), 0.01, phantom())
    second, other = replace(first, level=0.04), replace(first, level=0.04, tuned="0.04")
    assert [each.limits(None) for each in (first, first, second, other)] == [{"accuracy": 1e-6}] * 4
    assert len(calls) == 2

"""What goes wrong with numbers is a unit that failed, with its numbers; the job goes on."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mrilib.jobs.attack import attack_image
from mrilib.jobs.subjects import Subject
from mrilib.operators.bases import Wavelet
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.solution import Solution, Status
from mrilib.solvers.total_variation import unrolling
from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore
from tests.experiments.scenes import phantom, scan
from tests.jobs.entries import entry_of

pytestmark = pytest.mark.usefixtures("unchecked")
GRADIENT = "mrilib.attacks.searches.gradient:GradientAscent"
JOINT = "mrilib.attacks.searches.joint:JointDescent"
UNROLLED = "mrilib.attacks.searches.unrolled:UnrolledAdam"
NETWORK = {"class": "mrilib.networks.decoders:DeepDecoder", "arguments": {"channels": 6, "layers": 3}}
GAUSSIAN = {"kind": "gaussian"}


def subject(method, measurement, *, clean=None):
    if clean is None:
        clean = method.solve(measurement.kspace, measurement.operator).value
    value = observed(method, clean, measurement.operator)
    solution = Solution(value, Status.CONVERGED, {})
    return Subject(measurement, method, 0.05, "clean", None, 1.0, [0, "set", 0], solution)


def attacked(about, tmp_path, **entries):
    """The units of attacks on one image, by the job's own function; noise is among them."""
    root = Group(attributes={"method": "m", "source": "set", "mask": "mask", "position": 0})
    subjects = SimpleNamespace(root=root, missing=False, computed={}, at=lambda *_: (about, {}))
    attacks = [
        entry_of(name, entry, levels=[0.05]) for name, entry in (entries | {"noise": GAUSSIAN}).items()
    ]
    codes = {each["attack"]: "code" for each in attacks}
    groups = attack_image(subjects, attacks, codes, UnitStore(tmp_path))
    return {name: groups[f"perturbed/{name}/0.05/1"] for name in (*entries, "noise")}


def untrained(**more):
    return Untrained(network=NETWORK, steps=15, **more)


class Diverging(Untrained):
    """Fits the clean data, and takes steps that lead nowhere on any other."""

    def _data(self, kspace, operator):
        found = super()._data(kspace, operator)
        rate = None if torch.equal(kspace, self.known) else 1e30
        self.descent = replace(self.descent, learning_rate=rate)
        return found


def test_a_fit_that_diverges(tmp_path):
    measurement = scan()
    method = Diverging(network=NETWORK, steps=15)
    method.known = measurement.kspace
    found = attacked(subject(method, measurement), tmp_path)
    assert "the loss of item 0 is not finite at step" in found["noise"].attributes["failed"]
    assert not found["noise"].arrays


def test_another_fit_that_diverges_leaves_every_attack_in_doubt(tmp_path):
    class Unlucky(Untrained):
        def reseeded(self, seed):
            return Untrained(network=NETWORK, steps=15, learning_rate=1e30)

    about = subject(Unlucky(network=NETWORK, steps=15), scan())
    found = attacked(about, tmp_path, refit={"kind": "refit"})
    assert "another fit to the clean data: " in found["refit"].attributes["failed"]
    assert found["noise"].attributes["fit_to_fit"] == float("inf")


class NoGradient(ZeroFilled):
    """An image with a derivative that is not a number."""

    def __call__(self, kspace, operator):
        image = super().__call__(kspace, operator)
        # √0 has no derivative.
        return image + torch.sqrt((image - image.detach()).abs())


def test_a_gradient_that_is_not_finite(tmp_path):
    about = subject(NoGradient(), phantom())
    found = attacked(about, tmp_path, whole={"kind": "global", "steps": 3, "search": GRADIENT})
    assert "non-finite value or gradient at step 0: nan for 2 of 2" in found["whole"].attributes["failed"]
    assert "failed" not in found["noise"].attributes


@pytest.mark.parametrize(
    "method",
    [
        lambda: L1(basis=Wavelet("db2", 2), weight=3e-2, tolerance=1e-3),
        # Adam's steps have one length whatever the objective.
        lambda: untrained(optimiser="gradient-descent"),
    ],
    ids=["l1", "untrained"],
)
def test_a_joint_iterate_that_is_not_finite(method, tmp_path):
    attack = {"kind": "global", "steps": 60, "search": JOINT, "search_arguments": {"beta": 1e30, "warm": 20}}
    found = attacked(subject(method(), scan()), tmp_path, joint=attack)
    assert "the joint iterate leaves for infinity at step" in found["joint"].attributes["failed"]
    assert "the clean image has" in found["joint"].attributes["failed"]
    assert "failed" not in found["noise"].attributes


def test_a_search_that_does_not_look_itself(tmp_path, monkeypatch):
    unroll = unrolling.unroll
    monkeypatch.setattr(unrolling, "unroll", lambda *given: torch.nan * unroll(*given))
    about = subject(TotalVariation(weight=0.01, tolerance=1e-3), phantom())
    attack = {"kind": "global", "steps": 3, "search": UNROLLED}
    attack["search_arguments"] = {"unrolled": 2, "warm": 2}
    found = attacked(about, tmp_path, whole=attack)
    told = "UnrolledAdam: severity nan of 2 of 2 candidates after 3 steps of round 1"
    assert found["whole"].attributes["failed"] == told


@pytest.mark.parametrize("search", [GRADIENT, JOINT])
def test_an_object_that_is_empty(search, tmp_path):
    measurement = scan()
    method = L1(basis=Wavelet("db2", 2), weight=3e-2, tolerance=1e-2)
    about = subject(method, replace(measurement, reference=torch.zeros_like(measurement.reference)))
    attack = {"kind": "localized", "region": "object", "grid": 2, "search": search}
    found = attacked(about, tmp_path, object=attack)
    assert "the reference is zero" in found["object"].attributes["failed"]
    assert found["object"].attributes["method"] == "m"
    assert "failed" not in found["noise"].attributes


def test_a_search_without_a_value(tmp_path):
    attack = {"kind": "global", "steps": 3, "search": GRADIENT, "impossible": "with no beta of 1, 2"}
    found = attacked(subject(ZeroFilled(), scan()), tmp_path, whole=attack)
    assert found["whole"].attributes["failed"] == "with no beta of 1, 2"


class Complex(Reconstructor):
    """`Aᴴy`."""

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace)


@pytest.mark.parametrize("measured", [phantom, scan])
def test_a_budget_of_the_full_kspace(measured, tmp_path):
    measurement = replace(measured(), column_energy=torch.full((4,), 625.0, dtype=torch.float64))
    about = subject(Complex(), measurement)
    full = GAUSSIAN | {"relative_to": "full"}
    found = attacked(about, tmp_path, full=full)
    norms = {
        name: float(torch.from_numpy(unit.arrays["perturbation"]).norm()) for name, unit in found.items()
    }
    assert norms["full"] == pytest.approx(0.05 * 50.0, rel=1e-5)
    assert norms["noise"] == pytest.approx(0.05 * float(measurement.kspace.norm()), rel=1e-5)
    assert found["full"].attributes["relative_to"] == "full"
    unknown = subject(Complex(), replace(measurement, column_energy=None))
    with pytest.raises(ValueError, match=r"expected the norm of the full k-space .* got none; measure it"):
        unknown.measurement.radius(unknown.level, "full")

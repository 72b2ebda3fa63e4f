import pytest
import torch

from mrilib.attacks.perturb import Subject, carried_unit, challenged_unit, perturbed_unit
from mrilib.attacks.spike import spike
from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.sparse import TotalVariation

SIZE, LEVEL = 24, 0.05
PEAK = {"kind": "localized", "objective": "peak", "grid": 2, "disk_radius": 3.0, "select": "clean"}
COUPLED = {
    "search": "mrilib.attacks.coupled:CoupledAscent",
    "search_arguments": {"rounds": [[30, 2], [30, 1]]},
}
# starts from noise and hardly moves
IDLE = {
    "search": "mrilib.attacks.unrolled:UnrolledAdam",
    "search_arguments": {"steps": 1, "learning_rate": 1e-6, "unrolled": 2, "warm": 2},
}
GLOBAL = {"kind": "global", "steps": 2, "restarts": 1}
RECORD = {"weaker_than", "first_value", "rival_value", "restarts"}


class Magnitude(Reconstructor):
    """`|Aᴴy|`."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace).abs()


def subject(method):
    image = ellipse_phantoms(1, size=SIZE, seed=3)[0]
    return Subject(image, MaskedFourier(mask=radial_mask(SIZE, 8)), method, LEVEL, None, 1.0, [0, "set", 0])


@pytest.fixture
def tv():
    return subject(TotalVariation(weight=0.01, tolerance=1e-4))


def severity_of(unit, about):
    return float((torch.from_numpy(unit.arrays["reconstruction"]) - about.clean.value).abs().max())


def test_an_attack_is_stored_with_what_it_beats(tv):
    unit = perturbed_unit(tv, PEAK | COUPLED)
    found = unit.attributes
    assert found.keys() >= RECORD
    assert (found["weaker_than"], found["restarts"]) == ("", 1)
    assert found["first_value"] == pytest.approx(severity_of(unit, tv))
    assert 0 < found["rival_value"] < found["first_value"]
    # three rivals: the work of judging them counts, that of the search does not change
    assert found["solver_steps"] == 4 * 30 + 2 * 30
    # one more restart, by the config
    again = perturbed_unit(tv, PEAK | COUPLED | {"restarts": 2}).attributes
    assert again["restarts"] == 2
    assert again["solver_steps"] == 2 * found["solver_steps"]


def test_a_weak_search_is_strengthened(tv):
    unit = perturbed_unit(tv, PEAK | IDLE)
    found = unit.attributes
    assert found["weaker_than"].startswith("spike")
    assert found["restarts"] == 4
    assert found["first_value"] < found["rival_value"]
    assert severity_of(unit, tv) >= found["rival_value"] * (1 - 1e-3)
    assert unit.arrays["severities"].shape == (2, 2)
    assert unit.units["perturbation"] == "image maximum, orthonormal transform"
    perturbation = torch.from_numpy(unit.arrays["perturbation"])
    assert float(norm2(perturbation)) <= tv.target.radius * (1 + 1e-5)
    # four gradients of the first search, 16 and those from the stronger rivals of the second
    assert found["gradient_evaluations"] > 4 + 16


def test_the_references_protocol_and_noise_stay_as_they_are(tv):
    truth = perturbed_unit(tv, PEAK | IDLE | {"select": "truth"})
    assert truth.attributes["gradient_evaluations"] == 4
    noise = perturbed_unit(tv, {"kind": "gaussian"})
    rivals = {"other": spike(tv.operator, (12, 12), tv.target.radius)}
    for unit, attack in ((truth, PEAK | IDLE | {"select": "truth"}), (noise, {"kind": "gaussian"})):
        assert not unit.attributes.keys() & RECORD
        challenged = challenged_unit(tv, attack, unit, rivals)
        assert challenged.attributes == unit.attributes | {"weaker_than_transfer": ""}
        assert (
            challenged_unit(tv, PEAK | {"select": "truth"}, unit, {}).attributes["weaker_than_transfer"] == ""
        )


@pytest.mark.parametrize("attack", [PEAK | {"search_arguments": {"rounds": [[5, 1]]}}, GLOBAL])
def test_units_of_methods_that_return_moduli(attack):
    about = subject(Magnitude())
    unit = perturbed_unit(about, attack | {"search": "mrilib.attacks.pgd:GradientAscent"})
    assert unit.arrays["reconstruction"].dtype.kind == "f"
    assert unit.attributes.keys() >= RECORD
    perturbation = torch.from_numpy(unit.arrays["perturbation"])
    carried = carried_unit(about, perturbation)
    assert carried.arrays["reconstruction"].dtype.kind == "f"
    assert carried.attributes["norm"] > 0


def test_unknown_attacks_are_refused(tv):
    with pytest.raises(ValueError, match="expected kind localized, global or gaussian, got 'local'"):
        perturbed_unit(tv, {"kind": "local", "search": "mrilib.attacks.pgd:GradientAscent"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'lines'"):
        perturbed_unit(tv, PEAK | COUPLED | {"search_arguments": {"lines": 3}})


def test_a_carried_perturbation_is_scored(tv):
    perturbation = spike(tv.operator, (12, 12), tv.target.radius)
    unit = carried_unit(tv, perturbation)
    artifact = tv.reconstructor(tv.kspace + perturbation, tv.operator) - tv.clean.value
    assert unit.attributes == {
        "level": LEVEL,
        "weight": None,
        "factor": 1.0,
        "severity": float(artifact.abs().max()),
        "norm": float(norm2(artifact)),
    }
    assert list(unit.arrays) == ["reconstruction"]
    assert severity_of(unit, tv) == unit.attributes["severity"]
    with pytest.raises(ValueError, match="above the radius"):
        carried_unit(tv, 1.01 * perturbation)
    failing = subject(TotalVariation(weight=0.01, tolerance=1e-9, max_steps=2))
    assert "max_steps" in carried_unit(failing, perturbation).attributes["failed"]


def test_a_transferred_perturbation_that_is_stronger_strengthens_the_attack(tv):
    strong = perturbed_unit(tv, PEAK | COUPLED)
    attack = PEAK | IDLE
    own = perturbed_unit(tv, attack)
    others = {
        "weak": 1e-3 * torch.from_numpy(strong.arrays["perturbation"]),
        "strong": torch.from_numpy(strong.arrays["perturbation"]),
    }
    unit = challenged_unit(tv, attack, own, others)
    found = unit.attributes
    assert found["weaker_than_transfer"] == "strong"
    assert found["first_value"] == pytest.approx(severity_of(own, tv), rel=1e-3)
    assert found["rival_value"] == pytest.approx(severity_of(strong, tv), rel=1e-3)
    assert severity_of(unit, tv) >= found["rival_value"] * (1 - 1e-3)
    assert (found["restarts"], found["weaker_than"]) == (4, own.attributes["weaker_than"])
    assert found.keys() == own.attributes.keys() | {"weaker_than_transfer"}
    assert unit.arrays.keys() == own.arrays.keys()
    for name in ("gradient_evaluations", "judging_steps", "seconds"):
        assert found[name] > own.attributes[name]
    # now nothing is stronger
    again = challenged_unit(tv, attack, unit, others)
    assert again.arrays is unit.arrays
    assert again.attributes == found | {"weaker_than_transfer": ""}


def test_a_challenged_global_attack_is_measured_as_it_was_searched():
    # of a linear method every perturbation on the mask does the same in the norm
    about = subject(ZeroFilled())
    attack = GLOBAL | {"search": "mrilib.attacks.pgd:GradientAscent"}
    own = perturbed_unit(about, attack)
    assert own.attributes["weaker_than"] == ""
    assert own.attributes["first_value"] == pytest.approx(about.target.radius, rel=1e-5)
    local = spike(about.operator, (3, 4), about.target.radius)
    assert challenged_unit(about, attack, own, {"other": local}).attributes["weaker_than_transfer"] == ""


def test_a_failed_attack_is_not_challenged(tv):
    failing = subject(TotalVariation(weight=0.01, tolerance=1e-9, max_steps=2))
    own = perturbed_unit(failing, PEAK | COUPLED)
    assert "max_steps" in own.attributes["failed"]
    rival = spike(tv.operator, (12, 12), tv.target.radius)
    unit = challenged_unit(failing, PEAK | COUPLED, own, {"other": rival})
    assert unit.attributes == own.attributes | {"weaker_than_transfer": ""}

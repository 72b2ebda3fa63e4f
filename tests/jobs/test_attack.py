from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.searches.base import gaussian_starts
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.data.measurement import Measurement, measure_image
from mrilib.jobs import attack as attack_job
from mrilib.jobs import transfer
from mrilib.jobs.perturbations import Attack, outcome
from mrilib.jobs.subjects import Subject
from mrilib.jobs.transfer import carried_unit
from mrilib.operators.base import norm2
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.solution import Solution, Status
from mrilib.store.arrays import Group, write_groups
from mrilib.store.units import UnitStore
from tests.jobs.entries import attack_of

SIZE, LEVEL = 24, 0.05
PEAK = {"kind": "localized", "objective": "peak", "grid": 2, "disk_radius": 3.0, "select": "clean"}
COUPLED = {
    "search": "mrilib.attacks.searches.coupled:CoupledAscent",
    "search_arguments": {"rounds": [[30, 2], [30, 1]]},
}
# starts from noise and hardly moves
IDLE = {
    "search": "mrilib.attacks.searches.unrolled:UnrolledAdam",
    "search_arguments": {"steps": 1, "learning_rate": 1e-6, "unrolled": 2, "warm": 2},
}
GLOBAL = {"kind": "global", "steps": 2, "restarts": 1}
RECORD = {"weaker_than", "first_value", "rival_value", "restarts"}


def perturbed_unit(about, entry):
    return attack_job.perturbed_unit(about, attack_of(entry))


def challenged_unit(about, entry, own, rivals):
    return transfer.challenged_unit(about, attack_of(entry), own, rivals)


class Magnitude(Reconstructor):
    """`|Aᴴy|`."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.adjoint(kspace).abs()


def subject(method):
    measurement = measure_image(ellipse_phantoms(1, size=SIZE, seed=3)[0], radial_mask(SIZE, 8))
    # as it comes from a file: the value alone
    value = method.solve(measurement.kspace, measurement.operator, throw=False).value
    clean = Solution(value, Status.CONVERGED, {})
    return Subject(measurement, method, LEVEL, "clean", None, 1.0, [0, "set", 0], clean)


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
    assert unit.units["perturbation"] == "scale, orthonormal transform"
    assert (found["level"], found["tuned"], found["factor"]) == (LEVEL, "clean", 1.0)
    assert (found["kind"], found["region"], found["artifact"]) == ("localized", "image", "complex")
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
    unit = perturbed_unit(about, attack | {"search": "mrilib.attacks.searches.gradient:GradientAscent"})
    assert unit.arrays["reconstruction"].dtype.kind == "f"
    assert unit.attributes.keys() >= RECORD
    perturbation = torch.from_numpy(unit.arrays["perturbation"])
    carried = carried_unit(about, perturbation)
    assert carried.arrays["reconstruction"].dtype.kind == "f"
    assert carried.attributes["norm"] > 0


def test_unknown_attacks_are_refused(tv):
    with pytest.raises(ValueError, match="expected a subclass of AttackKind"):
        Attack.of({"class": "mrilib.reconstructors.linear:ZeroFilled", "arguments": {}})
    with pytest.raises(TypeError, match="unexpected keyword argument 'lines'"):
        perturbed_unit(tv, PEAK | COUPLED | {"search_arguments": {"lines": 3}})


def test_a_carried_perturbation_is_scored(tv):
    perturbation = spike(tv.operator, (12, 12), tv.target.radius)
    unit = carried_unit(tv, perturbation)
    artifact = tv.reconstructor(tv.kspace + perturbation, tv.operator) - tv.clean.value
    assert 0 < unit.attributes["accuracy"] < 0.1 * unit.attributes["severity"]
    assert unit.attributes == {
        "accuracy": unit.attributes["accuracy"],
        "level": LEVEL,
        "tuned": "clean",
        "weight": None,
        "artifact": "complex",
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


def test_a_failure_without_a_word_is_a_failure(tv):
    def fails():
        raise FloatingPointError

    assert outcome(tv, {}, fails).attributes == {"failed": "FloatingPointError"}


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
    attack = GLOBAL | {"search": "mrilib.attacks.searches.gradient:GradientAscent"}
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


COILS = 3


def coil_subject(method, *, level=LEVEL):
    """A scan of three coils that see nothing on the left, with a smaller reference off its centre."""
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(COILS, SIZE, SIZE, dtype=torch.complex64, generator=generator)
    maps = 0.8 * maps / torch.linalg.vector_norm(maps, dim=0)
    maps[:, :, :6] = 0
    mask = torch.arange(SIZE) % 3 == 0
    reference = torch.zeros(SIZE - 4, SIZE - 6)
    reference[3:11, 5:17] = 1.0
    image = torch.zeros(SIZE, SIZE, dtype=torch.complex64)
    image[2:-2, 3:-3] = reference
    operator = CoilFourier(mask=mask, coil_maps=maps)
    measurement = Measurement(operator.forward(image), mask, maps, reference, 1.0, 1.0)
    solution = method.solve(measurement.kspace, operator)
    clean = Solution(observed(method, solution.value, operator), Status.CONVERGED, {})
    return Subject(measurement, method, level, "0.05", 0.3, 1.0, [0, "scan", 2], clean)


def test_a_scan_is_attacked_in_the_same_way():
    about = coil_subject(Tikhonov(weight=0.3))
    radius = LEVEL * float(torch.linalg.vector_norm(about.kspace))
    attack = {"kind": "localized", "grid": 4, "region": "object", "search_arguments": {"rounds": [[5, 2]]}}
    attack |= {"search": "mrilib.attacks.searches.gradient:GradientAscent"}
    unit = perturbed_unit(about, attack)
    found = unit.attributes
    assert (found["kind"], found["region"], found["artifact"]) == ("localized", "object", "complex")
    assert (found["level"], found["tuned"], found["weight"]) == (LEVEL, "0.05", 0.3)
    assert unit.arrays["perturbation"].shape == (COILS, SIZE, SIZE)
    perturbation = torch.from_numpy(unit.arrays["perturbation"])
    assert torch.linalg.vector_norm(perturbation.to(torch.complex128)) <= radius * (1 + 1e-6)
    # rows 2 + 3 … 2 + 10 and columns 3 + 5 … 3 + 16 hold the object
    assert 5 <= found["row"] < 13
    assert 8 <= found["column"] < 20
    seen = about.operator.seen(about.reconstructor(about.kspace + perturbation, about.operator))
    torch.testing.assert_close(torch.from_numpy(unit.arrays["reconstruction"]), seen, rtol=0, atol=1e-5)
    assert severity_of(unit, about) == pytest.approx(found["first_value"])

    whole = perturbed_unit(about, {"kind": "global", "steps": 4})
    assert whole.attributes["region"] == "image"
    noise = perturbed_unit(about, {"kind": "gaussian"})
    assert noise.attributes["kind"] == "gaussian"
    assert float(np.linalg.norm(noise.arrays["perturbation"].astype(np.complex128))) == pytest.approx(
        radius, rel=1e-6
    )
    assert severity_of(noise, about) < severity_of(unit, about)

    moduli = perturbed_unit(about, attack | {"artifact": "magnitude"})
    reached = torch.from_numpy(moduli.arrays["reconstruction"]).abs() - about.clean.value.abs()
    assert moduli.attributes["artifact"] == "magnitude"
    assert moduli.attributes["first_value"] == pytest.approx(float(reached.abs().max()))
    carried = carried_unit(about, perturbation, artifact="magnitude")
    change = seen.abs() - about.clean.value.abs()
    assert carried.attributes["norm"] == pytest.approx(float(norm2(change)), rel=1e-4)
    assert carried.attributes["artifact"] == "magnitude"


def test_a_stored_attack_on_a_scan_is_challenged():
    about = coil_subject(Tikhonov(weight=0.3))
    # noise that hardly moves is weaker than a spike where the object is
    attack = {"kind": "localized", "grid": 2, "search": "mrilib.attacks.searches.gradient:GradientAscent"}
    attack |= {"search_arguments": {"rounds": [[1, 1]], "rate": 1e-6}, "region": "object"}
    (noise,) = gaussian_starts(about.operator, 1, about.target.radius, [5])
    image = about.operator.seen(about.reconstructor(about.kspace + noise, about.operator))
    own = perturbed_unit(about, attack)
    weak = Group(
        own.arrays | {"perturbation": noise.numpy(), "reconstruction": image.numpy()}, dict(own.attributes)
    )
    rival = {"other": spike(about.operator, (8, 12), about.target.radius)}
    unit = challenged_unit(about, attack, weak, rival)
    assert unit.attributes["weaker_than_transfer"] == "other"
    assert unit.attributes["first_value"] == pytest.approx(severity_of(weak, about), rel=1e-4)
    assert severity_of(unit, about) >= unit.attributes["rival_value"] * (1 - 1e-3)
    assert (unit.attributes["region"], unit.attributes["tuned"]) == ("object", "0.05")


def test_what_cannot_be_attacked_fails_with_its_reason(tv, capsys):
    about = coil_subject(Tikhonov(weight=0.3))
    attack = {
        "kind": "localized",
        "grid": 2,
        "region": "object",
        "search": "mrilib.attacks.searches.gradient:GradientAscent",
    }
    empty = replace(about, measurement=replace(about.measurement, reference=torch.zeros(20, 18)))
    failed = perturbed_unit(empty, attack).attributes
    assert "the reference is zero" in failed["failed"]
    assert failed["region"] == "object"
    assert "the reference is zero" in capsys.readouterr().out
    without = replace(about, clean="max_steps")
    units = [
        perturbed_unit(without, attack),
        perturbed_unit(without, {"kind": "gaussian"}),
        carried_unit(without, torch.zeros_like(about.kspace)),
    ]
    for unit in units:
        assert unit.attributes["failed"] == "clean reconstruction failed: max_steps"
        assert unit.attributes["tuned"] == "0.05"
        assert not unit.arrays
    with pytest.raises(ValueError, match="Subject: expected a clean reconstruction, got none: max_steps"):
        _ = without.target


def test_a_state_that_is_given_or_solved_for_is_the_same(tv):
    attack = PEAK | COUPLED
    with_state = replace(tv, clean=tv.reconstructor.solve(tv.kspace, tv.operator))
    assert tv.clean.state is None
    first, second = perturbed_unit(tv, attack), perturbed_unit(with_state, attack)
    assert (first.arrays["perturbation"] == second.arrays["perturbation"]).all()
    # without a search of its own name the method's class chooses
    again = perturbed_unit(tv, PEAK)
    assert again.attributes["solver_steps"] > 0


class Fragile(ZeroFilled):
    """NaN wherever data are not those that it was made for."""

    output = "complex"

    def __call__(self, kspace, operator):
        image = super().__call__(kspace, operator)
        away = (kspace - self.known).abs().amax(dim=(-2, -1), keepdim=True) > 0
        return torch.where(away, torch.full_like(image, torch.nan), image)

    def solve(self, kspace, operator, *, start=None, throw=True):
        return Solution(self(kspace, operator), Status.CONVERGED, {})


@pytest.fixture
def fragile():
    method = Fragile()
    method.known = measure_image(ellipse_phantoms(1, size=SIZE, seed=3)[0], radial_mask(SIZE, 8)).kspace
    return subject(method)


def test_a_reconstruction_that_is_not_finite_is_no_result_of_an_attack(fragile):
    told = "attack: not_finite, 576 of 576 pixels that Fragile makes of perturbed data"
    noise = perturbed_unit(fragile, {"kind": "gaussian"})
    perturbation = torch.from_numpy(
        gaussian_starts(fragile.operator, 1, fragile.target.radius, [0])[0].numpy()
    )
    for unit in (noise, carried_unit(fragile, perturbation)):
        assert unit.attributes["failed"] == told
        assert not unit.arrays


@pytest.mark.usefixtures("unchecked")
def test_units_of_attacks_that_failed_say_method_volume_and_slice(fragile, tmp_path, capsys):
    identity = {"method": "brittle", "domain": "d@m", "source": "knee", "mask": "m", "position": 2}
    root = Group(attributes=identity | {"volume": "one", "slice": 7})
    subjects = SimpleNamespace(root=root, missing=False, computed={}, at=lambda *_: (fragile, {}))
    described = {"class": "mrilib.attacks.kinds.gaussian:Gaussian", "arguments": {}}
    entry = {"attack": "noise", "described": described, "levels": [LEVEL], "factors": [1.0]}
    entry |= {"varied": "", "value": None, "number": None}
    store = UnitStore(tmp_path / "units")
    found = attack_job.attack_image(subjects, [entry], {"noise": "code"}, store)
    place = f"noise/{LEVEL:g}/1"
    told = "brittle failed on slice 7 of one: attack: not_finite, 576 of 576 pixels"
    assert root.attributes.items() <= found[f"perturbed/{place}"].attributes.items()
    assert told in capsys.readouterr().out
    # Another method's perturbation, and the method's own that failed.
    noise = gaussian_starts(fragile.operator, 1, fragile.target.radius, [0])[0]
    write_groups(tmp_path / "own.h5", found)
    write_groups(tmp_path / "other.h5", {f"perturbed/{place}": Group({"perturbation": noise.numpy()})})
    given = {"own": tmp_path / "own.h5", "rivals": {"other": tmp_path / "other.h5"}}
    carried = transfer.transfer_image(subjects, [entry], {"noise": "code"}, store, **given)
    for name in (f"carried/other/{place}", f"perturbed/{place}"):
        assert root.attributes.items() <= carried[name].attributes.items()
    assert capsys.readouterr().out.count(told) == 2

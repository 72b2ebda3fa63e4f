"""One perturbation of a configured kind, as it is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.attacks.judge import AttackResult, judge, result_of
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.places import grid_places, nearest_place
from mrilib.attacks.rivals import WORK, Measure, Rival, baselines, strengthened
from mrilib.attacks.searches.base import Clock, Search, gaussian_starts
from mrilib.attacks.target import Artifact, NoPlaceError, Observed, Start, Target, visible_pixels
from mrilib.data.measurement import Measurement
from mrilib.metrics.artifacts import amplification, severity
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import NotConvergedError, Solution
from mrilib.store.arrays import Group
from mrilib.store.classes import load_class
from mrilib.store.units import derived_seed


@dataclass(frozen=True, eq=False)
class Subject:
    """A measurement and the method under attack.

    Args:
        measurement: `y`, `A` and the reference image.
        reconstructor: the method.
        level: `‖e‖₂/‖y‖₂`, norms over all coils.
        tuned: what the method's parameter was tuned for, a level or `clean`, for the record.
        weight: the tuned parameter, for the record.
        factor: its ratio to the tuned value.
        seed: what names the image; every attack and level derives its own seed from it.
        clean: `rec(y)`, its `value` as coils see it; a `state` that it lacks is solved for where a search
            begins there. A text says why there is none: then every unit fails.
    """

    measurement: Measurement
    reconstructor: Reconstructor
    level: float
    tuned: str
    weight: float | None
    factor: float
    seed: list[int | str]
    clean: Solution | str

    @property
    def kspace(self) -> Complex[Tensor, "*coil ky kx"]:
        """The clean data `y`."""
        return self.measurement.kspace

    @cached_property
    def operator(self) -> MeasurementOperator:
        """`A`."""
        return self.measurement.operator

    @property
    def reference(self) -> Tensor:
        """The image that errors refer to; it may be cropped."""
        return self.measurement.reference

    @cached_property
    def target(self) -> Target:
        """The method on these data, with the level's budget, judged by the complex artifact.

        Raises:
            ValueError: if there is no clean reconstruction.
        """
        if isinstance(self.clean, str):
            raise ValueError(f"Subject: expected a clean reconstruction, got none: {self.clean}")
        radius = self.level * float(self.operator.kspace_norm(self.kspace))
        clean = Observed(self.clean.value, self.clean.state)
        return Target(self.reconstructor, self.operator, self.kspace, radius, clean)

    @cached_property
    def clean_with_state(self) -> Observed:
        """`rec(y)` with the state of its solver, which is solved for at most once."""
        clean = self.target.clean
        if clean.state is not None:
            return clean
        return replace(clean, state=self.reconstructor.solve(self.kspace, self.operator).state)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"level": self.level, "tuned": self.tuned, "weight": self.weight, "factor": self.factor}


def perturbed_unit(subject: Subject, attack: Mapping[str, Any]) -> Group:
    """The perturbation that a configured attack finds, with its reconstruction.

    A localized or global attack is checked against spikes and noise of its norm and strengthened where it is
    weaker (`mrilib.attacks.rivals.strengthened`), unless it selects by truth, which is the reference's
    protocol and stays as published.

    Args:
        subject: what is attacked.
        attack: `kind` (`localized`, `global`, `gaussian`), its parameters, `search`, an import path (`None`
            or absent: see `chosen_search`), and optionally `search_arguments`, those of its constructor.
            Seeds are made of it, so that what has its default (`region`, `artifact`) is better left out.

    Returns:
        `perturbation`, `reconstruction` as coils see it, for localized attacks `severities` and
        `severities_first_round`; as attributes those of the subject, `kind`, `region` and `artifact` of the
        attack, counted work and place, with `weaker_than`, `first_value`, `rival_value` and `restarts` of a
        checked attack. A numerical failure is an outcome, and so are a grid without a place and a clean
        reconstruction that failed: the reason stands in `failed`.
    """

    def compute() -> Group:
        if attack["kind"] == "gaussian":
            return _found_group(subject, attack, _gaussian(subject, attack), {})
        configured = _Configured(subject, attack)
        result = configured.run(configured.restarts, [])
        if not _is_checked(attack):
            return _found_group(subject, attack, result, {})
        return _found_group(subject, attack, *configured.checked(result, configured.baselines(result)))

    return _outcome(subject, subject.attributes | _described(attack), compute)


def carried_unit(
    subject: Subject, perturbation: Complex[Tensor, "*coil ky kx"], *, artifact: Artifact = "complex"
) -> Group:
    """What a perturbation that was made for another method does to this one.

    Args:
        subject: the method on the data for which it was made, at the same level.
        perturbation: `e`, on the mask and in the budget.
        artifact: what is measured of methods that return complex images (see `Target.artifacts`).

    Returns:
        `reconstruction` as coils see it; attributes of the subject, `artifact`, `severity` `‖ρ‖∞` and `norm`
        `‖ρ‖₂`. A numerical failure is an outcome: its reason stands in `failed`.

    Raises:
        ValueError: if the perturbation is not finite, leaves the mask or exceeds the budget.
    """
    attributes = subject.attributes | {"artifact": artifact}

    def compute() -> Group:
        target = replace(subject.target, artifact=artifact)
        judged = judge(target, perturbation.to(subject.kspace)[None])
        found = {"severity": float(judged.severities[0]), "norm": float(norm2(judged.artifacts[0]))}
        return _group({"reconstruction": judged.reconstructions[0]}, attributes | found)

    return _outcome(subject, attributes, compute)


def challenged_unit(
    subject: Subject, attack: Mapping[str, Any], own: Group, rivals: Mapping[str, Tensor]
) -> Group:
    """The unit of a method's own attack, strengthened if another method's perturbation is stronger.

    Args:
        subject: what was attacked.
        attack: as it was given to `perturbed_unit`.
        own: what that returned.
        rivals: other methods' perturbations by the same attack at the same level, by the method's name.

    Returns:
        `own` with `weaker_than_transfer=""` if no rival is stronger, if it failed, or if the attack is not
        one that is checked. Else the strengthened unit: `weaker_than_transfer` names the strongest rival,
        `first_value` is the measure of `own`, `rival_value` the rival's; work adds up.
    """
    unchanged = replace(own, attributes=own.attributes | {"weaker_than_transfer": ""})
    if "failed" in own.attributes or not rivals or not _is_checked(attack):
        return unchanged

    def compute() -> Group:
        configured = _Configured(subject, attack)
        others = [Rival(name, perturbation.to(subject.kspace)) for name, perturbation in rivals.items()]
        result, record = configured.checked(_stored_result(configured.target, own), others)
        name = record.pop("weaker_than")
        if not name:
            return unchanged
        record = own.attributes | record | {"weaker_than_transfer": name}
        return _found_group(subject, attack, result, record)

    return _outcome(subject, subject.attributes | _described(attack), compute)


def _is_checked(attack: Mapping[str, Any]) -> bool:
    return attack["kind"] != "gaussian" and attack.get("select") != "truth"


def _described(attack: Mapping[str, Any]) -> dict[str, Any]:
    """What an attack is, for the record."""
    return {
        "kind": attack["kind"],
        "region": attack.get("region", "image"),
        "artifact": attack.get("artifact", "complex"),
    }


class _Configured:
    """A configured localized or global attack on a subject: what the check repeats, and by which measure."""

    measure: Measure

    def __init__(self, subject: Subject, attack: Mapping[str, Any]) -> None:
        if attack["kind"] not in ("localized", "global"):
            raise ValueError(f"attack: expected kind localized, global or gaussian, got {attack['kind']!r}")
        self._subject, self._attack = subject, attack
        self.target = _target(subject, attack)
        self._localized = attack["kind"] == "localized"
        self.measure = severity if self._localized else norm2
        self.restarts: int = attack.get("restarts", 1 if self._localized else 2)
        self._seed = derived_seed(*subject.seed, subject.level, dict(attack))

    def run(self, restarts: int, starts: list[Start]) -> AttackResult:
        """Search with so many restarts and further starts."""
        own = ("kind", "search", "search_arguments", "restarts")
        settings: dict[str, Any] = {key: value for key, value in self._attack.items() if key not in own}
        if settings.get("select") == "truth":
            settings["truth"] = self._subject.reference
        if settings.get("region") == "object":
            settings["reference"] = self._subject.reference
        target, search = self.target, self._search()
        begins_there = search is not None and search.from_state
        return (localized_attack if self._localized else global_attack)(
            target.reconstructor,
            target.kspace,
            target.operator,
            radius=target.radius,
            seed=self._seed,
            search=search,
            clean=self._subject.clean_with_state if begins_there else target.clean,
            restarts=restarts,
            starts=starts,
            **settings,
        )

    def _search(self) -> Search | None:
        path = self._attack.get("search")
        if path is None:
            return None
        search: Search = load_class(path, Search)(**self._attack.get("search_arguments") or {})
        return search

    def baselines(self, result: AttackResult) -> list[Rival]:
        """Spikes where the attack ended and in the middle of where it looked, and noise."""
        operator, (height, width) = self.target.operator, self.target.operator.mask.shape
        if not self._localized:
            pixels = torch.nonzero(visible_pixels(operator).cpu())
            spikes = {"spike in the centre": nearest_place(pixels, height, width)}
        else:
            region = self._attack.get("region", "image")
            reference = self._subject.reference if region == "object" else None
            cells, kept = grid_places(operator, self._attack.get("grid", 8), region, reference)
            middle = nearest_place(cells[kept], height, width)
            spikes = {"spike": result.location.cpu()}
            if not torch.equal(spikes["spike"], middle):
                spikes["spike in the centre"] = middle
        places = {name: (int(row), int(column)) for name, (row, column) in spikes.items()}
        return baselines(self.target, places, [derived_seed(self._seed, "rival")])

    def checked(self, result: AttackResult, rivals: list[Rival]) -> tuple[AttackResult, dict[str, Any]]:
        """`strengthened`."""
        return strengthened(
            self.run, self.target, result, rivals, measure=self.measure, restarts=self.restarts
        )


def _target(subject: Subject, attack: Mapping[str, Any]) -> Target:
    return replace(subject.target, artifact=attack.get("artifact", "complex"))


def _outcome(subject: Subject, attributes: dict[str, Any], compute: Callable[[], Group]) -> Group:
    if isinstance(subject.clean, str):
        return Group(attributes=attributes | {"failed": f"clean reconstruction failed: {subject.clean}"})
    try:
        return compute()
    except (NotConvergedError, FloatingPointError, NoPlaceError) as error:
        print(f"failed: {error}", flush=True)
        return Group(attributes=attributes | {"failed": str(error)})


def _group(arrays: dict[str, Tensor], attributes: dict[str, Any]) -> Group:
    units = dict.fromkeys(arrays, "scale") | {"perturbation": "scale, orthonormal transform"}
    return Group(
        arrays={key: value.cpu().numpy() for key, value in arrays.items()},
        attributes=attributes,
        units={key: units[key] for key in arrays},
    )


# Arrays of a unit, where the attack has them.
ARRAYS = ("perturbation", "reconstruction", "severities", "severities_first_round")


def _found_group(
    subject: Subject, attack: Mapping[str, Any], result: AttackResult, record: dict[str, Any]
) -> Group:
    found = {name: getattr(result, name) for name in ARRAYS}
    row, column = result.location.tolist()
    stats = {key: float(value) for key, value in result.stats.items()}
    return _group(
        {name: array for name, array in found.items() if array is not None},
        subject.attributes | _described(attack) | record | stats | {"row": row, "column": column},
    )


def _stored_result(target: Target, unit: Group) -> AttackResult:
    """Inverse of `_found_group`."""
    arrays = {name: torch.from_numpy(array) for name, array in unit.arrays.items()}
    perturbation = arrays["perturbation"].to(target.kspace)
    reconstruction = arrays["reconstruction"].to(target.clean.value)
    image_perturbation = target.operator.to_image(perturbation)
    artifact = target.artifacts(reconstruction)
    return AttackResult(
        perturbation=perturbation,
        image_perturbation=image_perturbation,
        reconstruction=reconstruction,
        artifact=artifact,
        location=torch.tensor([unit.attributes["row"], unit.attributes["column"]]),
        severity=severity(artifact),
        amplification=amplification(artifact, image_perturbation),
        severities=arrays.get("severities"),
        severities_first_round=arrays.get("severities_first_round"),
        stats={
            key: unit.attributes[key]
            for key in (*WORK, "seconds", "gap", "objective")
            if key in unit.attributes
        },
    )


def _gaussian(subject: Subject, attack: Mapping[str, Any]) -> AttackResult:
    """Gaussian noise of exactly the attacks' norm, over all coils: the baseline."""
    clock, target = Clock(), _target(subject, attack)
    seed = derived_seed(*subject.seed, subject.level, dict(attack))
    judged = judge(target, gaussian_starts(subject.operator, 1, target.radius, [seed]))
    row, column = divmod(int(judged.artifacts[0].abs().argmax()), judged.artifacts.shape[-1])
    stats = {"solver_steps": 0.0, "gradient_evaluations": 0.0, "judging_steps": judged.steps}
    stats["seconds"] = clock.seconds
    return result_of(target, judged, 0, location=torch.tensor([row, column]), stats=stats)

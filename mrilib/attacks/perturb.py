"""One perturbation of a configured kind, as it is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.base import (
    AttackResult,
    Clock,
    Search,
    Start,
    Target,
    gaussian_starts,
    judge,
    result_of,
)
from mrilib.attacks.localized import localized_attack
from mrilib.attacks.objectives import grid_locations
from mrilib.attacks.rivals import WORK, Measure, Rival, baselines, strengthened
from mrilib.attacks.whole import global_attack
from mrilib.metrics.artifacts import amplification, severity
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import NotConvergedError, Solution
from mrilib.store.arrays import Group
from mrilib.store.units import derived_seed


@dataclass(frozen=True)
class Subject:
    """An image, its measurement and the method under attack.

    Args:
        image: `x`; the data are `y = Ax`, without noise.
        operator: `A`.
        reconstructor: the method.
        level: `‖e‖₂/‖Ax‖₂`.
        weight: the tuned parameter, for the record.
        factor: its ratio to the tuned value.
        seed: what names the image; every attack and level derives its own seed from it.
    """

    image: Float[Tensor, "y x"]
    operator: MaskedFourier
    reconstructor: Reconstructor
    level: float
    weight: float | None
    factor: float
    seed: list[int | str]

    @cached_property
    def kspace(self) -> Complex[Tensor, "ky kx"]:
        """The clean data `y = Ax`."""
        return self.operator.forward(self.image)

    @cached_property
    def clean(self) -> Solution:
        """`rec(y)`, which every attack starts from."""
        return self.reconstructor.solve(self.kspace, self.operator)

    @cached_property
    def target(self) -> Target:
        """The method on these data, with the level's budget."""
        radius = self.level * float(norm2(self.kspace))
        return Target(self.reconstructor, self.operator, self.kspace, radius, self.clean)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"level": self.level, "weight": self.weight, "factor": self.factor}


def clean_unit(subject: Subject) -> Group:
    """Reconstruction of the clean data; levels with the same weight share it, so it names none."""
    attributes = {"weight": subject.weight}
    return _outcome(attributes, lambda: _group({"reconstruction": subject.clean.value}, attributes))


def perturbed_unit(subject: Subject, attack: Mapping[str, Any]) -> Group:
    """The perturbation that a configured attack finds, with its reconstruction.

    A localized or global attack is checked against spikes and noise of its norm and strengthened where it is
    weaker (`mrilib.attacks.rivals.strengthened`), unless it selects by truth, which is the reference's
    protocol and stays as published.

    Args:
        subject: what is attacked.
        attack: `kind` (`localized`, `global`, `gaussian`), its parameters, `search`, an import path, and
            optionally `search_arguments`, those of its constructor.

    Returns:
        `perturbation`, `reconstruction`, for localized attacks `severities` and
        `severities_first_round`; counted work and place as
        attributes, with `weaker_than`, `first_value`, `rival_value` and `restarts` of a checked attack. A
        numerical failure is an outcome: its reason stands in `failed`.
    """

    def compute() -> Group:
        if attack["kind"] == "gaussian":
            return _found_group(subject, _gaussian(subject, attack), {})
        configured = _Configured(subject, attack)
        result = configured.run(configured.restarts, [])
        if not _is_checked(attack):
            return _found_group(subject, result, {})
        return _found_group(subject, *configured.checked(result, configured.baselines(result)))

    return _outcome(subject.attributes, compute)


def carried_unit(subject: Subject, perturbation: Complex[Tensor, "ky kx"]) -> Group:
    """What a perturbation that was made for another method does to this one.

    Args:
        subject: the method on the data for which it was made, at the same level.
        perturbation: `e`, on the mask and in the budget.

    Returns:
        `reconstruction`; attributes of the subject, `severity` `‖ρ‖∞` and `norm` `‖ρ‖₂`. A numerical
        failure is an outcome: its reason stands in `failed`.

    Raises:
        ValueError: if the perturbation is not finite, leaves the mask or exceeds the budget.
    """

    def compute() -> Group:
        judged = judge(subject.target, perturbation.to(subject.kspace)[None])
        found = {"severity": float(judged.severities[0]), "norm": float(norm2(judged.artifacts[0]))}
        return _group({"reconstruction": judged.solution.value[0]}, subject.attributes | found)

    return _outcome(subject.attributes, compute)


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
        result, record = configured.checked(_stored_result(subject, own), others)
        name = record.pop("weaker_than")
        if not name:
            return unchanged
        return _found_group(subject, result, own.attributes | record | {"weaker_than_transfer": name})

    return _outcome(subject.attributes, compute)


def _is_checked(attack: Mapping[str, Any]) -> bool:
    return attack["kind"] != "gaussian" and attack.get("select") != "truth"


class _Configured:
    """A configured localized or global attack on a subject: what the check repeats, and by which measure."""

    measure: Measure

    def __init__(self, subject: Subject, attack: Mapping[str, Any]) -> None:
        if attack["kind"] not in ("localized", "global"):
            raise ValueError(f"attack: expected kind localized, global or gaussian, got {attack['kind']!r}")
        self._subject, self._attack = subject, attack
        self._localized = attack["kind"] == "localized"
        self.measure = severity if self._localized else norm2
        self.restarts: int = attack.get("restarts", 1 if self._localized else 2)
        self._seed = derived_seed(*subject.seed, subject.level, dict(attack))

    def run(self, restarts: int, starts: list[Start]) -> AttackResult:
        """Search with so many restarts and further starts."""
        own = ("kind", "search", "search_arguments", "restarts")
        settings: dict[str, Any] = {key: value for key, value in self._attack.items() if key not in own}
        if settings.get("select") == "truth":
            settings["truth"] = self._subject.image
        target = self._subject.target
        search = load_class(self._attack["search"], Search)(**self._attack.get("search_arguments") or {})
        return (localized_attack if self._localized else global_attack)(
            target.reconstructor,
            target.kspace,
            target.operator,
            radius=target.radius,
            seed=self._seed,
            search=search,
            clean=target.clean,
            restarts=restarts,
            starts=starts,
            **settings,
        )

    def baselines(self, result: AttackResult) -> list[Rival]:
        """Spikes where the attack ended and in the middle of where it looked, and noise."""
        height, width = self._subject.image.shape[-2:]
        centre = torch.tensor([height // 2, width // 2])
        if not self._localized:
            spikes = {"spike in the centre": centre}
        else:
            places = grid_locations(height, width, self._attack.get("grid", 8))
            middle = places[(places - centre).square().sum(1).argmin()]
            spikes = {"spike": result.location.cpu()}
            if not torch.equal(spikes["spike"], middle):
                spikes["spike in the centre"] = middle
        pixels = {name: (int(row), int(column)) for name, (row, column) in spikes.items()}
        return baselines(self._subject.target, pixels, [derived_seed(self._seed, "rival")])

    def checked(self, result: AttackResult, rivals: list[Rival]) -> tuple[AttackResult, dict[str, Any]]:
        """`strengthened`."""
        return strengthened(
            self.run, self._subject.target, result, rivals, measure=self.measure, restarts=self.restarts
        )


def _outcome(attributes: dict[str, Any], compute: Callable[[], Group]) -> Group:
    try:
        return compute()
    except (NotConvergedError, FloatingPointError) as error:
        print(f"failed: {error}", flush=True)
        return Group(attributes=attributes | {"failed": str(error)})


def _group(arrays: dict[str, Tensor], attributes: dict[str, Any]) -> Group:
    units = dict.fromkeys(arrays, "image maximum") | {"perturbation": "image maximum, orthonormal transform"}
    return Group(
        arrays={key: value.cpu().numpy() for key, value in arrays.items()},
        attributes=attributes,
        units={key: units[key] for key in arrays},
    )


# Arrays of a unit, where the attack has them.
ARRAYS = ("perturbation", "reconstruction", "severities", "severities_first_round")


def _found_group(subject: Subject, result: AttackResult, record: dict[str, Any]) -> Group:
    found = {name: getattr(result, name) for name in ARRAYS}
    row, column = result.location.tolist()
    stats = {key: float(value) for key, value in result.stats.items()}
    return _group(
        {name: array for name, array in found.items() if array is not None},
        subject.attributes | record | stats | {"row": row, "column": column},
    )


def _stored_result(subject: Subject, unit: Group) -> AttackResult:
    """Inverse of `_found_group`."""
    target = subject.target
    arrays = {name: torch.from_numpy(array) for name, array in unit.arrays.items()}
    perturbation = arrays["perturbation"].to(target.kspace)
    reconstruction = arrays["reconstruction"].to(target.clean.value)
    image_perturbation = target.operator.pinv(perturbation)
    artifact = reconstruction - target.clean.value
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
    """Gaussian noise of exactly the attacks' norm: the baseline."""
    clock, target = Clock(), subject.target
    seed = derived_seed(*subject.seed, subject.level, dict(attack))
    judged = judge(target, gaussian_starts(subject.operator, 1, target.radius, [seed]))
    row, column = divmod(int(judged.artifacts[0].abs().argmax()), subject.image.shape[-1])
    stats = {"solver_steps": 0.0, "gradient_evaluations": 0.0, "judging_steps": judged.steps}
    stats["seconds"] = clock.seconds
    return result_of(target, judged, 0, location=torch.tensor([row, column]), stats=stats)

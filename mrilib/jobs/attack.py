"""All attacks on one image under one method: each attack at each level and weight is a unit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mrilib.jobs.methods import failures, signed
from mrilib.jobs.perturbations import Assault, Attack, outcome, stored
from mrilib.jobs.subjects import Subject, Subjects, place_of
from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore


def attack_image(
    subjects: Subjects,
    attacks: Sequence[Mapping[str, Any]],
    codes: Mapping[str, str],
    store: UnitStore,
) -> dict[str, Group]:
    """The groups of a file of attacks: `perturbed/{attack}/{level}/{factor}`, and of a varied one its number.

    Args:
        subjects: the image under the method.
        attacks: each with its `attack` (the name in the config), `described` (see `Attack.of`), `levels`,
            `factors`, and `varied` (what the entry varies, or ""), `value` (its value here, or `None`) and
            `number` (which of the values, or `None`).
        codes: attack to the code hash of its units.
        store: of the units.

    Returns:
        The root, a unit a group with its `attack`, `varied` and `value`, and clean reconstructions at other
        multiples of the tuned parameter.
    """
    groups = {"": subjects.root}
    if subjects.missing:
        return groups
    for level, factor, chosen in by_place(attacks):
        subject, key = subjects.at(level, factor)
        for given in chosen:
            name, described, value = given["attack"], given["described"], given["value"]
            unit = {**key, "stage": "attack", "code": codes[name], "attack": described}
            unit |= {"level": level, "factor": factor, "seed": subject.seed}
            found = store.get(unit, partial(perturbed_unit, subject, Attack.of(described)))
            entry = {"attack": name, "varied": given["varied"]}
            entry |= {} if value is None else {"value": value}
            number = "" if given["number"] is None else f"/{given['number']}"
            group = f"perturbed/{name}/{place_of(level, factor)}{number}"
            groups[group] = signed(
                replace(found, attributes=found.attributes | entry), subjects.root.attributes
            )
            told = f", {given['varied']} {value:g}" if given["varied"] else ""
            ended = "".join(failures(groups[group])) or "done"
            print(f"level {level:g}, weight factor {factor:g}, {name}{told}: {ended}", flush=True)
    return groups | subjects.computed


def with_tuned_searches(
    attacks: Sequence[Mapping[str, Any]], tunings: Mapping[str, str | Path]
) -> list[dict[str, Any]]:
    """Attacks as `attack_image` takes them, with the values that were chosen.

    Args:
        attacks: those of the config.
        tunings: attack to the file of `mrilib.jobs.tune_search`. Where no value was chosen every unit of the
            attack fails, and says which were tried.
    """
    found = {name: json.loads(Path(path).read_text(encoding="utf-8")) for name, path in tunings.items()}
    return [
        dict(given) | {"described": _with_value(given["described"], found[given["attack"]])}
        if given["attack"] in found
        else dict(given)
        for given in attacks
    ]


def _with_value(described: Mapping[str, Any], tuning: Mapping[str, Any]) -> dict[str, Any]:
    name, chosen = tuning["parameter"], tuning["chosen"]
    if chosen is None:
        tried = ", ".join(f"{value:.3g}" for value in dict.fromkeys(row["value"] for row in tuning["rows"]))
        first = next(row["failed"] for row in tuning["rows"] if "failed" in row)
        told = f"with no {name} of {tried} all attacks on validation images ended well; {first}"
        return {**described, "impossible": told}
    given = dict(described.get("search_arguments") or {})
    return {**described, "search_arguments": given | {name: chosen}}


def by_place(
    attacks: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[float, float, list[Mapping[str, Any]]]]:
    """Every level and multiple of the tuned parameter, with the attacks that are run there."""
    levels = dict.fromkeys(level for each in attacks for level in each["levels"])
    factors = dict.fromkeys(factor for each in attacks for factor in each["factors"])
    for level in levels:
        for factor in factors:
            chosen = [each for each in attacks if level in each["levels"] and factor in each["factors"]]
            if chosen:
                yield level, factor, chosen


def perturbed_unit(subject: Subject, attack: Attack) -> Group:
    """The perturbation that an attack finds, with its reconstruction.

    It is checked against its kind's rivals, such as spikes and noise of its norm, and strengthened where it
    is weaker (`mrilib.attacks.rivals.strengthened`), unless its kind is not checked: noise, and what selects
    by truth, which is the reference's protocol and stays as published.

    Args:
        subject: what is attacked.
        attack: how.

    Returns:
        `perturbation`, `reconstruction` as coils see it, for localized attacks `severities` and
        `severities_first_round`; as attributes those of the subject, `kind`, `region` and `artifact` of the
        attack, counted work and place, what its artifact has to stand out of (`Subject.limits`), and of a
        checked attack `weaker_than`, `first_value`, `rival_value` and `restarts`. A numerical failure is an
        outcome, and so are a grid without a place and a clean reconstruction that failed: the reason stands
        in `failed`.
    """

    def compute() -> Group:
        if attack.impossible:
            raise FloatingPointError(attack.impossible)
        assault = Assault(attack, subject)
        result = assault.run()
        rivals = assault.rivals(result) if attack.kind.checked else []
        if not rivals:
            return stored(subject, attack, result, {})
        return stored(subject, attack, *assault.checked(result, rivals))

    return outcome(subject, subject.attributes | attack.about, compute)

"""The other methods' perturbations of one image, given to one method; its own attacks held against them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.attacks.judge import judge
from mrilib.attacks.rivals import Rival
from mrilib.attacks.target import Artifact
from mrilib.data.measurement import Relative
from mrilib.jobs.attack import by_place
from mrilib.jobs.methods import failures, signed
from mrilib.jobs.perturbations import Assault, Attack, as_found, group_of, outcome, stored
from mrilib.jobs.subjects import Subject, Subjects, place_of
from mrilib.operators.base import norm2
from mrilib.store.arrays import Group, group_names, read_group
from mrilib.store.units import UnitStore, content_hash


def transfer_image(
    subjects: Subjects,
    attacks: Sequence[Mapping[str, Any]],
    codes: Mapping[str, str],
    store: UnitStore,
    *,
    own: str | Path,
    rivals: Mapping[str, str | Path],
) -> dict[str, Group]:
    """The groups of a file of transfer: `carried/{made for}/{attack}/{level}/{factor}` and `perturbed/…`.

    Args:
        subjects, attacks, codes, store: as those of `mrilib.jobs.attack.attack_image`; no attack is varied.
        own: file of the method's own attacks.
        rivals: other methods to the files of theirs.
    """
    groups = {"": subjects.root}
    if subjects.missing:
        return groups
    present = {rival: set(group_names(path)) for rival, path in rivals.items()}
    for level, factor, chosen in by_place(attacks):
        subject, key = subjects.at(level, factor)
        device = subject.kspace.device
        for given in chosen:
            name, described = given["attack"], given["described"]
            group = f"perturbed/{name}/{place_of(level, factor)}"
            found = {
                rival: read_group(path, group).arrays.get("perturbation")
                for rival, path in rivals.items()
                if group in present[rival]
            }
            others = {rival: array for rival, array in found.items() if array is not None}
            moved = {rival: torch.from_numpy(array).to(device) for rival, array in others.items()}
            common = key | {"code": codes[name], "level": level, "seed": subject.seed}
            attack = Attack.of(described)
            failed: list[str] = []
            for rival, array in others.items():
                carry = common | {"stage": "carried", "perturbation": content_hash(array)}
                artifact, relative_to = attack.kind.artifact, attack.relative_to
                carry |= {"artifact": artifact, "relative_to": relative_to}
                carried = store.get(
                    carry,
                    partial(carried_unit, subject, moved[rival], artifact=artifact, relative_to=relative_to),
                )
                about = {"attack": name, "varied": "", "made_for": rival} | attack.about
                whole = Group(
                    carried.arrays | {"perturbation": array}, about | carried.attributes, carried.units
                )
                whole = signed(whole, subjects.root.attributes)
                groups[f"carried/{rival}/{name}/{place_of(level, factor)}"] = whole
                failed += failures(whole)
            mine = read_group(own, group)
            challenge = common | {"stage": "challenged", "attack": described, "factor": factor}
            challenge["own"] = content_hash(*mine.arrays.values())
            challenge["rivals"] = {rival: content_hash(array) for rival, array in others.items()}

            unit = store.get(challenge, partial(challenged_unit, subject, attack, mine, moved))
            # Of a unit that was found the entry may have had another name.
            unit = replace(unit, attributes=unit.attributes | {"attack": name, "varied": ""})
            groups[group] = signed(unit, subjects.root.attributes)
            weaker = unit.attributes.get("weaker_than_transfer", "")
            note = f", was weaker than what was made for {weaker}" if weaker else ""
            told = "".join(f"; {each}" for each in [*failed, *failures(groups[group])])
            print(f"level {level:g}, {name}: {len(others)} rivals{note}{told}", flush=True)
    return groups


def carried_unit(
    subject: Subject,
    perturbation: Complex[Tensor, "*coil ky kx"],
    *,
    artifact: Artifact = "complex",
    relative_to: Relative = "data",
) -> Group:
    """What a perturbation that was made for another method does to this one.

    Args:
        subject: the method on the data for which it was made, at the same level.
        perturbation: `e`, on the mask and in the budget.
        artifact: what is measured of methods that return complex images (see `Target.artifacts`).
        relative_to: whose norm the level is relative to (`Measurement.radius`).

    Returns:
        `reconstruction` as coils see it; attributes of the subject, `artifact`, `severity` `‖ρ‖∞`, `norm`
        `‖ρ‖₂`, and what `ρ` has to stand out of (`Subject.limits`). A numerical failure is an outcome: its
        reason stands in `failed`.

    Raises:
        ValueError: if the perturbation is not finite, leaves the mask or exceeds the budget.
    """
    attributes = subject.attributes | {"artifact": artifact}

    def compute() -> Group:
        radius = subject.measurement.radius(subject.level, relative_to)
        target = replace(subject.target, artifact=artifact, radius=radius)
        judged = judge(target, perturbation.to(subject.kspace)[None])
        found = {"severity": float(judged.severities[0]), "norm": float(norm2(judged.artifacts[0]))}
        bound = judged.stats.get("error_bound")
        found |= subject.limits(None if bound is None else float(bound[0]))
        return group_of({"reconstruction": judged.reconstructions[0]}, attributes | found)

    return outcome(subject, attributes, compute)


def challenged_unit(subject: Subject, attack: Attack, own: Group, rivals: Mapping[str, Tensor]) -> Group:
    """The unit of a method's own attack, strengthened if another method's perturbation is stronger.

    Args:
        subject: what was attacked.
        attack: as it was given to `mrilib.jobs.attack.perturbed_unit`.
        own: what that returned.
        rivals: other methods' perturbations by the same attack at the same level, by the method's name.

    Returns:
        `own` with `weaker_than_transfer=""` if no rival is stronger, if it failed, or if the attack is not
        one that is checked. Else the strengthened unit: `weaker_than_transfer` names the strongest rival,
        `first_value` is the measure of `own`, `rival_value` the rival's; work adds up.
    """
    unchanged = replace(own, attributes=own.attributes | {"weaker_than_transfer": ""})
    if "failed" in own.attributes or not rivals or not attack.kind.checked:
        return unchanged

    def compute() -> Group:
        assault = Assault(attack, subject)
        others = [Rival(name, perturbation.to(subject.kspace)) for name, perturbation in rivals.items()]
        result, record = assault.checked(as_found(assault.target, own), others)
        name = record.pop("weaker_than")
        if not name:
            return unchanged
        record = own.attributes | record | {"weaker_than_transfer": name}
        return stored(subject, attack, result, record)

    return outcome(subject, subject.attributes | attack.about, compute)

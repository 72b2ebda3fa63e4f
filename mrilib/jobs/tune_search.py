"""An argument of an attack's search on validation images of a domain; each value on each image is a unit."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash
from mrilib.jobs.methods import Methods
from mrilib.jobs.perturbations import Assault, Attack, outcome
from mrilib.jobs.reconstruct import reconstruction_unit, stored_solution
from mrilib.jobs.subjects import Subject
from mrilib.operators.base import norm2
from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore, content_hash

# Of a measurement, beside what was found on it.
WHOSE = ("position", "volume", "slice", "patient", "anatomy", "simulated")
# What of a unit stands in the curve.
FOUND = ("severity", "artifact_norm", "gradient_evaluations", "seconds", "failed")


def tune_search(
    methods: Methods,
    measurements: Sequence[Measurement],
    store: UnitStore,
    *,
    attack: Mapping[str, Any],
    parameter: str,
    values: Sequence[float],
    level: float,
    tuned: str,
    seed: int,
    code: str,
) -> dict[str, Any]:
    """The value of a search's argument with which an attack does most, with all that was tried.

    Every value attacks every image, and a fresh reconstruction judges; rivals are no part of it. The chosen
    value has the largest mean of what the attack maximises (`AttackKind.maximised`), of those with which no
    attack failed: a value that leads the search to infinity on one image may do so on others.

    Args:
        methods: the method of a domain.
        measurements: of validation images.
        store: of the units.
        attack: as `Attack.of` takes it, without the argument.
        parameter: name of the argument.
        values: candidates.
        level: of the attack.
        tuned: what the method's own parameter was tuned for at this level.
        seed: of the run.
        code: code hash, a part of the units' keys.

    Returns:
        `parameter`, `level`, `maximised` (a quantity of the rows), `chosen` (`None` if with every value some
        attack failed), `at_edge`, whether it is the smallest or largest candidate, and `rows`, one a value
        and image: `value`, whose image it is, `severity` `‖ρ‖∞/max x`, `artifact_norm` `‖ρ‖₂/‖x‖₂`, and
        `failed`, the reason why both are missing.

    Source: [darestani2021] says that larger `β` gives larger perturbations; the choice is ours.
    """
    arguments = methods.arguments(tuned)

    def with_value(value: float) -> dict[str, Any]:
        given = dict(attack.get("search_arguments") or {}) | {parameter: value}
        return {**attack, "search_arguments": given}

    maximised = Attack.of(with_value(values[0])).kind.maximised
    rows, reached = [], np.full((len(values), len(measurements)), math.nan)
    for number, measurement in enumerate(measurements):
        key = methods.key | {"code": code, "arguments": arguments, "data": measurement_hash(measurement)}
        subject = _subject(methods, measurement, store, key, level=level, tuned=tuned, seed=seed)
        for place, value in enumerate(values):
            described = with_value(value)
            unit = {**key, "stage": "tune-search", "attack": described, "level": level, "seed": subject.seed}
            about = store.get(unit, partial(searched_unit, subject, Attack.of(described))).attributes
            reached[place, number] = about.get(maximised, math.nan)
            whose = {name: measurement.about[name] for name in WHOSE if name in measurement.about}
            told = {name: about[name] for name in FOUND if name in about}
            rows.append({"value": value} | whose | told)
            ended = about.get("failed") or f"{maximised} {about[maximised]:.4g}"
            print(f"{measurement.name}, {parameter} {value:.3g}: {ended}", flush=True)
    best = strongest(reached)
    if best in (0, len(values) - 1):
        print(f"warning: the best {parameter}, {values[best]:.3g}, is at the edge of its candidates")
    return {
        "parameter": parameter,
        "level": level,
        "maximised": maximised,
        "chosen": None if best is None else values[best],
        "at_edge": best in (0, len(values) - 1),
        "rows": sorted(rows, key=lambda row: row["value"]),
    }


def searched_unit(subject: Subject, attack: Attack) -> Group:
    """What an attack reaches by its search alone, without rivals; a numerical failure is an outcome.

    Returns:
        Attributes of the subject; `severity` and `artifact_norm` relative to the reference, counted work.
    """
    attributes = subject.attributes | attack.about

    def compute() -> Group:
        result = Assault(attack, subject).run()
        reference = subject.reference
        found = {
            "severity": float(result.severity) / float(reference.abs().max()),
            "artifact_norm": float(norm2(result.artifact) / norm2(reference)),
        }
        stats = {name: float(value) for name, value in result.stats.items()}
        return Group(attributes=attributes | stats | found)

    return outcome(subject, attributes, compute)


def strongest(reached: Float[np.ndarray, "values images"]) -> int | None:
    """Which value has the largest mean, of those without a NaN; `None` if all have one."""
    means = np.where(np.isfinite(reached).all(axis=1), reached.mean(axis=1), -math.inf)
    return int(means.argmax()) if bool(np.isfinite(means).any()) else None


def _subject(
    methods: Methods,
    measurement: Measurement,
    store: UnitStore,
    key: dict[str, Any],
    *,
    level: float,
    tuned: str,
    seed: int,
) -> Subject:
    """The method on a validation image, with its clean reconstruction."""
    arguments = key["arguments"]
    made, weight = methods.made(arguments), methods.weight(arguments)
    unit = {**key, "stage": "clean"}
    keep = store.claim(f"fit-{content_hash(unit)}.pt") if methods.kind.resumable else None
    clean = store.get(
        unit,
        lambda: reconstruction_unit(made, measurement, weight=weight, keep=keep, keep_state=True),
    )
    if keep is not None:
        keep.unlink(missing_ok=True)
    about = measurement.about
    return Subject(
        measurement=measurement,
        reconstructor=made,
        level=level,
        tuned=tuned,
        weight=weight,
        factor=1.0,
        seed=[seed, str(about.get("source", "")), "validation", int(about.get("position", 0))],
        clean=stored_solution(clean, measurement.kspace.device),
    )

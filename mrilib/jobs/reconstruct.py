"""Reconstruction of unperturbed data, as it is stored, and as attacks read it."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash
from mrilib.jobs.methods import Methods, failures, root_attributes, signed
from mrilib.operators.coil_faults import coil_faults
from mrilib.reconstructors.base import Reconstructor, not_finite, observed
from mrilib.solvers.null_space import null_space_share
from mrilib.solvers.solution import Solution, Status
from mrilib.store.arrays import Group
from mrilib.store.states import pack_arrays, unpack_arrays
from mrilib.store.units import UnitStore, content_hash

# Numbers of a solution that are stored, where a method has them.
STATS = ("objective", "gap", "steps", "error_bound")
STATE = "state."


def reconstruct_image(
    measurement: Measurement | None,
    methods: Methods,
    tuned: Sequence[str],
    store: UnitStore,
    *,
    identity: dict[str, Any],
    code: str,
    keep_state: bool,
) -> dict[str, Group]:
    """The groups of a file of reconstructions: a unit for everything that the parameter is tuned for.

    Args:
        measurement: of the image; `None` where the set has none at this position.
        methods: the method of a domain.
        tuned: what its parameter is tuned for, `clean` or levels as text.
        store: of the units.
        identity: `method`, `domain`, `source`, `mask` and `position`.
        code: code hash, a part of the units' keys.
        keep_state: store the solver's state, which an attack begins with.
    """
    if measurement is None:
        return {"": Group(attributes=identity | {"missing": True})}
    data = measurement_hash(measurement)
    groups = {"": Group(attributes=root_attributes(identity, measurement, methods.kind))}

    def unit(arguments: dict[str, Any], keep: Path | None) -> Group:
        return reconstruction_unit(
            # Made here: a unit that is found needs no network.
            methods.made(arguments),
            measurement,
            weight=methods.weight(arguments),
            keep=keep,
            keep_state=keep_state,
        )

    for each in tuned:
        arguments = methods.arguments(each)
        key = methods.key | {"stage": "reconstruct", "code": code, "arguments": arguments, "data": data}
        key |= {"state": keep_state}
        keep = store.claim(f"fit-{content_hash(key)}.pt") if methods.kind.resumable else None
        groups[each] = signed(store.get(key, partial(unit, arguments, keep)), groups[""].attributes)
        if keep is not None:
            keep.unlink(missing_ok=True)
        about = groups[each].attributes
        told = "".join(failures(groups[each])) or about["status"]
        print(f"{each}: {told}, {about['seconds']:.2f} s", flush=True)
    return groups


def reconstruction_unit(
    reconstructor: Reconstructor,
    measurement: Measurement,
    *,
    weight: float | None = None,
    factor: float = 1.0,
    keep: str | Path | None = None,
    keep_state: bool = False,
) -> Group:
    """What a method makes of the data as they were measured, and how long it takes.

    Args:
        reconstructor: the method.
        measurement: the data.
        weight, factor: the tuned parameter and its multiple, for the record.
        keep: file that a fit under way is kept in, for methods that take long and can go on.
        keep_state: store the solver's state, which an attack begins with.

    Returns:
        `reconstruction`, as coils see it (`observed`); attributes `status`, `seconds`, `weight`, `factor`,
        `STATS` where the method has them, and `null_space_share` of complex images. A numerical failure is an
        outcome: its reason stands in `failed`, and there is no image. An image that is not finite has the
        status `not_finite`, whatever the method says of itself.
    """
    options: dict[str, Any] = {"keep": keep} if reconstructor.resumable else {}
    reconstructor.warm_up(measurement.operator)
    started = time.perf_counter()
    solution = reconstructor.solve(measurement.kspace, measurement.operator, throw=False, **options)
    image = observed(reconstructor, solution.value, measurement.operator).cpu()  # waits for the device
    seconds, wrong = time.perf_counter() - started, not_finite(image)
    status = Status.NOT_FINITE if wrong else solution.status
    attributes: dict[str, Any] = {
        "weight": weight,
        "factor": factor,
        "seconds": seconds,
        "status": status.value,
    }
    for name in STATS:
        if name in solution.stats:
            attributes[name] = float(solution.stats[name])
    if status.failed:
        attributes["failed"] = _failed(status, wrong, image, measurement.kspace)
        return Group(attributes=attributes)
    attributes |= _null_space_share(reconstructor, measurement, image)
    arrays = {"reconstruction": image.numpy()}
    curve = solution.stats.get("loss_curve")
    if isinstance(curve, Tensor):
        arrays["loss_curve"] = curve.cpu().numpy()
    if keep_state and solution.state is not None:
        try:
            states, described = pack_arrays(solution.state)
        except ValueError as error:
            # A user's own state: an attack begins without one.
            print(f"the solver's state is not kept: {error}", flush=True)
        else:
            arrays |= {f"{STATE}{name}": array for name, array in states.items()}
            attributes["state"] = described
    return Group(arrays, attributes, {"reconstruction": "of the measurement"})


def _null_space_share(
    reconstructor: Reconstructor, measurement: Measurement, image: Tensor
) -> dict[str, float]:
    """Of the error of a complex reconstruction; nothing where the truth has no phase, or not the whole grid.

    Here, where there may be a GPU, and not where results are scored: of several coils it takes tens of
    reconstructions by zero-filling.
    """
    truth = measurement.reference if measurement.kspace.ndim == 2 else measurement.combined
    if reconstructor.output != "complex" or truth is None or truth.shape != image.shape:
        return {}
    error = image.to(truth.device).to(torch.complex128) - truth
    try:
        return {"null_space_share": null_space_share(error, measurement.operator)}
    except RuntimeError as trouble:
        print(str(trouble), flush=True)
        return {}


def _failed(status: Status, wrong: int, image: Tensor, kspace: Tensor) -> str:
    """Why there is no image: the status, how many pixels are wrong, and coils that cannot be right."""
    parts = [status.value, f"{wrong} of {image.numel()} pixels" if wrong else ""]
    return ", ".join(filter(None, [*parts, coil_faults(kspace) if kspace.ndim == 3 and wrong else ""]))


def stored_solution(unit: Group, device: torch.device | str) -> Solution | str:
    """The solution that a unit holds, its value as coils see it; or why there is none."""
    if "failed" in unit.attributes:
        return str(unit.attributes["failed"])
    state = None
    if "state" in unit.attributes:
        arrays = {
            name.removeprefix(STATE): array for name, array in unit.arrays.items() if name.startswith(STATE)
        }
        state = unpack_arrays(arrays, unit.attributes["state"], device)
    stats = {
        name: torch.tensor(unit.attributes[name], dtype=torch.float64)
        for name in STATS
        if name in unit.attributes
    }
    value = torch.from_numpy(unit.arrays["reconstruction"]).to(device)
    return Solution(value, Status(unit.attributes["status"]), stats, state)

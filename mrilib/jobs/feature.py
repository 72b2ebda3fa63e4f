"""Studies of small features on one image under one method: each study is a unit."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mrilib.data.annotated_slices import boxes_on_slices, read_placed
from mrilib.data.catalogue import read_catalogue
from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash, read_measurement
from mrilib.features.kinds.base import FeatureKind, Findings, Scene, feature_from
from mrilib.jobs.device import device
from mrilib.jobs.methods import Methods, failures, root_attributes, signed
from mrilib.jobs.reconstruct import stored_solution
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import NotConvergedError, Solution
from mrilib.store.arrays import Group, read_group
from mrilib.store.units import UnitStore, content_hash

# Arrays of a unit that are images, and no columns of findings.
IMAGE = "image."


def feature_image(inputs: Mapping[str, Any], params: Mapping[str, Any], store: UnitStore) -> dict[str, Group]:
    """The groups of a file of features: `features/{name}` for each study.

    Args:
        inputs: `measurement`, `reconstruction`, `tuning` and `checkpoint` where the method has them, and what
            `boxes_of` takes.
        params: `features`, each with its `feature` (the name in the config) and `described` (class and
            arguments); `codes`, feature to the code hash of its units; `method`, `identity`, `tuned` (what
            the parameter was tuned for), `seed`.
        store: of the units.
    """
    identity = dict(params["identity"])
    measurement = read_measurement(inputs["measurement"], device())
    if measurement is None:
        return {"": Group(attributes=identity | {"missing": True})}
    methods, boxes = Methods(params["method"], dict(inputs)), boxes_of(inputs, params)
    groups = {"": Group(attributes=root_attributes(identity, measurement, methods.kind))}
    arguments = methods.arguments(params["tuned"])
    clean = stored_solution(read_group(inputs["reconstruction"], params["tuned"]), device())
    shared = methods.key | {
        "stage": "feature",
        "arguments": arguments,
        "data": _data_hash(measurement),
        "seed": [params["seed"], identity["source"], identity["position"]],
    }
    for given in params["features"]:
        name, described = given["feature"], given["described"]
        kind = feature_from(described)
        key = shared | {"code": params["codes"][name], "feature": described}
        key |= {"boxes": boxes} if kind.needs_boxes else {}
        # Made in the unit: one that is found needs no network.
        made = partial(methods.made, arguments)
        compute = partial(feature_unit, kind, measurement, made, clean, key, store)
        found = store.get(key, compute)
        about = {"feature": name, "kind": getattr(kind, "word", type(kind).__name__)}
        about["tuned"] = params["tuned"]
        groups[f"features/{name}"] = signed(
            Group(found.arrays, found.attributes | about, found.units), groups[""].attributes
        )
        print(f"{name}: {''.join(failures(groups[f'features/{name}'])) or 'done'}", flush=True)
    return groups


def boxes_of(inputs: Mapping[str, Any], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Annotated boxes of the image, in pixels of the reference: see `Scene.boxes`.

    Args:
        inputs: `slices`, the set of the source's slices, and `annotations`, placed boxes; neither for sources
            without.
        params: `annotations`, names of the entries, in the order of their files; and `identity`.
    """
    if not inputs.get("annotations"):
        return []
    slices, position = read_catalogue(inputs["slices"]), params["identity"]["position"]
    tables = dict(zip(params["annotations"], map(read_placed, inputs["annotations"]), strict=True))
    boxes, left_out = boxes_on_slices(slices[slices["position"] == position], tables)
    for reason in left_out:
        print(reason)
    columns = ["label", "row", "column", "height", "width"]
    return [{name: plain(row[name]) for name in columns} for row in boxes[columns].to_dict("records")]


def plain(value: Any) -> Any:
    """A value of a frame as JSON has it."""
    return value if isinstance(value, str) else int(value)


def feature_unit(
    kind: FeatureKind,
    measurement: Measurement,
    made: Callable[[], Reconstructor],
    clean: Solution | str,
    key: Mapping[str, Any],
    store: UnitStore,
) -> Group:
    """What a study finds: its columns as arrays of one length, and images as `image.…`.

    Fits of methods that can go on are kept until the unit is done. A numerical failure is an outcome: the
    reason stands in `failed`.
    """
    if isinstance(clean, str):
        return Group(attributes={"failed": f"no clean reconstruction: {clean}"})
    method, kept = made(), list[Path]()

    def solve(kspace: Tensor, name: str, *, method: Reconstructor | None = None) -> Solution:
        other = method or made()
        if not other.resumable:
            return other.solve(kspace, measurement.operator)
        keep = store.claim(f"fit-{content_hash({**key, 'name': name})}.pt")
        kept.append(keep)
        return other.solve(kspace, measurement.operator, keep=keep)  # type: ignore[call-arg]

    scene = Scene(measurement, method, clean.value, solve, key["seed"], key.get("boxes", []))
    try:
        group = as_group(kind.findings(scene))
    except (FloatingPointError, NotConvergedError) as error:
        group = Group(attributes={"failed": str(error)})
    for keep in kept:
        keep.unlink(missing_ok=True)
    return group


def as_group(findings: Findings) -> Group:
    """Findings as they are stored."""
    lengths = {name: len(values) for name, values in findings.columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Findings: expected columns of one length, got {lengths}")
    images = {f"{IMAGE}{name}": np.asarray(image) for name, image in findings.images.items()}
    return Group({**findings.columns, **images}, dict(findings.about))


def columns_of(group: Group) -> Mapping[str, np.ndarray]:
    """The columns of findings that a unit holds."""
    return {name: array for name, array in group.arrays.items() if not name.startswith(IMAGE)}


def _data_hash(measurement: Measurement) -> str:
    """Of all that a study depends on: what the truth of a feature is made of as well."""
    known = [each for each in (measurement.combined, measurement.coil_sum) if each is not None]
    return content_hash(measurement_hash(measurement), *(each.cpu().numpy() for each in known))

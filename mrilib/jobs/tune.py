"""A method's parameter on the validation images of a domain, by level or on clean data; each is a unit."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.arrays import Group
from mrilib.store.classes import load_class
from mrilib.store.units import UnitStore, content_hash
from mrilib.training.tuning import tune


def tune_method(
    method: Mapping[str, Any],
    measurements: Sequence[Measurement],
    store: UnitStore,
    *,
    parameter: str,
    values: Sequence[float],
    tolerance: float,
    tuned: Sequence[str],
    seed: int,
    code: str,
) -> dict[str, Any]:
    """The best value of a parameter for everything that it is tuned for, with all that was tried.

    Args:
        method: its `reconstructor` (import path), `parameters`, and the name of what is `tuned`.
        measurements: of validation images.
        store: of the units.
        parameter: name of the argument.
        values: candidates.
        tolerance: of the solves while it is tuned.
        tuned: `clean`, or levels as text: under Gaussian noise of that level.
        seed: of the noise.
        code: code hash, a part of the units' keys.

    Returns:
        `parameter`, and `tuned`: for each its `chosen` value, whether it is `at_edge` of the candidates, the
        `weights` with their `errors` on every image, and how many were `unconverged`.
    """
    kind = load_class(method["reconstructor"], Reconstructor)
    arguments = method["parameters"] | {"tolerance": tolerance}
    data, found = [measurement_hash(each) for each in measurements], {}

    def made(value: float) -> Reconstructor:
        reconstructor: Reconstructor = kind(**arguments, **{parameter: value})
        return reconstructor

    def unit(level: float, name: str, keep: Path) -> Group:
        best = tune(made, measurements, level=level, weights=values, seed=seed, keep=keep, name=name)
        names = ("chosen", "at_edge", "weights", "unconverged")
        return Group({"errors": best.errors}, {each: getattr(best, each) for each in names})

    for each in tuned:
        level = 0.0 if each == "clean" else float(each)
        key = {"stage": "tune", "code": code, "method": method, "arguments": arguments}
        key |= {"values": values, "level": level, "seed": seed, "data": data}
        keep = store.claim(f"tuning-{content_hash(key)}.pt")
        label = f"{len(data)} images" if each == "clean" else f"level {each}"
        group = store.get(key, partial(unit, level, label, keep))
        keep.unlink(missing_ok=True)
        told = {name: _plain(value) for name, value in group.attributes.items()}
        found[each] = told | {"errors": group.arrays["errors"].tolist()}
        if told["at_edge"]:
            print(f"warning: {label}: the best value {told['chosen']:.2e} is at the grid's edge")
    return {"parameter": parameter, "tuned": found}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value

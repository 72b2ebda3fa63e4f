"""Methods as jobs make them: with their tuned parameter and their trained network."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mrilib.data.measurement import Measurement, image_name
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.arrays import Group
from mrilib.store.classes import load_class
from mrilib.store.units import content_hash

# What of a measurement stands in every file that is made of it.
ABOUT = ("volume", "slice", "slices", "patient", "anatomy", "acquisition", "simulated", "snr", "description")
# What of that stands in a unit that failed.
WHOSE = ("method", "domain", "source", "mask", "position", "volume", "slice")


def root_attributes(
    identity: dict[str, Any], measurement: Measurement, kind: type[Reconstructor]
) -> dict[str, Any]:
    """What reconstructions and attacks say of themselves: whose they are, and of what kind."""
    about = {name: measurement.about[name] for name in ABOUT if name in measurement.about}
    return (
        identity
        | about
        | {
            "acceleration": measurement.acceleration,
            "coils": measurement.kspace.shape[0] if measurement.kspace.ndim == 3 else 0,
            "output": kind.output,
            "through_adjoint": kind.through_adjoint,
        }
    )


def signed(unit: Group, root: Mapping[str, Any]) -> Group:
    """The unit, and where it failed whose it is: what names method and image among the file's attributes."""
    if "failed" not in unit.attributes:
        return unit
    return replace(unit, attributes=unit.attributes | {name: root[name] for name in WHOSE if name in root})


def failures(unit: Group) -> list[str]:
    """For the log, of a signed unit: which method failed on which image and why; nothing if it did not."""
    about = unit.attributes
    if "failed" not in about:
        return []
    return [f"{about.get('method', 'the method')} failed on {image_name(about)}: {about['failed']}"]


class Methods:
    """A method of a domain, made once for every set of arguments.

    Args:
        method: its `reconstructor` (import path), `parameters`, and the name of what is `tuned`.
        inputs: files `tuning` and `checkpoint`, where it has them.
    """

    def __init__(self, method: dict[str, Any], inputs: dict[str, Any]) -> None:
        self._method, self._given = method, {}
        tuning, checkpoint = inputs.get("tuning"), inputs.get("checkpoint")
        self._tuned = json.loads(Path(tuning).read_text(encoding="utf-8"))["tuned"] if tuning else {}
        self.kind = load_class(method["reconstructor"], Reconstructor)
        self.key: dict[str, Any] = {"reconstructor": method["reconstructor"]}
        if checkpoint:
            from mrilib.store.checkpoints import read_checkpoint

            self._given["checkpoint"] = read_checkpoint(checkpoint)
            self.key["checkpoint"] = self._given["checkpoint"].hash
        self._made: dict[str, Reconstructor] = {}

    def arguments(self, tuned: str, factor: float = 1.0) -> dict[str, Any]:
        """Arguments with the value that was tuned for `clean` data or a level, times a factor."""
        name = self._method["tuned"]
        own = dict(self._method["parameters"])
        return own | {name: factor * self._tuned[tuned]["chosen"]} if name else own

    def weight(self, arguments: dict[str, Any]) -> float | None:
        """The tuned parameter; none for untuned methods."""
        return arguments.get(self._method["tuned"])

    def made(self, arguments: dict[str, Any]) -> Reconstructor:
        name = content_hash(arguments)
        if name not in self._made:
            self._made[name] = self.kind(**arguments, **self._given)
        return self._made[name]

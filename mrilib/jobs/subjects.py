"""What the attack jobs of an image share: its subjects at every level, and the keys of their units."""

from collections.abc import Callable, Iterator
from typing import Any

from mrilib.data.measurement_files import measurement_hash, read_measurement
from mrilib.jobs.attack import Subject
from mrilib.jobs.device import device
from mrilib.jobs.methods import Methods, root_attributes
from mrilib.jobs.reconstruct import reconstruction_unit, stored_solution
from mrilib.reconstructors.base import Reconstructor
from mrilib.store.arrays import Group, group_names, read_group


class Subjects:
    """A measurement under a method, at every level and multiple of the tuned parameter.

    Args:
        inputs: `measurement`, `reconstruction`, and `tuning` and `checkpoint` where the method has them.
        params: `method`, `identity`, `levels`, `factors`, `tuned` (level to what the parameter was tuned
            for), `codes`, `seed`.
        unit: finds or computes a unit, such as `UnitStore.get`.

    Attributes:
        missing: whether there is no image at this position.
        root: attributes of a file of attacks.
        computed: clean reconstructions at other multiples than 1, by the names of their groups.
    """

    def __init__(
        self,
        inputs: dict[str, Any],
        params: dict[str, Any],
        unit: Callable[[dict[str, Any], Callable[[], Group]], Group],
    ) -> None:
        self._params, self._unit, self._file = params, unit, inputs["reconstruction"]
        self.computed: dict[str, Group] = {}
        measurement = read_measurement(inputs["measurement"], device())
        self.missing = measurement is None
        self.root = Group(attributes=params["identity"] | {"missing": True})
        if measurement is None:
            return
        self._measurement = measurement
        self._methods = Methods(params["method"], inputs)
        self._key = self._methods.key | {"data": measurement_hash(measurement)}
        self._stored = {name: read_group(self._file, name) for name in group_names(self._file)}
        self.root = Group(attributes=root_attributes(params["identity"], measurement, self._methods.kind))

    def __iter__(self) -> Iterator[tuple[str, Subject, dict[str, Any]]]:
        """Name of the groups (`level/factor`), subject, and key of its units."""
        identity = self._params["identity"]
        for level in self._params["levels"]:
            tuned = self._params["tuned"][f"{level:g}"]
            for factor in self._params["factors"]:
                place = f"{level:g}/{factor:g}"
                arguments = self._methods.arguments(tuned, factor)
                made = self._methods.made(arguments)
                key = {**self._key, "arguments": arguments}
                subject = Subject(
                    measurement=self._measurement,
                    reconstructor=made,
                    level=level,
                    tuned=tuned,
                    weight=self._methods.weight(arguments),
                    factor=factor,
                    seed=[self._params["seed"], identity["source"], identity["position"]],
                    clean=stored_solution(self._clean(place, tuned, factor, made, key), device()),
                )
                yield place, subject, key

    def _clean(
        self, place: str, tuned: str, factor: float, made: Reconstructor, key: dict[str, Any]
    ) -> Group:
        """The clean reconstruction: as the job before stored it, or computed for another multiple."""
        if factor == 1.0:
            return self._stored[tuned]
        unit = {**key, "stage": "clean", "code": self._params["codes"]["clean"]}
        weight = self._methods.weight(key["arguments"])
        found = self._unit(
            unit,
            lambda: reconstruction_unit(
                made, self._measurement, weight=weight, factor=factor, keep_state=True
            ),
        )
        self.computed[f"clean/{place}"] = found
        return found

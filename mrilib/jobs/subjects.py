"""What the attack jobs of an image share: its subjects at every level, and the keys of their units."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

from jaxtyping import Complex
from torch import Tensor

from mrilib.attacks.accuracy import accuracy, refitted, rounding
from mrilib.attacks.judge import Judged
from mrilib.attacks.target import Observed, Target
from mrilib.data.measurement import Measurement
from mrilib.data.measurement_files import measurement_hash, read_measurement
from mrilib.jobs.device import device
from mrilib.jobs.methods import Methods, root_attributes
from mrilib.jobs.reconstruct import reconstruction_unit, stored_solution
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import Solution
from mrilib.store.arrays import Group, group_names, read_group
from mrilib.store.units import derived_seed


@dataclass(frozen=True, eq=False)
class Subject:
    """A measurement and the method under attack.

    Args:
        measurement: `y`, `A` and the reference image.
        reconstructor: the method.
        level: `‖e‖₂/‖y‖₂`, norms over all coils; attacks may take it of the full k-space (see
            `Measurement.radius`).
        tuned: what the method's parameter was tuned for, a level or `clean`, for the record.
        weight: the tuned parameter, for the record.
        factor: its ratio to the tuned value.
        seed: what names the image; every attack and level derives its own seed from it.
        clean: `rec(y)`, its `value` as coils see it; a `state` that it lacks is solved for where a search
            begins there. A text says why there is none: then every unit fails.
        repeats: what was measured of the method before, by what its parameter was tuned for and the factor;
            subjects of other levels may share it. A text says why there is no other fit.
    """

    measurement: Measurement
    reconstructor: Reconstructor
    level: float
    tuned: str
    weight: float | None
    factor: float
    seed: list[int | str]
    clean: Solution | str
    repeats: dict[tuple[str, float], float | Judged | str] = field(default_factory=dict)

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
        clean = Observed(self.clean.value, self.clean.state)
        radius = self.measurement.radius(self.level)
        return Target(self.reconstructor, self.operator, self.kspace, radius, clean)

    @cached_property
    def clean_with_state(self) -> Observed:
        """`rec(y)` with the state of its solver, which is solved for at most once."""
        clean = self.target.clean
        if clean.state is not None:
            return clean
        return replace(clean, state=self.reconstructor.solve(self.kspace, self.operator).state)

    def limits(self, error_bound: float | None) -> dict[str, float]:
        """What an artifact's largest pixel has to stand out of (`mrilib.attacks.accuracy`).

        Args:
            error_bound: of the perturbed reconstruction, where its solver has one.

        Returns:
            `accuracy`, what of it may be the solver's own; of methods with a seed instead `fit_to_fit`, the
            largest pixel of what another fit to the clean data changes, infinite where that fit diverges.
        """
        if self.reconstructor.seeded:
            try:
                return {"fit_to_fit": float(self.refitted().severities[0])}
            except FloatingPointError:
                return {"fit_to_fit": math.inf}
        place = (self.tuned, self.factor)
        if place not in self.repeats:
            self.repeats[place] = rounding(self.target, derived_seed(*self.seed, "rounding"))
        stats = {} if isinstance(self.clean, str) else self.clean.stats
        clean = float(stats["error_bound"]) if "error_bound" in stats else None
        measured = cast(float, self.repeats[place])
        return {"accuracy": accuracy(self.target, rounding=measured, bounds=[clean, error_bound])}

    def refitted(self) -> Judged:
        """Another fit to the clean data, made at most once.

        Raises:
            FloatingPointError: if it diverges.
        """
        place = (self.tuned, self.factor)
        if place not in self.repeats:
            try:
                self.repeats[place] = refitted(self.target, derived_seed(*self.seed, "refit"))
            except FloatingPointError as error:
                self.repeats[place] = f"another fit to the clean data: {error}"
        found = self.repeats[place]
        if isinstance(found, str):
            raise FloatingPointError(found)
        return cast(Judged, found)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"level": self.level, "tuned": self.tuned, "weight": self.weight, "factor": self.factor}


class Subjects:
    """A measurement under a method, at every level and multiple of the tuned parameter.

    Args:
        inputs: `measurement`, `reconstruction`, and `tuning` and `checkpoint` where the method has them.
        params: `method`, `identity`, `tuned` (level to what the parameter was tuned for), `codes`, `seed`.
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
        self._repeats: dict[tuple[str, float], float | Judged | str] = {}
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

    def at(self, level: float, factor: float) -> tuple[Subject, dict[str, Any]]:
        """The subject at a level and a multiple of the tuned parameter, and the key of its units."""
        identity, tuned = self._params["identity"], self._params["tuned"][f"{level:g}"]
        arguments = self._methods.arguments(tuned, factor)
        made = self._methods.made(arguments)
        key = {**self._key, "arguments": arguments}
        clean = self._clean(place_of(level, factor), tuned, factor, made, key)
        subject = Subject(
            measurement=self._measurement,
            reconstructor=made,
            level=level,
            tuned=tuned,
            weight=self._methods.weight(arguments),
            factor=factor,
            seed=[self._params["seed"], identity["source"], identity["position"]],
            clean=stored_solution(clean, device()),
            repeats=self._repeats,
        )
        return subject, key

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


def place_of(level: float, factor: float) -> str:
    """Where the groups of a level and of a multiple of the tuned parameter lie in a file."""
    return f"{level:g}/{factor:g}"

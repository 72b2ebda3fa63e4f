"""What every study of small features offers, and what it is given."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.data.features import Coils
from mrilib.data.measurement import Measurement
from mrilib.features.maps import WindowErrors, exact_errors, window_errors, with_features
from mrilib.features.response import has_responses
from mrilib.features.truth import Truth, truth_of
from mrilib.features.windows import Windows
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor, observed
from mrilib.solvers.solution import Solution
from mrilib.store.classes import load_class

# Reconstructions that a gradient through a method is worth.
GRADIENT = 2.5


@runtime_checkable
class Solve(Protocol):
    """How data are reconstructed; `name` tells one reconstruction of a unit from another.

    Raises:
        FloatingPointError: if it fails.
    """

    def __call__(self, kspace: Tensor, name: str, *, method: Reconstructor | None = None) -> Solution: ...


@dataclass(frozen=True, eq=False)
class Scene:
    """An image under a method, as studies of features see it.

    Args:
        measurement: the data and the reference.
        method: the reconstruction.
        clean: what it makes of the data without a feature; complex images as coils see them.
        solve: reconstructs other data, under the same operator.
        seed: names the image, and is the same for every method.
        boxes: annotated ones of this image, in pixels of the reference: `label`, `row`, `column`, `height`,
            `width`.
    """

    measurement: Measurement
    method: Reconstructor
    clean: Tensor
    solve: Solve
    seed: Sequence[int | str]
    boxes: Sequence[Mapping[str, Any]] = field(default=())

    @cached_property
    def operator(self) -> MeasurementOperator:
        """`A`."""
        return self.measurement.operator

    @property
    def kspace(self) -> Complex[Tensor, "*coil ky kx"]:
        """The clean data `y`."""
        return self.measurement.kspace

    @cached_property
    def truth(self) -> Truth:
        return truth_of(self.measurement)

    @property
    def peak(self) -> float:
        """The reference's maximum, which contrasts are relative to."""
        return float(self.measurement.reference.max())

    @cached_property
    def without(self) -> Float[Tensor, "y x"]:
        """Moduli of the clean reconstruction, where the reference is."""
        return self.measurement.compared(self.clean.abs())

    @cached_property
    def returned(self) -> Tensor:
        """What the method returns for the clean data; `clean` is what coils see of that."""
        return self.solve(self.kspace, "clean").value

    def moduli(self, image: Tensor) -> Float[Tensor, "*batch y x"]:
        """Moduli of what the method returned, as coils see them, where the reference is."""
        return self.measurement.compared(observed(self.method, image, self.operator).abs())

    def window_errors(self, windows: Windows, amplitude: float, coils: Coils, name: str) -> WindowErrors:
        """Errors in windows that share one reconstruction, which is called `name`."""
        feature = windows.image(self.truth.shape, amplitude)
        data = with_features(self.kspace, self.operator, self.truth, feature, coils)
        altered = self.reconstructed(data, name)
        return window_errors(self.truth, windows, amplitude, coils, without=self.without, altered=altered)

    def exact_errors(
        self, size: int, amplitude: float, coils: Coils, *, stride: int = 1
    ) -> WindowErrors | None:
        """Errors in every single window of a size, of linear methods; `None` for all others."""
        if not has_responses(self.method, self.operator):
            return None
        return exact_errors(
            self.method,
            self.returned,
            self.operator,
            self.truth,
            size=size,
            amplitude=amplitude,
            coils=coils,
            stride=stride,
        )

    def reconstructed(
        self, kspace: Tensor, name: str, *, method: Reconstructor | None = None
    ) -> Float[Tensor, "*batch y x"]:
        """`moduli` of what the method, or another, makes of other data."""
        return self.moduli(self.solve(kspace, name, method=method).value)


@dataclass(frozen=True)
class Findings:
    """What a study found on an image.

    Args:
        columns: numbers, arrays of one length: an entry a window, a place, a step.
        about: of the image as a whole.
        images: to look at, and to go on from.
    """

    columns: Mapping[str, np.ndarray]
    about: Mapping[str, float | int | str] = field(default_factory=dict)
    images: Mapping[str, np.ndarray] = field(default_factory=dict)


class FeatureKind(ABC):
    """A study of small features on one image under one method.

    A config names a subclass by its `word`, or by `class: package.module:Name`; what else stands in the entry
    are the arguments of its constructor, and where and on what it is run.

    Attributes:
        word: what a config calls the class; classes outside this repository need none.
        needs_boxes: whether it is for images with annotated boxes alone.
        needs_steps: whether it is for methods that are fitted in steps (`Reconstructor.shortened`).
        solves: how many reconstructions an image takes, about, with the usual arguments, by which jobs ask
            for their time; `count` says it of an instance.
        KEYS: columns of its tables that are no measured numbers: what tells one row of an image from another.
    """

    word: ClassVar[str]
    needs_boxes: ClassVar[bool] = False
    needs_steps: ClassVar[bool] = False
    solves: ClassVar[float] = 2.0
    KEYS: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def findings(self, scene: Scene) -> Findings:
        """Study one image.

        Raises:
            FloatingPointError: if a reconstruction fails; then the unit fails.
        """

    def count(self, *, searched: bool, exact: bool) -> float:
        """How many reconstructions an image takes, about, a gradient being worth `GRADIENT`.

        Args:
            searched: whether the method has a derivative that searches follow.
            exact: whether it has every location exactly (`mrilib.features.response`).
        """
        return self.solves

    def table(self, findings: pd.DataFrame) -> pd.DataFrame:
        """Rows that tables have of an image, from its findings, one a row; by default all of them."""
        return findings

    def map(self, findings: pd.DataFrame) -> pd.DataFrame:
        """Sums over the windows of an image, by place; none by default.

        `row` and `column` (the middle of a cell, as shares of the image's height and width), `KEYS`, `count`,
        and the sum of every number.
        """
        return pd.DataFrame()


def feature_from(described: Mapping[str, Any]) -> FeatureKind:
    """A kind of study, from `class`, an import path, and the `arguments` of its constructor."""
    found: FeatureKind = load_class(described["class"], FeatureKind)(**described["arguments"])
    return found

"""Masks of whole columns of k-space, drawn by fastMRI."""

import math
from typing import Annotated, ClassVar, Literal, get_args

import torch
from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from mrilib.data.sampling.base import Sampling, Seed, acquired_part, true_acceleration

ColumnMask = Literal["random", "equispaced", "equispaced-fraction"]

# Our choice: of widths about 368, at 4 times and within 0.03, one draw in twenty is right.
MOST_DRAWS = 1000
ROUNDING = 1e-9


class Columns(Sampling):
    """Columns around a full centre: see `column_mask`. Each of its kinds is a class of its own.

    Args:
        acceleration, center_fraction: as there.
        redraw: its `redraw_within`.
        draw: further draws of the same masks have the numbers 1, 2, …; the first is fastMRI's own.
    """

    usual_for: ClassVar[Literal["one coil", "several coils", "both"]] = "several coils"
    whole_columns: ClassVar[bool | None] = True
    kind: ClassVar[ColumnMask]

    def __init__(
        self,
        *,
        acceleration: Annotated[int | float, Field(ge=1)],
        center_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.08,
        redraw: Annotated[float, Field(gt=0)] | None = None,
        draw: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        if draw < 0:
            raise ValueError(f"{type(self).__name__}: expected draw >= 0, got {draw}")
        self.acceleration, self.center_fraction = acceleration, center_fraction
        self.redraw, self.number = redraw, draw

    def check(self, shape: tuple[int, int]) -> None:
        _check_columns(shape[1], self.acceleration, self.center_fraction, self.kind)
        if self.redraw is not None:
            _check_counts(shape[1], self.acceleration, self.redraw)

    def centre(self, shape: tuple[int, int]) -> tuple[int, int]:
        return shape[0], round(shape[1] * self.center_fraction)

    def draw(self, shape: tuple[int, int], seed: Seed) -> Bool[Tensor, "kx"]:
        return self._columns(shape, seed, None)

    def drawn(
        self, shape: tuple[int, int], seed: Seed, acquired: Bool[Tensor, "*row kx"] | None = None
    ) -> Bool[Tensor, "*ky kx"]:
        """As `Sampling.drawn`; `redraw` aims at the acceleration among what was acquired."""
        if self.redraw is None:
            return super().drawn(shape, seed, acquired)
        return acquired_part(self._columns(shape, seed, acquired), shape, acquired)

    def _columns(
        self, shape: tuple[int, int], seed: Seed, acquired: Bool[Tensor, "*row kx"] | None
    ) -> Bool[Tensor, "kx"]:
        parts = (seed,) if isinstance(seed, int) else tuple(seed)
        return column_mask(
            shape[1],
            acceleration=self.acceleration,
            center_fraction=self.center_fraction,
            kind=self.kind,
            seed=(*parts, self.number) if self.number else seed,
            redraw_within=self.redraw,
            acquired=acquired,
        )


class Random(Columns):
    """Every column with the same probability."""

    word: ClassVar[str] = "random"
    kind = "random"


class Equispaced(Columns):
    """Every so many-th column, beside the centre."""

    word: ClassVar[str] = "equispaced"
    kind = "equispaced"


class EquispacedFraction(Columns):
    """Columns at equal distances that make up for the centre."""

    word: ClassVar[str] = "equispaced-fraction"
    kind = "equispaced-fraction"


def column_mask(
    width: int,
    *,
    acceleration: int | float,
    center_fraction: float,
    kind: ColumnMask,
    seed: Seed,
    redraw_within: float | None = None,
    acquired: Bool[Tensor, "*row width"] | None = None,
) -> Bool[Tensor, "width"]:
    """Mask of whole columns, drawn by fastMRI: a centre of `round(width·center_fraction)`, and some around.

    Kinds, with what `true_acceleration` gives for acceleration 4, centre fraction 0.08 and widths of 320
    to 400:
        - `random`: every column with the probability that gives `width / acceleration` on average;
          3.4 to 4.9 in 98 % of draws, 2.9 to 5.3 in some thousands.
        - `equispaced`: every `acceleration`-th column beside the centre, from a random offset; 3.19 to 3.26.
        - `equispaced-fraction`: the spacing widened to make up for the centre, rounded to columns;
          3.92 to 4.05.

    Args:
        width: columns of k-space, zero frequency at `width // 2`.
        acceleration: nominal acceleration, at least 1; whole for `equispaced`.
        center_fraction: fully sampled part of the columns, in [0, 1).
        kind: one of `random`, `equispaced`, `equispaced-fraction`.
        seed: an integer or integers, as fastMRI takes it; `name_seed` makes it from the name of a file.
        redraw_within: draw again until the true acceleration, among what was acquired, differs by at most
            this from the nominal one (0.03 in the code of [darestani2021]); of 1,000 draws the nearest is
            taken where `acquired` leaves no such mask. Draw `i = 0, 1, …` has the seed `(*seed, i)`.
        acquired: `True` where k-space was acquired, `(width,)`, or `(rows, width)`; everything by default.
            Columns are drawn for the full width, and none is sampled of which nothing was acquired.

    Returns:
        `True` where a column is sampled.

    Raises:
        ValueError: if an argument is out of range, if the centre leaves no columns to choose, if nothing
            would be sampled, or if no draw comes within `redraw_within`.

    Source: `RandomMaskFunc`, `EquiSpacedMaskFunc` and `EquispacedMaskFractionFunc` of fastMRI
    [zbontar2018], version 0.3.0, which draw here; its `apply_mask` for what was not acquired.
    """
    _check_columns(width, acceleration, center_fraction, kind)
    parts = (seed,) if isinstance(seed, int) else seed
    if not parts or not all(0 <= part < 1 << 32 for part in parts):
        raise ValueError(f"column_mask: expected seed to be integers from 0 to 2**32 - 1, got {seed!r}")
    some = _acquired_columns(width, acquired)
    if redraw_within is None:
        return acquired_part(_drawn(width, acceleration, center_fraction, kind, seed), (1, width), some)
    if redraw_within < 0.0:
        raise ValueError(f"column_mask: expected redraw_within >= 0 or None, got {redraw_within}")
    if acquired is None:
        _check_counts(width, acceleration, redraw_within)
    # Of a volume nobody can choose what was acquired: then the nearest count of columns will do.
    within = max(redraw_within, _nearest(int(some.sum()), acceleration) + ROUNDING)
    first = (seed,) if isinstance(seed, int) else tuple(seed)
    reached = []
    for draw in range(MOST_DRAWS):
        mask = _drawn(width, acceleration, center_fraction, kind, (*first, draw)) & some
        reached.append(true_acceleration(mask, acquired) if mask.any() else math.inf)
        if abs(reached[-1] - acceleration) <= within:
            return mask
    nearest = min(range(MOST_DRAWS), key=lambda draw: abs(reached[draw] - acceleration))
    if acquired is not None and math.isfinite(reached[nearest]):
        return _drawn(width, acceleration, center_fraction, kind, (*first, nearest)) & some
    raise ValueError(
        f"column_mask: {MOST_DRAWS} draws of kind {kind!r} gave accelerations from {min(reached):.3f} to "
        f"{max(reached):.3f}, none within {redraw_within} of {acceleration}; take another kind, raise "
        "redraw_within or leave it out"
    )


def _acquired_columns(width: int, acquired: Bool[Tensor, "*row columns"] | None) -> Bool[Tensor, "width"]:
    """Columns of which anything was acquired."""
    if acquired is None:
        return torch.ones(width, dtype=torch.bool)
    if acquired.ndim not in (1, 2) or acquired.shape[-1] != width:
        raise ValueError(
            f"column_mask: expected acquired ({width},) or (rows, {width}), got {tuple(acquired.shape)}"
        )
    return acquired.reshape(-1, width).any(dim=0)


def _nearest(columns: int, acceleration: int | float) -> float:
    """By how much an acceleration is missed at least that samples whole columns of so many."""
    counts = (math.floor(columns / acceleration), math.ceil(columns / acceleration))
    return min(abs(columns / max(1, count) - acceleration) for count in counts)


def _check_counts(columns: int, acceleration: int | float, redraw_within: float) -> None:
    """Raise `ValueError` unless some count of sampled columns comes near enough to the acceleration."""
    if (nearest := _nearest(columns, acceleration)) > redraw_within:
        raise ValueError(
            f"column_mask: no count of {columns} columns comes within {redraw_within} of acceleration "
            f"{acceleration}, the nearest differs by {nearest:.3f}; raise redraw_within"
        )


def _check_columns(width: int, acceleration: int | float, center_fraction: float, kind: str) -> None:
    if kind not in get_args(ColumnMask):
        raise ValueError(f"column_mask: expected kind to be one of {get_args(ColumnMask)}, got {kind!r}")
    if width < 2 or not 1.0 <= acceleration <= width or not 0.0 <= center_fraction < 1.0:
        raise ValueError(
            "column_mask: expected width >= 2, 1 <= acceleration <= width and 0 <= center_fraction < 1, "
            f"got width={width}, acceleration={acceleration}, center_fraction={center_fraction}"
        )
    centre = round(width * center_fraction)
    if kind == "equispaced":
        if acceleration != int(acceleration):
            raise ValueError(
                "column_mask: expected a whole acceleration for kind 'equispaced', whose columns stand that "
                f"far apart, got {acceleration}; take 'equispaced-fraction'"
            )
        return
    if centre >= width or (centre and centre >= width / acceleration):
        raise ValueError(
            f"column_mask: center_fraction={center_fraction} alone samples {centre} of {width} columns, and "
            f"acceleration {acceleration} allows {width / acceleration:.1f}; lower center_fraction or "
            "acceleration"
        )


def _drawn(width: int, acceleration: int | float, center_fraction: float, kind: str, seed: Seed) -> Tensor:
    # slow to load, and only needed here
    from fastmri.data import subsample

    if kind == "random":
        function = subsample.RandomMaskFunc([center_fraction], [acceleration])
    elif kind == "equispaced":
        function = subsample.EquiSpacedMaskFunc([center_fraction], [int(acceleration)])
    else:
        function = subsample.EquispacedMaskFractionFunc([center_fraction], [acceleration])
    mask, _ = function((1, width, 1), seed=seed)
    sampled = mask.reshape(width) > 0
    if not sampled.any():
        raise ValueError(
            f"column_mask: seed {seed!r} samples none of {width} columns at acceleration {acceleration}; "
            "raise center_fraction or lower acceleration"
        )
    return sampled

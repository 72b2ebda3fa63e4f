"""Where methods lose small features: the error in a window of a few pixels, at every location."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Inexact, Int
from torch import Tensor

from mrilib.features.response import has_responses, window_responses
from mrilib.operators.base import MeasurementOperator
from mrilib.operators.coil_images import center_crop, crop_corner
from mrilib.reconstructors.base import Reconstructor, observed


@dataclass(frozen=True, eq=False)
class Truth:
    """What is to be seen of an object, and of the object with a feature more.

    With the images `c_c` of the coils and their maps `S_c`, a feature `f` times the maps makes of the RSS
    image `x`

        `x_f = √Σ_c|c_c + S_c f|² = √(x² + 2f·Re Σ_c conj(S_c) c_c + f²·Σ_c|S_c|²)`.

    Args:
        reference: `x`, of the fully sampled data, maybe cropped at the centre.
        combined: `Σ_c conj(S_c) c_c` of the fully sampled data; the image itself of a single coil.
        sight: `Σ_c|S_c|²`; 1 of a single coil.
    """

    reference: Float[Tensor, "y x"]
    combined: Complex[Tensor, "y x"]
    sight: Float[Tensor, "y x"]

    def with_feature(self, feature: Float[Tensor, "*batch y x"]) -> Float[Tensor, "*batch y x"]:
        """`x_f`."""
        square = self.reference**2 + 2.0 * feature * self.combined.real + feature**2 * self.sight
        return square.clamp(min=0.0).sqrt()


@dataclass(frozen=True, eq=False)
class LocationMap:
    """Errors in a window, by its first pixel.

    With the moduli `m` that the method returns without the feature and `m_f` with it, `W` the window,

    - `loss` `‖(m_f − m) − (x_f − x)‖²_W / ‖x_f − x‖²_W`, what of the feature is lost: 1 if the image does not
      change at all, and the control of
    - `error` `‖m_f − x_f‖²_W / ‖x_f − x‖²_W`, which holds what the method does without the feature as well,
    - `before` `‖m − x‖²_W / ‖x_f − x‖²_W`.

    Args:
        rows, columns: of the windows' first pixels, in the reference.
        loss, error, before: at these.
    """

    rows: Int[Tensor, "rows"]
    columns: Int[Tensor, "columns"]
    loss: Float[Tensor, "rows columns"]
    error: Float[Tensor, "rows columns"]
    before: Float[Tensor, "rows columns"]


def location_map(
    method: Reconstructor,
    kspace: Complex[Tensor, "*coil ky kx"],
    operator: MeasurementOperator,
    truth: Truth,
    *,
    size: int,
    amplitude: float,
    spacing: int | None = None,
    shift: tuple[int, int] = (0, 0),
) -> LocationMap:
    """Errors in a window of `size × size` pixels of `amplitude`, carried into k-space by the coil maps.

    Without `spacing` every location is known exactly, of linear methods (`has_responses`). With it windows on
    a lattice share one reconstruction: they stand `spacing` pixels apart from `shift` on. What one does to
    another is counted as the method's; it vanishes as they move apart, and a single window has none.

    Args:
        method: a reconstruction, with moduli or complex images.
        kspace: data without a feature.
        operator: what measured it.
        truth: as coils see the object.
        size: pixels along each side.
        amplitude: in the units of the image; negative for dark features.
        spacing: of the lattice, in pixels; more than `size`.
        shift: row and column of the first window in the reference.

    Raises:
        ValueError: for windows that do not fit or overlap, and without `spacing` for methods that are not
            linear.

    Source: [darestani2021], figures 7, 16 and 17, which leaves "normalised" undefined: ours is by the
    feature.
    """
    shape = (truth.reference.shape[-2], truth.reference.shape[-1])
    clean = method.solve(kspace, operator).value
    without = _moduli(method, clean, operator, shape)
    if spacing is None:
        rows, columns = (torch.arange(side - size + 1) for side in shape)
        inside = _exact(method, clean, operator, shape, size, amplitude)
        return _map(rows, columns, size, without, inside, truth, amplitude)
    rows, columns = _lattice(shape, size, spacing, shift)
    top, left = crop_corner(tuple(operator.mask.shape), shape)
    down, across = ((first[:, None] + torch.arange(size)).flatten() for first in (top + rows, left + columns))
    feature = torch.zeros(operator.mask.shape).to(kspace)
    feature[down[:, None], across] = amplitude
    altered = method.solve(kspace + operator.forward(feature), operator).value
    inside = _windows(_moduli(method, altered, operator, shape), size)[rows][:, columns]
    return _map(rows, columns, size, without, inside, truth, amplitude)


def _moduli(
    method: Reconstructor, image: Tensor, operator: MeasurementOperator, shape: tuple[int, int]
) -> Float[Tensor, "y x"]:
    """Of what the method returned, as coils see it, where the reference is."""
    return center_crop(observed(method, image, operator).abs(), shape)


def _exact(
    method: Reconstructor,
    clean: Complex[Tensor, "full_y full_x"],
    operator: MeasurementOperator,
    shape: tuple[int, int],
    size: int,
    amplitude: float,
) -> Float[Tensor, "rows columns size size"]:
    """Moduli inside every window with the feature there."""
    if not has_responses(method, operator):
        raise ValueError(
            f"location_map: expected spacing for {type(method).__name__}, whose answer to a feature is not "
            "known at every location; say how far windows stand apart"
        )
    responses = window_responses(method, operator, size).to(clean)
    top, left = crop_corner(tuple(operator.mask.shape), shape)
    responses = responses[top : top + shape[0] - size + 1, left : left + shape[1] - size + 1]
    image = center_crop(clean, shape)
    seen = center_crop(operator.seen(torch.ones(operator.mask.shape).to(clean.real)), shape)
    return (_windows(seen, size) * (_windows(image, size) + amplitude * responses)).abs()


def _map(
    rows: Tensor,
    columns: Tensor,
    size: int,
    without: Tensor,
    inside: Tensor,
    truth: Truth,
    amplitude: float,
) -> LocationMap:
    """Errors of the windows, from the moduli inside them with the feature."""
    before, reference, wanted = (
        _windows(image, size)[rows][:, columns]
        for image in (
            without,
            truth.reference,
            truth.with_feature(torch.full_like(truth.reference, amplitude)),
        )
    )

    def square(values: Tensor) -> Tensor:
        return values.square().sum(dim=(-2, -1))

    feature = square(wanted - reference)
    return LocationMap(
        rows=rows,
        columns=columns,
        loss=square((inside - before) - (wanted - reference)) / feature,
        error=square(inside - wanted) / feature,
        before=square(before - reference) / feature,
    )


def _windows(image: Tensor, size: int) -> Inexact[Tensor, "rows columns size size"]:
    return image.unfold(0, size, 1).unfold(1, size, 1)


def _lattice(
    shape: tuple[int, int], size: int, spacing: int, shift: tuple[int, int]
) -> tuple[Int[Tensor, "rows"], Int[Tensor, "columns"]]:
    fits = all(0 <= first <= side - size for first, side in zip(shift, shape, strict=True))
    if spacing <= size or not fits:
        raise ValueError(
            f"location_map: expected spacing > {size} and a first window inside of {shape[0]}×{shape[1]}, "
            f"got {spacing} and {shift}"
        )
    rows, columns = (
        torch.arange(first, side - size + 1, spacing) for first, side in zip(shift, shape, strict=True)
    )
    return rows, columns

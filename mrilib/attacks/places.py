"""Where the localized attack looks."""

from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mrilib.attacks.objectives import grid_locations
from mrilib.attacks.target import NoPlaceError, visible_pixels
from mrilib.operators.base import MeasurementOperator
from mrilib.operators.coil_images import crop_corner

Region = Literal["image", "object"]
# Of the reference's maximum: what is above belongs to the object. Our choice.
OBJECT_THRESHOLD = 0.05


def grid_places(
    operator: MeasurementOperator, grid: int, region: Region, reference: Tensor | None
) -> tuple[Int[Tensor, "cells 2"], Bool[Tensor, "cells"]]:
    """Pixels of a grid in reading order, and which of them are places of the attack.

    `image`: cell `(i, j)` stands at `((i + ½)·height/grid, (j + ½)·width/grid)`. `object`: so in the bounding
    box of the reference above `OBJECT_THRESHOLD` of its maximum, and cells whose pixel is not above it are
    left out. In either, cells that no coil sees are left out.

    Args:
        operator: the measurement.
        grid: cells along each axis.
        region: `image` or `object`.
        reference: real image, as large as what is measured or cropped at the centre; only for `object`.

    Raises:
        NoPlaceError: if no place is left.
    """
    height, width = operator.mask.shape
    if region == "image":
        cells = grid_locations(height, width, grid)
        places = _at(visible_pixels(operator), cells)
        if not bool(places.any()):
            raise NoPlaceError(
                f"localized_attack: no coil sees any of the {grid}×{grid} places; estimate the coil maps "
                "again, or take a finer grid"
            )
        return cells, places
    if reference is None:
        raise ValueError("localized_attack: region='object' goes with the reference, got none")
    inside = reference.cpu() > OBJECT_THRESHOLD * float(reference.max())
    rows, columns = (torch.nonzero(inside.any(dim=axis)).flatten() for axis in (1, 0))
    if not rows.numel():
        raise NoPlaceError(
            "localized_attack: the reference is zero, there is no object; leave this image out"
        )
    top, left = int(rows[0]), int(columns[0])
    box = grid_locations(int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left, grid)
    cells = box + torch.tensor([top, left])
    in_object = _at(inside, cells)
    cells = cells + torch.tensor(crop_corner((height, width), tuple(reference.shape)))
    places = in_object & _at(visible_pixels(operator), cells)
    if not bool(places.any()):
        raise NoPlaceError(
            f"localized_attack: none of the {grid}×{grid} places is inside the object and seen by a coil; "
            "take a finer grid"
        )
    return cells, places


def nearest_place(places: Int[Tensor, "places 2"], height: int, width: int) -> Int[Tensor, "2"]:
    """The place that is nearest to the centre of the image, the first of equals."""
    centre = torch.tensor([height // 2, width // 2])
    return places[(places - centre).square().sum(1).argmin()]


def _at(pixels: Bool[Tensor, "y x"], locations: Int[Tensor, "cells 2"]) -> Bool[Tensor, "cells"]:
    return pixels.cpu()[locations[:, 0], locations[:, 1]]

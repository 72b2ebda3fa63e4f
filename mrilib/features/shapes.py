"""Features of any shape inside a few pixels, and how much of them an image shows."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from mrilib.data.features import Coils
from mrilib.features.maps import UNSEEN
from mrilib.features.truth import Truth


def first_shapes(size: int) -> Float[Tensor, "shapes size size"]:
    """Shapes that a search begins with, each once: the first is the full window.

    Then the middle pixel, the middle row, the middle column, and a checkerboard. Our choice.
    """
    full = torch.ones(size, size)
    middle = size // 2
    pixel, row, column = torch.zeros(3, size, size)
    pixel[middle, middle] = row[middle] = column[:, middle] = 1.0
    places = torch.arange(size)
    checkerboard = ((places[:, None] + places + 1) % 2).to(full)
    found: list[Tensor] = []
    for shape in (full, pixel, row, column, checkerboard):
        if not any(torch.equal(shape, other) for other in found):
            found.append(shape)
    return torch.stack(found)


def placed(
    shapes: Float[Tensor, "features size size"],
    places: Sequence[tuple[int, int]],
    image: tuple[int, int],
) -> Float[Tensor, "features y x"]:
    """Each shape from its first pixel `(row, column)` down and to the right, else 0; differentiably.

    Raises:
        ValueError: for a shape that leaves the image.
    """
    size = shapes.shape[-1]
    found = []
    for shape, (row, column) in zip(shapes, places, strict=True):
        below, right = image[0] - size - row, image[1] - size - column
        if min(row, column, below, right) < 0:
            raise ValueError(
                f"placed: expected {size}×{size} pixels from ({row}, {column}) inside of "
                f"{image[0]}×{image[1]}; move the feature, or make it smaller"
            )
        found.append(pad(shape, (column, right, row, below)))
    return torch.stack(found)


def survival(
    change: Float[Tensor, "features y x"], truth: Truth, features: Float[Tensor, "features y x"], coils: Coils
) -> Float[Tensor, "features"]:
    """`⟨m_f − m, d⟩/‖d‖²`: the share of a feature that an image shows; 1 if it shows all of it.

    `d = x_f − x` is what there is to be seen of the feature `f` (`Truth.with_feature`): `f` itself where coil
    maps are normalised and, of dark ones, where the object has as much to take away. NaN where no coil sees
    the feature.

    Args:
        change: `m_f − m`, of the moduli that a method returns with the feature and without.
        truth: of the object.
        features: `f`.
        coils: how coils see them.
    """
    wanted = (truth.with_feature(features, coils) - truth.reference).double()
    size = wanted.square().sum(dim=(-2, -1))
    seen = size > UNSEEN * features.detach().double().square().sum(dim=(-2, -1))
    shown = (change.double() * wanted).sum(dim=(-2, -1))
    return torch.where(seen, shown / torch.where(seen, size, 1.0), torch.nan)

"""Where an attack looks: windows on the artifact.

Every objective of this package is `‖φ ⊙ ρ‖₂` for a window `φ`: the indicator of a disk (eq. (6) of
[alaifari2023]), of one pixel (its limit), or of the whole image (eq. (4)).
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor


def grid_locations(height: int, width: int, grid: int) -> Int[Tensor, "places 2"]:
    """Centres `((i + ½)·height/grid, (j + ½)·width/grid)`, rounded down, in reading order."""
    rows = [int((index + 0.5) * height / grid) for index in range(grid)]
    columns = [int((index + 0.5) * width / grid) for index in range(grid)]
    return torch.tensor([(row, column) for row in rows for column in columns])


def disk_windows(
    locations: Int[Tensor, "places 2"], height: int, width: int, radius: float
) -> Float[Tensor, "places y x"]:
    """Indicators of the pixels within `radius` of each location (81 pixels for radius 5; one for 0)."""
    rows = torch.arange(height)[None, :, None] - locations[:, 0, None, None]
    columns = torch.arange(width)[None, None, :] - locations[:, 1, None, None]
    return (rows.square() + columns.square() <= radius**2).float()


def localized_windows(
    locations: Int[Tensor, "places 2"],
    height: int,
    width: int,
    *,
    objective: Literal["peak", "disk"],
    disk_radius: float,
) -> Float[Tensor, "places y x"]:
    """Windows of the localized attack: one pixel (`peak`) or a disk (`disk`) at every location."""
    return disk_windows(locations, height, width, 0.0 if objective == "peak" else disk_radius)

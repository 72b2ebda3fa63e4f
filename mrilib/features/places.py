"""Places on an object, ordered by how much of a small feature a method loses there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mrilib.data.features import Coils
from mrilib.features.kinds.base import Scene
from mrilib.features.windows import Windows


@dataclass(frozen=True, eq=False)
class Places:
    """Windows on an object in falling order of what is lost there: the first is the worst."""

    rows: Int[Tensor, "places"]
    columns: Int[Tensor, "places"]
    loss: Float[Tensor, "places"]

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, index: int) -> tuple[int, int]:
        """Row and column of the window's first pixel."""
        return int(self.rows[index]), int(self.columns[index])


def places_by_loss(
    scene: Scene, lattices: list[Windows], amplitude: float, coils: Coils, *, name: str
) -> Places:
    """Windows of lattices that lie on the object, by their loss (`WindowErrors`).

    Windows of a lattice share a reconstruction. Of linear methods the losses are those of every window alone.

    Args:
        scene: the image and the method.
        lattices: windows of one size, those of each to stand in one image.
        amplitude: of the feature, in the units of the image.
        coils: how coils see it.
        name: begins the names of reconstructions.
    """
    size = int(lattices[0].sizes[0])
    rows, columns = (torch.cat([getattr(each, name) for each in lattices]) for name in ("rows", "columns"))
    every = scene.exact_errors(size, amplitude, coils)
    if every is not None:
        index = rows * (scene.truth.shape[1] - size + 1) + columns
        loss, inside = every.loss[index], every.on_object[index]
    else:
        found = [
            scene.window_errors(windows, amplitude, coils, f"{name}-{number}")
            for number, windows in enumerate(lattices)
        ]
        loss = torch.cat([each.loss for each in found])
        inside = torch.cat([each.on_object for each in found])
    kept = torch.nonzero(inside & loss.isfinite()).flatten()
    order = kept[loss[kept].argsort(descending=True, stable=True)]
    return Places(rows[order], columns[order], loss[order])

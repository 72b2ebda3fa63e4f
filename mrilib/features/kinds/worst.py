"""The feature of one sign inside a few pixels that a method loses most, and the contrast it survives at."""

from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from mrilib.data.features import Coils
from mrilib.features.crossings import smallest_holding
from mrilib.features.kinds.base import GRADIENT, FeatureKind, Findings, Scene
from mrilib.features.maps import with_features
from mrilib.features.places import Places, places_by_loss
from mrilib.features.shape_search import shapes_shown_least
from mrilib.features.shapes import first_shapes, placed, survival
from mrilib.features.windows import lattice
from mrilib.store.units import derived_seed

# What the numbers in `place` and `shape` of its findings stand for.
PLACES = ("worst", "median", "best")
SHAPES = ("window", "worst shape")
# A feature survives if its image shows at least so much of it.
SURVIVES = 0.5


class WorstFeature(FeatureKind):
    """The smallest contrast at which a feature survives, at the worst, the median and the best place.

    A feature `f = c·u` of the contrast `c` and a shape `u ∈ [0, 1]^(k×k)` with the maximum 1 survives if the
    method shows half of it, `s ≥ ½`, with

        `s = ⟨m_f − m, d⟩/‖d‖²`,   `d = x_f − x`,

    `m` and `m_f` the moduli that the method returns without it and with it, and `d` what there is to be seen
    (`mrilib.features.shapes.survival`). A method whose features grow with `c`, such as a linear one on an
    object without phase, has one `s` at all contrasts: its smallest is below the least one, or above the
    largest.

    1. Places: full windows on lattices, at the middle contrast, the same for every method; of those on the
       object the worst, the median and the best by the loss of the location map. Windows of a lattice share a
       reconstruction; of linear methods every window's own loss is known.
    2. Shape, at the worst place and the middle contrast: `s` is descended through the method, at the data
       with the feature, from a full window, a pixel, a row, a column and a checkerboard
       (`mrilib.features.shape_search`). Every start and the best shape found from each are then
       reconstructed as any data are, and that with the least `s` is the worst shape. Methods without
       derivative have the starts alone (`searched` is 0): theirs is a weaker search.
    3. Contrast: survival is tested at `rungs` contrasts from `least` to `most`, in equal factors, then the
       interval below the lowest from which on the feature survives at all rungs is halved. Survival need not
       grow with the contrast, so that other crossings between two rungs may be missed.

    Findings are a row a place and shape: `place` and `shape` (numbers of `PLACES` and `SHAPES`), `row` and
    `column` of the first pixel, `loss` (of the map, of a full window there), `survival` at the middle
    contrast, `contrast` (the smallest tested from which on it survives at all that were tested), `tried` (the
    largest below at which it does not), both NaN where `censored` is −1 (it survives at the least already) or
    1 (not at the most), `least`, `most` and `searched`. Contrasts are positive, for dark features too. An
    image without a window on its object has no rows. What two fits of a network differ by counts as shown, or
    as lost: of small contrasts it may be most of it.

    Args:
        size: `k`, pixels along each side.
        least, most: contrasts, in units of the reference's maximum.
        dark: whether features are dark: then places are those whose object has as much to take away as the
            middle contrast.
        coils: `maps`: by the coil maps, in phase with the object, or `constant`: a real constant in every
            coil's image.
        spacing: between windows of a lattice, in pixels; more than `size`.
        lattices: how many, each shifted at random: so many more places are looked at.
        steps: of the search for the shape.
        rungs: contrasts that are tested first.
        halvings: of the interval between two rungs.

    Raises:
        ValueError: for arguments that do not fit.

    Source: our choice; the windows are those of [darestani2021], section 5.3.
    """

    word: ClassVar[str] = "worst-feature"
    KEYS: ClassVar[tuple[str, ...]] = ("place", "shape")
    # Of the usual arguments: lattices, rungs and halvings of four features, starts twice, and the search's
    # gradients, each worth two and a half.
    solves: ClassVar[float] = 200.0

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=1)] = 3,
        least: Annotated[float, Field(gt=0, le=2)] = 0.02,
        most: Annotated[float, Field(gt=0, le=2)] = 1.0,
        dark: bool = False,
        coils: Coils = "maps",
        spacing: Annotated[int, Field(ge=2)] = 16,
        lattices: Annotated[int, Field(ge=1)] = 2,
        steps: Annotated[int, Field(ge=0)] = 12,
        rungs: Annotated[int, Field(ge=2)] = 5,
        halvings: Annotated[int, Field(ge=0)] = 4,
    ) -> None:
        if not least < most:
            raise ValueError(f"WorstFeature: expected least below most, got {least} and {most}")
        if spacing <= size:
            raise ValueError(f"WorstFeature: expected spacing above the size {size}, got {spacing}")
        self.size, self.dark, self.coils = size, dark, coils
        self.ladder = np.geomspace(least, most, rungs)
        self.spacing, self.lattices, self.steps, self.halvings = spacing, lattices, steps, halvings

    def count(self, *, searched: bool, exact: bool) -> float:
        starts, features = len(first_shapes(self.size)), 4
        found = self.lattices + starts + features * (len(self.ladder) + self.halvings)
        return found + starts * (1 + GRADIENT * (self.steps + 1)) * searched

    @property
    def middle(self) -> float:
        """The contrast of places and shape: the middle rung, the upper of two."""
        return float(self.ladder[len(self.ladder) // 2])

    def findings(self, scene: Scene) -> Findings:
        """See the class."""
        generator = np.random.default_rng(derived_seed(*scene.seed, self.word))
        lattices = [
            lattice(scene.truth.shape, [self.size], self.spacing, generator) for _ in range(self.lattices)
        ]
        places = places_by_loss(
            scene, lattices, self._amplitude(scene, self.middle), self.coils, name="lattice"
        )
        about = {"windows": len(places), "size": self.size, "middle": self.middle, "dark": self.dark}
        if not len(places):
            return Findings(self._columns(places, np.zeros((0, 3), dtype=int)), about)
        worst, taken = self._worst_shape(scene, places.at(0))
        full = torch.ones_like(worst)
        # Place in `PLACES`, shape in `SHAPES`, place in order of loss.
        rows = np.array([(0, 1, 0), (0, 0, 0), (1, 0, len(places) // 2), (2, 0, len(places) - 1)])
        shapes = torch.stack([worst if shape else full for _, shape, _ in rows])
        at = [places.at(int(index)) for *_, index in rows]
        table = np.full((len(self.ladder), len(rows)), np.nan, dtype=np.float32)
        called = 0

        def holds(contrasts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            nonlocal called
            amplitudes = torch.from_numpy(self._amplitude(scene, contrasts))
            found = self._survivals(
                scene, shapes[chosen], [at[each] for each in chosen], amplitudes, f"contrast-{called}"
            )
            if called < len(self.ladder):
                table[called] = found
            called += 1
            return np.asarray(found >= SURVIVES)

        crossings = smallest_holding(holds, self.ladder, len(rows), self.halvings)
        columns = self._columns(places, rows) | {
            "survival": table[len(self.ladder) // 2],
            "contrast": crossings.contrast,
            "tried": crossings.tried,
            "censored": crossings.censored,
            "searched": np.full(len(rows), taken is not None, dtype=int),
        }
        about |= {"searched": taken is not None, "steps": taken or 0}
        images = {"shape": worst.cpu().numpy(), "survivals": table, "ladder": self.ladder}
        return Findings(columns, about, images)

    def table(self, findings: pd.DataFrame) -> pd.DataFrame:
        """All rows, `place` and `shape` in words."""
        return findings.assign(
            place=[PLACES[int(each)] for each in findings["place"]],
            shape=[SHAPES[int(each)] for each in findings["shape"]],
        )

    def _amplitude(self, scene: Scene, contrast: Any) -> Any:
        return (-contrast if self.dark else contrast) * scene.peak

    def _worst_shape(
        self, scene: Scene, place: tuple[int, int]
    ) -> tuple[Float[Tensor, "size size"], int | None]:
        """The shape, and how many steps were searched; `None` for methods without derivative."""
        starts, taken = first_shapes(self.size).to(scene.truth.reference), None
        amplitude, shapes = self._amplitude(scene, self.middle), starts
        if scene.method.search is not None:
            found = shapes_shown_least(scene, place, amplitude, starts, coils=self.coils, steps=self.steps)
            shapes, taken = torch.cat([starts, found.shapes]), found.steps
        amplitudes = torch.full((len(shapes),), amplitude, dtype=torch.float64)
        shown = self._survivals(scene, shapes, [place] * len(shapes), amplitudes, "shapes")
        return shapes[int(np.nanargmin(shown))], taken

    def _survivals(
        self,
        scene: Scene,
        shapes: Float[Tensor, "features size size"],
        places: list[tuple[int, int]],
        amplitudes: Float[Tensor, "features"],
        name: str,
    ) -> Float[np.ndarray, "features"]:
        features = amplitudes.to(shapes)[:, None, None] * placed(shapes, places, scene.truth.shape)
        data = with_features(scene.kspace, scene.operator, scene.truth, features, self.coils)
        change = scene.reconstructed(data, name) - scene.without
        return np.asarray(survival(change, scene.truth, features, self.coils).cpu())

    def _columns(self, places: Places, rows: np.ndarray) -> dict[str, np.ndarray]:
        order = rows[:, 2]
        return {
            "place": rows[:, 0],
            "shape": rows[:, 1],
            "row": places.rows.numpy()[order],
            "column": places.columns.numpy()[order],
            "loss": places.loss.numpy()[order].astype(np.float32),
            "least": np.full(len(rows), self.ladder[0]),
            "most": np.full(len(rows), self.ladder[-1]),
        }

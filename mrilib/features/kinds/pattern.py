"""The smallest perturbation of k-space that makes a feature appear, and that hides an annotated one."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from mrilib.features.kinds.base import FeatureKind, Findings, Scene
from mrilib.features.patterns import Pattern, Reached, SmallestSearch
from mrilib.features.windows import everywhere
from mrilib.store.units import derived_seed

# Share of a pattern that has to appear, or of its presence that may be left.
HALF = 0.5
# Of the image: larger boxes are no small features.
LARGEST = 0.25


class SmallestPerturbation(FeatureKind):
    """What the two kinds share: the search, and how its findings are told.

    The norm is `‖z‖₂` over all coils and sampled entries, relative to `‖y‖₂` of the same; `z` lies on the
    mask. See `mrilib.features.patterns.SmallestSearch` for the search. What is found is an upper bound of the
    smallest: that there is none below would need a proof.

    Findings are a row a pattern: `row`, `column` of its first pixel, `level` (the smallest `‖z‖₂/‖y‖₂` at
    which it was found), `tried` (the largest level below at which it was not), `censored` (−1: found at the
    least level already, 1: not at the largest; `level` is then NaN), `response` (of what is wanted, 1 or
    more where found), `least`, `most`, `searched` (0: methods without derivative, which have the matched
    direction of the zero-filled image alone: that is no strong attack) and `lapsed` (searches that a solver
    ended). Images, of the pattern with the smallest level: `perturbed` (moduli), `picture` (`|Aᴴz|`) and
    `pattern`.

    Args:
        least, most: levels, relative to `‖y‖₂`.
        rungs: levels at which the matched direction is tested, in equal factors from `least` to `most`.
        steps: of gradient ascent, in every search.
        halvings: searches, each at the middle of the interval of levels that is left.

    Raises:
        ValueError: for arguments that do not fit.
    """

    # Of an image, about.
    patterns: int = 2

    def __init__(self, *, least: float, most: float, rungs: int, steps: int, halvings: int) -> None:
        if not least < most:
            raise ValueError(f"{type(self).__name__}: expected least below most, got {least} and {most}")
        self.search = SmallestSearch(np.geomspace(least, most, rungs), steps, halvings)

    def count(self, *, searched: bool, exact: bool) -> float:
        found = self.search.count(searched)
        return self.patterns * found + 1.0

    def _found(
        self,
        scene: Scene,
        patterns: Sequence[Pattern],
        shown: Sequence[Tensor],
        columns: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> Findings:
        """Findings of patterns, with the columns that say where they are; `shown` are their pictures."""
        ladder, count = self.search.ladder, len(patterns)
        found = [
            self.search.found(scene, pattern, [*scene.seed, self.word, number], f"{self.word}-{number}")
            for number, pattern in enumerate(patterns)
        ]
        numbers = {
            name: np.array([getattr(each, name) for each in found], dtype=kind)
            for name, kind in (
                ("level", float),
                ("tried", float),
                ("censored", int),
                ("response", float),
                ("lapsed", int),
            )
        }
        searched = scene.method.search is not None
        numbers |= {"least": np.full(count, ladder[0]), "most": np.full(count, ladder[-1])}
        numbers["searched"] = np.full(count, searched, dtype=int)
        images = {}
        if found:
            first = min(range(count), key=lambda number: _order(found[number]))
            images = _images(scene, found[first], shown[first], f"{self.word}-shown")
            about = {**about, "shown": first}
        return Findings({**columns, **numbers}, {**about, "searched": searched}, images)


class Appear(SmallestPerturbation):
    """The smallest perturbation that makes a feature appear: `⟨|rec(y + z)| − |rec(y)|, p⟩ ≥ ½‖p‖²`.

    `p` is a window of `k × k` pixels of a contrast. The places are drawn at random among all windows on the
    object, and are the same for every method: our choice, as the worst place of each would compare different
    anatomy.

    Findings: see `SmallestPerturbation`; `place` counts the places.

    Args:
        size: `k`, pixels along each side.
        contrast: of the feature, in units of the reference's maximum; negative for dark ones.
        places: how many.
        least, most: levels, relative to `‖y‖₂`.
        rungs, steps, halvings: see `SmallestPerturbation`.

    Raises:
        ValueError: for arguments that do not fit.

    Source: our choice.
    """

    word: ClassVar[str] = "appear"
    KEYS: ClassVar[tuple[str, ...]] = ("place",)
    # Of the usual arguments, a gradient being worth two and a half.
    solves: ClassVar[float] = 480.0

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=1)] = 3,
        contrast: Annotated[float, Field(ge=-2, le=2)] = 0.25,
        places: Annotated[int, Field(ge=1)] = 2,
        least: Annotated[float, Field(gt=0, le=1)] = 1e-3,
        most: Annotated[float, Field(gt=0, le=1)] = 0.3,
        rungs: Annotated[int, Field(ge=2)] = 5,
        steps: Annotated[int, Field(ge=1)] = 10,
        halvings: Annotated[int, Field(ge=0)] = 4,
    ) -> None:
        super().__init__(least=least, most=most, rungs=rungs, steps=steps, halvings=halvings)
        if contrast == 0:
            raise ValueError("Appear: expected a contrast above or below 0, got 0")
        self.size, self.contrast, self.patterns = size, float(contrast), places

    def findings(self, scene: Scene) -> Findings:
        """See the class; an image without a window on its object has no rows."""
        reference, amplitude = scene.measurement.reference, self.contrast * scene.peak
        windows = everywhere(scene.truth.shape, self.size)
        inside = torch.nonzero(windows.on_object(reference, amplitude).cpu()).flatten().numpy()
        generator = np.random.default_rng(derived_seed(*scene.seed, self.word, "places"))
        chosen = windows[torch.from_numpy(generator.permutation(inside)[: self.patterns])]
        shown = [
            chosen[number : number + 1].image(scene.truth.shape, amplitude).to(reference)
            for number in range(len(chosen))
        ]
        patterns = [Pattern(image, HALF * float(image.double().square().sum())) for image in shown]
        columns = {"place": np.arange(len(chosen)), "row": chosen.rows.numpy()}
        columns |= {"column": chosen.columns.numpy()}
        return self._found(scene, patterns, shown, columns, {"size": self.size, "contrast": self.contrast})


class Hide(SmallestPerturbation):
    """The smallest perturbation that hides an annotated feature: its presence falls to half or less.

    The feature of a box `B` is what the reference has there beyond its surroundings, `p = x − median of the
    ring` inside `B`, the ring being the pixels within `margin` of `B`. Its presence in an image `m` is
    linear,

        `h(m) = ⟨m − mean of m over the ring, p⟩_B/‖p‖²_B`,

    and it is hidden when `h(|rec(y + z)|) ≤ ½h(|rec(y)|)`. Boxes that hold more than a quarter of the image,
    that have no ring or nothing in them, and those whose feature the method does not show, `h(|rec(y)|) ≤ 0`,
    are left out and counted (`left_out`): there is nothing to hide.

    Findings: see `SmallestPerturbation`; `box` counts the image's boxes, `height` and `width` are theirs, and
    `presence` is `h(|rec(y)|)`.

    Args:
        margin: width of the ring, in pixels.
        least, most: levels, relative to `‖y‖₂`.
        rungs, steps, halvings: see `SmallestPerturbation`.

    Raises:
        ValueError: for arguments that do not fit.

    Source: our choice.
    """

    word: ClassVar[str] = "hide"
    needs_boxes: ClassVar[bool] = True
    KEYS: ClassVar[tuple[str, ...]] = ("box",)
    # Of the usual arguments and two boxes, a gradient being worth two and a half.
    solves: ClassVar[float] = 480.0

    def __init__(
        self,
        *,
        margin: Annotated[int, Field(ge=1)] = 4,
        least: Annotated[float, Field(gt=0, le=1)] = 1e-3,
        most: Annotated[float, Field(gt=0, le=1)] = 0.3,
        rungs: Annotated[int, Field(ge=2)] = 5,
        steps: Annotated[int, Field(ge=1)] = 10,
        halvings: Annotated[int, Field(ge=0)] = 4,
    ) -> None:
        super().__init__(least=least, most=most, rungs=rungs, steps=steps, halvings=halvings)
        self.margin = margin

    def findings(self, scene: Scene) -> Findings:
        """See the class."""
        told: dict[str, list[Any]] = {
            name: [] for name in ("box", "row", "column", "height", "width", "presence")
        }
        patterns, shown = [], []
        for number, box in enumerate(scene.boxes):
            feature = annotated_feature(scene.measurement.reference, box, self.margin)
            if feature is None:
                continue
            picture, weights = feature
            presence = float((scene.without.double() * weights).sum())
            if not presence > 0:
                continue
            patterns.append(Pattern(-weights, HALF * presence))
            shown.append(picture)
            values = {"box": number, "presence": presence}
            values |= {name: int(box[name]) for name in ("row", "column", "height", "width")}
            for name, value in values.items():
                told[name].append(value)
        columns = {
            name: np.array(values, dtype=float if name == "presence" else int)
            for name, values in told.items()
        }
        left_out = len(scene.boxes) - len(patterns)
        return self._found(scene, patterns, shown, columns, {"boxes": len(scene.boxes), "left_out": left_out})


def annotated_feature(
    reference: Float[Tensor, "y x"], box: Mapping[str, Any], margin: int
) -> tuple[Float[Tensor, "y x"], Float[Tensor, "y x"]] | None:
    """The feature `p` of a box, and the weights of its presence `h`: see `Hide`.

    `None` if the box holds more than a quarter of the image, if nothing is around it, or nothing in it.

    Args:
        reference: the image.
        box: `row`, `column`, `height`, `width`, in its pixels.
        margin: width of the ring.

    Raises:
        ValueError: for a box that is not inside the image.
    """
    row, column, height, width = (int(box[name]) for name in ("row", "column", "height", "width"))
    rows, columns = reference.shape
    if min(row, column) < 0 or min(height, width) < 1 or row + height > rows or column + width > columns:
        raise ValueError(
            f"annotated_feature: expected a box inside of {rows}×{columns} pixels, got {height}×{width} from "
            f"({row}, {column}); place the annotations on this image again"
        )
    inside: Bool[Tensor, "y x"] = torch.zeros_like(reference, dtype=torch.bool)
    around = inside.clone()
    inside[row : row + height, column : column + width] = True
    around[
        max(row - margin, 0) : row + height + margin, max(column - margin, 0) : column + width + margin
    ] = True
    ring = around & ~inside
    if height * width > LARGEST * reference.numel() or not bool(ring.any()):
        return None
    feature = torch.where(inside, reference.double() - reference.double()[ring].median(), 0.0)
    size = float(feature.square().sum())
    if size == 0:
        return None
    weights = (feature - ring * (feature.sum() / ring.sum())) / size
    return feature.to(reference), weights


def _order(found: Reached) -> tuple[int, float]:
    """What was found at smaller levels comes first."""
    return found.censored, found.level if math.isfinite(found.level) else 0.0


def _images(scene: Scene, found: Reached, pattern: Tensor, name: str) -> dict[str, np.ndarray]:
    perturbed = scene.reconstructed(scene.kspace + found.perturbation, name)
    picture = scene.measurement.compared(scene.operator.to_image(found.perturbation).abs())
    shown = {"perturbed": perturbed, "picture": picture, "pattern": pattern}
    return {key: image.float().cpu().numpy() for key, image in shown.items()}

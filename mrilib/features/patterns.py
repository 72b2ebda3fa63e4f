"""Patterns that a perturbation is to put into an image, or to take from it, and the least that does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import softplus

from mrilib.attacks.searches.base import by_item, gaussian_starts
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import Observed, Task
from mrilib.features.crossings import ABOVE, BELOW, BETWEEN
from mrilib.features.derivatives import for_search
from mrilib.features.kinds.base import GRADIENT, Scene
from mrilib.features.maps import embedded
from mrilib.operators.coil_images import center_crop
from mrilib.solvers.solution import NotConvergedError
from mrilib.store.units import derived_seed

# How sharply the search's objective bends where the response is 0: see `PatternTask.artifacts`.
BEND = 10.0
# Levels at which a direction is tested between two, and above a guess of its smallest.
BETWEEN_LEVELS, GUESSED = 3, 1.005


@dataclass(frozen=True, eq=False)
class Pattern:
    """What is wanted of a perturbation `z`: the response `⟨|rec(y + z)| − |rec(y)|, w⟩/t ≥ 1`.

    Args:
        weights: `w`, in the reference.
        wanted: `t > 0`.
    """

    weights: Float[Tensor, "y x"]
    wanted: float

    def response(self, change: Float[Tensor, "*batch y x"]) -> Float[Tensor, "*batch"]:
        """Of the change of the moduli, in double precision."""
        return (change.double() * self.weights.double()).sum(dim=(-2, -1)) / self.wanted


@dataclass(frozen=True, kw_only=True)
class PatternTask(Task):
    """The task of `GradientAscent` whose artifact is one number, made of a pattern's response.

    Its windows are those of one pixel: `ones(candidates, 1, 1)`.
    """

    pattern: Pattern

    def artifacts(self, images: Tensor) -> Float[Tensor, "*batch 1 1"]:
        """`log(1 + exp(BEND·R))/BEND` of the response `R`.

        Positive, for the search climbs a norm; it rises with the response, and is the response itself where
        that is near what is wanted.
        """
        shape = (self.pattern.weights.shape[-2], self.pattern.weights.shape[-1])
        change = center_crop(images.abs(), shape) - center_crop(self.clean.value.abs(), shape)
        risen = softplus(BEND * self.pattern.response(change)) / BEND
        return risen[..., None, None].to(images.real.dtype)


@dataclass(frozen=True, eq=False)
class Reached:
    """The smallest perturbation that was found for a pattern.

    Args:
        level: its `‖z‖₂/‖y‖₂`, the smallest that was tested with success, so an upper bound of the smallest
            there is; NaN if there is none.
        tried: the largest level below at which none was found; NaN if there is none.
        censored: `BETWEEN`, `BELOW` (found at the least level already) or `ABOVE` (none at the largest).
        response: of the pattern, at `level`, or the largest at the largest level.
        perturbation: `z` of that response.
        lapsed: searches that ended without a result, for a solver did not reach its accuracy.
    """

    level: float
    tried: float
    censored: int
    response: float
    perturbation: Complex[Tensor, "*coil ky kx"]
    lapsed: int


def matched(scene: Scene, weights: Float[Tensor, "y x"]) -> Complex[Tensor, "*coil ky kx"]:
    """`A(w s u)`, scaled to norm 1: the best direction of `⟨|seen(Aᴴy)|, w⟩`, that of the zero-filled image.

    `u` is the phase of the clean reconstruction, or that of `Aᴴy` for methods that return moduli, and `s` the
    root sum of squares of the coil maps. 0 if the mask sees nothing of it.
    """
    operator = scene.operator
    image = scene.clean if scene.method.output == "complex" else operator.adjoint(scene.kspace)
    phase = torch.sgn(image)
    phase = torch.where(phase == 0, torch.ones_like(phase), phase).to(scene.kspace.dtype)
    full = (operator.mask.shape[-2], operator.mask.shape[-1])
    found = operator.forward(operator.seen(embedded(weights.to(phase), full) * phase))
    norm = operator.kspace_norm(found)
    return found / norm if float(norm) > 0 else found


@dataclass(frozen=True, eq=False)
class SmallestSearch:
    """The smallest perturbation for a pattern, by bisection of its level.

    1. The matched direction is tested at all levels of `ladder`; the lowest at which it succeeds is an upper
       bound. If there is none, gradient ascent looks for a perturbation at the largest level.
    2. `halvings` times gradient ascent looks for one at the geometric mean of the bound and of the largest
       level at which none was found (at first the least): from the best direction so far and from noise
       (`GradientAscent`, steps relative to the budget). What it finds, and what it began with, are
       reconstructed as any data are, and the largest response counts.
    3. After each of these the best direction is tested between the two levels as well, at equal factors and
       where it would succeed if its response grew with the level: of linear methods, where it does.

    A level at which the search fails has no proof that there is none. Methods without derivative have the
    matched direction alone, at the levels of 1. and 2.

    Args:
        ladder: levels, relative to `‖y‖₂`, positive and rising.
        steps: of a search.
        halvings: searches.
    """

    ladder: Float[np.ndarray, "rungs"]
    steps: int
    halvings: int

    def count(self, searched: bool) -> float:
        """How many reconstructions a pattern takes, about; see `FeatureKind.count`."""
        if not searched:
            return len(self.ladder) + self.halvings
        climbed, judged = 2 * GRADIENT * (self.steps + 1), 3 + BETWEEN_LEVELS + 1
        return len(self.ladder) + self.halvings * (climbed + judged)

    def found(self, scene: Scene, pattern: Pattern, seed: Sequence[int | str], name: str) -> Reached:
        """Search one pattern; `name` begins the names of reconstructions."""
        return _Course(self, scene, pattern, seed, name).run()


@dataclass(frozen=True, eq=False)
class _Success:
    """A perturbation that does what is wanted, at a level, with its response."""

    level: float
    response: float
    perturbation: Tensor


class _Course:
    """One pattern's search under way."""

    def __init__(
        self, plan: SmallestSearch, scene: Scene, pattern: Pattern, seed: Sequence[int | str], name: str
    ) -> None:
        self._plan, self._scene, self._pattern, self._name = plan, scene, pattern, name
        self._seed, self._norm = list(seed), float(scene.operator.kspace_norm(scene.kspace))
        self._direction, self._follows = matched(scene, pattern.weights), scene.method.search is not None
        self._lapsed = self._judged = 0

    def run(self) -> Reached:
        ladder = self._plan.ladder
        least, most, tried = float(ladder[0]), float(ladder[-1]), math.nan
        found = self._smallest(ladder)
        if found is None:
            found = _Success(most, *self._attempt(most))
            if not found.response >= 1.0:
                return Reached(math.nan, most, ABOVE, found.response, found.perturbation, self._lapsed)
        if found.level == least:
            return Reached(math.nan, math.nan, BELOW, found.response, found.perturbation, self._lapsed)
        low = least
        found = self._between(low, found, found.level / found.response)
        for _ in range(self._plan.halvings):
            level = math.sqrt(low * found.level)
            response, perturbation = self._attempt(level)
            if response >= 1.0:
                found = _Success(level, response, perturbation)
            else:
                low = tried = level
            found = self._between(low, found, level / response if response > 0 else math.nan)
        return Reached(found.level, tried, BETWEEN, found.response, found.perturbation, self._lapsed)

    def _between(self, low: float, found: "_Success", guess: float) -> "_Success":
        """The best direction at levels between `low` and that of `found`, and at a guess of its smallest.

        Methods without derivative have one direction, which is halved anyway, and cost a fit each time.
        """
        if not self._follows:
            return found
        inside = np.geomspace(low, found.level, BETWEEN_LEVELS + 2)[1:-1]
        guessed = [GUESSED * guess] if low < GUESSED * guess < found.level else []
        return self._smallest(np.sort([*inside, *guessed])) or found

    def _smallest(self, levels: np.ndarray) -> "_Success | None":
        """The lowest of rising levels at which the best direction succeeds."""
        scales = torch.from_numpy(levels * self._norm).to(self._direction.real)
        moved = by_item(scales, self._direction[None]) * self._direction
        responses = self._responses(moved)
        held = np.flatnonzero(responses >= 1.0)
        if not len(held):
            return None
        first = int(held[0])
        return _Success(float(levels[first]), float(responses[first]), moved[first])

    def _attempt(self, level: float) -> tuple[float, Tensor]:
        """The largest response that is found at a level, and its perturbation, by which the next begins."""
        radius, operator = level * self._norm, self._scene.operator
        candidates = radius * self._direction[None]
        if self._follows:
            seed = derived_seed(*self._seed, self._judged)
            noise = gaussian_starts(operator, 1, radius, [seed]).to(candidates)
            starts = torch.cat([candidates, noise])
            candidates = torch.cat([candidates, self._climbed(starts, radius)])
        responses = self._responses(candidates)
        chosen = int(np.nanargmax(responses))
        norm = operator.kspace_norm(candidates[chosen])
        if float(norm) > 0:
            self._direction = candidates[chosen] / norm
        return float(responses[chosen]), candidates[chosen]

    def _climbed(self, starts: Tensor, radius: float) -> Tensor:
        scene = self._scene
        task = PatternTask(
            reconstructor=for_search(scene.method),
            operator=scene.operator,
            kspace=scene.kspace,
            radius=radius,
            clean=Observed(scene.clean),
            artifact="magnitude",
            windows=torch.ones(len(starts), 1, 1).to(starts.real),
            starts=starts,
            pattern=self._pattern,
        )
        search = GradientAscent(rounds=[[self._plan.steps, None]])
        try:
            search.begin(task)
            search.run(self._plan.steps)
        except NotConvergedError as error:
            self._lapsed += 1
            print(f"search for a pattern: no result: {error}", flush=True)
            return starts[:0]
        return search.found()

    def _responses(self, perturbations: Tensor) -> np.ndarray:
        """Of every perturbation, as its data are reconstructed."""
        scene, name = self._scene, f"{self._name}-{self._judged}"
        self._judged += 1
        change = scene.reconstructed(scene.kspace + perturbations, name) - scene.without
        return np.asarray(self._pattern.response(change).cpu())

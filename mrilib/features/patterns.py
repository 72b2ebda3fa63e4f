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
from mrilib.features.kinds.base import Scene
from mrilib.features.maps import embedded
from mrilib.operators.coil_images import center_crop
from mrilib.solvers.solution import NotConvergedError
from mrilib.store.units import derived_seed

# How sharply the search's objective bends where the response is 0: see `PatternTask.artifacts`.
BEND = 10.0


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

    The matched direction is tested at all levels of `ladder`, from which an upper bound follows. Then the
    interval of the logarithm of the level between the least one and the bound is halved `halvings` times: at
    each level gradient ascent looks for a perturbation, from the best direction so far and from noise
    (`GradientAscent`, steps relative to the budget); what it finds and what it began with are reconstructed
    as any data are, and the largest response counts. A level at which it fails has no proof that there is
    none. If the matched direction fails at all levels, the search begins at the largest. Methods without
    derivative have the matched direction alone.

    Args:
        ladder: levels, relative to `‖y‖₂`, positive and rising.
        steps: of a search.
        halvings: of the interval.
    """

    ladder: Float[np.ndarray, "rungs"]
    steps: int
    halvings: int

    def found(self, scene: Scene, pattern: Pattern, seed: Sequence[int | str], name: str) -> Reached:
        """Search one pattern; `name` begins the names of reconstructions."""
        return _Course(self, scene, pattern, seed, name).run()


class _Course:
    """One pattern's search under way."""

    def __init__(
        self, plan: SmallestSearch, scene: Scene, pattern: Pattern, seed: Sequence[int | str], name: str
    ) -> None:
        self._plan, self._scene, self._pattern, self._name = plan, scene, pattern, name
        self._seed, self._norm = list(seed), float(scene.operator.kspace_norm(scene.kspace))
        self._direction = matched(scene, pattern.weights)
        self._lapsed = self._judged = 0

    def run(self) -> Reached:
        plan = self._plan
        levels = torch.from_numpy(plan.ladder).to(self._direction.real)
        moved = by_item(levels * self._norm, self._direction[None]) * self._direction
        responses = self._responses(moved)
        held = np.flatnonzero(responses >= 1.0)
        if len(held):
            high, index = float(plan.ladder[held[0]]), int(held[0])
            best, response = moved[index], float(responses[index])
        else:
            high = float(plan.ladder[-1])
            response, best = self._attempt(high)
            if not response >= 1.0:
                return Reached(math.nan, high, ABOVE, response, best, self._lapsed)
        least, tried = float(plan.ladder[0]), math.nan
        if high == least:
            return Reached(math.nan, math.nan, BELOW, response, best, self._lapsed)
        low = least
        for _ in range(plan.halvings):
            level = math.sqrt(low * high)
            reached, perturbation = self._attempt(level)
            if reached >= 1.0:
                high, response, best = level, reached, perturbation
            else:
                low = tried = level
        return Reached(high, tried, BETWEEN, response, best, self._lapsed)

    def _attempt(self, level: float) -> tuple[float, Tensor]:
        """The largest response that is found at a level, and its perturbation, by which the next begins."""
        radius, operator = level * self._norm, self._scene.operator
        candidates = radius * self._direction[None]
        if self._scene.method.search is not None:
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
            reconstructor=scene.method,
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

"""The global attack, eq. (4): the worst artifact over the whole image."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor

from mrilib.attacks.judge import AttackResult
from mrilib.attacks.kinds.base import AttackKind, Conditions
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.places import nearest_place
from mrilib.attacks.rivals import Rival, baselines
from mrilib.attacks.rounds import GIVEN, Found, Plan, attacked
from mrilib.attacks.searches.base import Round, Search, chosen_search, gaussian_starts
from mrilib.attacks.target import (
    Artifact,
    NoPlaceError,
    Observed,
    Start,
    Target,
    check_attack,
    visible_pixels,
)
from mrilib.operators.base import MeasurementOperator, norm2
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import Solution
from mrilib.store.units import derived_seed


class Global(AttackKind):
    """The whole image: see `global_attack`.

    Args:
        steps, restarts, artifact: as there.
    """

    word: ClassVar[str] = "global"
    maximised: ClassVar[Literal["severity", "artifact_norm"]] = "artifact_norm"

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(ge=1)] = 100,
        restarts: Annotated[int, Field(ge=1)] = 2,
        artifact: Artifact = "complex",
    ) -> None:
        self.steps, self.restarts, self.artifact = steps, restarts, artifact

    def attack(self, target: Target, conditions: Conditions) -> AttackResult:
        return global_attack(
            target.reconstructor,
            target.kspace,
            target.operator,
            radius=target.radius,
            steps=self.steps,
            restarts=conditions.restarts or self.restarts,
            artifact=self.artifact,
            seed=conditions.seed,
            starts=conditions.starts,
            search=conditions.search,
            clean=target.clean,
        )

    def measure(self, artifact: Tensor) -> Float[Tensor, "*batch"]:
        """`‖ρ‖₂`."""
        return norm2(artifact)

    def rivals(self, target: Target, result: AttackResult, conditions: Conditions) -> list[Rival]:
        """A spike in the middle of what coils see, and noise."""
        pixels = torch.nonzero(visible_pixels(target.operator).cpu())
        row, column = nearest_place(pixels, *target.operator.mask.shape).tolist()
        seed = [derived_seed(conditions.seed, "rival")]
        return baselines(target, {"spike in the centre": (row, column)}, seed)

    @property
    def about(self) -> dict[str, Any]:
        return super().about | {"sort": "global"}

    def seeded_by(self, target: Target) -> dict[str, Any]:
        found = {"kind": self.name, "steps": self.steps, "restarts": self.restarts}
        return found | ({"artifact": self.artifact} if self.artifact != "complex" else {})


def global_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch_and_coil ky kx"],
    operator: MeasurementOperator,
    *,
    radius: float | Float[Tensor, "*batch"],
    steps: int = 100,
    restarts: int = 2,
    artifact: Artifact = "complex",
    seed: int,
    starts: Sequence[Start] = (),
    search: Search | None = None,
    clean: Solution | Observed | None = None,
) -> AttackResult:
    """Maximise `‖ρ‖₂`, `ρ = rec(y + e) − rec(y)`, over `‖e‖₂ ≤ η`, from `restarts` random starts.

    Starts are in turn a spike at a random pixel and Gaussian noise: on total variation neither kind leads to
    what the other finds, and either can be the worse. With coils the budget is that of all coils together,
    and `ρ` is what they see of it (`Target.artifacts`).

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`, `(*batch, ky, kx)`, or `(*batch, coil, ky, kx)` under a multi-coil operator;
            leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        steps: steps of the search from every start, times its `steps_a_gradient`.
        restarts: number of starts, of norm `η`; from two on both kinds are among them.
        artifact: of methods that return complex images, `ρ` (`complex`) or `|rec(y + e)| − |rec(y)|`
            (`magnitude`), in the search as in the judgement; others return magnitudes in any case.
        seed: their seed.
        starts: further ones, whose locations do not matter; the result is no weaker than any of them. Only
            for a single item.
        search: how to search; by default a new one of the class that the reconstructor names, or
            `GradientAscent` where that one does not serve (see `chosen_search`). Its rounds are not used.
        clean: `reconstructor.solve(kspace, operator)` of a single item, or what was `Observed` of it, if the
            caller has it.

    Returns:
        `AttackResult`, batched as `kspace`, of the start with the largest `‖ρ‖₂`; `severities` is `None`.

    Raises:
        ValueError: for arguments out of range, a search that does not serve, and a method without derivative.
        NoPlaceError: if no coil sees any pixel.

    Source: [alaifari2023], eq. (4).
    """
    radii = check_attack(kspace, operator, radius, "global_attack", starts, artifact)
    if steps < 1 or restarts < 1:
        raise ValueError(f"global_attack: expected steps >= 1 and restarts >= 1, got {steps} and {restarts}")
    running = chosen_search(search, reconstructor, operator, artifact, "global_attack")
    height, width = kspace.shape[-2:]

    def chosen(found: Found) -> tuple[int, dict[str, Any]]:
        return int(norm2(found.judged.artifacts).argmax()), {"location": torch.tensor([-1, -1])}

    def planned(item: int, own: MeasurementOperator, radius: float) -> Plan:
        return Plan(
            windows=torch.ones((restarts + len(starts), height, width), device=kspace.device),
            groups=torch.tensor([0] * restarts + [GIVEN] * len(starts)),
            starts=_starts(own, restarts, radius, [seed, item]),
            chosen=chosen,
        )

    return attacked(
        reconstructor,
        kspace,
        operator,
        radii,
        search=running,
        rounds=(Round(steps * running.steps_a_gradient, None),),
        planned=planned,
        given=starts,
        clean=clean,
        artifact=artifact,
    )


def _starts(
    operator: MeasurementOperator, count: int, radius: float, seed: list[int]
) -> Complex[Tensor, "count *coil ky kx"]:
    starts = gaussian_starts(operator, count, radius, seed)
    height, width = operator.mask.shape
    pixels = torch.nonzero(visible_pixels(operator).cpu())
    if not len(pixels):
        raise NoPlaceError("global_attack: no coil sees any pixel; estimate the coil maps again")
    drawn = np.random.default_rng(seed).integers((height, width), size=(count, 2))
    for item in range(0, count, 2):
        # the pixel itself where all are seen
        flat = int(drawn[item, 0]) * width + int(drawn[item, 1])
        starts[item] = spike(operator, pixels[flat * len(pixels) // (height * width)], radius)
    return starts

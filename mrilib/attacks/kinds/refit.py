"""Another fit to the same data, without a perturbation: the baseline of attacks on methods with a seed."""

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.accuracy import refitted
from mrilib.attacks.judge import AttackResult
from mrilib.attacks.kinds.base import AttackKind, Conditions, unsearched
from mrilib.attacks.searches.base import Clock
from mrilib.attacks.target import Target
from mrilib.metrics.artifacts import severity


class Refit(AttackKind):
    """`e = 0`, and `ρ = rec'(y) − rec(y)` with `rec'` the same method with another seed.

    The level does not matter. Only methods that draw something have it: untrained networks, whose fits begin
    at random.

    Source: our choice.
    """

    word: ClassVar[str] = "refit"
    needs_derivative: ClassVar[bool] = False
    needs_seed: ClassVar[bool] = True

    def attack(self, target: Target, conditions: Conditions) -> AttackResult:
        """Its location is the pixel of the largest difference.

        Raises:
            ValueError: if the method draws nothing.
            FloatingPointError: if the fit diverges.
        """
        clock = Clock()
        judged = (conditions.refitted or (lambda: refitted(target, conditions.seed)))()
        return unsearched(target, judged, clock)

    def measure(self, artifact: Tensor) -> Float[Tensor, "*batch"]:
        """`‖ρ‖∞`."""
        return severity(artifact)

    @property
    def about(self) -> dict[str, Any]:
        return super().about | {"sort": "refit"}

"""White noise of the attacks' norm: the baseline of every attack."""

from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.judge import AttackResult, judge
from mrilib.attacks.kinds.base import AttackKind, Conditions, unsearched
from mrilib.attacks.searches.base import Clock, gaussian_starts
from mrilib.attacks.target import Artifact, Target
from mrilib.operators.base import norm2


class Gaussian(AttackKind):
    """Complex Gaussian noise on the mask, scaled to exactly the budget, over all coils.

    Args:
        artifact: what is measured of methods that return complex images.
    """

    word: ClassVar[str] = "gaussian"
    needs_derivative: ClassVar[bool] = False
    maximised: ClassVar[Literal["severity", "artifact_norm"]] = "artifact_norm"

    def __init__(self, *, artifact: Artifact = "complex") -> None:
        self.artifact = artifact

    def attack(self, target: Target, conditions: Conditions) -> AttackResult:
        """Its location is the pixel of its largest artifact."""
        clock = Clock()
        judged = judge(target, gaussian_starts(target.operator, 1, target.radius, [conditions.seed]))
        return unsearched(target, judged, clock)

    def measure(self, artifact: Tensor) -> Float[Tensor, "*batch"]:
        """`‖ρ‖₂`."""
        return norm2(artifact)

    @property
    def about(self) -> dict[str, Any]:
        return super().about | {"sort": "gaussian"}

"""Rounds and lengths of moves that the coupled searches share."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from mrilib.attacks.searches.base import Round

# All places take few steps: the derivative tells good ones soon. One long round at the best brings most.
ROUNDS = (Round(24, 10), Round(50, 4), Round(120, 2), Round(600, 1))
# Part of a round after which its iterates count: the image follows long moves late, and can show too much.
SETTLED = 0.75
# Length of a round's first move, in units of the budget. Long moves on a disk spread the artifact over it:
# `‖φ ⊙ ρ‖₂` rises by a tenth, and `‖ρ‖∞`, which judges, falls by up to a fifth, below what the spike reaches.
RATE, DISK_RATE = 2.0, 0.03


@dataclass(frozen=True)
class Schedule:
    """Lengths `t = rate·(1 − d)^power` of moves, `d` the part of the round that is done.

    A long round is a slow descent from moves that leap over many pieces of the piecewise affine artifact to
    moves within one.

    Args:
        rate: length of a round's first move, in units of the budget.
        power: how fast the length falls.
    """

    rate: float
    power: float

    @staticmethod
    def of(rate: float | None, power: float, windows: Float[Tensor, "candidates y x"]) -> "Schedule":
        """With `rate`, or else with `DISK_RATE` for disks, and `RATE` for a pixel and for the whole image.

        Of these the objective is what judges.
        """
        pixels = int(windows[0].count_nonzero())
        usual = RATE if pixels in (1, windows[0].numel()) else DISK_RATE
        return Schedule(usual if rate is None else rate, power)

    def length(self, radius: float, done: float) -> float:
        """`t·η` for a budget of `radius`, after the part `done` of the round."""
        return self.rate * (1.0 - done) ** self.power * radius

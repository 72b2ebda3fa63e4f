"""The smallest contrast from which on something holds, of several features at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# What a search of the smallest found: between the ends, already at the least, or not at the most.
BETWEEN, BELOW, ABOVE = 0, -1, 1
Holds = Callable[[Float[np.ndarray, "some"], Int[np.ndarray, "some"]], Bool[np.ndarray, "some"]]


@dataclass(frozen=True, eq=False)
class Crossings:
    """The smallest contrast of each feature.

    Args:
        contrast: the smallest that was tested at which it holds, as at every larger one that was; NaN where
            `censored` is not 0.
        tried: the largest below that which was tested, at which it does not hold; NaN likewise.
        censored: `BETWEEN`, `BELOW` (it holds at the least contrast already) or `ABOVE` (not at the most).
    """

    contrast: Float[np.ndarray, "features"]
    tried: Float[np.ndarray, "features"]
    censored: Int[np.ndarray, "features"]


def smallest_holding(
    holds: Holds, ladder: Float[np.ndarray, "rungs"], count: int, halvings: int
) -> Crossings:
    """Bisect the logarithm of the contrast, below the lowest rung from which on it holds at all rungs.

    What holds at a contrast need not hold at a larger one: methods that threshold may. The rungs are tested
    first, and one crossing between two of them is found; what happens between others is not seen.

    Args:
        holds: of contrasts, and of the numbers of the features that have them, each of which is asked once at
            a time.
        ladder: rungs, positive and rising.
        count: of features.
        halvings: of the interval between two rungs.
    """
    every = np.arange(count)
    tested = np.stack([holds(np.full(count, rung), every) for rung in ladder])
    # From which rung on all hold: rungs above the highest that does not.
    first = np.where(tested.all(axis=0), 0, len(ladder) - np.argmax(~tested[::-1], axis=0))
    censored = np.where(first == 0, BELOW, np.where(first == len(ladder), ABOVE, BETWEEN))
    inside = np.flatnonzero(censored == BETWEEN)
    high, low = np.full(count, np.nan), np.full(count, np.nan)
    high[inside], low[inside] = ladder[first[inside]], ladder[first[inside] - 1]
    for _ in range(halvings if len(inside) else 0):
        middle = np.sqrt(low[inside] * high[inside])
        held = holds(middle, inside)
        high[inside], low[inside] = np.where(held, middle, high[inside]), np.where(held, low[inside], middle)
    return Crossings(high, low, censored)

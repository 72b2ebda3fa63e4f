"""What the coupled searches share: arguments, rounds and lengths of moves, what is told of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import pydantic
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.attacks.searches.base import Round, Search, rounds_of

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
    def of(
        rate: float | None, power: float, windows: Float[Tensor, "candidates y x"], usual: float = RATE
    ) -> "Schedule":
        """With `rate`, or else with `DISK_RATE` for disks, and `usual` for a pixel and for the whole image.

        Of these the objective is what judges.
        """
        pixels = int(windows[0].count_nonzero())
        if rate is None:
            rate = usual if pixels in (1, windows[0].numel()) else DISK_RATE
        return Schedule(rate, power)

    def length(self, radius: float, done: float) -> float:
        """`t·η` for a budget of `radius`, after the part `done` of the round."""
        return self.rate * (1.0 - done) ** self.power * radius


@runtime_checkable
class Running(Protocol):
    """Some of the candidates of a coupled search on their way.

    Attributes:
        best_peak: largest `|φ ⊙ ρ|` of each one's best iterate.
        slope: `‖g‖` of each at the latest move.
        cost: solver steps counted for one step of all of them.
    """

    @property
    def best_peak(self) -> Float[Tensor, "items"]: ...

    @property
    def slope(self) -> Float[Tensor, "items"]: ...

    @property
    def cost(self) -> float: ...

    def advance(self, steps: int, every: int) -> None:
        """A round."""

    def keep(self, candidates: Tensor) -> None:
        """Drop the others."""

    def found(self) -> Tensor:
        """Perturbations, in the budget."""


class CoupledSearch(Search):
    """A search of rounds whose candidates run in parts.

    Args:
        rounds: stages of the search, or pairs `[steps, keep]`.
        every: steps between two moves.
        rate: length `t` of a round's first move, in units of the budget; by default that of `Schedule.of`.
        power: how fast `t` falls to zero in a round.
    """

    label: ClassVar[str] = "coupled search (ours)"
    from_state: ClassVar[bool] = True

    def __init__(
        self,
        *,
        rounds: Sequence[Round | Sequence[int | None]] = ROUNDS,
        every: Annotated[int, pydantic.Field(ge=1)] = 1,
        rate: Annotated[float, pydantic.Field(gt=0)] | None = None,
        power: Annotated[float, pydantic.Field(ge=0)] = 3.0,
    ) -> None:
        self.rounds = rounds_of(rounds)
        self._every, self._rate, self._power = every, rate, power

    def _begun(self, runs: Sequence[Running]) -> None:
        """Take up the parts of a task, whose candidates are in order."""
        self._steps, self._moves, self._runs = 0.0, 0, runs
        # Where among those of all parts the caller's candidates are.
        self._order = torch.arange(sum(len(run.best_peak) for run in runs))

    def run(self, steps: int) -> Float[Tensor, "running"]:
        for run in self._runs:
            run.advance(steps, self._every)
            self._steps += steps * run.cost
            self._moves += steps // self._every * len(run.best_peak)
        return self._in_order([run.best_peak for run in self._runs])

    def promising(self, seen: Float[Tensor, "running"]) -> Float[Tensor, "running"]:
        """`‖ρ‖∞·‖g‖`: the best places respond slowly, and show in the derivative first.

        `η‖g‖` is what the linearised problem reaches within the budget.
        """
        return seen * self._in_order([run.slope for run in self._runs]).to(seen)

    def keep(self, candidates: Int[Tensor, "kept"]) -> None:
        wanted = self._order[candidates.cpu()]
        first, kept, taken = 0, [], []
        for run in self._runs:
            last = first + len(run.best_peak)
            own = torch.nonzero((first <= wanted) & (wanted < last)).flatten()
            own = own[wanted[own].argsort()]  # as the part has them
            if 0 < own.numel() < last - first:  # a part that stays whole goes on as it is
                run.keep(wanted[own] - first)
            if own.numel():
                kept.append(run)
                taken.append(own)
            first = last
        self._runs, self._order = kept, torch.cat(taken).argsort()

    def found(self) -> Complex[Tensor, "running *coil ky kx"]:
        return self._in_order([run.found() for run in self._runs])

    def _in_order(self, values: Sequence[Tensor]) -> Tensor:
        """What the parts tell, as the caller has the candidates."""
        return torch.cat(list(values))[self._order]

    @property
    def costs(self) -> dict[str, float]:
        return {"solver_steps": self._steps, "gradient_evaluations": float(self._moves)}

"""One search from its starts to the judgement: what the localized and the global attack share."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mrilib.attacks.base import Judged, Round, Search, Target, Task, judge

# Group of the caller's own starts: no round drops them, and they are judged as they are as well.
GIVEN = -1


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Args:
        candidates: those that were judged, as indices of the task's: what was left at the end, then the
            starts of the group `GIVEN` once more.
        judged: perturbations of those left at the end, then those starts, judged.
        seen: severity last seen of every candidate, judged where it was left at the end.
        first_round: severity that the search saw of every candidate after its first round.
        stats: counted work.
    """

    candidates: Int[Tensor, "kept"]
    judged: Judged
    seen: Float[Tensor, "candidates"]
    first_round: Float[Tensor, "candidates"]
    stats: dict[str, float]


def searched(
    search: Search,
    target: Target,
    *,
    windows: Float[Tensor, "candidates y x"],
    starts: Tensor,
    groups: Int[Tensor, "candidates"],
    rounds: Sequence[Round],
) -> Found:
    """Run the rounds and judge what they leave.

    After a round every group keeps its own best, so that more groups find no less than fewer. The group
    `GIVEN` all stays, and its starts are judged beside what the search made of them, so that the result is
    no weaker than they are.
    """
    task = Task(**vars(target), windows=windows, starts=starts.to(target.kspace))
    search.begin(task)
    candidates = torch.arange(windows.shape[0])
    seen = torch.zeros(windows.shape[0], dtype=windows.dtype)
    first_round = None
    for stage in rounds:
        now = search.run(stage.steps).to(seen)
        seen[candidates] = now
        first_round = seen.clone() if first_round is None else first_round
        kept = _best(now, groups[candidates], stage.keep)
        if kept.numel() < candidates.numel():
            search.keep(kept)
            candidates = candidates[kept]
    given = torch.nonzero(groups == GIVEN).flatten()
    judged = judge(task, torch.cat([search.found(), task.starts[given]]))
    seen[candidates] = judged.severities[: candidates.numel()].to(seen)
    return Found(
        candidates=torch.cat([candidates, given]),
        judged=judged,
        seen=seen,
        first_round=seen if first_round is None else first_round,
        stats=search.costs | {"judging_steps": judged.steps},
    )


def _best(seen: Tensor, groups: Tensor, keep: int | None) -> Tensor:
    """The `keep` best of every group."""
    kept = []
    for group in groups.unique().tolist():
        members = torch.nonzero(groups == group).flatten()
        if group != GIVEN and keep is not None and keep < members.numel():
            members = members[seen[members].topk(keep).indices]
        kept.append(members)
    return torch.cat(kept)

"""One search from its starts to the judgement: what the localized and the global attack share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mrilib.attacks.judge import AttackResult, Judged, judge, result_of, stacked
from mrilib.attacks.searches.base import Clock, Round, Search
from mrilib.attacks.target import Artifact, Observed, Start, Target, Task, admitted, clean_of
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import Solution

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


@dataclass(frozen=True)
class Plan:
    """An item's candidates, and what is chosen of them.

    Args:
        windows: of all candidates; those of the caller's own starts come last.
        groups: of all candidates (see `searched`).
        starts: of all candidates but the caller's own.
        chosen: for what was found, the index among the judged, and what `result_of` is told.
    """

    windows: Float[Tensor, "candidates y x"]
    groups: Int[Tensor, "candidates"]
    starts: Tensor
    chosen: Callable[[Found], tuple[int, dict[str, Any]]]


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

    After a round every group keeps its own best, so that more groups find no less than fewer: the most
    promising by the search's account, after the last round those with the largest severity. The group
    `GIVEN` all stays, and its starts are judged beside what the search made of them, so that the result is
    no weaker than they are.

    Raises:
        FloatingPointError: if the search comes to a severity that is not finite.
    """
    task = Task(
        target.reconstructor,
        target.operator,
        target.kspace,
        target.radius,
        target.clean,
        target.artifact,
        windows=windows,
        starts=starts.to(target.kspace),
    )
    search.begin(task)
    candidates = torch.arange(windows.shape[0])
    seen = torch.zeros(windows.shape[0], dtype=windows.dtype)
    first_round = None
    for number, stage in enumerate(rounds, start=1):
        now = search.run(stage.steps).to(seen)
        wrong = now[~now.isfinite()]
        if wrong.numel():
            raise FloatingPointError(
                f"{type(search).__name__}: severity {float(wrong[0]):g} of {wrong.numel()} of {now.numel()} "
                f"candidates after {stage.steps} steps of round {number}"
            )
        seen[candidates] = now
        first_round = seen.clone() if first_round is None else first_round
        ranking = now if number == len(rounds) else search.promising(now)
        kept = _best(ranking, groups[candidates], stage.keep)
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


def attacked(
    reconstructor: Reconstructor,
    kspace: Tensor,
    operator: MeasurementOperator,
    radii: Float[Tensor, "items"],
    *,
    search: Search,
    rounds: Sequence[Round],
    planned: Callable[[int, MeasurementOperator, float], Plan],
    given: Sequence[Start],
    clean: Solution | Observed | None,
    artifact: Artifact,
) -> AttackResult:
    """Search every item of a batch and report what was chosen of it.

    Args:
        reconstructor: the method under attack.
        kspace: clean data, `(*batch, ky, kx)`, or `(*batch, coil, ky, kx)`.
        operator: the measurement; the coil maps may be those of every item.
        radii: budget of every item of the flattened batch.
        search: how to search.
        rounds: see `searched`.
        planned: the candidates of an item, from its index, what measures it, and its radius.
        given: further starts, of the last candidates.
        clean: solution at the clean data of a single item, if there is one.
        artifact: see `Target`.
    """
    axes = operator.kspace_axes
    batch = kspace.shape[:-axes]
    results = []
    for item, (data, radius) in enumerate(
        zip(kspace.reshape(-1, *kspace.shape[-axes:]), radii.tolist(), strict=True)
    ):
        clock = Clock()
        own = operator.of_item(item, tuple(batch))
        plan = planned(item, own, radius)
        target = Target(reconstructor, own, data, radius, clean_of(reconstructor, data, own, clean), artifact)
        extra = [admitted(start.perturbation, own, radius).to(kspace)[None] for start in given]
        starts = torch.cat([plan.starts.to(kspace), *extra])
        windows = plan.windows.to(kspace.real)
        found = searched(search, target, windows=windows, starts=starts, groups=plan.groups, rounds=rounds)
        best, told = plan.chosen(found)
        stats = {**found.stats, "seconds": clock.seconds}
        results.append(result_of(target, found.judged, best, stats=stats, **told))
    return stacked(results, batch)


def _best(ranking: Tensor, groups: Tensor, keep: int | None) -> Tensor:
    """The `keep` best of every group."""
    kept = []
    for group in groups.unique().tolist():
        members = torch.nonzero(groups == group).flatten()
        if group != GIVEN and keep is not None and keep < members.numel():
            members = members[ranking[members].topk(keep).indices]
        kept.append(members)
    return torch.cat(kept)

import torch

from mrilib.attacks.rounds import GIVEN, searched
from mrilib.attacks.searches.base import Round, Search
from mrilib.attacks.target import Target, clean_of
from mrilib.reconstructors.linear import ZeroFilled


class Scripted(Search):
    """Sees prescribed values and stays where it began."""

    def __init__(self, *values):
        self.values = [torch.tensor(value, dtype=torch.float32) for value in values]

    def begin(self, task):
        self.positions, self.running, self.taken = task.starts, torch.arange(task.starts.shape[0]), []

    def run(self, steps):
        self.taken.append((steps, self.running.tolist()))
        return self.values[len(self.taken) - 1][self.running]

    def keep(self, candidates):
        self.running, self.positions = self.running[candidates], self.positions[candidates]

    def found(self):
        return self.positions

    @property
    def costs(self):
        return {"solver_steps": 7.0, "gradient_evaluations": 8.0}


class Promising(Scripted):
    """Promises the opposite of what it sees."""

    def promising(self, seen):
        return -seen


def test_rounds_rank_by_the_promise_and_the_last_by_severity(measured):
    _, kspace, operator = measured(16, 5, dtype=torch.complex64)
    method = ZeroFilled()
    target = Target(method, operator, kspace, 1.0, clean_of(method, kspace, operator, None))
    search = Promising([1, 2, 3, 4], [1, 2, 3, 4])
    found = searched(
        search,
        target,
        windows=torch.ones(4, 16, 16),
        starts=operator.forward(torch.eye(4, 256, dtype=torch.complex64).reshape(4, 16, 16)) * 0.5,
        groups=torch.zeros(4, dtype=torch.long),
        rounds=(Round(5, 2), Round(6, 1)),
    )
    assert sorted(search.taken[1][1]) == [0, 1]
    assert found.candidates.tolist() == [1]


def test_every_group_keeps_its_own_best(measured):
    _, kspace, operator = measured(16, 5, dtype=torch.complex64)
    method = ZeroFilled()
    target = Target(method, operator, kspace, 1.0, clean_of(method, kspace, operator, None))
    starts = operator.forward(torch.eye(7, 256, dtype=torch.complex64).reshape(7, 16, 16)) * 0.5
    search = Scripted([1, 2, 3, 7, 8, 9, 0], [1, 2, 3, 9, 8, 7, 0])
    found = searched(
        search,
        target,
        windows=torch.ones(7, 16, 16),
        starts=starts,
        groups=torch.tensor([0, 0, 0, 1, 1, 1, GIVEN]),
        rounds=(Round(5, 2), Round(6, 1)),
    )
    assert search.taken[0] == (5, list(range(7)))
    assert (search.taken[1][0], sorted(search.taken[1][1])) == (6, [1, 2, 4, 5, 6])
    # candidate 6 as the search left it and as it was given
    assert sorted(found.candidates.tolist()) == [2, 4, 6, 6]
    assert found.first_round.tolist() == [1, 2, 3, 7, 8, 9, 0]
    # judged at the end, as the search saw it before
    assert found.seen[[0, 1, 3, 5]].tolist() == [1, 2, 7, 7]
    torch.testing.assert_close(found.seen[found.candidates], found.judged.severities)
    assert torch.equal(found.judged.perturbations, starts[found.candidates])
    assert found.stats["gradient_evaluations"] == 8.0

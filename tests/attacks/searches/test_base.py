import math
from dataclasses import replace

import pytest
import torch

from mrilib.attacks.judge import judge
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.searches.base import Climb, Round, Search, gaussian_starts, rounds_of, starts_of
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.searches.unrolled import UnrolledAdam
from mrilib.attacks.target import Start, Target, admitted, check_attack, clean_of
from mrilib.operators.base import norm2
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.solvers.solution import Solution, Status
from mrilib.store.classes import load_class


def test_gaussian_noise_has_the_norm_and_stays_on_the_mask(measured):
    _, _, operator = measured(64, 20)
    noise = gaussian_starts(operator, 3, 2.5, [1, 2])
    torch.testing.assert_close(torch.linalg.vector_norm(noise, dim=(1, 2)), torch.full((3,), 2.5))
    assert not noise[:, ~operator.mask].any()
    assert torch.equal(noise, gaussian_starts(operator, 3, 2.5, [1, 2]))
    assert not torch.equal(noise, gaussian_starts(operator, 3, 2.5, [1, 3]))
    # complex: as much in the imaginary part, and no two draws alike
    samples = 3 * operator.samples
    share = float(noise.imag.square().sum() / noise.abs().square().sum())
    assert abs(share - 0.5) < 5 / math.sqrt(samples)  # five standard deviations of a share of 2·samples draws
    assert abs(torch.vdot(noise[0].flatten(), noise[1].flatten())) < 5 * 2.5**2 / math.sqrt(samples / 3)


def test_searches_start_where_they_say(measured):
    _, _, operator = measured(16, 5)
    locations = torch.tensor([[4, 4], [4, 12]])
    spikes = starts_of(CoupledAscent(), operator, locations, 2.0, [0])
    assert torch.equal(spikes[1], spike(operator, (4, 12), 2.0))
    noise = starts_of(UnrolledAdam(), operator, locations, 2.0, [0])
    assert torch.equal(noise, gaussian_starts(operator, 2, 3 * 2.0, [0]))


def test_restarts_begin_from_noise(measured):
    _, _, operator = measured(16, 5)
    locations = torch.tensor([[4, 4], [4, 12]])
    for search, norm in ((CoupledAscent(), 2.0), (UnrolledAdam(), 6.0)):
        starts = starts_of(search, operator, locations, 2.0, [0, 5], 3)
        assert torch.equal(starts[:2], starts_of(search, operator, locations, 2.0, [0, 5]))
        assert torch.equal(starts[2:4], gaussian_starts(operator, 2, norm, [0, 5, 1]))
        assert torch.equal(starts[4:], gaussian_starts(operator, 2, norm, [0, 5, 2]))


def test_a_perturbation_is_admitted_by_projection(measured, draw):
    _, _, operator = measured(16, 5)
    wild = draw(16, 16)
    inside = admitted(wild, operator, 0.5)
    assert not inside[~operator.mask].any()
    assert float(norm2(inside)) == pytest.approx(0.5)
    torch.testing.assert_close(inside, 0.5 * wild * operator.mask / norm2(wild * operator.mask))
    # what is inside already stays as it is, nothing included
    assert torch.equal(admitted(inside, operator, 1.0), inside)
    assert not admitted(torch.zeros_like(wild), operator, 1.0).any()


def test_rounds_are_given_as_such_or_as_pairs():
    expected = (Round(10, 3), Round(5, None))
    assert (
        rounds_of(expected)
        == rounds_of([[10, 3], [5, None]])
        == rounds_of((Round(10, 3), (5, None)))
        == expected
    )
    for search in (CoupledAscent, GradientAscent):
        assert search(rounds=[[10, 3], [5, None]]).rounds == expected


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([], "rounds: expected at least one, got none"),
        ([[10]], r"rounds: expected pairs \[steps, keep\], got \[10\]"),
        ([[0, 3]], r"rounds: expected steps >= 1 and keep >= 1 or null, got \[0, 3\]"),
        ([[10, 0]], r"rounds: expected steps >= 1 and keep >= 1 or null, got \[10, 0\]"),
        ([[None, 2]], r"rounds: expected steps >= 1 and keep >= 1 or null, got \[None, 2\]"),
    ],
)
def test_refuses_other_rounds(rounds, message):
    with pytest.raises(ValueError, match=message):
        rounds_of(rounds)


@pytest.fixture
def task(measured, task_of):
    _, kspace, operator = measured(16, 5, dtype=torch.complex64)
    return task_of(CoupledAscent(), ZeroFilled(), kspace, operator, 0.5)


def test_judge_reconstructs_anew(task):
    judged = judge(task, task.starts)
    expected = task.operator.adjoint(task.starts)
    torch.testing.assert_close(judged.artifacts, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(judged.severities, expected.abs().amax(dim=(1, 2)))


class Scarce(ZeroFilled):
    """A method with memory for two items."""

    def __call__(self, kspace, operator):
        if kspace.ndim == 3 and kspace.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().__call__(kspace, operator)


def test_judge_does_not_depend_on_the_chunk(task, scene, capsys):
    scarce = judge(replace(task, reconstructor=Scarce()), task.starts)
    assert torch.equal(scarce.artifacts, judge(task, task.starts).artifacts)
    assert capsys.readouterr().out == "no memory for 4 candidates at once: from here 2\n"

    method, kspace, operator, radius = scene()
    clean = clean_of(method, kspace, operator, None)
    target = Target(method, operator, kspace, radius, clean)
    noise = gaussian_starts(operator, 3, radius, [0])
    parts, whole = judge(target, noise, chunk=2), judge(target, noise, chunk=3)
    torch.testing.assert_close(parts.artifacts, whole.artifacts)
    assert parts.stats.keys() == whole.stats.keys()
    for name, values in whole.stats.items():
        torch.testing.assert_close(parts.stats[name], values)
    assert parts.steps == whole.steps > 0


class Talkative(ZeroFilled):
    """Numbers of all kinds."""

    def solve(self, kspace, operator, *, start=None, throw=True):
        count = kspace.shape[0]
        stats = {
            "steps": torch.arange(count),
            "total": torch.tensor(7),
            "history": torch.zeros(count, 3),
            "note": "none",
        }
        return Solution(self(kspace, operator), Status.CONVERGED, stats)


def test_numbers_that_are_not_those_of_an_item_are_left_out(task):
    talkative = replace(task, reconstructor=Talkative())
    assert {name: value.tolist() for name, value in judge(talkative, task.starts, chunk=3).stats.items()} == {
        "steps": [0, 1, 2, 0]
    }
    assert judge(talkative, task.starts, chunk=3).steps == 3.0
    assert judge(task, task.starts).stats == {}
    assert math.isnan(judge(task, task.starts).steps)


def test_judge_refuses_what_breaks_the_rules(task):
    with pytest.raises(ValueError, match=r"norm 0.50005\d* above the radius 0.5"):
        judge(task, task.starts * 1.0001)
    outside = task.starts + 1e-6 * ~task.operator.mask
    with pytest.raises(ValueError, match="a perturbation outside the mask"):
        judge(task, outside)
    broken = task.starts.clone()
    broken[1, 8, 8] = math.nan
    with pytest.raises(ValueError, match="NaN or infinite entries"):
        judge(task, broken)
    # one bad item among good ones is enough, and the radius itself is allowed
    judge(replace(task, radius=0.5 * (1 + 1e-6)), task.starts)
    with pytest.raises(ValueError, match="above the radius"):
        judge(task, task.starts * torch.tensor([1, 1, 1, 1.01])[:, None, None])


def test_input_of_attacks(measured):
    _, kspace, operator = measured(16, 5)
    batch = torch.stack([kspace] * 2)[:, None]
    assert check_attack(kspace, operator, 0.5, "here").tolist() == [0.5]
    assert check_attack(batch, operator, 0.5, "here").tolist() == [0.5, 0.5]
    assert check_attack(batch, operator, torch.tensor([[1.0], [2.0]]), "here").tolist() == [1.0, 2.0]


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_refuses_radii_that_are_not_positive(measured, radius):
    _, kspace, operator = measured(16, 5)
    with pytest.raises(ValueError, match="here: expected radius > 0, one number or one an item, got"):
        check_attack(kspace, operator, radius, "here")


def test_refuses_other_input(measured):
    _, kspace, operator = measured(16, 5)
    with pytest.raises(
        ValueError, match=r"here: expected one radius, or one an item \(2, 1\), got shape \(2,\)"
    ):
        check_attack(torch.stack([kspace] * 2)[:, None], operator, torch.ones(2), "here")
    start = Start((0, 0), kspace)
    with pytest.raises(ValueError, match=r"here: starts are those of one item, got a batch \(2, 1\)"):
        check_attack(torch.stack([kspace] * 2)[:, None], operator, 1.0, "here", [start])
    check_attack(kspace[None], operator, 1.0, "here", [start])
    with pytest.raises(
        ValueError, match=r"here: expected starts shaped \(16, 16\) as the data, got \(8, 16\)"
    ):
        check_attack(kspace, operator, 1.0, "here", [Start((0, 0), kspace[:8])])
    kspace[0, 0] = math.nan
    with pytest.raises(ValueError, match="here: kspace holds NaN or infinite entries"):
        check_attack(kspace, operator, 1.0, "here")


def test_methods_name_a_search_that_exists(scene):
    for method in (scene()[0], ZeroFilled()):
        assert issubclass(load_class(method.search, Search), Search)


def test_candidates_are_taken_and_put_in_all_fields(draw):
    climb = Climb(draw(3, 8, 8), draw(3, 8, 8, seed=2), torch.arange(3.0), torch.ones(3))
    kept = climb[torch.tensor([2, 0])]
    assert torch.equal(kept.position, climb.position[[2, 0]])
    assert kept.value.tolist() == [2.0, 0.0]
    other = Climb(draw(3, 8, 8, seed=3), draw(3, 8, 8, seed=4), 5 + torch.arange(3.0), torch.zeros(3))
    other.put(torch.tensor([2, 0]), kept)
    assert torch.equal(other.position[[2, 0]], kept.position)
    assert torch.equal(other.best[[2, 0]], kept.best)
    assert torch.equal(other.position[1], draw(3, 8, 8, seed=3)[1])
    assert (other.value.tolist(), other.peak.tolist()) == ([0.0, 6.0, 2.0], [1.0, 0.0, 1.0])

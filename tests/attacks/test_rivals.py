import math
from dataclasses import replace

import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.spike import spike
from mrilib.attacks.pgd import GradientAscent, global_attack
from mrilib.attacks.rivals import Rival, baselines, strengthened
from mrilib.attacks.searches.base import gaussian_starts
from mrilib.attacks.target import Target, clean_of
from mrilib.metrics.artifacts import severity
from mrilib.operators.base import norm2
from mrilib.reconstructors.base import Reconstructor

RADIUS = 0.7


class Hidden(Reconstructor):
    """Means of neighbours in `Aᴴy`, nothing where they are small: from noise there is no derivative.

    With `pair = (δ₀ + δ₁)/√2` the worst perturbation of one pixel is `A·pair`, which is no spike.
    """

    def __call__(self, kspace, operator):
        image = operator.adjoint(kspace)
        image = (image + image.roll(1, -1)) / math.sqrt(2)
        return image * (image.abs() > 0.2)


class FromNoise(GradientAscent):
    start = "gaussian"


def target_of(measured, method):
    _, kspace, operator = measured(24, 8, dtype=torch.complex64)
    kspace = torch.zeros_like(kspace)
    return Target(method, operator, kspace, RADIUS, clean_of(method, kspace, operator, None))


def attack_of(target, attack, **settings):
    def run(restarts, starts):
        return attack(
            target.reconstructor,
            target.kspace,
            target.operator,
            radius=target.radius,
            seed=0,
            restarts=restarts,
            starts=starts,
            **settings,
        )

    return run


def test_a_hidden_derivative_is_found_out(measured, capsys):
    target = target_of(measured, Hidden())
    run = attack_of(target, localized_attack, grid=2, search=FromNoise(rounds=[[10, 2], [30, 1]]))
    first = run(1, [])
    assert float(first.severity) == 0.0
    rivals = baselines(target, {"spike": (6, 6), "spike in the centre": (18, 6)}, [0])
    assert [rival.name for rival in rivals] == ["spike", "spike in the centre", "gaussian"]
    result, record = strengthened(run, target, first, rivals, measure=severity, restarts=1)

    perturbations = torch.stack([rival.perturbation for rival in rivals])
    reached = severity(Hidden()(perturbations, target.operator))
    assert record["first_value"] == 0.0
    assert record["rival_value"] == pytest.approx(float(reached.max()))
    assert record["weaker_than"] in ("spike", "spike in the centre")
    assert record["restarts"] == 4
    # a search that begins from the spike climbs on
    assert float(result.severity) > 1.05 * float(reached.max())
    pair = torch.zeros(24, 24, dtype=torch.complex64)
    pair[6, 6:8] = 1 / math.sqrt(2)
    best = RADIUS * float(norm2(target.operator.forward(pair)))
    assert float(result.severity) == pytest.approx(best, rel=1e-2)
    assert float(norm2(result.perturbation)) <= RADIUS * (1 + 1e-5)
    assert result.severities.shape == (2, 2)
    for name in ("gradient_evaluations", "seconds"):
        assert float(result.stats[name]) > float(first.stats[name])
    # of both searches: 4 places, 2 on, and so in four restarts, and two spikes all along
    first_work = 4 * 10 + 2 * 30
    assert float(result.stats["gradient_evaluations"]) == first_work + 4 * first_work + 2 * 40
    assert capsys.readouterr().out.startswith(f"{record['weaker_than']} reaches 0.")


def test_an_attack_that_beats_its_rivals_is_not_repeated(measured):
    target = target_of(measured, Hidden())
    result = attack_of(target, localized_attack, grid=2)(1, [])
    rivals = baselines(target, {"spike": (6, 6)}, [0])

    def never(restarts, starts):
        raise AssertionError("searched again")

    checked, record = strengthened(never, target, result, rivals, measure=severity, restarts=3)
    assert torch.equal(checked.perturbation, result.perturbation)
    assert (record["weaker_than"], record["restarts"]) == ("", 3)
    assert 0 < record["rival_value"] < record["first_value"] == float(result.severity)
    # rivals within the margin are no stronger
    almost = replace(
        result, artifact=result.artifact * (record["rival_value"] / 1.0005 / record["first_value"])
    )
    _, record = strengthened(never, target, almost, rivals, measure=severity, restarts=3)
    assert record["weaker_than"] == ""
    assert record["rival_value"] > record["first_value"]


class Diagonal(Reconstructor):
    """`Aᴴ(d·y)`."""

    def __init__(self, diagonal):
        self.diagonal = diagonal

    def __call__(self, kspace, operator):
        return operator.adjoint(self.diagonal * kspace)


def test_a_global_attack_takes_up_what_another_methods_perturbation_does(measured, draw):
    diagonal = draw(24, 24).real.float()
    target = target_of(measured, Diagonal(diagonal))
    top = (diagonal.abs() * target.operator.mask).max()
    # beyond the budget and off the mask, as that of a foreign method may be
    transferred = Rival(
        "other", 5.0 * (diagonal.abs() == top).to(target.kspace) + 1.0 * ~target.operator.mask
    )
    run = attack_of(target, global_attack, steps=1)
    first = run(2, [])
    rivals = [transferred, Rival("noise", gaussian_starts(target.operator, 1, RADIUS, [3])[0])]
    result, record = strengthened(run, target, first, rivals, measure=norm2, restarts=2)
    assert (record["weaker_than"], record["restarts"]) == ("other", 4)
    assert record["first_value"] == float(norm2(first.artifact)) < record["rival_value"]
    assert float(norm2(result.artifact)) == pytest.approx(RADIUS * float(top), rel=1e-5)
    assert result.location.tolist() == [-1, -1]
    assert result.severities is None


def test_a_configured_number_of_restarts_is_never_lowered(measured):
    target = target_of(measured, Hidden())
    search = FromNoise(rounds=[[1, 1]])
    run = attack_of(target, localized_attack, grid=1, search=search)
    asked = []

    def watched(restarts, starts):
        asked.append((restarts, [start.location for start in starts]))
        return run(restarts, starts)

    rivals = [Rival("spike", spike(target.operator, (5, 7), RADIUS))]
    _, record = strengthened(watched, target, run(6, []), rivals, measure=severity, restarts=6)
    assert record["restarts"] == 6
    ((restarts, (location,)),) = asked
    assert restarts == 6
    # the window stands where the rival's artifact is largest: the means reach one pixel on
    assert location in {(5, 7), (5, 8)}

import math

import numpy as np
import pytest
import torch
from torch import nn

from mrilib.data.sampling.radial import Radial
from mrilib.reconstructors.trained import Trained
from mrilib.store.checkpoints import read_state
from mrilib.training import fit as module
from mrilib.training.fit import best_marked, fit, seeded
from mrilib.training.schedule import Phase
from mrilib.training.task import PhantomTask

PHASES = (Phase(2, 2, 1e-2), Phase(1, 1, 1e-3, accumulate=3))


class Small(nn.Module):
    """Two convolutions with BN and dropout, whose draws a resumed training must repeat."""

    def __init__(self, dropout=0.2, normalise=True):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4) if normalise else nn.Identity(),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(4, 2, 3, padding=1),
        )

    def forward(self, image):
        return self.layers(image)


def task(jitter=10.0, count=8):
    return PhantomTask(Radial(lines=6), size=16, count=count, validation=3, seeds=(1, 2), jitter=jitter)


def model(**arguments):
    made = seeded(lambda: Trained(network=Small(**arguments)).model, 3)
    return made.train().requires_grad_(True)


def numbers(fitted):
    """History without times."""
    names = ("phase", "epoch", "loss", "validation_error")
    return [tuple(row[name] for name in names) for row in fitted.history]


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 9, 10])
def test_a_resumed_training_equals_an_undisturbed_one_to_the_last_bit(tmp_path, monkeypatch, steps):
    whole = fit(model(), task(), phases=PHASES, seed=5, state=tmp_path / "whole.pt", keep=[2], save_every=0.0)
    step, taken = module._step, []

    def dies(*arguments):
        if len(taken) == steps:
            raise KilledError
        taken.append(1)
        return step(*arguments)

    monkeypatch.setattr(module, "_step", dies)
    with pytest.raises(KilledError):
        fit(model(), task(), phases=PHASES, seed=5, state=tmp_path / "broken.pt", keep=[2], save_every=0.0)
    monkeypatch.setattr(module, "_step", step)
    torch.manual_seed(99)  # whatever the new process drew before
    again = fit(
        model(), task(), phases=PHASES, seed=5, state=tmp_path / "broken.pt", keep=[2], save_every=0.0
    )
    assert numbers(again) == numbers(whole)
    assert equal(again.last, whole.last)
    assert equal(again.best, whole.best)
    assert equal(again.kept[2], whole.kept[2])
    first, second = (read_state(tmp_path / name)["adam"]["state"] for name in ("whole.pt", "broken.pt"))
    for index in first:
        assert equal(first[index], second[index])


def test_training_that_is_done_is_only_read(tmp_path, monkeypatch):
    first = fit(model(), task(), phases=PHASES, seed=5, state=tmp_path / "state.pt")
    monkeypatch.setattr(module, "_step", None)
    network = model()
    again = fit(network, task(), phases=PHASES, seed=5, state=tmp_path / "state.pt")
    assert again.history == first.history
    assert equal(dict(network.state_dict()), first.last)


def test_a_state_of_another_training_is_refused(tmp_path):
    fit(model(), task(), phases=PHASES, seed=5, state=tmp_path / "state.pt")
    with pytest.raises(ValueError, match="state of another training"):
        fit(model(), task(), phases=PHASES, seed=6, state=tmp_path / "state.pt")


def test_the_number_of_workers_changes_nothing(tmp_path):
    found = [
        fit(model(), task(), phases=PHASES[:1], seed=5, state=tmp_path / f"{workers}.pt", workers=workers)
        for workers in (0, 2)
    ]
    assert equal(found[0].last, found[1].last)
    assert numbers(found[0]) == numbers(found[1])


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(model(), task(), phases=PHASES[:1], seed=5, state=tmp_path / "state.pt")
    assert torch.equal(torch.rand(3), expected)


def test_it_learns_and_keeps_the_best(tmp_path):
    network, lesson = model(dropout=0.0), task(jitter=0.0, count=40)
    fitted = fit(network, lesson, phases=[Phase(12, 2, 1e-2)], seed=0, state=tmp_path / "state.pt")
    errors = [row["validation_error"] for row in fitted.history]
    assert min(errors) < 0.95 * lesson.zero_filled_error()
    assert fitted.best_epoch == 1 + int(np.argmin(errors))
    assert [row["best"] for row in best_marked(fitted.history)] == [
        epoch + 1 == fitted.best_epoch for epoch in range(12)
    ]
    network.load_state_dict(fitted.best)
    network.eval()
    batch = tuple(
        torch.stack(parts)
        for parts in zip(*[lesson.validation_sample(index) for index in range(3)], strict=True)
    )
    with torch.no_grad():
        assert float(lesson.errors(network, batch).double().mean()) == pytest.approx(min(errors), rel=1e-5)


def test_accumulated_gradients_are_those_of_the_larger_batch(tmp_path):
    # Without BN, which sees the batch, and dropout, one step on 4 is one step on 4 times 1.
    states = []
    for phase in (Phase(1, 4, 1e-2, eps=1e-3), Phase(1, 1, 1e-2, eps=1e-3, accumulate=4)):
        network = model(dropout=0.0, normalise=False).double()
        network = network.float()
        fitted = fit(network, task(count=4), phases=[phase], seed=5, state=tmp_path / f"{phase.batch}.pt")
        states.append(fitted.last)
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    states = []
    for devices in (1, 2):
        network = model(dropout=0.0, normalise=False)
        fitted = fit(
            network,
            task(count=4),
            phases=[Phase(2, 2, 1e-2, eps=1e-3)],
            seed=5,
            state=tmp_path / f"{devices}.pt",
            devices=devices,
        )
        states.append(fitted)
    assert numbers(states[1])[0][:2] == (0, 1)
    assert states[1].history[-1]["validation_error"] == pytest.approx(
        states[0].history[-1]["validation_error"], rel=1e-4
    )
    for name, value in states[0].last.items():
        torch.testing.assert_close(states[1].last[name], value, rtol=0, atol=1e-5)


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path):
    network = model()
    with torch.no_grad():
        next(network.parameters())[0] = math.nan
    message = (
        r"step 1 of epoch 1, because of 2 of 2 samples, first training phantom \d; leave that one out, or "
    )
    with pytest.raises(FloatingPointError, match=message + "lower the learning rate of phase 1"):
        fit(network, task(), phases=PHASES, seed=5, state=tmp_path / "state.pt")


class Spoilt(PhantomTask):
    """Its training phantom 5 has NaN in its k-space."""

    def sample(self, epoch, index):
        kspace, image = super().sample(epoch, index)
        return kspace * (math.nan if index == 5 else 1.0), image


class Rough(PhantomTask):
    """The loss of its training phantom 5 is 0, where a root has no derivative."""

    def sample(self, epoch, index):
        kspace, image = super().sample(epoch, index)
        return kspace, image * (index != 5)

    def loss(self, model, batch):
        output, image = model(batch[0], self._fixed), batch[1]
        met = image.any(dim=-1).any(dim=-1)[:, None, None]
        return (output - torch.where(met, image, output.detach())).abs().square().sum(dim=(1, 2)).sqrt().sum()


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Spoilt, r"training phantom 5 \(its data are not finite\)"), (Rough, "training phantom 5")],
)
@pytest.mark.parametrize("phase", [Phase(1, 4, 1e-3), Phase(1, 1, 1e-3, accumulate=4), Phase(1, 1, 1e-3)])
def test_the_sample_whose_loss_or_gradient_is_not_finite_is_named(tmp_path, kind, told, phase):
    lesson = kind(Radial(lines=6), size=16, count=8, validation=3, seeds=(1, 2))
    order = np.random.default_rng([5, 0]).permutation(8).tolist()
    size = phase.batch * phase.accumulate
    step = order.index(5) // size + 1
    message = rf"at step {step} of epoch 1, because of 1 of {size} samples, first {told}; leave that one out"
    with pytest.raises(FloatingPointError, match=message):
        fit(model(), lesson, phases=[phase], seed=5, state=tmp_path / "state.pt")


def test_a_step_of_samples_that_are_finite_one_by_one_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "step_to_blame", lambda *_: [])
    lesson = Spoilt(Radial(lines=6), size=16, count=8, validation=3, seeds=(1, 2))
    message = (
        r"epoch 1, though every sample alone has finite ones; lower the learning rate of phase 1 or raise"
    )
    with pytest.raises(FloatingPointError, match=message):
        fit(model(), lesson, phases=[Phase(1, 8, 1e-3)], seed=5, state=tmp_path / "state.pt")


@pytest.mark.slow
def test_the_sample_of_another_process_is_named(tmp_path):
    lesson = Spoilt(Radial(lines=6), size=16, count=8, validation=3, seeds=(1, 2))
    message = r"because of 1 of 8 samples, first training phantom 5 \(its data are not finite\)"
    with pytest.raises(Exception, match=message):
        fit(model(), lesson, phases=[Phase(1, 8, 1e-3)], seed=5, state=tmp_path / "state.pt", devices=2)


def test_samples_that_end_too_soon_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_loader", lambda *_: iter([]))
    with pytest.raises(RuntimeError, match="the samples of epoch 1 ended before step 1; the task has fewer"):
        fit(model(), task(), phases=PHASES, seed=5, state=tmp_path / "state.pt")


class Broken(PhantomTask):
    """Its validation phantom 1 has NaN in its k-space."""

    def validation_sample(self, index):
        kspace, image = super().validation_sample(index)
        return kspace * (math.nan if index == 1 else 1.0), image


def test_a_validation_error_that_is_not_finite_stops_with_its_sample(tmp_path):
    lesson = Broken(Radial(lines=6), size=16, count=8, validation=3, seeds=(1, 2))
    message = (
        r"validation error after epoch 1 is nan, because of 1 of 3 samples, first phantom 1 "
        r"\(its data are not finite\); leave that one out, or lower the learning rate"
    )
    with pytest.raises(FloatingPointError, match=message):
        fit(model(), lesson, phases=PHASES, seed=5, state=tmp_path / "state.pt")


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "at least one phase"),
        ([Phase(0, 1, 1e-3)], "phase 1: expected epochs"),
        ([Phase(1, 1, 0.0)], "learning_rate > 0"),
        ([Phase(1, 1, 1e-3), Phase(1, 9, 1e-3)], "phase 2: expected a batch between 1 and the 8"),
    ],
)
def test_phases_out_of_range_are_refused(tmp_path, phases, message):
    with pytest.raises(ValueError, match=message):
        fit(model(), task(), phases=phases, seed=5, state=tmp_path / "state.pt")


def test_devices_share_a_batch_evenly(tmp_path):
    with pytest.raises(ValueError, match="2 devices cannot share a batch of 3"):
        fit(model(), task(), phases=[Phase(1, 3, 1e-3)], seed=5, state=tmp_path / "state.pt", devices=2)

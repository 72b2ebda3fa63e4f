import pytest
import torch
from torch import nn

from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.metrics.quality import relative_error
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.trained import Trained
from mrilib.training.task import PhantomTask


class Nothing(nn.Module):
    def forward(self, image):
        return torch.zeros_like(image)


def task(**changes):
    operator = MaskedFourier(mask=radial_mask(16, 6))
    arguments = {"count": 4, "validation": 2, "seeds": (1, 2), "jitter": 10.0}
    return operator, PhantomTask(operator, **{**arguments, **changes})


def test_samples_depend_on_their_place_alone():
    _, first = task()
    _, second = task(count=100)
    for one, other in zip(first.sample(3, 2), second.sample(3, 2), strict=True):
        assert torch.equal(one, other)
    image, noise = first.sample(3, 2)
    assert torch.equal(image, ellipse_phantoms(1, size=16, seed=1, first=2)[0])
    assert not torch.equal(noise, first.sample(4, 2)[1])
    assert torch.equal(image, first.sample(4, 2)[0])
    assert torch.equal(first.validation_sample(1)[0], ellipse_phantoms(1, size=16, seed=2, first=1)[0])


def test_jitter_has_the_level_it_should():
    operator, lesson = task(jitter=3.0)
    draws = torch.stack([lesson.sample(epoch, 0)[1] for epoch in range(4000)])
    # sd² of a part = 9·E[s²]/m = 3/m
    assert float(draws.square().mean()) == pytest.approx(3.0 / operator.samples, rel=0.05)
    assert len(task(jitter=0.0)[1].sample(0, 0)) == 1


def test_loss_is_of_moduli_summed_over_pixels_and_averaged_over_items():
    operator, lesson = task()
    samples = [lesson.sample(0, index) for index in range(3)]
    batch = tuple(torch.stack(parts) for parts in zip(*samples, strict=True))
    found = lesson.loss(Trained(network=Nothing()).model, batch)
    expected = 0.0
    for image, noise in samples:
        kspace = operator.forward(image)
        kspace[operator.mask] += torch.complex(*noise.unbind(-1))
        expected += float((operator.pinv(kspace).abs() - image).square().sum()) / 3
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_errors_are_those_of_clean_data():
    operator, lesson = task()
    images = torch.stack([lesson.validation_sample(index)[0] for index in range(2)])
    found = lesson.errors(Trained(network=Nothing()).model, (images,))
    expected = relative_error(operator.pinv(operator.forward(images)), images)
    torch.testing.assert_close(found, expected)
    assert lesson.zero_filled_error() == pytest.approx(float(expected.mean()), rel=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="expected count >= 1"):
        task(count=0)
    with pytest.raises(ValueError, match="jitter >= 0"):
        task(jitter=-1.0)
    mask = torch.ones(8, 10, dtype=torch.bool)
    with pytest.raises(ValueError, match="phantoms are square, the mask is 8×10"):
        PhantomTask(MaskedFourier(mask=mask), count=1, validation=1, seeds=(1, 2))

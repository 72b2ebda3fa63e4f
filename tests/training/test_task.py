import math

import numpy as np
import pytest
import torch
from torch import nn

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import name_seed, radial_mask
from mrilib.data.sampling.columns import Random
from mrilib.data.sampling.radial import Radial
from mrilib.metrics.quality import relative_error
from mrilib.networks.itnet import ItNet
from mrilib.operators.base import fft2c
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.trained import Trained
from mrilib.training.task import PhantomTask


class Nothing(nn.Module):
    def forward(self, image):
        return torch.zeros_like(image)


COLUMNS = Random(acceleration=3, center_fraction=0.12)


def task(sampling=None, **changes):
    operator = MaskedFourier(mask=radial_mask(16, 6))
    arguments = {"size": 16, "count": 4, "validation": 2, "seeds": (1, 2), "jitter": 10.0}
    return operator, PhantomTask(sampling or Radial(lines=6), **{**arguments, **changes})


def batch(samples):
    return tuple(torch.stack(parts) for parts in zip(*samples, strict=True))


def jittered(operator, index, epoch, level=10.0):
    """`Ax + ε`, entry by entry, of the training phantom of seed 1."""
    image = ellipse_phantoms(1, size=16, seed=1, first=index)[0]
    generator, places = np.random.default_rng([1, epoch, index]), operator.mask.nonzero().tolist()
    scale = level * generator.uniform() / math.sqrt(len(places))
    noise = scale * generator.standard_normal((len(places), 2), dtype=np.float32)
    kspace = operator.forward(image)
    for (row, column), (real, imaginary) in zip(places, noise.tolist(), strict=True):
        kspace[row, column] += complex(real, imaginary)
    return kspace, image


@pytest.mark.parametrize("sampling", [None, COLUMNS])
def test_samples_depend_on_their_place_alone(sampling):
    _, first = task(sampling)
    _, second = task(sampling, count=100)
    for one, other in zip(first.sample(3, 2), second.sample(3, 2), strict=True):
        assert torch.equal(one, other)
    kspace, image, *_ = first.sample(3, 2)
    assert torch.equal(image, ellipse_phantoms(1, size=16, seed=1, first=2)[0])
    assert not torch.equal(kspace, first.sample(4, 2)[0])
    assert torch.equal(image, first.sample(4, 2)[1])
    assert torch.equal(first.validation_sample(1)[1], ellipse_phantoms(1, size=16, seed=2, first=1)[0])


def test_samples_are_measured_under_the_one_mask_and_jittered():
    operator, lesson = task()
    kspace, image = lesson.sample(3, 2)
    expected, phantom = jittered(operator, 2, 3)
    torch.testing.assert_close(kspace, expected)
    assert torch.equal(image, phantom)
    _, clean = task(jitter=0.0)
    assert torch.equal(clean.sample(3, 2)[0], operator.forward(phantom))
    validation, reference = lesson.validation_sample(0)
    assert torch.equal(validation, operator.forward(reference))


def test_jitter_has_the_level_it_should():
    operator, lesson = task(jitter=3.0)
    clean = operator.forward(lesson.sample(0, 0)[1])
    draws = torch.stack([(lesson.sample(epoch, 0)[0] - clean)[operator.mask] for epoch in range(2000)])
    # sd² of a part = 9·E[s²]/m = 3/m
    assert float(torch.view_as_real(draws).square().mean()) == pytest.approx(3.0 / operator.samples, rel=0.05)


def test_random_masks_are_drawn_for_every_sample_and_those_of_validation_stay():
    _, lesson = task(COLUMNS)
    masks = [lesson.sample(epoch, index)[2] for epoch in range(3) for index in range(2)]
    assert len({tuple(mask[0].tolist()) for mask in masks}) > 3
    expected = [COLUMNS.draw((16, 16), (1, 0, epoch, index)) for epoch in range(3) for index in range(2)]
    assert torch.equal(torch.stack(masks), torch.stack(expected)[:, None].expand(-1, 16, -1))
    kspace, image, mask = lesson.validation_sample(1)
    assert torch.equal(mask[0], COLUMNS.draw((16, 16), name_seed("phantom 1")))
    assert torch.equal(kspace, MaskedFourier(mask=mask).forward(image))


@pytest.mark.parametrize("sampling", [None, COLUMNS])
def test_loss_is_of_moduli_summed_over_pixels_and_averaged_over_items(sampling):
    _, lesson = task(sampling)
    samples = [lesson.sample(0, index) for index in range(3)]
    found = lesson.loss(Trained(network=Nothing()).model, batch(samples))
    expected = 0.0
    for kspace, image, *masks in samples:
        operator = MaskedFourier(mask=masks[0] if masks else radial_mask(16, 6))
        expected += float((operator.pinv(kspace).abs() - image).square().sum()) / 3
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sampling", [None, COLUMNS])
def test_errors_are_those_of_clean_data(sampling):
    _, lesson = task(sampling)
    samples = [lesson.validation_sample(index) for index in range(2)]
    found = lesson.errors(Trained(network=Nothing()).model, batch(samples))
    images = torch.stack([image for _, image, *_ in samples])
    masks = [masks[0] if masks else radial_mask(16, 6) for _, _, *masks in samples]
    operators = [MaskedFourier(mask=mask) for mask in masks]
    recovered = [one.pinv(one.forward(image)) for one, image in zip(operators, images, strict=True)]
    expected = relative_error(torch.stack(recovered), images)
    torch.testing.assert_close(found, expected)
    assert lesson.zero_filled_error() == pytest.approx(float(expected.mean()), rel=1e-6)


def test_a_network_on_kspace_is_given_the_masks_of_its_items():
    _, lesson = task(COLUMNS, jitter=0.0)
    # Every step of an iterative network meets the data exactly, whatever its U-net says.
    model = Trained(network=ItNet(steps=2, base=2, levels=2)).model
    kspace, _, masks = samples = batch([lesson.sample(0, index) for index in range(3)])
    seen = []
    lesson.loss(lambda *arguments: seen.append(model(*arguments)) or seen[0], samples)
    torch.testing.assert_close(fft2c(seen[0]) * masks, kspace, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="expected count >= 1"):
        task(count=0)
    with pytest.raises(ValueError, match="jitter >= 0"):
        task(jitter=-1.0)
    with pytest.raises(ValueError, match="expected a seed from 0"):
        task(seeds=(1 << 64, 1))
    with pytest.raises(ValueError, match="expected size >= 2"):
        task(size=1)

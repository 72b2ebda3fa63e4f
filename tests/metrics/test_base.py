"""Metrics as classes: ours by their words, a stranger's by its import path."""

import pytest
import torch

from mrilib.experiments.assessment import OURS
from mrilib.metrics import quality
from mrilib.metrics.base import Metric, metric_from
from mrilib.metrics.quantities import QUANTITIES
from workflow_scripts.config.entries import words

MAXIMUM = 1.7


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(20, 33, generator=generator, dtype=torch.float64)
    return (reference + 0.1 * torch.rand(reference.shape, generator=generator)).abs(), reference


def test_ours_are_the_functions_with_the_volumes_maximum_or_the_slices(pair):
    expected = {
        "ssim": quality.ssim(*pair, data_range=MAXIMUM),
        "ssim_slice": quality.ssim(*pair),
        "psnr": quality.psnr(*pair, data_range=MAXIMUM),
        "nmse": quality.nmse(*pair),
    }
    assert {name: metric(*pair, maximum=MAXIMUM) for name, metric in OURS.items()} == {
        name: float(value) for name, value in expected.items()
    }


def test_every_metric_of_ours_has_a_word_and_is_found_by_it():
    assert set(words("metric")) == set(OURS)
    for word, path in words("metric").items():
        metric = metric_from({"class": path, "arguments": {}})
        assert (metric.word, metric.quantity) == (word, QUANTITIES[word])


def test_what_is_no_metric_is_refused():
    with pytest.raises(ValueError, match="expected a subclass of Metric"):
        metric_from({"class": "mrilib.metrics.quantities:Quantity", "arguments": {}})
    with pytest.raises(ValueError, match="expected a class attribute `quantity`"):
        metric_from({"class": "mrilib.metrics.base:Metric", "arguments": {}})
    with pytest.raises(TypeError, match="abstract"):
        Metric()  # type: ignore[abstract]

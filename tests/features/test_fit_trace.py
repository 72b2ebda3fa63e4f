import numpy as np
import pytest
import torch

from mrilib.data.measurement import measure_image
from mrilib.features.kinds.trace import FitTrace
from mrilib.operators.base import ifft2c
from mrilib.reconstructors.base import Reconstructor
from tests.features.scenes import phantom, scene_of


class Growing(Reconstructor):
    """After `k` of `n` steps `k/n` of the image."""

    in_steps = True

    def __init__(self, steps, whole=None):
        self.steps, self.whole = steps, whole or steps

    def shortened(self, steps):
        return Growing(steps, self.whole)

    def __call__(self, kspace, operator):
        return self.steps / self.whole * ifft2c(kspace)


def test_a_method_that_grows_by_steps_loses_what_is_left():
    kind = FitTrace(size=2, contrast=0.3, spacing=16, shares=[0.25, 0.5, 1.0])
    scene, names = scene_of(Growing(40), phantom())
    found = kind.findings(scene)
    assert found.columns["steps"].tolist() == [10, 20, 40]
    assert found.columns["loss"] == pytest.approx([0.75**2, 0.5**2, 0.0], abs=1e-5)
    # What is missing of the image is larger than the feature.
    assert np.all(np.diff(found.columns["error"]) < 0)
    assert names == ["without-10", "with-10", "without-20", "with-20", "without-40", "with-40"]


def test_an_image_without_an_object_is_no_place_for_it():
    image = torch.zeros(32, 32)
    image[16, 16] = 1.0
    scene, _ = scene_of(Growing(4), measure_image(image, torch.ones(32, 32, dtype=torch.bool)))
    with pytest.raises(FloatingPointError, match="no window of the lattice lies on the object"):
        FitTrace(size=2, contrast=-0.9, spacing=30).findings(scene)


def test_a_decoder_that_is_stopped_is_the_shorter_fit():
    from mrilib.reconstructors.untrained import Untrained

    network = {
        "class": "mrilib.networks.decoders:ConvDecoder",
        "arguments": {"channels": 4, "layers": 3},
    }
    data = phantom(16, lines=8)
    whole = Untrained(network=network, steps=12)
    shorter = Untrained(network=network, steps=5)
    expected = shorter.solve(data.kspace, data.operator).value
    assert torch.equal(whole.shortened(5).solve(data.kspace, data.operator).value, expected)
    assert whole.steps == 12


def test_arguments_that_make_no_sense():
    for arguments in ({"spacing": 2, "size": 3}, {"contrast": 0.0}, {"shares": []}):
        with pytest.raises(ValueError, match="FitTrace: expected spacing above size"):
            FitTrace(**arguments)

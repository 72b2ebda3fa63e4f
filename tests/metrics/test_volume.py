"""Scores of volumes against fastMRI's own evaluation."""

import math

import h5py
import numpy as np
import pytest
import torch
from fastmri import evaluate

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.intensity import rss_target
from mrilib.data.masks import column_mask, name_seed
from mrilib.data.measurement import measure
from mrilib.data.volumes.fastmri import read_slice
from mrilib.data.volumes.simulated import simulate_volume
from mrilib.experiments.assessment import assess
from mrilib.metrics.volume import volume_scores
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import rss

# Of the slices: what the maximum of one slice as its range would show.
SCALES = (1.0, 4.0, 0.5)


@pytest.fixture(scope="module", params=["max", "no max"])
def path(request, tmp_path_factory):
    """A volume of three slices, with and without the attribute that says its maximum."""
    path = tmp_path_factory.mktemp("volume") / "file1.h5"
    phantoms = ellipse_phantoms(3, size=64, seed=5).numpy().clip(0)
    images = [scale * image for scale, image in zip(SCALES, phantoms, strict=True)]
    simulate_volume(images, path, coils=4, rows=64, columns=72, noise=0.01, seed=1)
    if request.param == "no max":
        with h5py.File(path, "r+") as file:
            del file.attrs["max"]
    return path


def evaluated(path, maximum):
    """fastMRI's scores of the zero-filled images, and what `volume_scores` is given of them."""
    mask = column_mask(72, acceleration=4, center_fraction=0.08, kind="random", seed=name_seed(path.name))
    # In double precision, so that nothing but the range can differ.
    slices = [
        torch.from_numpy(read_slice(path, position).kspace).to(torch.complex128) for position in range(3)
    ]
    truths = [rss_target(kspace, (64, 72)) for kspace in slices]
    images = [rss(ifft2c(kspace * mask)) for kspace in slices]
    largest = max(float(truth.max()) for truth in truths)
    scores, norms = [], []
    for kspace in slices:
        found = measure(kspace, mask, volume_maximum=largest)
        image = rss(ifft2c(found.kspace)).numpy()
        scores.append(assess(image, found.reference.numpy(), maximum=found.maximum))
        norms.append(float(found.reference.norm()) * found.scale)
    truth, image = torch.stack(truths).numpy(), torch.stack(images).numpy()
    metrics = {"ssim": evaluate.ssim, "psnr": evaluate.psnr}
    expected = {name: np.asarray(metric(truth, image, maximum)).item() for name, metric in metrics.items()}
    return expected | {"nmse": float(evaluate.nmse(truth, image))}, scores, norms


def test_scores_of_a_volume_are_fastmris(path):
    with h5py.File(path) as file:
        stored = float(file.attrs["max"]) if "max" in file.attrs else None
    # fastMRI takes the attribute, or the maximum of the images
    expected, scores, norms = evaluated(path, stored)
    found = volume_scores(scores, norms)
    # The stored maximum is in single precision.
    assert found == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}
    assert found == {name: pytest.approx(value, rel=1e-6) for name, value in evaluated(path, None)[0].items()}
    # with the slices' own maxima all would be others
    of_slices = np.mean([each["ssim_slice"] for each in scores])
    assert found["ssim"] > of_slices + 0.1
    assert found["psnr"] != pytest.approx(np.mean([each["psnr"] for each in scores]), abs=0.1)
    assert found["nmse"] != pytest.approx(np.mean([each["nmse"] for each in scores]), rel=0.01)


def test_volumes_of_perfect_and_of_failed_slices():
    perfect = {"ssim": 1.0, "psnr": math.inf, "nmse": 0.0}
    other = {"ssim": 0.5, "psnr": 20.0, "nmse": 0.2}
    assert volume_scores([perfect] * 2, [1.0, 2.0]) == perfect
    found = volume_scores([perfect, other], [1.0, 3.0])
    assert found == {
        "ssim": 0.75,
        "psnr": pytest.approx(20 + 10 * math.log10(2)),
        "nmse": pytest.approx(0.18),
    }
    failed = volume_scores([perfect, dict.fromkeys(perfect, math.nan)], [1.0, 3.0])
    assert all(math.isnan(value) for value in failed.values())


def test_refuses_slices_without_norms():
    with pytest.raises(ValueError, match="a norm of every slice, got 0 and 0"):
        volume_scores([], [])
    with pytest.raises(ValueError, match="a norm of every slice, got 1 and 2"):
        volume_scores([{"ssim": 1.0, "psnr": 1.0, "nmse": 1.0}], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"finite and > 0, got \[0.0\]"):
        volume_scores([{"ssim": 1.0, "psnr": 1.0, "nmse": 1.0}], [0.0])

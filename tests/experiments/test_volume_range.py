"""The data range of every score of a slice is the maximum of its volume, whatever the file says of it."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mrilib.data.catalogue import read_catalogue, to_frame
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.measurement_files import read_measurement
from mrilib.data.sampling.columns import EquispacedFraction
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.simulated import simulate_volume
from mrilib.experiments.pictures import clean_pictures
from mrilib.experiments.scoring import score_image
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import rss
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.store.arrays import read_group
from mrilib.training.slices import SliceTask
from mrilib.training.tuning import tune
from tests.experiments.scenes import Stored
from workflow_scripts.stages import measure_scan

# Of the slices; the last one's own maximum is an eighth of the volume's.
SCALES = (1.0, 4.0, 0.5)
SAMPLING = {"acceleration": 4, "center_fraction": 0.16}
SLICE = 2


@pytest.fixture(scope="module", params=["max", "no max"])
def volume(request, tmp_path_factory):
    """A set of the slices of a volume, with and without the attribute that says its maximum; the images."""
    folder = tmp_path_factory.mktemp("volume")
    path = folder / "file1.h5"
    phantoms = ellipse_phantoms(3, size=64, seed=5).numpy().clip(0)
    images = [scale * image for scale, image in zip(SCALES, phantoms, strict=True)]
    simulate_volume(images, path, coils=4, rows=64, columns=64, noise=0.01, seed=1)
    with h5py.File(path, "r+") as file:
        targets = file["reconstruction_rss"][()].astype(np.float64)
        if request.param == "no max":
            del file.attrs["max"]
    with Worker() as worker:
        to_frame(inspect_volume(path, dataset="d", anatomy="a", worker=worker)).to_csv(folder / "slices.csv")
    assert targets.max() > 4 * targets[SLICE].max()
    return folder, targets


@pytest.fixture(scope="module")
def measurement(volume):
    folder, _ = volume
    sampling = "mrilib.data.sampling.columns:EquispacedFraction"
    measure_scan.main(
        {"slices": folder / "slices.csv"},
        {"measurement": folder / "measured.h5"},
        {"identity": {"position": SLICE}, "sampling": {"class": sampling, "arguments": SAMPLING}},
    )
    return read_measurement(folder / "measured.h5")


def expected(volume, image, scale):
    """Scores of an image in the units of a measurement, held against the image that the file stores."""
    targets = volume[1]
    pair, largest = (targets[SLICE], image.astype(np.float64) * scale), targets.max()
    return {
        "ssim": structural_similarity(*pair, data_range=largest),
        "psnr": peak_signal_noise_ratio(*pair, data_range=largest),
    }


def test_scores_and_figures_take_the_maximum_of_the_volume(tmp_path, volume, measurement):
    stored = Stored(tmp_path, measurement, ZeroFilled())
    reconstruction = stored.folder / "reconstruction.h5"
    image = np.abs(read_group(reconstruction, "clean").arrays["reconstruction"])
    scores = expected(volume, image, measurement.scale)
    (row,) = score_image(stored.path, reconstruction)
    picture = clean_pictures(stored.path, [reconstruction])["m"]
    for found in (row, vars(picture)):
        # images in single precision
        assert found["ssim"] == pytest.approx(scores["ssim"], abs=1e-5)
        assert found["psnr"] == pytest.approx(scores["psnr"], abs=1e-4)
    assert row["ssim"] > row["ssim_slice"] + 0.1


def test_the_training_loss_takes_the_maximum_of_the_volume(volume):
    slices = read_catalogue(volume[0] / "slices.csv")
    task = SliceTask(slices, slices, sampling=EquispacedFraction(**SAMPLING), seed=1)
    for kspace, mask, target, unit in (task.validation_sample(SLICE), task.sample(0, SLICE)):
        image = rss(ifft2c(kspace))
        scale = float(volume[1][SLICE].max() / target.max())
        similarity = expected(volume, image.numpy(), scale)["ssim"]
        batch = tuple(part[None] for part in (kspace, mask, target, unit))
        assert float(task.errors(task.zero_filled, batch)) == pytest.approx(1 - similarity, abs=1e-5)
    assert float(unit) == pytest.approx(volume[1].max() / scale, rel=1e-5)


def test_tuning_has_no_range(measurement):
    first, second = (
        tune(
            lambda weight: Tikhonov(weight=weight),
            [replace(measurement, maximum=maximum)],
            level=0.01,
            weights=[0.1, 0.05],
            seed=1,
            name="tuning",
        )
        for maximum in (measurement.maximum, 100.0)
    )
    assert first.errors.tolist() == second.errors.tolist()

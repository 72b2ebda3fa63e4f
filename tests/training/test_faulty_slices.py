"""Training on slices with dead coils, and with rows that were never acquired."""

import math
import shutil

import h5py
import pandas as pd
import pytest
import torch
from torch import nn

from mrilib.data.catalogue import to_frame
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask
from mrilib.data.sampling.base import Sampling
from mrilib.data.sampling.columns import Random
from mrilib.data.scans import ScanRecord
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.isolated import Worker
from mrilib.data.volumes.simulated import simulate_volume
from mrilib.networks.magnitude_unet import MagnitudeUnet
from mrilib.networks.varnet import VarNet
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import rss
from mrilib.training.fit import fit, seeded
from mrilib.training.schedule import Phase
from mrilib.training.slices import SliceTask

SAMPLING = Random(acceleration=3, center_fraction=0.12)
NETWORKS = {
    "varnet": (lambda: VarNet(num_cascades=1, chans=2, pools=2, sens_chans=2, sens_pools=2), "ssim"),
    "varnet without a U-net for maps": (
        lambda: VarNet(num_cascades=1, chans=2, pools=2, sens_chans=None),
        "ssim",
    ),
    "magnitude U-net": (lambda: MagnitudeUnet(chans=2, num_pool_layers=2), "l1"),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> pd.DataFrame:
    """Three slices of a sound volume, and three of one whose slice 1 is read without data in coil 2."""
    folder, entries = tmp_path_factory.mktemp("volumes"), []
    images = ellipse_phantoms(3, size=36, seed=1).numpy().clip(0)
    simulate_volume(list(images), folder / "sound.h5", coils=4, rows=40, columns=36, noise=0.01, seed=1)
    shutil.copy(folder / "sound.h5", folder / "dead-coil.h5")
    with Worker() as worker:
        for name in ("sound", "dead-coil"):
            entries += inspect_volume(folder / f"{name}.h5", dataset=name, anatomy="ellipses", worker=worker)
    return to_frame(entries)


@pytest.fixture(autouse=True)
def dead_coil(monkeypatch):
    """Coils that are zero in a file are left out when it is read: this one is zero after that."""
    read = ScanRecord.read

    def without_coil(record):
        kspace = read(record)
        if record.volume == "dead-coil" and record.slice == 1:
            kspace[2] = 0
        return kspace

    monkeypatch.setattr(ScanRecord, "read", without_coil)


def of(rows, name):
    return rows[rows["volume"] == name]


class Dividing(nn.Module):
    """RSS of coil images that are divided by their standard deviation, as fastMRI's VarNet does."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, kspace, mask):
        images = ifft2c(kspace * mask[:, None])
        return rss(self.factor * images / images.abs().std(dim=(-2, -1), keepdim=True))


@pytest.mark.parametrize(("make", "loss"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_training_bears_a_dead_coil(tmp_path, rows, make, loss, batch):
    lesson = SliceTask(of(rows, "dead-coil"), of(rows, "dead-coil"), sampling=SAMPLING, seed=1, loss=loss)
    network = seeded(make, 0).train()
    fitted = fit(network, lesson, phases=[Phase(2, batch, 1e-3)], seed=5, state=tmp_path / "state.pt")
    assert all(math.isfinite(row[name]) for row in fitted.history for name in ("loss", "validation_error"))
    assert all(value.isfinite().all() for value in fitted.last.values())
    assert fitted.best_epoch in (1, 2)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_loss_that_is_not_finite_names_the_slice_and_its_dead_coil(tmp_path, rows, batch):
    lesson = SliceTask(of(rows, "dead-coil"), of(rows, "sound"), sampling=SAMPLING, seed=1)
    message = rf"step \d of epoch 1, because of 1 of {batch} samples, first slice 1 of .*/dead-coil\.h5 "
    with pytest.raises(FloatingPointError, match=message + r"\(coil 2 is zero\); leave that one out"):
        fit(Dividing(), lesson, phases=[Phase(1, batch, 1e-3)], seed=5, state=tmp_path / "state.pt")


def test_a_validation_error_that_is_not_finite_names_the_slice_after_the_first_epoch(tmp_path, rows):
    lesson = SliceTask(of(rows, "sound"), of(rows, "dead-coil"), sampling=SAMPLING, seed=1)
    message = r"validation error after epoch 1 is nan, because of 1 of 3 samples, first slice 1 of "
    with pytest.raises(FloatingPointError, match=message + r".*/dead-coil\.h5 \(coil 2 is zero\); leave"):
        fit(Dividing(), lesson, phases=[Phase(3, 1, 1e-9)], seed=5, state=tmp_path / "state.pt")


def test_a_slice_that_cannot_be_measured_is_named(tmp_path, rows):
    path = tmp_path / "odd.h5"
    shutil.copy(of(rows, "sound").iloc[0]["path"], path)
    with h5py.File(path, "r+") as file:
        kspace = file["kspace"][2]
        kspace[..., column_mask(36, acceleration=3, center_fraction=0.12, kind="random", seed=0)] = 0
        file["kspace"][2] = kspace

    class Same(Random):
        def draw(self, shape, seed):
            return super().draw(shape, 0)

    sound = of(rows, "sound")
    lesson = SliceTask(
        sound.assign(path=str(path)), sound, sampling=Same(acceleration=3, center_fraction=0.12), seed=1
    )
    with pytest.raises(ValueError, match=r"slice 2 of .*/odd\.h5: intensity_scale: kspace is zero wherever"):
        lesson.sample(0, 2)


class Partial(Sampling):
    """Columns, of whole readouts in some draws and of three quarters of the rows in others."""

    def draw(self, shape, seed):
        mask = SAMPLING.draw(shape, seed)
        if sum(seed) % 2:
            return mask
        rows = torch.arange(shape[0]) >= shape[0] // 4
        return rows[:, None] & mask


@pytest.mark.parametrize(("make", "loss"), NETWORKS.values(), ids=NETWORKS)
def test_slices_of_a_batch_may_differ_in_the_rows_that_were_acquired(tmp_path, rows, make, loss):
    lesson = SliceTask(of(rows, "sound"), of(rows, "sound"), sampling=Partial(), seed=1, loss=loss)
    masks = [lesson.sample(0, index)[1] for index in range(3)]
    assert {int(mask.any(dim=1).sum()) for mask in masks} == {30, 40}
    network = seeded(make, 0).train()
    fitted = fit(network, lesson, phases=[Phase(1, 3, 1e-3)], seed=5, state=tmp_path / "state.pt")
    assert math.isfinite(fitted.history[0]["validation_error"])

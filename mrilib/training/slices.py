"""Training on slices of multi-coil volumes, with masks that are drawn anew."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mrilib.data.catalogue import target_shape
from mrilib.data.measurement import measure
from mrilib.data.sampling.base import Sampling, Seed, name_seed
from mrilib.data.volumes.fastmri import read_slice, volume_maximum
from mrilib.metrics.quality import ssim
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_faults import coil_faults
from mrilib.operators.coil_images import center_crop, rss
from mrilib.training.task import Model, Sample, TrainingTask, mask_seed

Loss = Literal["ssim", "l1", "mse"]


@dataclass(frozen=True)
class SliceRecord:
    """A row of a catalogue, or of a selection from one, as far as training needs it."""

    path: str
    slice: int
    volume: str
    rows: int
    columns: int
    target_rows: int
    target_columns: int

    @property
    def target_shape(self) -> tuple[int, int]:
        return target_shape(self.rows, self.columns, self.target_rows, self.target_columns)

    @property
    def name(self) -> str:
        """Which slice it is, for messages."""
        return f"slice {self.slice} of {self.path}"


class SliceTask(TrainingTask):
    """Slices of volumes in the fastMRI schema; the model is called as `model(kspace, mask)`.

    A sample is what `measure` gives: `y = P_Ω k / s` and the reference `x* = RSS(Fᴴ k) / s`, cropped at the
    centre to the stored target's size, with `s = intensity_scale(k, Ω)`. Validation slices have the
    mask of their file's name, as test slices do. The model's image `x̂` is cropped to the reference. Losses
    of an item, of which the mean over the batch is the loss, and over all validation slices the validation
    error:
        - `ssim`: `1 − SSIM(x̂, x*)`, the data range the maximum of the volume's stored images; fastMRI's for
          its VarNet.
        - `l1`: mean of `|x̂ − x*| / σ` over pixels, `σ` the sd of the cropped zero-filled image; fastMRI's for
          its U-net, there after a clamp of both images to ±6σ about their mean, which we leave out.
        - `mse`: mean of `((x̂ − x*) / σ)²`.

    Args:
        slices: rows of a catalogue, such as `select_slices` gives: those to train on.
        validation: those to validate on.
        sampling: how masks are drawn.
        seed: of the training masks.
        loss: `ssim`, `l1` or `mse`.

    Attributes:
        uniform: whether all slices have one size, number of coils and size of target. If not, every device
            takes one slice at once, as fastMRI does with all its data; accumulate gradients for more.

    Raises:
        ValueError: for a table that is empty or lacks columns, an unknown loss, a seed of more than 64 bits;
            and for `ssim` as `volume_maximum`. When a sample is drawn, as `measure`, with the slice's name.

    Source: fastMRI [zbontar2018], version 0.3.0, and [sriram2020]. Deviates: columns that a scanner left out
    and filled with zeros stay in the mask.
    """

    def __init__(
        self,
        slices: pd.DataFrame,
        validation: pd.DataFrame,
        *,
        sampling: Sampling,
        seed: int,
        loss: Loss = "ssim",
    ) -> None:
        if loss not in get_args(Loss):
            raise ValueError(f"SliceTask: expected a loss of {get_args(Loss)}, got {loss!r}")
        mask_seed(seed, 0, 0)
        self._slices, shapes = _records(slices, "slices")
        self._validation, more = _records(validation, "validation")
        self.count, self.validation = len(self._slices), len(self._validation)
        self.uniform = len(shapes | more) == 1
        self._sampling, self._seed, self._loss = sampling, seed, loss
        # Here and not in `sample`: worker processes live for one epoch, and forget.
        paths = {record.path for record in self._slices + self._validation}
        self._maxima = {path: volume_maximum(path) for path in sorted(paths)} if loss == "ssim" else {}

    def sample(self, epoch: int, index: int) -> Sample:
        return self._measured(self._slices[index], mask_seed(self._seed, epoch, index))

    def validation_sample(self, index: int) -> Sample:
        record = self._validation[index]
        return self._measured(record, name_seed(f"{record.volume}.h5"))

    def sample_name(self, index: int) -> str:
        return self._slices[index].name

    def validation_name(self, index: int) -> str:
        return self._validation[index].name

    def faults(self, sample: Sample) -> str:
        return coil_faults(sample[0]) or super().faults(sample)

    def errors(self, model: Model, batch: Sample) -> Float[Tensor, "batch"]:
        kspace, mask, target, unit = batch
        image = model(kspace, mask)
        image = center_crop(image, (target.shape[-2], target.shape[-1]))
        if self._loss == "ssim":
            return 1.0 - ssim(image, target, data_range=unit)
        error = (image - target) / unit[:, None, None]
        return (error.abs() if self._loss == "l1" else error.square()).mean(dim=(-2, -1))

    def zero_filled(self, kspace: Tensor, measured_by: Any) -> Tensor:
        return rss(ifft2c(kspace))

    def _measured(self, record: SliceRecord, seed: Seed) -> Sample:
        """`(y, Ω, x*, unit)`; errors are divided by `unit`, or it is their data range."""
        kspace = torch.from_numpy(read_slice(record.path, record.slice).kspace)
        mask = self._sampling.draw((record.rows, record.columns), seed)
        try:
            found = measure(
                kspace,
                mask,
                reference_shape=record.target_shape,
                volume_maximum=self._maxima.get(record.path, 0.0),
            )
        except ValueError as error:
            raise ValueError(f"SliceTask: {record.name}: {error}") from error
        if self._loss == "ssim":
            unit = torch.tensor(found.maximum)
        else:
            unit = rss(center_crop(ifft2c(found.kspace), record.target_shape)).std()
        # Of the whole grid: slices of a batch may differ in the rows that were acquired.
        return found.kspace, found.mask.expand(found.kspace.shape[-2:]), found.reference, unit


def _records(table: pd.DataFrame, name: str) -> tuple[list[SliceRecord], set[tuple[int, ...]]]:
    """Rows, and the sizes that occur."""
    wanted = [*SliceRecord.__dataclass_fields__, "coils"]
    missing = [column for column in wanted if column not in table]
    if missing or not len(table):
        raise ValueError(
            f"SliceTask: expected rows of a catalogue as {name}, got {len(table)} "
            f"{f'without {missing}' if missing else 'of them'}"
        )
    records = [
        SliceRecord(
            path=str(row["path"]),
            volume=str(row["volume"]),
            **{each: int(row[each]) for each in wanted if each not in ("path", "volume", "coils")},
        )
        for row in table.to_dict("records")
    ]
    shapes: set[tuple[int, ...]] = {
        (coils, record.rows, record.columns, *record.target_shape)
        for record, coils in zip(records, table["coils"].astype(int), strict=True)
    }
    return records, shapes

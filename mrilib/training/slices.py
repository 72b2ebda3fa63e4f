"""Training on slices of multi-coil volumes, with column masks that are drawn anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mrilib.data.fastmri import read_header, read_slice
from mrilib.data.masks import ColumnMask, Seed, column_mask, name_seed
from mrilib.data.measurement import center_crop, intensity_scale, rss, rss_target
from mrilib.metrics.quality import ssim
from mrilib.operators.base import ifft2c
from mrilib.training.task import Sample, TrainingTask

Loss = Literal["ssim", "l1", "mse"]


@dataclass(frozen=True)
class ColumnSampling:
    """How column masks are drawn: see `column_mask`; `redraw` is its `redraw_within`."""

    kind: ColumnMask
    acceleration: int | float
    center_fraction: float
    redraw: float | None = None

    def draw(self, width: int, seed: Seed) -> Bool[Tensor, "width"]:
        return column_mask(
            width,
            acceleration=self.acceleration,
            center_fraction=self.center_fraction,
            kind=self.kind,
            seed=seed,
            redraw_within=self.redraw,
        )


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
        """Of the target within the image: some brains of fastMRI have one wider than their k-space."""
        return min(self.target_rows, self.rows), min(self.target_columns, self.columns)


class SliceTask(TrainingTask):
    """Slices of volumes in the fastMRI schema; the model is called as `model(kspace, mask)`.

    A sample is prepared as `mrilib.data.measurement.prepare` does it, without coil maps: `y = P_Ω k / s` and
    the target `x* = RSS(Fᴴ k) / s`, cropped at the centre to the stored target's size, with
    `s = intensity_scale(k, Ω)`. Training slice `index` has a new mask in each epoch, which depends on the
    seed, the epoch and the index alone; validation slices have the mask of their file's name, as test slices
    do. The model's image `x̂` is cropped to the target. Losses of an item, of which the mean over the batch is
    the loss, and over all validation slices the validation error:
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
        ValueError: for a table that is empty or lacks columns, or an unknown loss.

    Source: fastMRI [zbontar2018], version 0.3.0, and [sriram2020]. Deviates: columns that a scanner left out
    and filled with zeros stay in the mask.
    """

    def __init__(
        self,
        slices: pd.DataFrame,
        validation: pd.DataFrame,
        *,
        sampling: ColumnSampling,
        seed: int,
        loss: Loss = "ssim",
    ) -> None:
        if loss not in get_args(Loss):
            raise ValueError(f"SliceTask: expected a loss of {get_args(Loss)}, got {loss!r}")
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"SliceTask: expected a seed from 0 to 2**64 - 1, got {seed}")
        self._slices, shapes = _records(slices, "slices")
        self._validation, more = _records(validation, "validation")
        self.count, self.validation = len(self._slices), len(self._validation)
        self.uniform = len(shapes | more) == 1
        self._sampling, self._seed, self._loss = sampling, seed, loss
        self._maxima: dict[str, float] = {}

    def sample(self, epoch: int, index: int) -> Sample:
        record = self._slices[index]
        seed = (self._seed & 0xFFFFFFFF, self._seed >> 32, epoch, index)
        return self._prepared(record, self._sampling.draw(record.columns, seed))

    def validation_sample(self, index: int) -> Sample:
        record = self._validation[index]
        return self._prepared(record, self._sampling.draw(record.columns, name_seed(f"{record.volume}.h5")))

    def to(self, device: torch.device) -> "SliceTask":
        return self

    def loss(self, model: nn.Module, batch: Sample) -> Float[Tensor, ""]:
        return self.errors(model, batch).mean()

    def errors(self, model: nn.Module, batch: Sample) -> Float[Tensor, "batch"]:
        kspace, mask, target, unit = batch
        return self._compared(model(kspace, mask[:, None]), target, unit)

    def zero_filled_error(self) -> float:
        return sum(self._zero_filled_errors()) / self.validation

    def _zero_filled_errors(self) -> Iterator[float]:
        for index in range(self.validation):
            kspace, _, target, unit = self.validation_sample(index)
            yield float(self._compared(rss(ifft2c(kspace))[None], target[None], unit[None]))

    def _prepared(self, record: SliceRecord, mask: Bool[Tensor, "kx"]) -> Sample:
        """`(y, mask, target, unit)`; errors are divided by `unit`, or it is their data range."""
        full = torch.from_numpy(read_slice(record.path, record.slice).kspace)
        scale = intensity_scale(full, mask)
        kspace = full * mask / scale
        target = rss_target(full, record.target_shape) / scale
        if self._loss == "ssim":
            unit = torch.tensor(self._maximum(record.path) / scale)
        else:
            unit = rss(center_crop(ifft2c(kspace), record.target_shape)).std()
        return kspace, mask, target, unit

    def _compared(
        self,
        image: Float[Tensor, "batch y x"],
        target: Float[Tensor, "batch v u"],
        unit: Float[Tensor, "batch"],
    ) -> Float[Tensor, "batch"]:
        image = center_crop(image, (target.shape[-2], target.shape[-1]))
        if self._loss == "ssim":
            return 1.0 - ssim(image, target, data_range=unit)
        error = (image - target) / unit[:, None, None]
        return (error.abs() if self._loss == "l1" else error.square()).mean(dim=(-2, -1))

    def _maximum(self, path: str) -> float:
        if path not in self._maxima:
            self._maxima[path] = volume_maximum(path)
        return self._maxima[path]


def volume_maximum(path: str) -> float:
    """Maximum of a volume's stored images, in its units: the attribute `max`, or found from the images.

    Raises:
        ValueError: if it has neither.
        FileNotFoundError, VolumeError: as `read_header` and `read_slice`.
    """
    header = read_header(path)
    if header.maximum is not None:
        return header.maximum
    images = (read_slice(path, position).target for position in range(header.shape[0]))
    maxima = [float(image.max()) for image in images if image is not None]
    if not maxima:
        raise ValueError(f"{path}: expected the attribute max or reconstruction_rss, got neither")
    return max(maxima)


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

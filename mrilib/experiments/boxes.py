"""What methods make of annotated findings: errors in boxes, contrast and edges, against overall quality."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.box_table import NUMBERS
from mrilib.experiments.comparison import DRAWS
from mrilib.experiments.conditions import (
    Condition,
    Conditioned,
    Given,
    conditioned,
    drawn_means,
    drawn_rows,
    resampled_patients,
)
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.ranking import spearman
from mrilib.metrics.statistics import Summary, percentile_interval, summarise
from mrilib.store.records import Record

ERROR, RELATIVE = "box_error", "relative_box_error"
CONTRAST, SHARPNESS, CORRELATION = "contrast_kept", "sharpness_kept", "correlation"
# Ratios of two columns: after over before.
KEPT = {
    CONTRAST: ("contrast_before", "contrast_after"),
    SHARPNESS: ("sharpness_before", "sharpness_after"),
}
EVERY, SMALL, LARGE = "all", "small", "large"
# Of records that are about all methods.
ALL = "all methods"
# What tells an image from another, and a box.
SLICE = ["volume", "slice", "position"]
BOX = [*SLICE, "annotation", "label", "row", "column", "height", "width"]
PLACE = ["source", "mask", "method", "domain", *SLICE]


def box_errors(
    run: ScoredRun,
    condition: Given,
    labels: Sequence[str] | None = None,
    *,
    quantity: str = "ssim",
    where: str = "boxes",
) -> pd.DataFrame:
    """Scored boxes on the images of a condition, by every method that reconstructed them.

    Args:
        run: with its `scores` and the `boxes` of the condition's source.
        condition: source, mask and domain.
        labels: which findings; all by default.
        quantity: overall quality of an image.
        where: who asks, for messages.

    Returns:
        One row a method and box, the methods in the order of the run: `method`, `patient` (or the volume for
        it), `volume`, `slice`, `position`, `annotation`, `label`, `row`, `column`, `height`, `width`,
        `failed`, the columns `NUMBERS` of `mrilib.experiments.box_table`, `quality`, and `number`, the box
        error. Numbers are NaN where the reconstruction failed.

    Raises:
        ValueError: as `conditioned`; if no box is on the images, or none of a label.
    """
    return _joined(run, conditioned(run, condition, quantity, where), labels, where)


def _joined(run: ScoredRun, side: Conditioned, labels: Sequence[str] | None, where: str) -> pd.DataFrame:
    images = side.scores[[*PLACE, "patient", "number"]].rename(columns={"number": "quality"})
    boxes = run.boxes.drop(columns="patient")
    # By method in the order of the images, by box in that of the file.
    found = images.merge(boxes, on=PLACE, how="inner")
    if found.empty:
        raise ValueError(
            f"{where}: no box on the images of {side.label}; annotations of the config name the datasets "
            "whose volumes have boxes, look at results/…/annotations"
        )
    known = list(dict.fromkeys(found["label"]))
    if absent := [label for label in labels or [] if label not in known]:
        raise ValueError(f"{where}: no box of {absent} on the images of {side.label}, which have {known}")
    if labels is not None:
        found = found[found["label"].isin(list(labels))]
    usable = (found["failed"] == "") & np.isfinite(found[ERROR])
    columns = ["method", "patient", *BOX, "failed", *NUMBERS, "quality"]
    return found[columns].assign(number=found[ERROR].where(usable)).reset_index(drop=True)


class Boxes(Experiment):
    """Error, contrast and edges of annotated boxes by method, label and size, against overall quality.

    For every method, over all boxes, over those of every label, and over the smaller and the larger half:

    - `box_error`: mean squared error in the box of the normalised images, and `relative_box_error`, that over
      the same of the whole image (`mrilib.metrics.boxes`); means over boxes with 95 % bootstrap intervals,
      resampled by patient;
    - `contrast_kept`, `sharpness_kept`: contrast to noise, and gradient at the edges, of the reconstruction
      over those of the reference: the sum over boxes after over that before, so that boxes with hardly any
      contrast do not decide it (our choice); percentile interval, patients resampled.

    Over all boxes besides:

    - the overall quality of the images that have boxes, under its own name;
    - `correlation`: Spearman's, over images, of the mean box error of an image and its quality, of every
      method; and over methods (`all methods`) of mean box error and mean quality. Percentile intervals,
      patients resampled. A measure of quality that tells what becomes of findings gives −1 (1 if low values
      are good).

    Small boxes are those of at most the median area (our choice). Boxes on failed reconstructions are
    missing. With fewer than two patients there is no interval.

    Args:
        source: of scans whose dataset has annotations.
        mask, domain: as of a condition.
        labels: which findings; all by default.
        quantity: overall quality, of reconstructions.

    Raises:
        ValueError: as `box_errors`.

    Source: [darestani2021], Figs. 8 and 18.
    """

    word: ClassVar[str] = "boxes"
    title: ClassVar[str] = "Annotated boxes"
    names_boxes: ClassVar[tuple[str, ...]] = ("source",)
    figure: ClassVar[str | None] = "mrilib.report.figures_boxes:boxes_figure"

    def __init__(
        self,
        *,
        source: str,
        mask: str | None = None,
        domain: str | None = None,
        labels: list[str] | None = None,
        quantity: str = "ssim",
    ) -> None:
        if labels is not None and not labels:
            raise ValueError(f"{self.word}: expected labels of boxes, got none; leave the key out for all")
        self.condition = Condition(source=source, mask=mask, domain=domain)
        self.labels, self.quantity = labels, quantity

    @property
    def conditions(self) -> Mapping[str, Condition]:
        return {"": self.condition}

    def records(self, run: ScoredRun) -> list[Record]:
        side, boxes = self._boxes(run)
        found = []
        for label, size, part in _parts(boxes):
            for method in dict.fromkeys(boxes["method"]):
                own = part[part["method"] == method]
                found += [
                    self._record(run, side, name, method, summary, label, size, missing)
                    for name, summary, missing in _numbers(own, run.seed)
                ]
        return [*found, *self._against_quality(run, side, boxes)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        side, boxes = self._boxes(run)
        simulated = " (simulated data)" if side.scores["simulated"].any() else ""
        told = (
            f"{_counted(boxes)}. Errors are of images with mean 0 and sd 1, each by its own; small boxes are "
            f"those of at most {_median_area(boxes):g} pixels, the median. Mean ± sd over boxes [95 % "
            "interval, resampled by patient]; contrast and sharpness: sums over boxes; n boxes, and of the "
            "quality and the rank correlation n images, or methods."
        )
        return super().table_arguments(run) | {
            "title": f"{self.title}: {side.label}{simulated}",
            "quantities": {**run.quantities, **self._own(run)},
            "note": told,
        }

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row a method and label, and one with `all` labels first.

        `method`, `family`, `label`, `n` (boxes), `mean`, `low`, `high` of the box error, and `x`, `x_low`,
        `x_high` of the overall quality, the same in every row of a method.
        """
        whole = [each for each in records if each.row.get("size") == EVERY]
        quality = {each.method: each for each in whole if each.quantity == self.quantity}
        rows = []
        for each in whole:
            if each.quantity == ERROR:
                x = quality[each.method]
                row: dict[str, Any] = {"method": each.method, "label": each.row["label"], "n": each.n}
                row["family"] = run.families.get(each.method, "other")
                row |= {"mean": each.value, "low": each.low, "high": each.high}
                rows.append(row | {"x": x.value, "x_low": x.low, "x_high": x.high})
        return pd.DataFrame(rows)

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        side, boxes = self._boxes(run)
        simulated = " (simulated data)" if side.scores["simulated"].any() else ""
        means = _means(boxes)
        return {
            "axis": run.quantity(self.quantity, self.word).heading,
            "correlation": spearman(means[ERROR].to_numpy(), means["quality"].to_numpy()),
            "methods": list(run.methods),
            "labels": run.labels,
            "title": f"{self.title}: {side.label}{simulated}, {_counted(boxes)}",
        }

    def _boxes(self, run: ScoredRun) -> tuple[Conditioned, pd.DataFrame]:
        side = conditioned(run, self.condition, self.quantity, self.word)
        return side, _joined(run, side, self.labels, self.word)

    def _against_quality(self, run: ScoredRun, side: Conditioned, boxes: pd.DataFrame) -> Iterator[Record]:
        """Quality of the images that have boxes, and how box errors go with it."""
        images = _images(boxes)
        for method, own in images.groupby("method", sort=False):
            told = own[own["quality"].notna()]
            found = summarise(told["quality"].tolist(), groups=told["patient"].tolist(), seed=run.seed)
            missing = len(own) - len(told)
            yield self._record(run, side, self.quantity, str(method), found, EVERY, EVERY, missing)
        for method, own in images.groupby("method", sort=False):
            told = own.dropna(subset=["number", "quality"])
            pairs = told[["number", "quality"]].to_numpy(dtype=float)
            rows = drawn_rows(told["patient"].tolist(), draws=DRAWS, seed=run.seed)
            low, high = percentile_interval(np.array([spearman(*pairs[chosen].T) for chosen in rows]))
            found = _correlation(spearman(*pairs.T), low, high, len(told))
            missing = len(own) - len(told)
            yield self._record(run, side, CORRELATION, str(method), found, EVERY, EVERY, missing)
        yield self._record(run, side, CORRELATION, ALL, _over_methods(boxes, run.seed), EVERY, EVERY, 0)

    def _record(
        self,
        run: ScoredRun,
        side: Conditioned,
        quantity: str,
        method: str,
        found: Summary,
        label: str,
        size: str,
        missing: int,
    ) -> Record:
        unit = {**run.quantities, **self._own(run)}[quantity].unit
        return record_of(
            run,
            found,
            table=self.word,
            quantity=quantity,
            row={**side.row(), "label": label, "size": size},
            method=method,
            unit=unit,
            missing=missing,
        )

    def _own(self, run: ScoredRun) -> dict[str, Quantity]:
        heading = run.quantity(self.quantity, self.word).heading
        return {
            ERROR: Quantity("Error in the box", decimals=3),
            RELATIVE: Quantity("Error in the box over that of the image", decimals=2),
            CONTRAST: Quantity("Contrast to noise kept", decimals=2),
            SHARPNESS: Quantity("Gradient at edges kept", decimals=2),
            CORRELATION: Quantity(f"Rank correlation of box error and {heading}", decimals=2),
        }


def _parts(boxes: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """All boxes, those of every label, the most common first, and the smaller and the larger half."""
    yield EVERY, EVERY, boxes
    labels = boxes.drop_duplicates(BOX)["label"].value_counts(sort=True)
    if len(labels) > 1:
        for label in sorted(labels.index, key=lambda name: (-labels[name], name)):
            yield label, EVERY, boxes[boxes["label"] == label]
    small = boxes["height"] * boxes["width"] <= _median_area(boxes)
    if not small.all():
        yield EVERY, SMALL, boxes[small]
        yield EVERY, LARGE, boxes[~small]


def _median_area(boxes: pd.DataFrame) -> float:
    each = boxes.drop_duplicates(BOX)
    return float((each["height"] * each["width"]).median())


def _numbers(own: pd.DataFrame, seed: int) -> Iterator[tuple[str, Summary, int]]:
    """Of one method's boxes: name, value, and how many boxes have none."""
    for name in (ERROR, RELATIVE):
        told = own[np.isfinite(own[name]) & own["number"].notna()]
        found = summarise(told[name].tolist(), groups=told["patient"].tolist(), seed=seed)
        yield name, found, len(own) - len(told)
    for name, (before, after) in KEPT.items():
        told = own[np.isfinite(own[before]) & np.isfinite(own[after])]
        yield name, _ratio(told, before, after, seed), len(own) - len(told)


def _ratio(told: pd.DataFrame, before: str, after: str, seed: int) -> Summary:
    """`Σ after/Σ before` with its percentile interval, patients resampled."""
    if told.empty:
        return Summary(math.nan, math.nan, math.nan, math.nan, 0)
    sums = told.groupby("patient", sort=False)[[before, after]].sum()
    names = list(sums.index)
    _, weights = resampled_patients(names, names, draws=DRAWS, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (weights @ sums.to_numpy(dtype=float)).T
        low, high = percentile_interval(second / first)
        value = float(np.divide(*told[[after, before]].sum().to_numpy(dtype=float)))
    return Summary(value, math.nan, low, high, len(told))


def _images(boxes: pd.DataFrame) -> pd.DataFrame:
    """A row a method and image: mean box error, as `number`, and `quality`; NaN where the image failed."""
    return (
        boxes.groupby(["method", *SLICE], sort=False)
        .agg(patient=("patient", "first"), number=("number", "mean"), quality=("quality", "first"))
        .reset_index()
    )


def _means(boxes: pd.DataFrame) -> pd.DataFrame:
    """Of every method: mean error of its boxes, and mean `quality` of their images."""
    errors = boxes.groupby("method", sort=False)["number"].mean()
    quality = _images(boxes).groupby("method", sort=False)["quality"].mean()
    return pd.DataFrame({ERROR: errors, "quality": quality}).dropna()


def _over_methods(boxes: pd.DataFrame, seed: int) -> Summary:
    """Spearman's, over methods, of mean box error and mean quality; `n` methods."""
    means = _means(boxes)
    value = spearman(means[ERROR].to_numpy(), means["quality"].to_numpy())
    methods, patients = list(means.index), list(dict.fromkeys(boxes["patient"]))
    names, weights = resampled_patients(patients, patients, draws=DRAWS, seed=seed)
    images = _images(boxes).drop(columns="number").rename(columns={"quality": "number"})
    drawn = [drawn_means(each, methods, names, weights) for each in (boxes, images)]
    low, high = percentile_interval(np.array([spearman(*pair) for pair in zip(*drawn, strict=True)]))
    return _correlation(value, low, high, len(methods))


def _correlation(value: float, low: float, high: float, n: int) -> Summary:
    """A rank correlation; of none without one, as of fewer than three items."""
    return Summary(value, math.nan, low, high, n if math.isfinite(value) else 0)


def _counted(boxes: pd.DataFrame) -> str:
    counts = (
        (len(boxes.drop_duplicates(BOX)), "box", "boxes"),
        (len(boxes.drop_duplicates(SLICE)), "image", "images"),
        (boxes["patient"].nunique(), "patient", "patients"),
    )
    first, second, third = (f"{count} {one if count == 1 else many}" for count, one, many in counts)
    return f"{first} on {second} of {third}"

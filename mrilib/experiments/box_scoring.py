"""Scores of boxes around findings: a row for every box on an image that a method reconstructed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.assessment import cropped_modulus
from mrilib.experiments.box_table import KINDS, NUMBERS, PLACE
from mrilib.experiments.stored import ImageResults, read_results
from mrilib.metrics.boxes import Box, box_contrast, box_error, box_sharpness, relative_box_error


def score_boxes(
    measurement: str | Path, reconstructions: str | Path, boxes: pd.DataFrame
) -> list[dict[str, Any]]:
    """Score the boxes on one image in a method's clean reconstruction.

    `box_error` and `relative_box_error`; `contrast_before` and `contrast_after`, `box_contrast` of the
    reference and of the reconstruction; `sharpness_before` and `sharpness_after` of `box_sharpness`. Moduli
    count, in the middle that the reference shows. A method that is tuned by level counts with the parameter
    of the lowest one.

    Args:
        measurement: file of the measurement.
        reconstructions: file of the method's clean reconstructions.
        boxes: of `boxes_on_slices`; those of other positions do not count.

    Returns:
        Rows with `KINDS`, in the order of the boxes; none where the set has no image at this position. Where
        the reconstruction failed they say so, without numbers.

    Raises:
        ValueError: if a box is not of the image's volume and slice, or leaves its reference.
    """
    results = read_results(measurement, reconstructions)
    if results is None:
        return []
    own = boxes[boxes["position"] == results.root.get("position", -1)]
    if own.empty:
        return []
    about = {**dict.fromkeys(KINDS, ""), **dict.fromkeys(NUMBERS, math.nan)}
    about |= {name: results.root[name] for name in KINDS if name in results.root}
    image, failed = _image(results)
    reference = results.measurement.reference.numpy().astype(np.float64)
    rows = []
    for row in own.to_dict("records"):
        if (row["volume"], row["slice"]) != (about["volume"], about["slice"]):
            raise ValueError(
                f"score_boxes: {measurement}: expected boxes on slice {about['slice']} of "
                f"{about['volume']}, got one on slice {row['slice']} of {row['volume']}; measure again"
            )
        box = Box(*(int(row[name]) for name in PLACE))
        told = {name: row[name] for name in ("annotation", "label")} | box._asdict() | {"failed": failed}
        rows.append(about | told | ({} if image is None else _numbers(image, reference, box)))
    return rows


def _image(results: ImageResults) -> tuple[np.ndarray | None, str]:
    """The modulus of the clean reconstruction, as large as the reference, or why there is none."""
    unit = results.clean(results.lowest_tuning)
    if failed := str(unit.attributes.get("failed", "")):
        return None, failed
    image = unit.arrays["reconstruction"]
    if not np.isfinite(image).all():
        return None, "the reconstruction is not finite"
    rows, columns = results.measurement.reference.shape
    return cropped_modulus(image, (rows, columns)), ""


def _numbers(image: np.ndarray, reference: np.ndarray, box: Box) -> dict[str, float]:
    sharp = box_sharpness(image, reference, box)
    values = (
        *(box_error(image, reference, box), relative_box_error(image, reference, box)),
        *(box_contrast(reference, box), box_contrast(image, box), *sharp),
    )
    return dict(zip(NUMBERS, values, strict=True))

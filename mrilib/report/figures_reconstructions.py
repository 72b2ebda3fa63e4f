"""Figure of reconstructions beside their reference, with errors and close-ups."""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

import numpy as np
import pandas as pd
from jaxtyping import Inexact
from matplotlib.figure import Figure

from mrilib.data.measurement import Measurement
from mrilib.experiments.assessment import cropped_modulus
from mrilib.experiments.box_table import PLACE
from mrilib.experiments.pictures import CleanPicture, is_scan, picture_title
from mrilib.metrics.boxes import Box
from mrilib.report import error_maps, sheets, style
from mrilib.report.sheets import Location, Window

# Methods beside a reference, above which panels would be narrower than their names.
MOST_METHODS = 6
# Inches: row labels, and what stands right of the panels.
LEFT, RIGHT = 0.4, 0.06
# Errors of a per cent or two of the maximum are to be seen.
ERROR_SCALE = 5.0


def score_text(ssim: SupportsFloat, psnr: SupportsFloat) -> str:
    """What stands below a method's name: SSIM, and PSNR in dB."""
    return f"SSIM {float(ssim):.3f}\n{float(psnr):.1f} dB"


def clean_panel(
    measurement: Measurement | None, pictures: Mapping[str, CleanPicture], *, mask: str
) -> Figure:
    """`reconstruction_panel` of a measurement.

    Args:
        measurement: of the image; `None` where the set has none at its position.
        pictures: name to print to what a method made of it.
        mask: what the mask is called.

    Raises:
        ValueError: without a measurement.
    """
    if measurement is None:
        raise ValueError("clean_panel: the set has no image at this position; choose another")
    height, width = measurement.reference.shape
    return reconstruction_panel(
        measurement.reference.numpy(),
        {name: each.image for name, each in pictures.items()},
        scores={name: each.failed or score_text(each.ssim, each.psnr) for name, each in pictures.items()},
        close_up=(height // 2, width // 2),
        error_scale=ERROR_SCALE,
        title=f"{picture_title(measurement)}: {mask}, {measurement.acceleration:.2f}-fold acceleration",
        upright=is_scan(measurement),
    )


@style.printed()
def reconstruction_panel(
    reference: Inexact[np.ndarray, "y x"],
    reconstructions: Mapping[str, np.ndarray | None],
    *,
    scores: Mapping[str, str],
    close_up: Location | None,
    error_scale: float,
    title: str | None,
    upright: bool = True,
) -> Figure:
    """Reconstructions beside their reference, maps of their absolute errors, and close-ups.

    All are moduli in units of the reference's maximum, on one grey scale over [0, 1]; a pixel above 1 by more
    than half of one of 256 grey levels is red. The error `||rec| − |x*||` times `error_scale` has
    colours over [0, 1]; above that it has the colour of 1. More than six methods take several blocks of rows,
    each with the reference.

    Args:
        reference: `x*` as stored.
        reconstructions: name to print to the image, at least as large as the reference; the middle is shown.
            `None` where there is none.
        scores: name to what stands below it, such as `score_text` makes, or why there is no image.
        close_up: row and column, as stored, at the centre of the close-ups; `None` for none.
        error_scale: factor on the errors.
        title: image source, mask and slice.
        upright: turn images upside down, as those stored as in fastMRI need.

    Raises:
        ValueError: if there is no reconstruction, if the reference is not finite or is zero, if the factor is
            not positive, or if a reconstruction is smaller than the reference.

    Source: our choice.
    """
    if not reconstructions:
        raise ValueError("reconstruction_panel: expected at least one reconstruction, got none")
    if not error_scale > 0:
        raise ValueError(f"reconstruction_panel: expected a positive error_scale, got {error_scale}")
    largest = float(np.abs(reference).max())
    if not (np.isfinite(largest) and largest > 0):
        raise ValueError(
            f"reconstruction_panel: expected a finite reference that is not zero, got maximum {largest}"
        )
    height, width = reference.shape
    place = None if close_up is None else sheets.window((height, width), close_up)
    if place is not None and upright:
        place = (slice(height - place[0].stop, height - place[0].start), place[1])

    truth = _shown(reference, reference, upright)
    images = {
        name: None if image is None else _shown(image, reference, upright)
        for name, image in reconstructions.items()
    }
    blocks = _blocks(list(images))
    columns = max(map(len, blocks)) + 1
    figure, axes, names = _sheet(truth.shape, place, blocks, scores, columns, title)
    rows = len(axes) // len(blocks)
    for number, block in enumerate(blocks):
        part = axes[number * rows : (number + 1) * rows]
        _reference(part[:, 0], truth, place)
        part[0, 0].set_title("reference")
        labels = ("image", f"|error| × {error_scale:g}", "close-up")
        for panel, label in zip(part[:, 0], labels, strict=False):
            panel.set_ylabel(label)
        for column, name in zip(part[:, 1:].T, block, strict=False):
            _reconstruction(column, images[name], truth, place, error_scale)
            column[0].set_title(names[name])
        for panel in part[:, len(block) + 1 :].flat:
            panel.set_visible(False)
    error_maps.explain(figure, axes, f"{error_scale:g} × |error|, in the same unit")
    return figure


@style.printed()
def box_panel(
    shown: Sequence[tuple[Measurement, Mapping[str, CleanPicture], pd.DataFrame]],
    *,
    labels: Mapping[str, str],
    title: str,
) -> Figure:
    """Close-ups of annotated boxes: the reference, and what every method makes of it, a row an image.

    Moduli in units of the reference's maximum, as in `reconstruction_panel`, upright where scans are stored
    upside down. Above a panel stand the error in the box, of images with sd 1, and its contrast to noise
    (CNR), above the reference the label and the contrast there. A close-up has 48 pixels along a side, or
    twice the box's longer side where that is more. More than six methods take several blocks of rows.

    Args:
        shown: the measurement of each image, what every method made of it, and its box: the rows of
            `mrilib.experiments.box_table.first_boxes`, one a method.
        labels: names to print for methods.
        title: heading.

    Without an image there is one panel that says so.

    Source: our choice.
    """
    if not shown:
        figure, axes = sheets.sheet([0.2], columns=1, title=f"{title}: none", left=0.1, right=0.1, head=1)
        sheets.missing(axes[0, 0])
        return figure
    methods = list(dict.fromkeys(name for _, pictures, _ in shown for name in pictures))
    blocks = _blocks(methods)
    columns = max(map(len, blocks)) + 1
    width = sheets.panel_width(max(columns, 3), left=LEFT, right=RIGHT)
    rows = [
        (block, image, _box_texts(block, image[2], labels if number == 0 else None, width))
        for block in blocks
        for number, image in enumerate(shown)
    ]
    places = [_box_places(measurement, scores) for _, (measurement, _, scores), _ in rows]
    heads = [max(text.count("\n") + 1 for text in texts) for _, _, texts in rows]
    figure, axes = sheets.sheet(
        [sheets.ratio([part.stop - part.start for part in window]) for window, _ in places],
        columns=columns,
        title=title,
        left=LEFT,
        right=RIGHT,
        head=heads[0],
        foot=error_maps.FOOT,
        between=[sheets.LINE * head + 0.1 for head in heads[1:]],
    )
    for line, (block, (measurement, pictures, _), texts), (window, box) in zip(
        axes, rows, places, strict=True
    ):
        reference, upright = measurement.reference.numpy(), is_scan(measurement)
        images = [reference, *(pictures[name].image if name in pictures else None for name in block)]
        for panel, image, text in zip(line, images, texts, strict=False):
            if image is None:
                sheets.missing(panel)
            else:
                sheets.close_up(panel, _shown(image, reference, upright), window, moduli=True)
                sheets.box(panel, box)
            panel.set_title(text, fontsize=style.FONT)
        inches = line[0].get_position().height * figure.get_figheight()
        line[0].set_ylabel(style.fitted(picture_title(measurement), inches, style.CELL_FONT))
        line[0].yaxis.label.set_fontsize(style.CELL_FONT)
        for panel in line[len(images) :]:
            panel.set_visible(False)
    error_maps.explain(figure, axes, "")
    return figure


def _box_places(measurement: Measurement, scores: pd.DataFrame) -> tuple[Window, Window]:
    """The close-up around a box in the image as it is shown, and the box within the close-up."""
    height, width = measurement.reference.shape
    box = Box(*(int(scores.iloc[0][name]) for name in PLACE))
    row = height - box.row - box.height if is_scan(measurement) else box.row
    middle = row + box.height // 2, box.column + box.width // 2
    side = max(sheets.CLOSE_UP, 2 * max(box.height, box.width))
    window = sheets.window((height, width), middle, side)
    top, left = row - window[0].start, box.column - window[1].start
    return window, (slice(top, top + box.height), slice(left, left + box.width))


def _box_texts(
    block: Sequence[str], scores: pd.DataFrame, labels: Mapping[str, str] | None, width: float
) -> list[str]:
    """What stands above the reference, and above each method of a block: its name if there are labels."""
    told = {row["method"]: row for row in scores.to_dict("records")}
    first = scores.iloc[0]
    texts = [f"reference: {first['label']}\nCNR {style.number(scores['contrast_before'].max())}"]
    for name in block:
        row = told.get(name)
        numbers = "failed"
        if row is not None and not row["failed"]:
            error, contrast = (style.number(row[key]) for key in ("box_error", "contrast_after"))
            numbers = f"error {error}\nCNR {contrast}"
        texts.append(numbers if labels is None else f"{labels.get(name, name)}\n{numbers}")
    return ["\n".join(style.fitted(line, width) for line in text.splitlines()) for text in texts]


def _shown(image: np.ndarray, reference: np.ndarray, upright: bool) -> np.ndarray:
    """Moduli of the middle that the reference has, in units of its maximum, turned where scans are."""
    height, width = reference.shape
    moduli = cropped_modulus(image, (height, width)) / float(np.abs(reference).max())
    return np.flipud(moduli) if upright else moduli


def _blocks(names: Sequence[str]) -> list[list[str]]:
    """Names in groups that are as equal as possible, none larger than `MOST_METHODS`."""
    count = -(-len(names) // MOST_METHODS)
    size = -(-len(names) // count)
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


def _sheet(
    shape: tuple[int, ...],
    place: Window | None,
    blocks: Sequence[Sequence[str]],
    scores: Mapping[str, str],
    columns: int,
    title: str | None,
) -> tuple[Figure, np.ndarray, dict[str, str]]:
    """Figure and axes with room for what stands above every block, and those texts."""
    # three columns at least, as `sheets.sheet` has them
    width = sheets.panel_width(max(columns, 3), left=LEFT, right=RIGHT)
    names = {
        name: "\n".join(
            style.fitted(line, width) for text in (name, scores.get(name, "")) for line in text.splitlines()
        )
        for block in blocks
        for name in block
    }
    heads = [max(names[name].count("\n") + 1 for name in block) for block in blocks]
    ratios = [sheets.ratio(shape)] * 2
    if place is not None:
        ratios.append(sheets.ratio([part.stop - part.start for part in place]))
    between: list[float] = [sheets.GAP] * (len(ratios) - 1)
    for head in heads[1:]:
        between += [sheets.LINE * head + 0.2, *[sheets.GAP] * (len(ratios) - 1)]
    figure, axes = sheets.sheet(
        ratios * len(blocks),
        columns=columns,
        title=title,
        left=LEFT,
        right=RIGHT,
        head=heads[0],
        foot=error_maps.FOOT,
        between=between,
    )
    return figure, axes, names


def _reference(column: np.ndarray, truth: np.ndarray, place: Window | None) -> None:
    sheets.show(column[0], truth, moduli=True)
    sheets.bare(column[1])
    if place is not None:
        sheets.box(column[0], place)
        sheets.close_up(column[2], truth, place, moduli=True)


def _reconstruction(
    column: np.ndarray, image: np.ndarray | None, truth: np.ndarray, place: Window | None, error_scale: float
) -> None:
    if image is None:
        for panel in column:
            sheets.missing(panel)
        return
    sheets.show(column[0], image, moduli=True)
    error_maps.show(column[1], error_scale * np.abs(image - truth))
    if place is not None:
        sheets.close_up(column[2], image, place, moduli=True)

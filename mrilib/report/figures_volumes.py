"""Figures of raw data: a page of thumbnails, and annotated boxes on their images.

Both are shown upright: stored as in fastMRI, images stand upside down.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrilib.report import sheets, style
from mrilib.report.sheets import BAR

# Panels of a page, of which more could not be told apart.
MOST_BOXES = 12
WIDEST_THUMBNAIL = 0.9
# Share of pixels that may be white, so that one bright pixel does not blacken an image.
WHITE = 0.002

Image = Real[np.ndarray, "y x"]


@style.printed()
def thumbnails(images: Sequence[Image], names: Sequence[str], *, title: str) -> Figure:
    """Images of volumes, upright, each on its own grey scale: a page to find what is wrong at a glance.

    Args:
        images: targets as stored.
        names: of the images, shortened where they do not fit.
        title: what they are.

    Without an image there is one panel that says so.
    """
    if not images:
        figure, axes = sheets.sheet([0.2], columns=1, title=title, left=0.05, right=0.05, head=1)
        sheets.missing(axes[0, 0])
        return figure
    columns = min(len(images), max(4, math.ceil(math.sqrt(1.3 * len(images)))))
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    rows = math.ceil(len(images) / columns)
    figure, axes = sheets.sheet(
        [tallest] * rows,
        columns=columns,
        title=title,
        left=0.05,
        right=0.05,
        head=1,
        between=0.2,
        widest=None if columns < 6 else WIDEST_THUMBNAIL,
    )
    for panel, image, name in zip(axes.flat, images, names, strict=False):
        _show(panel, image)
        width = panel.get_position().width * figure.get_figwidth()
        panel.set_title(_shortened(name, width), fontsize=style.CELL_FONT, pad=1.5)
    for panel in axes.flat[len(images) :]:
        panel.set_visible(False)
    return figure


@style.printed()
def annotated(
    images: Sequence[Image], boxes: Sequence[pd.DataFrame], names: Sequence[str], *, title: str
) -> Figure:
    """Images, upright, with the boxes that annotators drew on them.

    Args:
        images: targets as stored; at most 12 are shown.
        boxes: for each image its rows of the annotations' table.
        names: of the images.
        title: what they are.
    """
    count = min(len(images), MOST_BOXES)
    if not count:
        raise ValueError("annotated: expected at least one image, got none")
    columns = min(count, 4)
    tallest = max(image.shape[0] / image.shape[1] for image in images[:count])
    figure, axes = sheets.sheet(
        [tallest] * math.ceil(count / columns),
        columns=columns,
        title=title,
        left=0.05,
        right=0.05,
        head=2,
        between=0.36,
        widest=BAR * 2.4,
    )
    for panel, image, rows, name in zip(axes.flat, images, boxes, names, strict=False):
        _show(panel, image)
        for row, column, height, width in rows[["row", "column", "height", "width"]].to_numpy(int):
            bottom = len(image) - row
            sheets.box(panel, (slice(bottom - height, bottom), slice(column, column + width)))
        inches = panel.get_position().width * figure.get_figwidth()
        labels = ", ".join(sorted(set(rows["label"])))
        text = f"{_shortened(name, inches)}\n{_shortened(labels, inches)}"
        panel.set_title(text, fontsize=style.CELL_FONT, pad=1.5)
    for panel in axes.flat[count:]:
        panel.set_visible(False)
    return figure


def _show(panel: Axes, image: Image) -> None:
    """An image, upright, on a grey scale of its own."""
    white = np.quantile(image, 1 - WHITE)
    panel.imshow(np.flipud(image), cmap="gray", vmin=0.0, vmax=white, interpolation="none")
    sheets.bare(panel)


def _shortened(name: str, width: float) -> str:
    """The name, its middle left out where it is wider than `width` inches."""
    for kept in range(len(name), 1, -1):
        text = name if kept == len(name) else f"{name[: (kept + 1) // 2]}…{name[-(kept // 2) :]}"
        if style.text_width(text, style.CELL_FONT) <= width:
            return text
    return name[:1]

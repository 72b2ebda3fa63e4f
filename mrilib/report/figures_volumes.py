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
MOST_REJECTED = 12
# Of a rejected volume's name and of its reason; the catalogue has all of both.
NAME_LINES, REASON_LINES = 2, 8
# Inches: least width of a reason, a line of it, what surrounds it, and what stands left and right of panels.
NARROWEST_REASON, REASON_LINE, MARGIN, EDGE = 1.4, 0.1, 0.06, 0.05
# Bold letters of DejaVu Sans to its others.
BOLD = 1.15
WIDEST_THUMBNAIL = 0.9
# Share of pixels that may be white, so that one bright pixel does not blacken an image.
WHITE = 0.002

Image = Real[np.ndarray, "y x"]


@style.printed()
def thumbnails(
    images: Sequence[Image], names: Sequence[str], *, title: str, rejected: Sequence[tuple[str, str]] = ()
) -> Figure:
    """Images of volumes, upright, each on its own grey scale: a page to find what is wrong at a glance.

    Args:
        images: targets as stored.
        names: of the images, shortened where they do not fit.
        title: what they are.
        rejected: volumes that cannot be used, with the reason. Each has a panel with its text below the
            images, of more than 12 the first 12; names of more than two lines and reasons of more than eight
            are cut.

    Without any volume there is one panel that says so.
    """
    if not images and not rejected:
        figure, axes = sheets.sheet([0.2], columns=1, title=title, left=0.05, right=0.05, head=1)
        sheets.missing(axes[0, 0])
        return figure
    columns = min(len(images), max(4, math.ceil(math.sqrt(1.3 * len(images)))))
    if rejected:
        columns = max(columns, 4)
    tallest = max((image.shape[0] / image.shape[1] for image in images), default=0.0)
    rows = max(1, math.ceil(len(images) / columns))
    figure, axes = sheets.sheet(
        [tallest] * rows,
        columns=columns,
        title=title,
        left=EDGE,
        right=EDGE,
        head=1 if images else 0,
        between=0.2,
        widest=None if columns < 6 else WIDEST_THUMBNAIL,
    )
    for panel, image, name in zip(axes.flat, images, names, strict=False):
        _show(panel, image)
        width = panel.get_position().width * figure.get_figwidth()
        panel.set_title(_shortened(name, width), fontsize=style.CELL_FONT, pad=1.5)
    for panel in axes.flat[len(images) :]:
        panel.set_visible(False)
    if rejected:
        _add_reasons(figure, rejected)
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


def _add_reasons(figure: Figure, rejected: Sequence[tuple[str, str]]) -> None:
    """Panels of rejected volumes below all others; the figure grows by what they need."""
    total, gap = float(figure.get_figwidth()), sheets.GAP
    columns = max(1, int((total - 2 * EDGE + gap) / (NARROWEST_REASON + gap)))
    width = (total - 2 * EDGE - (columns - 1) * gap) / columns
    inside = width - 2 * MARGIN
    texts = [
        (_cut(name, inside / BOLD, NAME_LINES), _cut(reason, inside, REASON_LINES))
        for name, reason in rejected[:MOST_REJECTED]
    ]
    rows = [texts[first : first + columns] for first in range(0, len(texts), columns)]
    heights = [
        REASON_LINE * max(len(name) + len(reason) for name, reason in row) + 3 * MARGIN for row in rows
    ]
    more = len(rejected) - MOST_REJECTED
    heading = sheets.LINE + MARGIN
    strip = heading + sum(heights) + gap * len(rows) + (sheets.LINE if more > 0 else 0.0)
    _grow(figure, strip)
    height = float(figure.get_figheight())
    below = strip - heading
    figure.text(EDGE / total, (below + 0.05) / height, "rejected, with the reason:", va="bottom")
    for row, tall in zip(rows, heights, strict=True):
        below -= tall
        for column, text in enumerate(row):
            left = EDGE + column * (width + gap)
            panel = figure.add_axes((left / total, below / height, width / total, tall / height))
            _show_reason(panel, *text)
        below -= gap
    if more > 0:
        figure.text(EDGE / total, 0.05 / height, f"and {more} more, see the catalogue", va="bottom")


def _show_reason(panel: Axes, name: Sequence[str], reason: Sequence[str]) -> None:
    """A grey frame with a volume's name and why it was rejected, in lines."""
    panel.set(xticks=[], yticks=[], facecolor="#F4F4F4")
    panel.grid(visible=False)
    panel.spines[:].set(visible=True, edgecolor=style.MISSING)
    below_name = 2 * MARGIN + REASON_LINE * len(name)
    for lines, lower, weight in ((name, MARGIN, "bold"), (reason, below_name, "normal")):
        panel.annotate(
            "\n".join(lines),
            (0, 1),
            xytext=(72 * MARGIN, -72 * lower),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=style.CELL_FONT,
            fontweight=weight,
            parse_math=False,
        )


def _grow(figure: Figure, strip: float) -> None:
    """Make a figure `strip` inches taller, below all that it has."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + strip)
    share = height / (height + strip)
    for text in figure.texts:
        text.set_y(1 - (1 - text.get_position()[1]) * share)
    for panel in figure.axes:
        box = panel.get_position(original=True)
        panel.set_position((box.x0, 1 - (1 - box.y0) * share, box.width, box.height * share))


def _cut(text: str, width: float, most: int) -> list[str]:
    """A text in at most so many lines of `width` inches; the rest of a long one is left out."""
    lines = style.fitted(text, width, style.CELL_FONT).split("\n")
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while style.text_width(f"{last}…", style.CELL_FONT) > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last}…"]


def _shortened(name: str, width: float) -> str:
    """The name, its middle left out where it is wider than `width` inches."""
    for kept in range(len(name), 1, -1):
        text = name if kept == len(name) else f"{name[: (kept + 1) // 2]}…{name[-(kept // 2) :]}"
        if style.text_width(text, style.CELL_FONT) <= width:
            return text
    return name[:1]

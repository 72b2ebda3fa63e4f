"""Heat maps: values as colours with their numbers in the cells; missing ones are grey."""

from collections.abc import Sequence
from typing import Literal

import matplotlib
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mrilib.report import sheets, style

# From this ratio of the largest to the smallest value on, equal steps of colour are equal factors.
WIDE = 20.0
# Panels side by side.
MOST_COLUMNS = 4
# Inches: the side of the largest cell, the tallest figure, and the space around a text.
CELL = 0.62
PAGE = 9.3
PADDING = 0.06

Values = Float[np.ndarray, "row column"]


def color_map() -> Colormap:
    """Equal steps of value look equal, also to colour-blind readers."""
    return matplotlib.colormaps["cividis"].with_extremes(bad=style.MISSING)


def linear_scale(values: np.ndarray) -> Normalize:
    """Colours over the range of the finite values."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def wide_scale(values: np.ndarray) -> Normalize:
    """As `linear_scale`; logarithmic where all values are positive and their ratio is `WIDE` or more."""
    linear = linear_scale(values)
    low, high = float(linear.vmin or 0.0), float(linear.vmax or 0.0)
    return LogNorm(low, high) if low > 0 and high >= WIDE * low else linear


def draw(
    axes: Axes,
    values: Values,
    *,
    scale: Normalize,
    texts: Sequence[Sequence[str]] | None,
    colors: Colormap | None = None,
) -> None:
    """A cell for every value, with its text, dark on light or light on dark.

    Args:
        axes: where to draw.
        values: NaN where one is missing.
        scale: from values to colours.
        texts: one a cell; `None` for none.
        colors: by default those of `color_map`.
    """
    colors = colors or color_map()
    axes.imshow(np.ma.masked_invalid(values), cmap=colors, norm=scale, interpolation="none", aspect="auto")
    for row, line in enumerate(texts or ()):
        for column, text in enumerate(line):
            value = values[row, column]
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center_baseline",
                fontsize=style.CELL_FONT,
                color="white" if np.isfinite(value) and scale(float(value)) < 0.5 else "black",
            )


def outline(
    axes: Axes,
    cells: Bool[np.ndarray, "row column"],
    *,
    color: str,
    width: float,
    inset: float = 0.0,
    effects: Sequence[AbstractPathEffect] = (),
) -> None:
    """Frames around cells, of lines `width` points wide and `inset` points inside the edges."""
    box = axes.get_window_extent()
    rows, columns = cells.shape
    pixels = inset * style.RESOLUTION / 72
    x, y = pixels * columns / box.width, pixels * rows / box.height
    for row, column in np.argwhere(cells):
        frame = Rectangle(
            (column - 0.5 + x, row - 0.5 + y),
            1 - 2 * x,
            1 - 2 * y,
            fill=False,
            edgecolor=color,
            linewidth=width,
            path_effects=list(effects),
        )
        axes.add_patch(frame)


def panels(
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    titles: Sequence[str],
    numbers: Sequence[str],
    axes_labels: tuple[str, str],
    scale_label: str,
    note: str,
    title: str | None,
) -> tuple[Figure, np.ndarray]:
    """Panels of cells with the names of their rows and columns, at most four side by side.

    There are fewer where their numbers and titles need the room. Cells are square unless the page is too
    low for them.

    Args:
        rows: names.
        columns: names; upright where they are wider than a cell.
        titles: of the panels, one each, in two lines.
        numbers: all that will stand in cells.
        axes_labels: what rows are, in two lines, and what columns are.
        scale_label: of the colours, for which there is room right of the panels.
        note: below the panels.
        title: heading, or `None`.

    Returns:
        The figure and its axes, `(lines of panels, panels side by side)`; those without a title are off.
    """
    left = _width(rows) + 3 * sheets.LINE
    turned = sheets.LINE * _most_lines(columns)
    cell = max(_width(numbers, style.CELL_FONT) + PADDING, turned)
    heading = _width(titles) + PADDING
    abreast = -(-len(titles) // -(-len(titles) // MOST_COLUMNS))
    while abreast > 1 and _room(abreast, left) < max(heading, cell * len(columns)):
        abreast -= 1
    lines = -(-len(titles) // abreast)
    width = min(_room(abreast, left), CELL * len(columns))
    upright = _width(columns) + PADDING > width / len(columns)
    gap = max(sheets.GAP, heading - width)
    text = style.wrapped(note, 1.12 * (left + abreast * width + (abreast - 1) * gap + sheets.BAR))
    below = sheets.LINE * (text.count("\n") + 1) + PADDING
    foot = (_width(columns) if upright else turned) + 1.6 * sheets.LINE
    free = (PAGE - foot - below - sheets.LINE * (4 + 3 * lines)) / lines
    height = max(min(width / len(columns), free / len(rows)), sheets.LINE * _most_lines(rows)) * len(rows)
    foot = max(foot, _width([scale_label]) + sheets.LINE - lines * height)
    figure, axes = sheets.sheet(
        [height / width] * lines,
        columns=abreast,
        title=title,
        left=left,
        foot=foot + below,
        gap=gap,
        between=2.7 * sheets.LINE,
        widest=width,
    )
    figure.text(PADDING / figure.get_figwidth(), below / figure.get_figheight(), text, va="top")
    for index, panel in enumerate(axes.flat):
        sheets.bare(panel)
        panel.tick_params(length=0, pad=3)
        if index >= len(titles):
            panel.set_axis_off()
            continue
        panel.set_title(titles[index])
        if index % abreast == 0:
            panel.set_yticks(range(len(rows)), rows)
            panel.set_ylabel(axes_labels[0])
        if index + abreast >= len(titles):
            panel.set_xticks(range(len(columns)), columns, rotation=90 if upright else 0)
            panel.set_xlabel(axes_labels[1])
    return figure, axes


def color_bar(
    figure: Figure,
    axes: np.ndarray,
    scale: Normalize,
    label: str,
    *,
    colors: Colormap | None = None,
    extend: Literal["neither", "both"] = "neither",
) -> None:
    """What the colours of all panels mean, right of them; as high as they are, or as its label is long."""
    width, height = figure.get_size_inches()
    boxes = [panel.get_position() for panel in axes.flat]
    top, bottom = max(box.y1 for box in boxes), min(box.y0 for box in boxes)
    bottom = min(bottom, top - (_width([label]) + PADDING) / height)
    place = figure.add_axes((max(box.x1 for box in boxes) + 0.12 / width, bottom, 0.11 / width, top - bottom))
    mapped = ScalarMappable(cmap=colors or color_map(), norm=scale)
    bar = figure.colorbar(mapped, cax=place, extend=extend, extendfrac=0.03)
    bar.set_label(label, labelpad=3)
    if isinstance(scale, LogNorm):
        bar.locator = LogLocator(subs=(1.0, 2.0, 5.0))
        bar.formatter = FuncFormatter(lambda value, _: f"{value:g}")
        place.yaxis.set_minor_locator(NullLocator())


def _room(abreast: int, left: float) -> float:
    return sheets.panel_width(abreast, left=left, right=sheets.BAR)


def _most_lines(texts: Sequence[str]) -> int:
    return max(text.count("\n") + 1 for text in texts)


def _width(texts: Sequence[str], size: float = style.FONT) -> float:
    return max(style.text_width(text, size) for text in texts)

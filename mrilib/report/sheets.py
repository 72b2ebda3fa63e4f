"""Sheets of images: panels of known size, one grey scale with its explanation, close-ups."""

from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mrilib.report import style

# Pixels along the side of a close-up.
CLOSE_UP = 48
BOX = "#F0E442"
# Half of the step from one of 256 grey levels to the next.
HALF_LEVEL = 0.5 / 255
# Inches: colour bar with its text, and the space between panels.
BAR = 0.92
GAP = 0.08
LINE = 0.165

Location = tuple[SupportsIndex, SupportsIndex]
Window = tuple[slice, slice]


def sheet(
    ratios: Sequence[float],
    *,
    columns: int,
    title: str | None,
    left: float = 0.42,
    right: float = BAR,
    head: int = 2,
    foot: float = 0.06,
    gap: float = GAP,
    between: float | Sequence[float] = GAP,
    widest: float | None = None,
) -> tuple[Figure, np.ndarray]:
    """A figure with rows of panels, as wide as the page holds.

    Args:
        ratios: height over width of the panels, one number a row.
        columns: panels of a row.
        title: heading, or `None`.
        left: inches for what stands left of the panels.
        right: inches for what stands right of them.
        head: lines of text above the first row.
        foot: inches below the last row.
        gap: inches between columns.
        between: inches between rows, one number for all or one for each pair.
        widest: inches that no panel exceeds; `None` for a third of what the page holds.

    Returns:
        The figure and its axes, `(rows, columns)`.
    """
    least = 3 if widest is None else 1
    width = panel_width(max(columns, least), left=left, right=right, gap=gap)
    width = width if widest is None else min(width, widest)
    spaces = [between] * (len(ratios) - 1) if isinstance(between, int | float) else [*between]
    total = left + columns * width + (columns - 1) * gap + right
    heading = style.wrapped(title, total)
    top = LINE * (head + heading.count("\n") + (1.4 if heading else 0.0)) + 0.08
    height = top + sum(width * ratio for ratio in ratios) + sum(spaces) + foot
    figure = Figure(figsize=(total, height))
    if heading:
        figure.text(0.5, 1 - 0.05 / height, heading, ha="center", va="top", weight="bold")
    axes = np.empty((len(ratios), columns), dtype=object)
    below = height - top
    for row, (ratio, space) in enumerate(zip(ratios, [*spaces, 0.0], strict=True)):
        below -= width * ratio
        for column in range(columns):
            start = left + column * (width + gap)
            axes[row, column] = figure.add_axes(
                (start / total, below / height, width / total, width * ratio / height)
            )
            axes[row, column].grid(visible=False)
        below -= space
    return figure, axes


def panel_width(columns: int, *, left: float, right: float, gap: float = GAP) -> float:
    """Inches of each of `columns` panels that fill the page beside what stands left and right of them."""
    return (style.DOUBLE - left - right - (columns - 1) * gap) / columns


def complex_among(images: Iterable[np.ndarray | None]) -> bool:
    """Whether an image is complex, so that all of a figure are shown by their moduli."""
    return any(np.iscomplexobj(image) for image in images if image is not None)


def show(axes: Axes, image: np.ndarray, *, moduli: bool) -> None:
    """An image, or its modulus, in grey over [0, 1], red where it is above 1 and blue where it is below 0."""
    axes.imshow(
        np.abs(image) if moduli else image,
        cmap=_grey(),
        norm=_grey_levels(),
        # the pixels themselves go into a PDF: no viewer blends red ones with their neighbours
        interpolation="none",
        aspect="auto",
    )
    bare(axes)


def bare(axes: Axes) -> None:
    """No ticks and no frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def missing(axes: Axes) -> None:
    """A panel without its image."""
    bare(axes)
    axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", va="center")


def explain(figure: Figure, axes: np.ndarray, images: Iterable[np.ndarray | None], *, moduli: bool) -> None:
    """A colour bar right of `axes` that says what grey, red and, where it occurs, blue mean."""
    below = not moduli and any((image < -HALF_LEVEL).any() for image in images if image is not None)
    width, height = figure.get_size_inches()
    boxes = [panel.get_position() for panel in axes.flat]
    top, bottom = max(box.y1 for box in boxes), min(box.y0 for box in boxes)
    tip, text = 0.12 / height, LINE / height
    start, stop = bottom + below * (tip + text), top - tip - text
    place = figure.add_axes((max(box.x1 for box in boxes) + 0.22 / width, start, 0.11 / width, stop - start))
    figure.colorbar(
        ScalarMappable(cmap=_grey(), norm=_grey_levels()),
        cax=place,
        extend="both" if below else "max",
        extendfrac=tip / (stop - start),
        ticks=[0, 0.5, 1],
    )
    place.set_ylabel(f"{'modulus' if moduli else 'value'} of a pixel\n(image maximum = 1)", labelpad=2)
    center = place.get_position().x0 + 0.055 / width
    figure.text(center, stop + tip, "above 1", ha="center", va="bottom", color=style.ABOVE)
    if below:
        figure.text(center, start - tip, "below 0", ha="center", va="top", color=style.BELOW)


def window(shape: tuple[int, ...], location: Location, side: int = CLOSE_UP) -> Window:
    """The close-up around `location`, moved inside the image where it would leave it."""
    starts = [
        min(max(int(center) - side // 2, 0), max(size - side, 0))
        for center, size in zip(location, shape, strict=True)
    ]
    rows, columns = (slice(start, min(start + side, size)) for start, size in zip(starts, shape, strict=True))
    return rows, columns


def present(location: Location | None) -> Location | None:
    """`None` for the location of an attack on the whole image, which is stored as (−1, −1)."""
    return None if location is None or min(int(index) for index in location) < 0 else location


def box(axes: Axes, place: Window) -> None:
    """Frame on an image around its close-up."""
    rows, columns = place
    frame = Rectangle(
        (columns.start - 0.5, rows.start - 0.5),
        columns.stop - columns.start,
        rows.stop - rows.start,
        fill=False,
        edgecolor=BOX,
        linewidth=0.9,
    )
    frame.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="black")])
    axes.add_patch(frame)


def close_up(axes: Axes, image: np.ndarray, place: Window, *, moduli: bool) -> None:
    """The part `place` of an image in a frame."""
    show(axes, image[place], moduli=moduli)
    axes.spines[:].set(visible=True, edgecolor=BOX, linewidth=1.2)


def ratio(shape: Sequence[int]) -> float:
    """Height over width."""
    return shape[0] / shape[1]


def _grey() -> Colormap:
    colors = LinearSegmentedColormap.from_list("grey", ["black", "white"])
    return colors.with_extremes(over=style.ABOVE, under=style.BELOW, bad=style.MISSING)


def _grey_levels() -> Normalize:
    """Grey level k of 256 shows the values that round to k/255; what rounds beyond is over or under."""
    return Normalize(-HALF_LEVEL, 1 + HALF_LEVEL)

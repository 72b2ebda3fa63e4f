"""Figures of what perturbations made for one method do to the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import SupportsFloat, TypedDict

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.figure import Figure

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report import curves, heat_maps, sheets, style
from mrilib.report.names import method_label
from mrilib.report.sheets import Location, Window

# Of `transfer_panel`; with more, images are too small.
MOST_ROWS = 3
MOST_RECEIVERS = 4
# Rows of a matrix up to which names may take two lines.
FEW = 6
# Inches: a method's name in a matrix; of `transfer_panel` the least room for the text above an image, the
# widest image, the tallest figure, and what stands left of the images.
NAME = 1.05
TEXT = 1.0
IMAGE = 1.75
PAGE = 9.3
LEFT = 0.62
# Behind a white frame, so that it shows on every colour.
DARK = patheffects.withStroke(linewidth=1.9, foreground="black")


class Received(TypedDict):
    """What a method makes of a perturbation; `None` for an image that there is not."""

    method: str
    reconstruction: np.ndarray | None
    alpha: SupportsFloat
    severity: SupportsFloat


class TransferRow(TypedDict):
    """One perturbation of `transfer_panel`, and what methods make of it."""

    made_for: str
    level: SupportsFloat
    location: Location | None
    perturbed: np.ndarray | None
    received: Sequence[Received]


@style.printed()
def transfer_matrix(
    frame: pd.DataFrame,
    *,
    quantity: str,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
    title: str | None = None,
) -> Figure:
    """Every method under the perturbations made for every other, one panel a level.

    Rows are methods that perturbations were made for, columns methods that reconstruct. All panels share
    their colours, in equal factors where values differ by `heat_maps.WIDE` or more. A mean is marked with ‡
    where the artifact of some of its images may be rounding, as in tables.

    Args:
        frame: `made_for`, `reconstructed_by`, `level` (per cent of `‖Ax‖₂`), `mean`, `low`, `high` (in the
            unit of the label: relative errors in per cent), `n`, and the number of `doubtful` images, where
            they are known. A mean that is NaN, or not there, is grey.
        quantity: of the values: one of `quantities`, or what stands beside the colours.
        methods: order of rows and columns; others come after.
        labels: names to print for methods, before those of `report.names`.
        quantities: how numbers are shown.
        title: heading: source, mask and attack.

    Raises:
        ValueError: if a column is missing or a cell is given twice.

    Source: our choice, the full matrix of the examples in [alaifari2023], Fig. 6 and 7.
    """
    keys = ("made_for", "reconstructed_by", "level")
    curves.check(frame, columns=(*keys, "mean", "low", "high", "n"), keys=keys, where="transfer_matrix")
    made, by = (_ordered(frame[name], methods or ()) for name in ("made_for", "reconstructed_by"))
    levels = sorted(set(frame["level"]))
    if not levels:
        figure, axes = sheets.sheet([0.3], columns=1, title=title)
        sheets.bare(axes[0, 0])
        curves.nothing(axes[0, 0])
        return figure
    marked = frame.assign(mark=np.where(curves.doubted(frame) & frame["mean"].notna(), style.DOUBTFUL, ""))
    cells = [_cells(marked[marked["level"] == level], made, by) for level in levels]
    values = np.array([[[value for value, _ in row] for row in panel] for panel in cells], dtype=float)
    texts = [
        [[f"{style.number(value, zeros=True)}{mark}" for value, mark in row] for row in panel]
        for panel in cells
    ]
    known = quantities.get(quantity)
    label = known.axis or known.title if known else quantity
    note = "Numbers: means over n images. Framed: the method that the perturbation was made for."
    if np.isnan(values).any():
        note += " n/a: failed, or not computed."
    if marked["mark"].any():
        note += (
            f" {style.DOUBTFUL}: of some images the largest pixel of the artifact is less than ten times "
            "what the method is accurate to; these means may be rounding."
        )
    figure, axes = heat_maps.panels(
        [
            style.fitted(method_label(method, labels), NAME if len(made) <= FEW else 2 * NAME)
            for method in made
        ],
        [style.fitted(method_label(method, labels), NAME) for method in by],
        titles=[
            f"‖e‖₂/‖Ax‖₂ = {style.percent(level)}\n{curves.count_label(frame[frame['level'] == level])}"
            for level in levels
        ],
        numbers=np.ravel(texts).tolist(),
        axes_labels=("perturbation\nmade for", "reconstructed by"),
        scale_label=label,
        note=note,
        title=title,
    )
    scale = heat_maps.wide_scale(values)
    own = np.array([[first == second for second in by] for first in made])
    for panel, matrix, text in zip(axes.flat, values, texts, strict=False):
        heat_maps.draw(panel, matrix, scale=scale, texts=text)
        heat_maps.outline(panel, own, color="white", width=0.9, inset=0.95, effects=[DARK])
    if np.isfinite(values).any():
        heat_maps.color_bar(figure, axes, scale, label)
    return figure


@style.printed()
def transfer_panel(
    rows: Sequence[TransferRow],
    *,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
    picture: str = "A†e",
) -> Figure:
    """Perturbed images and what every method makes of them, with close-ups where the attack aimed.

    Args:
        rows: one to three perturbations, each with `made_for` (the method that it was made for), `level`
            (`‖e‖₂/‖Ax‖₂`, per cent), `location` (row and column of the attack's window; `None` or (−1, −1),
            as a global attack has it, for no close-ups), `perturbed` (`x + A†e`), and in `received` for
            one to four methods `method`, `reconstruction` (`rec(y + e)`), `alpha` and `severity`
            (`‖ρ‖∞`, in units of the image's maximum). An image that is `None` is shown as missing.
        labels: names to print for methods, before those of `report.names`.
        title: heading: image source, mask and attack.
        picture: how perturbations are shown: `|Aᴴe|` with coils.

    Raises:
        ValueError: for too few or too many perturbations or methods.

    Source: [alaifari2023], Fig. 6 and 7.
    """
    most = max((len(row["received"]) for row in rows), default=0)
    least = min((len(row["received"]) for row in rows), default=0)
    if not 1 <= len(rows) <= MOST_ROWS or least < 1 or most > MOST_RECEIVERS:
        raise ValueError(
            f"transfer_panel: expected 1 to {MOST_ROWS} perturbations, each with 1 to {MOST_RECEIVERS} "
            f"methods that reconstruct, got {[len(row['received']) for row in rows]}"
        )
    images = [image for row in rows for image in _images(row)]
    moduli = sheets.complex_among(images)
    shape = next((image.shape for image in images if image is not None), (1, 1))
    locations = [sheets.present(row["location"]) for row in rows]
    close = sheets.ratio([min(size, sheets.CLOSE_UP) for size in shape])
    ratios = [[sheets.ratio(shape)] + [close] * (location is not None) for location in locations]
    width = min(IMAGE, sheets.panel_width(most + 1, left=LEFT, right=sheets.BAR))
    # twice: narrower images may need more lines above them, and those leave less of the page
    for _ in range(2):
        titles = [_titles(row, labels, max(width, TEXT), picture) for row in rows]
        heads = [max(text.count("\n") + 1 for text in texts) for texts in titles]
        room = PAGE - sum(sheets.LINE * head + 0.2 for head in heads) - 2 * sheets.LINE
        width = min(width, room / sum(map(sum, ratios)))
    spaces = [
        space
        for head, both in zip(heads, ratios, strict=True)
        for space in (sheets.LINE * head + 0.12, *[sheets.GAP] * (len(both) - 1))
    ]
    figure, axes = sheets.sheet(
        [ratio for both in ratios for ratio in both],
        columns=most + 1,
        title=title,
        left=LEFT,
        head=heads[0],
        gap=max(sheets.GAP, TEXT + 0.04 - width),
        between=spaces[1:],
        widest=width,
    )
    lines = iter(axes)
    for row, texts, location in zip(rows, titles, locations, strict=True):
        upper, pictures = next(lines), _images(row)
        name = style.fitted(method_label(row["made_for"], labels), NAME)
        upper[0].set_ylabel(f"made for\n{name}")
        for panel, text in zip(upper, texts, strict=False):
            panel.set_title(text)
        if location is None:
            _fill(upper, pictures, moduli=moduli)
            continue
        lower, place = next(lines), sheets.window(shape, location)
        y, x = (int(index) for index in location)
        lower[0].set_ylabel(f"close-up at\nrow {y},\ncolumn {x}")
        _fill(upper, pictures, moduli=moduli, framed=place)
        _fill(lower, pictures, moduli=moduli, close_up=place)
    sheets.explain(figure, axes[:2], images, moduli=moduli)
    return figure


def _ordered(found: Iterable[str], methods: Sequence[str]) -> list[str]:
    """Different names, first those of `methods` in its order."""
    names = curves.order(found)
    return [name for name in methods if name in names] + [name for name in names if name not in methods]


def _cells(part: pd.DataFrame, made: Sequence[str], by: Sequence[str]) -> list[list[tuple[float, str]]]:
    """Means of one level with their marks, NaN where there is none."""
    pairs = zip(part["made_for"], part["reconstructed_by"], strict=True)
    found = dict(zip(pairs, zip(part["mean"], part["mark"], strict=True), strict=True))
    return [[found.get((first, second), (np.nan, "")) for second in by] for first in made]


def _images(row: TransferRow) -> list[np.ndarray | None]:
    return [row["perturbed"], *(each["reconstruction"] for each in row["received"])]


def _titles(row: TransferRow, labels: Mapping[str, str] | None, width: float, picture: str) -> list[str]:
    """What stands above the images of a row, in lines that fit `width` inches."""
    return [
        f"perturbed image\nx + {picture}, ‖e‖₂ =\n{style.percent(row['level'])} of ‖Ax‖₂",
        *(
            f"{style.fitted(method_label(each['method'], labels), width)}\n"
            f"α = {style.number(each['alpha'])}\nseverity {style.number(each['severity'])}"
            for each in row["received"]
        ),
    ]


def _fill(
    panels: np.ndarray,
    images: Sequence[np.ndarray | None],
    *,
    moduli: bool,
    framed: Window | None = None,
    close_up: Window | None = None,
) -> None:
    """Images in a row of panels, with a frame around a place or only that place."""
    for panel in panels[len(images) :]:
        panel.set_axis_off()
    for panel, image in zip(panels, images, strict=False):
        if image is None:
            sheets.missing(panel)
        elif close_up is not None:
            sheets.close_up(panel, image, close_up, moduli=moduli)
        else:
            sheets.show(panel, image, moduli=moduli)
            if framed is not None:
                sheets.box(panel, framed)

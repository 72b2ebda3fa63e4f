"""Figures of small features: what is lost by size, where, and as a fit goes on."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mrilib.experiments.feature_rows import MEASURES
from mrilib.report import curves, heat_maps, sheets, style
from mrilib.report.names import method_label

# Signs of curves, by the method's place among those shown: more methods than colours are told apart.
SIGNS = tuple(style.Signs("-", marker, True) for marker in ("o", "s", "^", "v", "D", "P", "X"))
# From this ratio of the largest to the smallest mean on an axis is logarithmic.
LOGARITHMIC = 4.0
# Colours of maps: none of them looks like the grey of what is missing.
COLORS = matplotlib.colormaps["viridis"].with_extremes(bad=style.MISSING)
# Per cent of the cells that may lie beyond either end of the colours.
BEYOND = 2.0
# Maps side by side.
ABREAST = 4
MAP_WIDTH = 1.3


@style.printed()
def loss_figure(
    frame: pd.DataFrame, *, methods: Sequence[str], labels: Mapping[str, str], title: str | None = None
) -> Figure:
    """What every method loses of a window, and its error there, against the window's size.

    Args:
        frame: `measure` (`loss` or `error`), `method`, `size`, `mean`, `low`, `high`, `n`.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: [darestani2021], figure 17.
    """
    figure, axes, shown = _measured(frame, ("loss", "error"), "size", methods, title, "loss_figure")
    sizes = sorted(set(frame["size"]))
    for panel in axes[0]:
        panel.set_xticks(sizes, [f"{size}×{size}" for size in sizes])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set(xlabel="pixels of the feature")
    style.legend_below(figure, _keys(shown, methods, labels), [curves.interval_handle()])
    return style.settle(figure)


@style.printed()
def location_figure(
    frame: pd.DataFrame, *, label: str, labels: Mapping[str, str], title: str | None = None
) -> Figure:
    """A mean map for every method, all in the colours of one scale.

    Args:
        frame: `method`, `row`, `column` (of the middles of cells, as shares of the image), `value`, `images`.
        label: what the colours mean.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a cell is given twice.

    Source: [darestani2021], figures 7 and 16.
    """
    keys = ("method", "row", "column")
    curves.check(frame, columns=(*keys, "value", "images"), keys=keys, where="location_figure")
    methods = curves.order(frame["method"])
    rows, columns = (np.array(sorted(set(frame[name]))) for name in ("row", "column"))
    maps = {method: _map(frame[frame["method"] == method], rows, columns) for method in methods}
    abreast = min(ABREAST, len(methods))
    lines = -(-len(methods) // abreast)
    names = [style.fitted(method_label(method, labels), MAP_WIDTH) for method in methods]
    heads = [
        max(name.count("\n") + 1 for name in names[line * abreast : (line + 1) * abreast])
        for line in range(lines)
    ]
    figure, axes = sheets.sheet(
        [1.0] * lines,
        columns=abreast,
        title=title,
        left=0.1,
        head=heads[0],
        between=[sheets.LINE * head + 0.1 for head in heads[1:]],
        widest=MAP_WIDTH,
        foot=2.2 * sheets.LINE,
    )
    told = np.concatenate([values[np.isfinite(values)] for values in maps.values()])
    ends = np.percentile(told, [BEYOND, 100 - BEYOND]) if told.size else told
    scale = heat_maps.wide_scale(ends)
    for panel, method, name in zip(axes.flat, methods, names, strict=False):
        heat_maps.draw(panel, maps[method], scale=scale, texts=None, colors=COLORS)
        sheets.bare(panel)
        panel.set_title(name)
    for panel in list(axes.flat)[len(methods) :]:
        panel.set_axis_off()
    heat_maps.color_bar(figure, axes, scale, label, colors=COLORS, extend="both")
    most = int(frame["images"].max())
    figure.text(
        0.5,
        0.35 * sheets.LINE / figure.get_figheight(),
        f"grey: no window of up to {most} image{'s' * (most != 1)}",
        ha="center",
        va="bottom",
    )
    return figure


@style.printed()
def fit_figure(
    frame: pd.DataFrame, *, methods: Sequence[str], labels: Mapping[str, str], title: str | None = None
) -> Figure:
    """Errors in windows against the steps of a fit: with the feature, without it, and what is lost of it.

    Args:
        frame: `measure` (of `MEASURES`), `method`, `steps`, `mean`, `low`, `high`, `n`.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice; [darestani2021], section 5.3, tells of it without a figure.
    """
    figure, axes, shown = _measured(frame, tuple(MEASURES), "steps", methods, title, "fit_figure")
    for panel in axes[0]:
        panel.set(xlabel="steps of the fit")
        curves.log_scale(panel, "x", inches=1.7)
    style.legend_below(figure, _keys(shown, methods, labels), [curves.interval_handle()])
    return style.settle(figure)


def _measured(
    frame: pd.DataFrame,
    measures: Sequence[str],
    x: str,
    methods: Sequence[str],
    title: str | None,
    where: str,
) -> tuple[Figure, np.ndarray, list[str]]:
    """A panel a measure with a curve a method; the figure, its axes and the methods shown."""
    keys = ("measure", "method", x)
    curves.check(frame, columns=(*keys, "mean", "low", "high", "n"), keys=keys, where=where)
    figure, axes = curves.panels(1, len(measures), title=title)
    shown = curves.order(frame["method"], methods)
    for panel, name in zip(axes[0], measures, strict=True):
        inside = frame[frame["measure"] == name]
        panel.set_title(f"{MEASURES[name].axis}\n{curves.count_label(inside)}")
        for index, method in enumerate(shown):
            # Set apart, so that intervals of neighbours do not hide each other.
            shift = 1.0 + 0.012 * (index - (len(shown) - 1) / 2)
            line = inside[inside["method"] == method]
            signs = SIGNS[index % len(SIGNS)]
            curves.curve(panel, line, x=x, color=style.color(method, methods), signs=signs, shift=shift)
        means = inside["mean"].dropna()
        if len(means) and (means > 0).all() and means.max() > LOGARITHMIC * means.min():
            curves.log_scale(panel, "y", inches=1.4)
        else:
            panel.set_ylim(bottom=0.0)
    axes[0, 0].set_ylabel("over the energy of the feature")
    return figure, axes, shown


def _keys(shown: Sequence[str], methods: Sequence[str], labels: Mapping[str, str]) -> list[Line2D]:
    return [
        curves.sign_key(method_label(method, labels), SIGNS[index % len(SIGNS)], style.color(method, methods))
        for index, method in enumerate(shown)
    ]


def _map(frame: pd.DataFrame, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "row column"]:
    """Values by place, NaN where there is none."""
    found = frame.pivot(index="row", columns="column", values="value")
    return found.reindex(index=rows, columns=columns).to_numpy(dtype=float)

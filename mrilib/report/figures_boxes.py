"""Figure of annotated boxes: error in the boxes against overall quality, and by label."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import curves, style
from mrilib.report.figures_shift import FAMILIES
from mrilib.report.names import method_label

# Labels that stand side by side; those of fewer boxes are left out, and the figure says so.
MOST_LABELS = 6
# Share of a label's place that its methods take.
SPREAD = 0.7
HEIGHT = 2.5
ERROR = "error in the boxes\n(images of sd 1)"


@style.printed()
def boxes_figure(
    frame: pd.DataFrame,
    *,
    axis: str,
    correlation: float,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Mean error in the boxes against overall quality, and by label: a colour a method, a sign a family.

    Bars are 95 % intervals of each mean. Of more than six labels those of the most boxes are shown.

    Args:
        frame: a row a method and label, `all` for every label: `method`, `family`, `label`, `n`, `mean`,
            `low`, `high` of the error, and `x`, `x_low`, `x_high` of the quality.
        axis: name of the quality.
        correlation: Spearman's, over methods, of both means; NaN for none.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a method is given twice with a label.

    Source: [darestani2021], Figs. 8 and 18.
    """
    columns = ("method", "family", "label", "n", "mean", "low", "high", "x", "x_low", "x_high")
    curves.check(frame, columns=columns, keys=("method", "label"), where="boxes_figure")
    every = list(dict.fromkeys(frame["method"])) if methods is None else methods
    found = curves.order(frame["label"])
    # Of a single label all boxes are its boxes.
    shown = found[: MOST_LABELS + 1]
    figure, axes = curves.panels(1, 2, title=title, height=HEIGHT, sharey=True, widths=(1.0, 1.5))
    first, second = axes[0]
    whole = frame[frame["label"] == found[0]] if found else frame
    for row in whole.to_dict("records"):
        _point(first, row["x"], row, style.color(row["method"], every))
        _bar(first, row["mean"], (row["x_low"], row["x_high"]), style.color(row["method"], every))
    order = list(dict.fromkeys(frame["method"]))
    for place, label in enumerate(shown):
        for row in frame[frame["label"] == label].to_dict("records"):
            shift = SPREAD * ((order.index(row["method"]) + 0.5) / len(order) - 0.5)
            _point(second, place + shift, row, style.color(row["method"], every))
    if frame.empty:
        for panel in (first, second):
            curves.nothing(panel)
    told = f"rank correlation of the methods {correlation:.2f}" if math.isfinite(correlation) else ""
    first.set(xlabel=f"{axis}\n(mean of the images with boxes)", ylabel=ERROR, title=told)
    _label_axis(second, frame, shown, len(found))
    keys = [
        _sign(method_label(row["method"], labels), _marker(row["family"]), style.color(row["method"], every))
        for row in whole.to_dict("records")
    ]
    families = [_sign(name, _marker(name), "black") for name in curves.order(whole["family"], FAMILIES)]
    style.legend_below(figure, keys, [*families, curves.interval_handle()])
    return style.settle(figure)


def _point(axes: Axes, x: float, row: Mapping[Any, Any], color: str) -> None:
    if np.isfinite([row["low"], row["high"]]).all():
        axes.vlines(x, row["low"], row["high"], color=color, linewidth=0.8)
    axes.plot([x], [row["mean"]], linestyle="", marker=_marker(row["family"]), color=color, markersize=4.0)


def _bar(axes: Axes, y: float, ends: tuple[float, float], color: str) -> None:
    if np.isfinite(ends).all():
        axes.hlines(y, *ends, color=color, linewidth=0.8)


def _label_axis(axes: Axes, frame: pd.DataFrame, shown: Sequence[str], count: int) -> None:
    """A tick a label with the number of its boxes; their names in lines that do not meet."""
    width = 0.88 * (style.DOUBLE - 0.7) * 0.6 / max(len(shown), 1)
    texts = []
    for label in shown:
        counts = frame.loc[frame["label"] == label, "n"]
        n = f"n = {int(counts.max())}" if len(counts) else ""
        texts.append(f"{style.fitted(str(label), width, style.CELL_FONT)}\n{n}")
    axes.set_xticks(range(len(shown)), texts, fontsize=style.CELL_FONT)
    axes.set_xlim(-0.5, max(len(shown), 1) - 0.5)
    axes.grid(visible=False, axis="x")
    left_out = count - len(shown)
    more = f" ({left_out} more left out)" if left_out > 0 else ""
    axes.set(xlabel=f"label, and number of boxes{more}")
    axes.tick_params(axis="x", length=0)


def _marker(family: str) -> str:
    return FAMILIES.get(family, FAMILIES["other"])


def _sign(label: str, marker: str, color: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=color, label=label)

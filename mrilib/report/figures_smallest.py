"""Figure of the smallest contrasts or levels by method, on a logarithmic axis whose ends are marked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.experiments.smallest import ABOVE
from mrilib.metrics.quantities import Quantity
from mrilib.report import curves, style
from mrilib.report.names import method_label

# In the order in which they stand, from above.
MARKERS = ("v", "o", "s", "^", "D", "P")
# Inches: a mark's row, and what stands above and below a method's.
ROW, SPACE = 0.13, 0.12
# Room beside the ends, as a factor.
MARGIN = 1.5


@style.printed()
def smallest_figure(
    frame: pd.DataFrame,
    *,
    ends: tuple[float, float],
    quantity: Quantity,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """A dot a method and mark with its 95 % interval, over the number; a colour a method, a sign a mark.

    Dotted lines stand at the ends of what was searched. A median beyond an end is open and stands outside of
    it; an interval that goes beyond ends in an arrow. A cross stands where all images of a method failed.

    Args:
        frame: `method`, `mark`, `mean` (the median), `low`, `high`, `beyond`, `low_beyond`, `high_beyond`
            (`above`, `below` or empty), `n`; see `mrilib.experiments.smallest`.
        ends: the least and the largest that were tested.
        quantity: of the number: label of the axis, and whether it is shown in per cent.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a dot is given twice.

    Source: our choice.
    """
    keys = ("method", "mark")
    numbers = ("mean", "low", "high", "beyond", "low_beyond", "high_beyond", "n")
    curves.check(frame, columns=(*keys, *numbers), keys=keys, where="smallest_figure")
    every = list(frame["method"]) if methods is None else list(methods)
    names = curves.order(frame["method"], every)
    marks = curves.order(mark for mark in frame["mark"] if mark)
    height = max(len(names), 1) * (SPACE + ROW * max(len(marks), 1)) + 0.75
    figure, axes = curves.panels(1, 1, title=title, height=height)
    panel = axes[0, 0]
    ends = (quantity.scale * ends[0], quantity.scale * ends[1])
    outside = (ends[0] / MARGIN, ends[1] * MARGIN)
    step = ROW / (SPACE + ROW * max(len(marks), 1))
    for place, method in enumerate(names):
        own = frame[frame["method"] == method]
        for row in own.to_dict("records"):
            # Without a mark, in the middle: of a method that failed everywhere.
            index = marks.index(row["mark"]) if row["mark"] in marks else 0
            height_of = place + (index - (len(marks) - 1) / 2) * step * (row["mark"] in marks)
            _dot(panel, row, height_of, style.color(method, every), _marker(index), quantity.scale, outside)
    panel.set(xlim=(outside[0] / MARGIN, outside[1] * MARGIN), ylim=(max(len(names), 1) - 0.5, -0.5))
    for end in ends:
        panel.axvline(end, **curves.TUNED)
    if frame.empty:
        curves.nothing(panel)
    panel.set_yticks(range(len(names)), [method_label(name, labels) for name in names])
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    curves.log_scale(panel, "x", inches=style.SINGLE - 1.3)
    panel.set_xlabel(quantity.axis or quantity.title)
    signs = [_sign(mark, _marker(index)) for index, mark in enumerate(marks)]
    style.legend_below(figure, signs, _explained(frame))
    return style.settle(figure)


def _marker(index: int) -> str:
    return MARKERS[index % len(MARKERS)]


def _dot(
    axes: Axes,
    row: Mapping[Any, Any],
    y: float,
    color: str,
    marker: str,
    scale: float,
    outside: tuple[float, float],
) -> None:
    """A median with its interval; `outside` is where those stand that are beyond an end."""

    def place(name: str) -> float:
        beyond = row["beyond" if name == "mean" else f"{name}_beyond"]
        if beyond:
            return outside[1] if beyond == ABOVE else outside[0]
        return scale * float(row[name])

    if not row["n"]:
        axes.plot([outside[0]], [y], linestyle="", marker="x", markersize=4, color=color)
        return
    low, middle, high = (place(name) for name in ("low", "mean", "high"))
    if np.isfinite([low, high]).all() and high > low:
        axes.hlines(y, low, high, color=color, linewidth=0.9)
        for name, x in (("low", low), ("high", high)):
            if row[f"{name}_beyond"]:
                sign = ">" if row[f"{name}_beyond"] == ABOVE else "<"
                axes.plot([x], [y], linestyle="", marker=sign, markersize=3.2, color=color)
    axes.plot(
        [middle],
        [y],
        linestyle="",
        marker=marker,
        color=color,
        markersize=4.5,
        markerfacecolor="white" if row["beyond"] else color,
    )


def _sign(label: str, marker: str, filled: bool = True) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        color="black",
        markerfacecolor="black" if filled else "white",
        label=label,
    )


def _explained(frame: pd.DataFrame) -> list[Line2D]:
    found = []
    if curves.has_interval(frame).any() or (frame["low_beyond"] + frame["high_beyond"]).any():
        found.append(Line2D([], [], color="black", linewidth=0.9, label="95 % interval"))
    found.append(Line2D([], [], **{**curves.TUNED, "label": "ends of the search"}))
    if frame["beyond"].ne("").any():
        found.append(_sign("beyond an end", "o", filled=False))
    if (frame["n"] == 0).any():
        found.append(curves.cross_handle())
    return found

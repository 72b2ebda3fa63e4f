"""Figure of a shift of distribution: a point a method, the line through them, and what no loss would be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mrilib.report import curves, style
from mrilib.report.names import method_label

# By what a method is; others have the last.
FAMILIES = {"linear": "s", "sparse": "o", "untrained": "^", "trained": "D", "other": "P"}
BAND: dict[str, Any] = {"color": "black", "alpha": 0.12, "linewidth": 0}
DIAGONAL: dict[str, Any] = {"color": style.REFERENCE, "linestyle": (0, (4, 2)), "linewidth": 0.8, "zorder": 1}
HEIGHT = 3.0


@style.printed()
def shift_figure(
    frame: pd.DataFrame,
    *,
    band: pd.DataFrame,
    heads: tuple[str, str],
    axis: str,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """A quantity after the shift against that before it, a colour a method, a sign a family.

    Bars are 95 % intervals of each mean. Dashed: no change. Methods that the shift cannot touch are open.

    Args:
        frame: `method`, `family`, `fitted`, `x`, `x_low`, `x_high`, `y`, `y_low`, `y_high`.
        band: of the line: `x`, `y`, `low`, `high`; empty for none.
        heads: what the conditions are called, at the axes.
        axis: name of the quantity.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a method is given twice.

    Source: [darestani2021], figures 4, 5, 11 to 14.
    """
    ends = [f"{name}{end}" for name in ("x", "y") for end in ("", "_low", "_high")]
    curves.check(frame, columns=("method", "family", "fitted", *ends), keys=("method",), where="shift_figure")
    every = list(frame["method"]) if methods is None else methods
    figure, axes = curves.panels(1, 1, title=title, height=HEIGHT)
    panel = axes[0, 0]
    if frame.empty:
        curves.nothing(panel)
    low, high = _limits(frame[ends].to_numpy(dtype=float))
    panel.plot([low, high], [low, high], **DIAGONAL)
    if len(band):
        panel.fill_between(band["x"], band["low"], band["high"], **BAND)
        panel.plot(band["x"], band["y"], color="black", linewidth=1.0)
    for row in frame.to_dict("records"):
        _point(panel, row, style.color(row["method"], every))
    panel.set(xlim=(low, high), ylim=(low, high))
    width = style.SINGLE - 0.9
    for name, text in (("x", f"{axis}: {heads[0]}"), ("y", f"{axis}: {heads[1]}")):
        panel.set(**{f"{name}label": style.fitted(text, width)})
    keys = [
        _sign(name, _marker(family), style.color(method, every), fitted)
        for name, method, family, fitted in (
            (method_label(row["method"], labels), row["method"], row["family"], row["fitted"])
            for row in frame.to_dict("records")
        )
    ]
    style.legend_below(figure, keys, _families(frame), _lines(band))
    return style.settle(figure)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Of both axes alike: all points with their intervals, and a little room."""
    told = values[np.isfinite(values)]
    if not told.size:
        return 0.0, 1.0
    room = 0.06 * (np.ptp(told) or 1.0)
    return float(told.min() - room), float(told.max() + room)


def _marker(family: str) -> str:
    return FAMILIES.get(family, FAMILIES["other"])


def _point(axes: Axes, row: Mapping[Any, Any], color: str) -> None:
    """A method, with its intervals where it has them."""
    x, y = row["x"], row["y"]
    for ends, line in (
        (
            (row["x_low"], row["x_high"]),
            lambda low, high: axes.hlines(y, low, high, color=color, linewidth=0.8),
        ),
        (
            (row["y_low"], row["y_high"]),
            lambda low, high: axes.vlines(x, low, high, color=color, linewidth=0.8),
        ),
    ):
        if np.isfinite(ends).all():
            line(*ends)
    face = color if row["fitted"] else "white"
    axes.plot(
        [x],
        [y],
        linestyle="",
        marker=_marker(row["family"]),
        color=color,
        markerfacecolor=face,
        markersize=4.5,
    )


def _sign(label: str, marker: str, color: str, filled: bool) -> Line2D:
    face = color if filled else "white"
    return Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor=face, label=label)


def _families(frame: pd.DataFrame) -> list[Line2D]:
    """Signs of the families, and of methods that are no part of the line."""
    found = curves.order(frame["family"], FAMILIES)
    signs = [_sign(family, _marker(family), "black", True) for family in found]
    if not frame["fitted"].astype(bool).all():
        signs.append(_sign("control, not fitted", "o", "black", False))
    return signs


def _lines(band: pd.DataFrame) -> list[Any]:
    found: list[Any] = [Line2D([], [], **{**DIAGONAL, "label": "no change"})]
    if len(band):
        found.append(Line2D([], [], color="black", linewidth=1.0, label="line"))
        found.append(Patch(**{**BAND, "label": "its 95 % band"}))
    return found

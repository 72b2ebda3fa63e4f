"""Figure of the training of networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mrilib.report import curves, style
from mrilib.report.figures_curves import CHOSEN
from mrilib.report.names import method_label

# Epochs of a method up to which each has its dot.
DOTTED = 20
# From this ratio of the largest to the smallest value on, an axis is logarithmic.
WIDE = 10.0
PHASE: dict[str, Any] = {"linewidth": 0.6, "zorder": 1}
ZERO_FILLED: dict[str, Any] = {
    "color": style.METHOD_COLORS["zero-filled"],
    "linestyle": (0, (1, 1.5)),
    "linewidth": 1.2,
    "zorder": 1,
}


@style.printed()
def loss_curves(
    frame: pd.DataFrame,
    *,
    zero_filled: float | Mapping[str, float] | None = None,
    relative: bool = True,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Loss on the training images and error on the validation images, over the epochs, one line a method.

    An upright line is the end of a phase of training, in the colour of the method whose phase it is, in
    grey where it is that of several. A star is the epoch whose network is kept. An axis is logarithmic
    where its largest value is `WIDE` times the smallest, or more.

    Args:
        frame: `method`, `epoch` (counted through all phases), `phase`, `loss` (mean over the epoch),
            `validation_error` (relative ℓ2 error, as a fraction; NaN in epochs without validation), `best`
            (bool).
        zero_filled: validation error of the zero-filled image: a dotted line, or one a method in its colour.
        relative: whether validation errors are relative ℓ2 errors; else they are losses, each method's own.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods, before those of `report.names`.
        title: heading.

    Raises:
        ValueError: if a column is missing or an epoch is given twice.

    Source: our choice; the training is that of [alaifari2023], section 4.
    """
    keys = ("method", "epoch")
    needed = (*keys, "phase", "loss", "validation_error", "best")
    curves.check(frame, columns=needed, keys=keys, where="loss_curves")
    shown = curves.order(frame["method"])
    every = shown if methods is None else methods
    scale = 100.0 if relative else 1.0
    frame = frame.assign(validation_error=scale * frame["validation_error"])
    lines = _references(zero_filled, scale, every)
    reference = pd.Series([value for value, _ in lines], dtype=float)
    figure, axes = curves.panels(1, 2, title=title, sharex=True)
    columns = {
        "loss": "training loss\n(mean over the epoch)",
        "validation_error": "relative error on the\nvalidation images (%)"
        if relative
        else "loss on the\nvalidation images",
    }
    for panel, (name, label) in zip(axes[0], columns.items(), strict=True):
        for method in shown:
            line = frame[(frame["method"] == method) & frame[name].notna()].sort_values("epoch")
            _draw(panel, line, name, style.color(method, every))
        for epoch, color in _phase_ends(frame, every).items():
            panel.axvline(epoch, **PHASE, color=color)
        panel.set(xlabel="epoch", ylabel=label)
    for value, color in lines:
        axes[0, 1].axhline(value, **ZERO_FILLED | {"color": color})
    for panel, name in zip(axes[0], columns, strict=True):
        values = pd.concat([frame[name], reference]) if name == "validation_error" else frame[name]
        if not frame[name].notna().any():
            curves.nothing(panel)
        elif 0 < WIDE * values.min() <= values.max():
            curves.log_scale(panel, "y", inches=1.5)
    if frame[list(columns)].notna().any(axis=None):
        axes[0, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes[0, 0].set_xlim(left=0.0)
    else:
        curves.without_ticks(axes)
    style.legend_below(
        figure,
        [curves.key(method_label(method, labels), style.color(method, every)) for method in shown],
        _signs(frame, zero_filled),
    )
    return style.settle(figure)


def _draw(axes: Axes, line: pd.DataFrame, name: str, color: str) -> None:
    marker = "." if len(line) <= DOTTED else ""
    axes.plot(line["epoch"], line[name], color=color, marker=marker)
    best = line[line["best"].eq(True)]
    axes.plot(best["epoch"], best[name], linestyle="", **CHOSEN, color=color)


def _phase_ends(frame: pd.DataFrame, every: Sequence[str]) -> dict[float, str]:
    """Epochs between two phases of a method, with the colour of their line."""
    found: dict[float, str] = {}
    for method, line in frame.sort_values("epoch").groupby("method", sort=True):
        epochs, phases = line["epoch"].to_numpy(dtype=float), line["phase"].to_numpy()
        for index in np.flatnonzero(phases[1:] != phases[:-1]):
            middle = float(epochs[index] + epochs[index + 1]) / 2
            found[middle] = style.REFERENCE if middle in found else style.color(str(method), every)
    return found


def _references(
    zero_filled: float | Mapping[str, float] | None, scale: float, every: Sequence[str]
) -> list[tuple[float, str]]:
    """Values of the dotted lines, with their colours."""
    if zero_filled is None:
        return []
    if isinstance(zero_filled, Mapping):
        return [(scale * value, style.color(method, every)) for method, value in zero_filled.items()]
    return [(scale * zero_filled, ZERO_FILLED["color"])]


def _signs(frame: pd.DataFrame, zero_filled: float | Mapping[str, float] | None) -> list[Line2D]:
    handles = []
    if frame["best"].eq(True).any():
        handles.append(Line2D([], [], linestyle="", **CHOSEN, color="white", label="kept: the best epoch"))
    if (frame.groupby("method")["phase"].nunique() > 1).any():
        upright = {"marker": "|", "markersize": 9, "markeredgewidth": PHASE["linewidth"]}
        handles.append(Line2D([], [], linestyle="", color="black", **upright, label="next phase"))
    if zero_filled is not None:
        name = "zero-filled" if isinstance(zero_filled, Mapping) else "zero-filled A†y"
        handles.append(Line2D([], [], **ZERO_FILLED, label=name))
    return handles

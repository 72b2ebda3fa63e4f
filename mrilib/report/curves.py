"""Curves with intervals and gaps: what the figures of measured numbers share."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mrilib.metrics.statistics import summarise
from mrilib.report import style
from mrilib.report.style import Signs

# Inches, with the labels of the axes.
PANEL_HEIGHT = 2.1
# Lines across a panel: the amplification of the spike, and the weight in use.
SPIKE: dict[str, Any] = {"color": style.REFERENCE, "linestyle": (0, (4, 2)), "linewidth": 0.8, "zorder": 1}
TUNED: dict[str, Any] = {"color": style.REFERENCE, "linestyle": (0, (1, 1.5)), "linewidth": 1.0, "zorder": 1}
Sharing = Literal["row", "col"] | bool


def check(frame: pd.DataFrame, *, columns: Sequence[str], keys: Sequence[str], where: str) -> None:
    """Raise `ValueError` unless `frame` has all `columns`, and one row for each value of `keys`."""
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ValueError(
            f"{where}: expected columns {list(columns)}, {absent} missing from {list(frame.columns)}"
        )
    twice = frame[frame.duplicated(list(keys), keep=False)]
    if len(twice):
        first = twice.iloc[0][list(keys)].to_dict()
        raise ValueError(f"{where}: expected one row for each of {list(keys)}, got several for {first}")


def order(values: Iterable[Any], known: Iterable[Any] | None = None) -> list[Any]:
    """Different values in the order of `known`, others after them in the order in which they come first."""
    found = dict.fromkeys(values)
    first = [value for value in dict.fromkeys(known or ()) if value in found]
    return first + [value for value in found if value not in first]


def panels(
    rows: int,
    columns: int,
    *,
    title: str | None,
    height: float = PANEL_HEIGHT,
    sharex: Sharing = False,
    sharey: Sharing = False,
    widths: Sequence[float] | None = None,
) -> tuple[Figure, np.ndarray]:
    """Axes in rows and columns: one column of a page for one panel, else its whole width."""
    width = style.SINGLE if columns == 1 else style.DOUBLE
    heading = style.wrapped(title, width)
    lines = heading.count("\n") + 1 if heading else 0
    figure = Figure(figsize=(width, rows * height + 0.16 * lines), layout="constrained")
    engine = cast(ConstrainedLayoutEngine, figure.get_layout_engine())
    engine.set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.03)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey, width_ratios=widths)
    if heading:
        figure.suptitle(heading)
    return figure, axes


def label(axes: np.ndarray, count: int, *, x: str, y: str) -> None:
    """Label the first `count` axes, in reading order, at the left and at the foot; hide the others."""
    columns = axes.shape[1]
    for index, panel in enumerate(axes.flat):
        if index >= count:
            panel.set_axis_off()
            continue
        lowest, leftmost = index + columns >= count, index % columns == 0
        panel.tick_params(labelbottom=lowest, labelleft=leftmost)
        panel.set(xlabel=x if lowest else "", ylabel=y if leftmost else "")


def count_label(frame: pd.DataFrame) -> str:
    """`n = 50`, or the range of `n` over the rows that have a mean; empty without a column `n`."""
    if "n" not in frame.columns:
        return ""
    counts = frame.loc[frame["mean"].notna(), "n"]
    if counts.empty:
        return "n = 0"
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def has_interval(frame: pd.DataFrame) -> np.ndarray:
    """Which rows have an interval: not where its ends are missing or equal, nor where a column `n` says 1."""
    mean, low, high = (frame[name].to_numpy(dtype=float) for name in ("mean", "low", "high"))
    told = np.isfinite(mean) & np.isfinite(low) & np.isfinite(high) & (high > low)
    return told & (frame["n"].to_numpy(dtype=float) > 1) if "n" in frame.columns else told


def doubted(frame: pd.DataFrame) -> np.ndarray:
    """Which rows have images whose artifact may be rounding; none without a column `doubtful`."""
    if "doubtful" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    return frame["doubtful"].to_numpy(dtype=float) > 0


def curve(axes: Axes, frame: pd.DataFrame, *, x: str, color: str, signs: Signs, shift: float = 1.0) -> None:
    """Means over `x` with their intervals; a gap and a cross where a mean is missing.

    Args:
        axes: where to draw.
        frame: one row an `x`, with `mean`, `low`, `high` and, where it is known, `n`.
        x: the column of the abscissa.
        color: of everything.
        signs: line and marker.
        shift: factor on `x` that sets curves apart.
    """
    frame = frame.sort_values(x)
    places = frame[x].to_numpy(dtype=float) * shift
    means = frame["mean"].to_numpy(dtype=float)
    low, high = (frame[name].to_numpy(dtype=float) for name in ("low", "high"))
    told = has_interval(frame)
    axes.vlines(places[told], low[told], high[told], color=color, linewidth=0.9, alpha=0.8)
    axes.plot(
        places,
        np.where(np.isfinite(means), means, np.nan),
        color=color,
        linestyle=signs.linestyle,
        marker=signs.marker,
        markerfacecolor=color if signs.filled else "white",
    )
    cross(axes, places[~np.isfinite(means)], color)


def cross(axes: Axes, places: np.ndarray, color: str) -> None:
    """Crosses at the foot of the axes, where a value is missing."""
    if places.size:
        axes.plot(
            places,
            np.full(places.size, 0.035),
            transform=axes.get_xaxis_transform(),
            linestyle="",
            marker="x",
            markersize=4,
            color=color,
            clip_on=False,
        )


def cross_handle() -> Line2D:
    """Legend entry of `cross`."""
    return Line2D([], [], linestyle="", marker="x", color="black", label="missing (failed)")


def interval_handle() -> Line2D:
    """Legend entry of the intervals of `curve`."""
    return Line2D([], [], linestyle="", marker="|", markersize=8, color="black", label="95 % interval")


def images_and_mean(
    axes: Axes, frame: pd.DataFrame, *, x: str, y: str, color: str, signs: Signs, item: Sequence[str]
) -> None:
    """A faint line an image, and the mean of the images with its 95 % bootstrap interval.

    Where the value of an image is missing its line has a gap, the mean is that of the others, and a
    cross stands at the foot.

    Args:
        axes: where to draw.
        frame: one row an image and `x`.
        x: the column of the abscissa.
        y: the column of the ordinate.
        color: of everything.
        signs: line and marker of the mean.
        item: columns that tell images apart.
    """
    for _, one in frame.sort_values(x).groupby(list(item), sort=True):
        axes.plot(one[x], one[y], color=color, linewidth=0.5, alpha=0.35)
    rows = []
    for place, group in frame.groupby(x, sort=True):
        values = group[y].to_numpy(dtype=float)
        summary = summarise(values[np.isfinite(values)].tolist())
        rows.append(
            {x: place, "mean": summary.mean, "low": summary.low, "high": summary.high, "n": summary.n}
        )
    curve(axes, pd.DataFrame(rows, columns=[x, "mean", "low", "high", "n"]), x=x, color=color, signs=signs)
    failed = frame.loc[~np.isfinite(frame[y].to_numpy(dtype=float)), x]
    cross(axes, np.unique(failed.to_numpy(dtype=float)), color)


def level_axis(axes: Axes, levels: Iterable[float], *, width: float) -> None:
    """Logarithmic abscissa with a tick at each positive level and a number where `width` inches hold it."""
    ticks = sorted({float(level) for level in levels if np.isfinite(level) and level > 0})
    if not ticks:
        return
    axes.set_xscale("log")
    margin = 1.15
    axes.set_xlim(ticks[0] / margin, ticks[-1] * margin)
    points = width * 72 / np.log(ticks[-1] * margin**2 / ticks[0])
    texts: list[str] = []
    free = -np.inf
    for tick in ticks:
        half = (len(f"{tick:g}") * 0.64 * style.FONT) / 2
        place = float(np.log(tick)) * points
        texts.append(f"{tick:g}" if place - half > free else "")
        free = place + half + 2.0 if texts[-1] else free
    axes.set_xticks(ticks, texts)
    axes.xaxis.set_minor_locator(NullLocator())


def log_scale(axes: Axes, name: Literal["x", "y"], *, inches: float) -> None:
    """Make the axis `name` logarithmic, with as many of 1, 2, 5 times the powers of ten as `inches` hold."""
    if name == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if name == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    plain = low > 1e-4 and high < 1e4
    for numbers in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        locator = LogLocator(subs=numbers, numticks=40)
        ticks = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
        letters = max((len(f"{tick:g}") for tick in ticks), default=1) if plain else 4
        if len(ticks) * (letters * 0.64 * style.FONT + 5 if name == "x" else 1.7 * style.FONT) <= inches * 72:
            break
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    if plain:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def nothing(axes: Axes) -> None:
    """Axes for which no value is there."""
    axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center")


def without_ticks(axes: np.ndarray) -> None:
    """Take the ticks from all axes of a figure that has no value at all."""
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])


def key(label: str, color: str) -> Line2D:
    """Legend entry of a colour."""
    return Line2D([], [], color=color, linewidth=3, label=label)


def sign_key(label: str, signs: Signs, color: str = "black") -> Line2D:
    """Legend entry of a line and its marker."""
    return Line2D(
        [],
        [],
        color=color,
        linestyle=signs.linestyle,
        marker=signs.marker,
        markerfacecolor=color if signs.filled else "white",
        label=label,
    )

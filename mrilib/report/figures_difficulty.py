"""Figure of what tells hard images from others: score, energy, and energy by frequency."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mrilib.experiments.difficulty import CONTROL, HARD, POOL
from mrilib.report import curves, style

# Hard images, their control, and all others.
SETS: dict[str, tuple[str, str, str]] = {
    "other": ("others", "#999999", "o"),
    CONTROL: ("control, of the same SNR", "#0072B2", "s"),
    HARD: ("hard", "#D55E00", "^"),
}
# Energies that differ by more have a logarithmic axis.
WIDE = 5.0
SHARE = "low-frequency share\nof the energy"


@style.printed()
def difficulty_figure(
    frame: pd.DataFrame,
    *,
    spectra: pd.DataFrame,
    crossing: float,
    correlation: float,
    score: str,
    center_fraction: float,
    title: str | None = None,
) -> Figure:
    """Score against low-frequency share, share against energy, and the energy by frequency.

    Images with a noisy reference are open. The shares of hard images and of the pool are means with pointwise
    95 % intervals; a line stands where hard images begin to have more.

    Args:
        frame: `score`, `share`, `energy`, `hard`, `control`, `noisy`, a row an image.
        spectra: `set` (`pool` or `hard`), `frequency`, `share`, `low`, `high`.
        crossing: frequency of the line; NaN for none.
        correlation: Spearman's, of score and share.
        score: label of the axis of the score.
        center_fraction: what counts as low.
        title: heading: the images.

    Raises:
        ValueError: if a column is missing.

    Source: [darestani2021], figure 15.
    """
    columns = ("position", "score", "share", "energy", HARD, CONTROL, "noisy")
    curves.check(frame, columns=columns, keys=("position",), where="difficulty_figure")
    figure, axes = curves.panels(1, 3, title=title, height=2.3)
    first, second, third = axes[0]
    for panel, (x, y) in ((first, ("share", "score")), (second, ("energy", "share"))):
        for name, (_, color, marker) in SETS.items():
            _points(panel, frame[_members(frame, name)], x, y, color, marker)
        if frame.empty:
            curves.nothing(panel)
    told = f"rank correlation {correlation:.2f}, " if math.isfinite(correlation) else ""
    first.set(xlabel=SHARE, ylabel=score, title=f"{told}n = {len(frame)}")
    second.set(xlabel="energy of k-space\n(units of the image’s maximum²)", ylabel=SHARE)
    second.set_title(f"low: central {100 * center_fraction:g} %")
    if len(frame) and frame["energy"].max() > WIDE * frame["energy"].min():
        curves.log_scale(second, "x", inches=1.5)
    _spectra(third, spectra, crossing)
    signs = [_sign(label, color, marker, True) for label, color, marker in SETS.values()]
    if frame["noisy"].astype(bool).any():
        signs.append(_sign("noisy reference", "black", "o", False))
    style.legend_below(figure, signs, _lines(crossing))
    return style.settle(figure)


def _members(frame: pd.DataFrame, name: str) -> pd.Series:
    if name == "other":
        return ~(frame[HARD].astype(bool) | frame[CONTROL].astype(bool))
    return frame[name].astype(bool)


def _points(axes: Axes, part: pd.DataFrame, x: str, y: str, color: str, marker: str) -> None:
    for noisy, face in ((False, color), (True, "white")):
        some = part[part["noisy"].astype(bool) == noisy]
        axes.plot(
            some[x],
            some[y],
            linestyle="",
            marker=marker,
            markersize=3.0,
            color=color,
            markerfacecolor=face,
            alpha=0.8,
        )


def _spectra(axes: Axes, spectra: pd.DataFrame, crossing: float) -> None:
    """Shares of the energy from the first column on, where the differences are, on logarithmic axes."""
    colors = {POOL: SETS["other"][1], HARD: SETS[HARD][1]}
    for name, color in colors.items():
        line = spectra[(spectra["set"] == name) & (spectra["frequency"] > 0) & (spectra["share"] > 0)]
        if np.isfinite(line["low"]).any():
            axes.fill_between(
                line["frequency"], line["low"], line["high"], color=color, alpha=0.25, linewidth=0
            )
        axes.plot(line["frequency"], line["share"], color=color, linewidth=1.1)
    if spectra.empty:
        curves.nothing(axes)
        return
    axes.set_yscale("log")
    curves.log_scale(axes, "x", inches=1.5)
    if math.isfinite(crossing):
        axes.axvline(crossing, **curves.TUNED)
    axes.set(xlabel="columns from the centre", ylabel="share of the energy\n(mean over images)")
    told = f"hard have more from {crossing:g} on" if math.isfinite(crossing) else "no crossing"
    axes.set_title(told)


def _sign(label: str, color: str, marker: str, filled: bool) -> Line2D:
    face = color if filled else "white"
    return Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor=face, label=label)


def _lines(crossing: float) -> list[Any]:
    found: list[Any] = [
        Line2D([], [], color=SETS["other"][1], linewidth=1.1, label="all images"),
        Line2D([], [], color=SETS[HARD][1], linewidth=1.1, label="hard images"),
        Patch(color="black", alpha=0.25, linewidth=0, label="95 % interval"),
    ]
    if math.isfinite(crossing):
        found.append(Line2D([], [], **{**curves.TUNED, "label": "crossing"}))
    return found

"""Figures over the noise level: errors and quality, amplification, and the choice of the weight.

Frames hold summaries: `mean` with the ends `low` and `high` of its 95 % interval over `n` images. A row whose
`mean` is NaN stands for units that failed: a gap, with a cross at the foot of the axes. No interval is
drawn for a single image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.report import curves, style
from mrilib.report.names import NO_ATTACK, About, attack_labels, method_label
from mrilib.report.style import Signs

MOST_COLUMNS = 4
OURS = Signs("", "o", True)
PAPER = Signs("", "D", False)
# Round a point.
DOUBTFUL: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 8.0,
    "markerfacecolor": "none",
    "markeredgecolor": style.ABOVE,
    "zorder": 4,
}
CHOSEN: dict[str, Any] = {
    "marker": "*",
    "markersize": 9.0,
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "zorder": 5,
}


@style.printed()
def quantity_by_level(
    frame: pd.DataFrame,
    *,
    quantity: str = "relative_error",
    methods: Sequence[str] | None = None,
    attacks: Mapping[str, About] | None = None,
    labels: Mapping[str, str] | None = None,
    mask_labels: Mapping[str, str] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
    title: str | None = None,
) -> Figure:
    """A quantity against the noise level: one row of panels a mask, one column a source, where all have all.

    A colour is a method, a line with its marker an attack: attacks are filled, Gaussian noise is open. Rows
    without attack at a single level, or at level 0, are drawn across the panel. The level is logarithmic,
    so that other rows at level 0 have no place; so is the quantity, unless more of it is better, as of SSIM
    and PSNR.

    Args:
        frame: `source`, `method`, `mask`, `attack` (its name; empty for clean data), `level` (per cent of
            `‖Ax‖₂`), `mean`, `low`, `high` (relative errors in per cent), `n`.
        quantity: of the values: one of `quantities`.
        methods: all methods of the run, so that colours are those of its other figures.
        attacks: all attacks of the run with what each is, which decides its line and its name here.
        labels: names to print for methods, before those of `report.names`.
        mask_labels: names to print for masks.
        quantities: how numbers are shown.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice; the curves of [genzel2022] for the attacks of [alaifari2023], eq. (4) and (6).
    """
    keys = ("source", "method", "mask", "attack", "level")
    curves.check(frame, columns=(*keys, "mean", "low", "high", "n"), keys=keys, where="quantity_by_level")
    sources, masks = curves.order(frame["source"]), curves.order(frame["mask"], mask_labels)
    found = curves.order(frame["attack"], [NO_ATTACK, *(attacks or {})])
    about = dict(attacks or {}) | {name: {} for name in found if name not in {*(attacks or {}), NO_ATTACK}}
    shown = curves.order(frame["method"], methods)
    every = shown if methods is None else methods
    every_place = [(mask, source) for mask in masks for source in sources]
    there = set(zip(frame["mask"], frame["source"], strict=True))
    places = [place for place in every_place if place in there] or [(None, None)]
    # A row a mask, unless sources are under masks of their own.
    whole = len(masks) > 1 and len(places) == len(every_place)
    columns = min(len(sources), MOST_COLUMNS) if whole else min(len(places), 3)
    rows = -(-len(places) // columns)
    figure, axes = curves.panels(rows, columns, title=title, sharex=True, sharey=True)
    for panel, (mask, source) in zip(axes.flat, places, strict=False):
        part = frame[(frame["mask"] == mask) & (frame["source"] == source)]
        for method in shown:
            for attack in found:
                line = part[(part["method"] == method) & (part["attack"] == attack)]
                signs = style.signs(attack, about)
                _draw(panel, line, style.color(method, every), signs, across=attack == NO_ATTACK)
        if mask is not None:
            name = (mask_labels or {}).get(mask, mask)
            panel.set_title(f"{source}, {name}\n{curves.count_label(part)}")
        if not part["mean"].notna().any():
            curves.nothing(panel)
    for panel in axes.flat[: len(places)]:
        curves.level_axis(panel, frame["level"], width=figure.get_figwidth() / columns - 0.6)
    if not frame["mean"].notna().any():
        curves.without_ticks(axes)
    elif not quantities[quantity].higher_is_better:
        curves.log_scale(axes[0, 0], "y", inches=1.1)
    y = quantities[quantity].axis or quantities[quantity].heading
    curves.label(axes, len(places), x=style.NOISE_LEVEL, y=y)
    return _finish(
        figure,
        frame,
        [curves.key(method_label(method, labels), style.color(method, every)) for method in shown],
        [curves.sign_key(attack_labels(about)[name], style.signs(name, about)) for name in found],
    )


@style.printed()
def amplification_by_level(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    mask_labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Amplification of every method beside the paper's, one column of panels a mask, one row a source.

    Filled: ours, mean and 95 % interval of the mean. Open: the paper's, mean ± sd of its images. Dashed:
    the spike's `n²/m`. A ring is round means of which some images may be rounding. Levels stand at equal
    distances.

    Args:
        frame: `method`, `mask`, `source`, `level` (per cent of `‖Ax‖₂`), `mean`, `low`, `high` (of α),
            `paper_mean`, `paper_sd`, `spike` (NaN where there is none); `n`, and the number of `doubtful`
            images, where they are known.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods, before those of `report.names`.
        mask_labels: names to print for masks.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: [alaifari2023], Table 1.
    """
    keys = ("source", "method", "mask", "level")
    needed = (*keys, "mean", "low", "high", "paper_mean", "paper_sd", "spike")
    curves.check(frame, columns=needed, keys=keys, where="amplification_by_level")
    sources = curves.order(frame["source"]) or [None]
    masks = curves.order(frame["mask"], mask_labels) or [None]
    shown = curves.order(frame["method"], methods)
    every = shown if methods is None else methods
    levels = sorted(set(frame["level"]))
    crowd = [max(1, frame.loc[frame["mask"] == mask, "method"].nunique()) for mask in masks]
    figure, axes = curves.panels(
        len(sources), len(masks), title=title, sharey=True, widths=[1 + 0.5 * (count - 1) for count in crowd]
    )
    for row, source in enumerate(sources):
        for column, mask in enumerate(masks):
            panel, part = axes[row, column], frame[(frame["mask"] == mask) & (frame["source"] == source)]
            _levels_side_by_side(panel, part, levels, every)
            spikes = curves.order(part["spike"].dropna())
            for spike in spikes:
                panel.axhline(spike, **curves.SPIKE)
            if mask is not None:
                facts = [f"n²/m = {style.number(spike)}" for spike in spikes] + [curves.count_label(part)]
                name = (mask_labels or {}).get(mask, mask)
                panel.set_title(f"{source}, {name}\n{', '.join(filter(None, facts))}")
            if not part["mean"].notna().any():
                curves.nothing(panel)
    axes[0, 0].set_ylim(bottom=0.0)
    if not frame["mean"].notna().any():
        curves.without_ticks(axes)
    curves.label(axes, axes.size, x=style.NOISE_LEVEL, y=style.AMPLIFICATION)
    return _finish(
        figure,
        frame,
        [curves.key(method_label(method, labels), style.color(method, every)) for method in shown],
        [
            curves.sign_key("ours: mean, 95 % interval", OURS),
            curves.sign_key("paper: mean ± sd", PAPER),
            Line2D([], [], **curves.SPIKE, label="n²/m (spike)"),
            *[Line2D([], [], **DOUBTFUL, label="may be rounding")] * bool(curves.doubted(frame).any()),
        ],
        intervals=False,
    )


@style.printed()
def weight_choice(
    frame: pd.DataFrame, *, mask_labels: Mapping[str, str] | None = None, title: str | None = None
) -> Figure:
    """Error over the weight `λ`, one panel a mask, one curve a noise level, with the weights chosen.

    Args:
        frame: `mask`, `level` (per cent of `‖Ax‖₂`; 0 for clean data), `weight` (`λ`), `mean`, `low`, `high`
            (relative ℓ2 error in per cent), `chosen` (bool).
        mask_labels: names to print for masks.
        title: heading: source, method and kind of noise.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice; the search of [alaifari2023], section 4.
    """
    keys = ("mask", "level", "weight")
    needed = (*keys, "mean", "low", "high", "chosen")
    curves.check(frame, columns=needed, keys=keys, where="weight_choice")
    masks = curves.order(frame["mask"], mask_labels) or [None]
    levels = sorted(set(frame["level"]))
    columns = min(len(masks), 3)
    figure, axes = curves.panels(-(-len(masks) // columns), columns, title=title, sharex=True, sharey=True)
    colors = _sequence(len(levels))
    for panel, mask in zip(axes.flat, masks, strict=False):
        part = frame[frame["mask"] == mask]
        for level, color in zip(levels, colors, strict=True):
            line = part[part["level"] == level]
            curves.curve(panel, line, x="weight", color=color, signs=Signs("-", ".", True))
            best = line[line["chosen"].eq(True)]
            panel.plot(best["weight"], best["mean"], linestyle="", **CHOSEN, color=color)
        if mask is not None:
            panel.set_title((mask_labels or {}).get(mask, mask))
        if not part["mean"].notna().any():
            curves.nothing(panel)
    if frame["mean"].notna().any():
        curves.log_scale(axes[0, 0], "x", inches=figure.get_figwidth() / columns - 0.6)
        curves.log_scale(axes[0, 0], "y", inches=1.1)
    else:
        curves.without_ticks(axes)
    curves.label(axes, len(masks), x="weight λ (image maximum = 1)", y=style.RELATIVE_ERROR)
    name = Line2D([], [], linestyle="", label="colours: relative noise level ‖e‖₂/‖Ax‖₂")
    names = [
        curves.key(style.percent(level) if level else "clean data", color)
        for level, color in zip(levels, colors, strict=True)
    ]
    chosen = Line2D([], [], linestyle="", **CHOSEN, color="white", label="chosen")
    return _finish(figure, frame, [name] if levels else [], names, [chosen])


def _finish(figure: Figure, frame: pd.DataFrame, *groups: list[Line2D], intervals: bool = True) -> Figure:
    *first, last = groups
    spread = [curves.interval_handle()] if intervals and curves.has_interval(frame).any() else []
    failed = [curves.cross_handle()] if frame["mean"].isna().any() else []
    style.legend_below(figure, *first, [*last, *spread, *failed])
    return style.settle(figure)


def _draw(axes: Axes, line: pd.DataFrame, color: str, signs: Signs, *, across: bool) -> None:
    """One curve over the level, or a line across the panel where no level belongs to a clean error."""
    if across and len(line) and (len(line) == 1 or (line["level"] <= 0).all()):
        for mean in line["mean"].dropna():
            axes.axhline(mean, color=color, linestyle=signs.linestyle, linewidth=1.0)
    else:
        curves.curve(axes, line[line["level"] > 0], x="level", color=color, signs=signs)


def _levels_side_by_side(axes: Axes, part: pd.DataFrame, levels: list[float], every: Sequence[str]) -> None:
    """Ours and the paper's points of all methods at every level, in slots that do not overlap."""
    for index in range(0, len(levels), 2):
        axes.axvspan(index - 0.5, index + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
    methods = curves.order(part["method"])
    slot = 0.84 / max(2 * len(methods), 1)
    for index, method in enumerate(methods):
        rows = part[part["method"] == method].sort_values("level")
        places = np.array([levels.index(level) for level in rows["level"]]) - 0.42 + slot * (2 * index + 0.5)
        color = style.color(method, every)
        curves.curve(axes, rows.assign(place=places), x="place", color=color, signs=OURS)
        doubtful = curves.doubted(rows)
        axes.plot(places[doubtful], rows["mean"].to_numpy(dtype=float)[doubtful], **DOUBTFUL)
        mean, sd = (rows[name].to_numpy(dtype=float) for name in ("paper_mean", "paper_sd"))
        axes.vlines(places + slot, mean - sd, mean + sd, color=color, linewidth=0.9, alpha=0.8)
        axes.plot(
            places + slot, mean, linestyle="", marker=PAPER.marker, color=color, markerfacecolor="white"
        )
    axes.set_xlim(-0.5, max(len(levels), 1) - 0.5)
    axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")


def _sequence(count: int) -> list[str]:
    """Colours from dark to light, in which order shows; the palest are left out."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.88, count))
    return [to_hex(shade) for shade in shades]

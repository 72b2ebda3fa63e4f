"""Figures of two studies of the localized attack: the radius of its disk, and the weight of the method.

Frames hold one row an image: the figures show every image faintly, and the mean with its 95 % bootstrap
interval. NaN stands for a unit that failed: a gap in the line of its image, and a cross at the foot.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import curves, style
from mrilib.report.names import SORT_LABELS
from mrilib.report.style import Signs

SOURCE_COLORS = ("#000000", *style.SPARE_COLORS)
SEARCHES = {
    "coupled": ("#0072B2", Signs("-", "o", True), "coupled search (ours)"),
    "reference": ("#000000", Signs((0, (4, 2)), "s", False), "reference search (the paper's)"),
}
# How radii stand for the attack on one pixel and for that on the whole image, and their lines.
LIMITS: dict[str, tuple[float, Any]] = {"peak": (0.0, (0, (5, 1, 1, 1))), "global": (np.inf, (0, (1, 1)))}
# Of levels side by side; more stand in two rows.
MOST_COLUMNS = 4
MEAN = Signs("-", "o", True)


@style.printed()
def radius_study(frame: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Severity, amplification and norm of the artifact against the radius of the attack's disk.

    Lines across the panels are means of the attack on one pixel and of the global attack.

    Args:
        frame: `source`, `position`, `radius` (`σ` in pixels; 0 for the attack on one pixel, infinity for the
            global one), `severity` (`‖ρ‖∞`, units of the image's maximum), `alpha`, `error_norm`
            (`‖ρ‖₂/‖x‖₂`).
        title: heading: method, mask and level.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: the remark on the radius in [alaifari2023], section 4.
    """
    keys = ("source", "position", "radius")
    columns = {
        "severity": style.SEVERITY,
        "alpha": style.AMPLIFICATION,
        "error_norm": "norm of the artifact\n‖ρ‖₂/‖x‖₂",
    }
    curves.check(frame, columns=(*keys, *columns), keys=keys, where="radius_study")
    sources = curves.order(frame["source"])
    colors = {source: SOURCE_COLORS[index % len(SOURCE_COLORS)] for index, source in enumerate(sources)}
    inside = frame[(frame["radius"] > 0) & np.isfinite(frame["radius"])]
    figure, axes = curves.panels(1, len(columns), title=title, sharex=True)
    for panel, (name, label) in zip(axes[0], columns.items(), strict=True):
        for source, color in colors.items():
            part = inside[inside["source"] == source]
            curves.images_and_mean(
                panel, part, x="radius", y=name, color=color, signs=MEAN, item=["position"]
            )
            for radius, line in LIMITS.values():
                values = frame.loc[(frame["source"] == source) & (frame["radius"] == radius), name]
                if values.notna().any():
                    panel.axhline(values.mean(), color=color, linestyle=line, linewidth=1.0)
        _from_zero(panel, frame[name])
        panel.set(xlabel="radius σ of the disk (pixels)", ylabel=label)
    if len(inside):
        axes[0, 0].set_xlim(inside["radius"].min() / 1.2, inside["radius"].max() * 1.2)
        curves.log_scale(axes[0, 0], "x", inches=1.6)
    if not frame[list(columns)].notna().any(axis=None):
        curves.without_ticks(axes)
    limits = [
        Line2D([], [], color="black", linestyle=line, linewidth=1.0, label=f"{SORT_LABELS[sort]}: mean")
        for sort, (radius, line) in LIMITS.items()
        if (frame["radius"] == radius).any()
    ]
    names = [curves.key(str(source), color) for source, color in colors.items()]
    return _finish(figure, frame[list(columns)], [*names, *_image_handles()], limits)


@style.printed()
def weight_study(frame: pd.DataFrame, *, spike: float | None = None, title: str | None = None) -> Figure:
    """Severity and amplification against the weight `λ` over the tuned one, one column a noise level.

    Args:
        frame: `level` (per cent of `‖Ax‖₂`), `factor` (`λ` over the tuned `λ` of the level), `weight` (`λ`),
            `search` (`coupled` or `reference`), `source`, `position`, `severity` (`‖ρ‖∞`, units of the
            image's maximum), `alpha`.
        spike: `n²/m` of the mask, drawn across the panels of `α`.
        title: heading: source and mask.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice; it asks how far Table 1 of [alaifari2023] depends on its unpublished weights.
    """
    keys = ("level", "factor", "search", "source", "position")
    curves.check(frame, columns=(*keys, "weight", "severity", "alpha"), keys=keys, where="weight_study")
    levels = sorted(set(frame["level"])) or [None]
    searches = curves.order(frame["search"])
    columns = len(levels) if len(levels) <= MOST_COLUMNS else -(-len(levels) // 2)
    blocks = -(-len(levels) // columns)
    figure, axes = curves.panels(2 * blocks, columns, title=title, height=1.75, sharex=True)
    pairs = [
        axes[2 * (index // columns) : 2 * (index // columns) + 2, index % columns]
        for index in range(blocks * columns)
    ]
    for pair, level in zip(pairs, levels, strict=False):
        part = frame[frame["level"] == level]
        for panel, name in zip(pair, ("severity", "alpha"), strict=True):
            for search in searches:
                color, signs, _ = _search(search, searches)
                line = part[part["search"] == search]
                items = ["source", "position"]
                curves.images_and_mean(panel, line, x="factor", y=name, color=color, signs=signs, item=items)
            _from_zero(panel, part[name])
            if len(part):
                panel.axvline(1.0, **curves.TUNED)
        if spike is not None:
            pair[1].axhline(spike, **curves.SPIKE)
        if level is not None:
            tuned = float((part["weight"] / part["factor"]).median())
            pair[0].set_title(f"‖e‖₂/‖Ax‖₂ = {style.percent(level)}\ntuned λ = {style.number(tuned, 2)}")
    for panel in (panel for pair in pairs[len(levels) :] for panel in pair):
        panel.set_axis_off()
    if frame[["severity", "alpha"]].notna().any(axis=None):
        curves.log_scale(axes[0, 0], "x", inches=figure.get_figwidth() / columns - 0.6)
    else:
        curves.without_ticks(axes)
    top = max(pair[1].get_ylim()[1] for pair in pairs[: len(levels)])
    for index, (upper, lower) in enumerate(pairs[: len(levels)]):
        lower.set_ylim(0.0, top)
        upper.tick_params(labelbottom=False)
        lower.tick_params(labelbottom=True, labelleft=index % columns == 0)
        lower.set_xlabel("λ / tuned λ")
        if index % columns == 0:
            upper.set_ylabel(style.SEVERITY)
            lower.set_ylabel(style.AMPLIFICATION)
    names = [
        curves.sign_key(label, signs, color)
        for color, signs, label in (_search(search, searches) for search in searches)
    ]
    lines = [Line2D([], [], **curves.TUNED, label="tuned λ")]
    if spike is not None:
        lines.append(Line2D([], [], **curves.SPIKE, label=f"n²/m = {style.number(spike)} (spike)"))
    return _finish(figure, frame[["severity", "alpha"]], names, [*_image_handles(), *lines])


def _search(name: str, searches: list[str]) -> tuple[str, Signs, str]:
    """Colour, line and label of a search; strangers take other colours and markers."""
    if name in SEARCHES:
        return SEARCHES[name]
    strangers = sorted(set(searches) - SEARCHES.keys())
    color = style.SPARE_COLORS[strangers.index(name) % len(style.SPARE_COLORS)]
    return color, style.signs(name, {each: {} for each in strangers}), name


def _from_zero(axes: Axes, values: pd.Series) -> None:
    axes.set_ylim(bottom=0.0)
    if not values.notna().any():
        curves.nothing(axes)


def _image_handles() -> list[Line2D]:
    return [
        Line2D([], [], color="black", marker="|", markersize=7, label="mean, 95 % interval"),
        Line2D([], [], color="black", linewidth=0.5, alpha=0.6, label="one image"),
    ]


def _finish(figure: Figure, values: pd.DataFrame, *groups: list[Line2D]) -> Figure:
    *first, last = groups
    failed = [curves.cross_handle()] if values.isna().to_numpy().any() else []
    style.legend_below(figure, *first, [*last, *failed])
    return style.settle(figure)

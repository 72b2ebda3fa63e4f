"""Figures of studies of attacks: the radius of a localized one's disk, the weight of the method.

Frames hold one row an image: the figures show every image faintly, and the mean with its 95 % bootstrap
interval. NaN stands for a unit that failed: a gap in the line of its image, and a cross at the foot.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.metrics.quantities import QUANTITIES
from mrilib.report import curves, style
from mrilib.report.names import About, attack_labels
from mrilib.report.style import Signs

SERIES_COLORS = ("#000000", *style.SPARE_COLORS)
# Searches whose lines look alike in every figure, by their labels.
SEARCHES = {
    "coupled search (ours)": ("#0072B2", Signs("-", "o", True)),
    "reference search (the paper's)": ("#000000", Signs((0, (4, 2)), "s", False)),
}
# Lines of the attacks that a varied one is held against, in their order.
LIMITS: tuple[Any, ...] = ((0, (5, 1, 1, 1)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (4, 2)))
# Of what is varied, as the axis has it.
VARIED = {"disk_radius": "radius σ of the disk (pixels)"}
# Of levels side by side; more stand in two rows.
MOST_COLUMNS = 4
MEAN = Signs("-", "o", True)


@style.printed()
def radius_study(
    frame: pd.DataFrame,
    *,
    varied: str = "disk_radius",
    attacks: Mapping[str, About] | None = None,
    title: str | None = None,
) -> Figure:
    """Severity, amplification and norm of the artifact against the radius of the attack's disk.

    Lines across the panels are means of attacks that it is held against: on one pixel, on the whole image.

    Args:
        frame: `series` (what each line is called), `source`, `position`, `limit` (name of the attack that
            the varied one is held against; empty for the varied one), `value` (the radius `σ` in pixels; NaN
            for limits), `severity` (`‖ρ‖∞`, units of the image's maximum), `amplification`,
            `artifact_norm` (`‖ρ‖₂/‖x‖₂`).
        varied: what is varied.
        attacks: all attacks of the run with what each is, which decides the names of the limits.
        title: heading: method, mask and level.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: the remark on the radius in [alaifari2023], section 4.
    """
    keys = ("series", "source", "position", "limit", "value")
    columns = {name: QUANTITIES[name].axis for name in ("severity", "amplification", "artifact_norm")}
    curves.check(frame, columns=(*keys, *columns), keys=keys, where="radius_study")
    series = curves.order(frame["series"])
    colors = {name: SERIES_COLORS[index % len(SERIES_COLORS)] for index, name in enumerate(series)}
    found = curves.order(frame.loc[frame["limit"] != "", "limit"])
    limits = {name: LIMITS[index % len(LIMITS)] for index, name in enumerate(found)}
    inside = frame[frame["limit"] == ""]
    figure, axes = curves.panels(1, len(columns), title=title, sharex=True)
    for panel, (name, label) in zip(axes[0], columns.items(), strict=True):
        for each, color in colors.items():
            part = inside[inside["series"] == each]
            items = ["source", "position"]
            curves.images_and_mean(panel, part, x="value", y=name, color=color, signs=MEAN, item=items)
            for limit, line in limits.items():
                values = frame.loc[(frame["series"] == each) & (frame["limit"] == limit), name]
                if values.notna().any():
                    panel.axhline(values.mean(), color=color, linestyle=line, linewidth=1.0)
        _from_zero(panel, frame[name])
        panel.set(xlabel=VARIED.get(varied, varied.replace("_", " ")), ylabel=label)
    if len(inside):
        axes[0, 0].set_xlim(inside["value"].min() / 1.2, inside["value"].max() * 1.2)
        curves.log_scale(axes[0, 0], "x", inches=1.6)
    if not frame[list(columns)].notna().any(axis=None):
        curves.without_ticks(axes)
    across = [
        Line2D([], [], color="black", linestyle=line, linewidth=1.0, label=f"{label}: mean")
        for line, label in zip(limits.values(), _limit_labels(limits, attacks or {}), strict=True)
    ]
    names = [curves.key(str(each), color) for each, color in colors.items()]
    return finish(figure, frame[list(columns)], [*names, *image_handles()], across)


def _limit_labels(limits: Iterable[str], attacks: Mapping[str, About]) -> list[str]:
    """What limits are called, with their places, of which the varied attack may have others."""
    labels = attack_labels(attacks)
    grids = {name: attacks.get(name, {}).get("grid") for name in limits}
    return [
        f"{labels.get(name, name)}, {grid}×{grid} places" if grid else labels.get(name, name)
        for name, grid in grids.items()
    ]


@style.printed()
def weight_study(frame: pd.DataFrame, *, spike: float | None = None, title: str | None = None) -> Figure:
    """Severity and amplification against the weight `λ` over the tuned one, one column a noise level.

    Args:
        frame: `level` (per cent of `‖Ax‖₂`), `factor` (`λ` over the tuned `λ` of the level), `weight` (`λ`),
            `search` (what each line is called), `source`, `position`, `severity` (`‖ρ‖∞`, units of the
            image's maximum), `amplification`.
        spike: `n²/m` of the mask, drawn across the panels of `α`.
        title: heading: source and mask.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice; it asks how far Table 1 of [alaifari2023] depends on its unpublished weights.
    """
    keys = ("level", "factor", "search", "source", "position")
    curves.check(
        frame, columns=(*keys, "weight", "severity", "amplification"), keys=keys, where="weight_study"
    )
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
        for panel, name in zip(pair, ("severity", "amplification"), strict=True):
            for search in searches:
                color, signs = _search(search, searches)
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
    if frame[["severity", "amplification"]].notna().any(axis=None):
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
        curves.sign_key(search, signs, color)
        for search in searches
        for color, signs in [_search(search, searches)]
    ]
    lines = [Line2D([], [], **curves.TUNED, label="tuned λ")]
    if spike is not None:
        lines.append(Line2D([], [], **curves.SPIKE, label=f"n²/m = {style.number(spike)} (spike)"))
    return finish(figure, frame[["severity", "amplification"]], names, [*image_handles(), *lines])


def _search(name: str, searches: list[str]) -> tuple[str, Signs]:
    """Colour and line of a search; strangers take other colours and markers."""
    if name in SEARCHES:
        return SEARCHES[name]
    strangers = sorted(set(searches) - SEARCHES.keys())
    color = style.SPARE_COLORS[strangers.index(name) % len(style.SPARE_COLORS)]
    return color, style.signs(name, {each: {} for each in strangers})


def _from_zero(axes: Axes, values: pd.Series) -> None:
    # Room above the highest sign, where all are near each other.
    highest = values.max() * 1.05
    axes.set_ylim(0.0, highest if highest > 0 else None)
    if not values.notna().any():
        curves.nothing(axes)


def image_handles() -> list[Line2D]:
    """Legend entries of `curves.images_and_mean`."""
    return [
        Line2D([], [], color="black", marker="|", markersize=7, label="mean, 95 % interval"),
        Line2D([], [], color="black", linewidth=0.5, alpha=0.6, label="one image"),
    ]


def finish(figure: Figure, values: pd.DataFrame, *groups: list[Line2D]) -> Figure:
    """A legend of groups below; the last one tells of crosses where a value is missing."""
    *first, last = groups
    failed = [curves.cross_handle()] if values.isna().to_numpy().any() else []
    style.legend_below(figure, *first, [*last, *failed])
    return style.settle(figure)

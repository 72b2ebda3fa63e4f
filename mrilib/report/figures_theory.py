"""Figures of exact recovery: growth with the size, phase transitions, artifacts by kind."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import curves, heat_maps, style
from mrilib.report.style import Signs

# One colour an entry, one sign a sparsity or artifact; none of them is a method.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#332288", "#56B4E9", "#882255")
SIGNS = (Signs("-", "o", True), Signs("-", "s", False), Signs("-", "^", True), Signs("-", "D", False))
LAW: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.8, "marker": ""}
SIZE = "size n"
# Probabilities that have lines, and their style.
CONTOURS: dict[str, tuple[float, Any]] = {"½": (0.5, "-"), "0.95": (0.95, (0, (1, 1.5)))}


def _lines(frame: pd.DataFrame) -> list[tuple[str, int]]:
    return list(dict.fromkeys(zip(frame["entry"], frame["sparsity"], strict=True)))


def _looks(frame: pd.DataFrame) -> tuple[dict[str, str], dict[int, Signs]]:
    entries, sparsities = curves.order(frame["entry"]), sorted(set(frame["sparsity"]))
    colors = {name: COLORS[place % len(COLORS)] for place, name in enumerate(entries)}
    return colors, {value: SIGNS[place % len(SIGNS)] for place, value in enumerate(sparsities)}


def _keys(
    colors: Mapping[str, str], signs: Mapping[int, Signs], labels: Mapping[str, str]
) -> tuple[list[Line2D], list[Line2D]]:
    named = [curves.key(labels.get(name, name), color) for name, color in colors.items()]
    return named, [curves.sign_key(f"s = {value}", sign) for value, sign in signs.items()]


def _with_mean(part: pd.DataFrame, name: str) -> pd.DataFrame:
    """The columns of a quantity as those of a curve."""
    return part.assign(mean=part[name], low=part[f"{name}_low"], high=part[f"{name}_high"])


def _size_axis(axes: Axes, frame: pd.DataFrame) -> None:
    sizes = sorted(set(frame["size"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size}" for size in sizes], rotation=45 if len(sizes) > 5 else 0)
    axes.minorticks_off()


@style.printed()
def recovery_growth(frame: pd.DataFrame, *, labels: Mapping[str, str], title: str | None = None) -> Figure:
    """Amplification against `n`, beside the law `c·n/ln n`, and the number of frequencies over `s·ln n`.

    The law's `c` is that of the largest size of each line, so that it shows where the others lie.

    Args:
        frame: of `RecoveryGrowth.frame`.
        labels: entry to the name to print.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a point is given twice.

    Source: [alaifari2023], theorems 5.1 and 5.2.
    """
    columns = ["entry", "sparsity", "size"]
    columns += [f"{name}{end}" for name in ("amplification", "ratio") for end in ("", "_low", "_high")]
    curves.check(frame, columns=columns, keys=columns[:3], where="recovery_growth")
    figure, axes = curves.panels(1, 2, title=title, height=2.6)
    colors, signs = _looks(frame)
    left, right = axes[0]
    for entry, sparsity in _lines(frame):
        part = frame[(frame["entry"] == entry) & (frame["sparsity"] == sparsity)].sort_values("size")
        for panel, name in ((left, "amplification"), (right, "ratio")):
            color, look = colors[entry], signs[sparsity]
            curves.curve(panel, _with_mean(part, name), x="size", color=color, signs=look)
        sizes = part["size"].to_numpy(dtype=float)
        law = sizes / np.log(sizes)
        left.plot(sizes, part["amplification"].iloc[-1] * law / law[-1], color=colors[entry], **LAW)
    for each in (left, right):
        _size_axis(each, frame)
    curves.log_scale(left, "y", inches=2.0)
    left.set(xlabel=SIZE, ylabel="amplification α = ‖ρ‖∞/‖r‖∞\nat the m that recovers half")
    right.set(xlabel=SIZE, ylabel="m_½/(s ln n)")
    right.set_ylim(bottom=0.0)
    named, marked = _keys(colors, signs, labels)
    lines = [Line2D([], [], color="black", **LAW, label="c·n/ln n"), curves.interval_handle()]
    style.legend_below(figure, named, [*marked, *lines])
    return style.settle(figure)


@style.printed()
def phase_transition(frame: pd.DataFrame, *, by: str, title: str | None = None) -> Figure:
    """Probability of recovery as colours, of `x` and of both, against `m` and the size or the sparsity.

    Lines are where it is ½ (solid) and 0.95 (dotted). The last panel has the share of draws of which nothing
    is known at `m`: both are neither proved to be recovered nor refuted.

    Args:
        frame: a row a draw: `size`, `sparsity`, `draw`, `x_recovered`, `recovered`, and `refuted`, the
            largest `m` at which both are refuted.
        by: `size` or `sparsity`.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a draw is given twice.

    Source: [candes2006], figure 3, for its form.
    """
    columns = ("size", "sparsity", "draw", "x_recovered", "recovered", "refuted")
    curves.check(frame, columns=columns, keys=columns[:3], where="phase_transition")
    figure, axes = curves.panels(1, 3, title=title, height=2.6, sharey=True)
    values = sorted(set(frame[by]))
    top = max(1, int(frame["recovered"].max()))
    counts = np.arange(0, top + 2)
    by_value = [frame[frame[by] == value] for value in values]
    proved = {
        column: [part[column].to_numpy(dtype=float) for part in by_value]
        for column in ("x_recovered", "recovered")
    }
    passed = {column: [one[:, None] <= counts for one in found] for column, found in proved.items()}
    passed["undecided"] = [
        (part["refuted"].to_numpy(dtype=float)[:, None] < counts) & (counts < least[:, None])
        for part, least in zip(by_value, proved["recovered"], strict=True)
    ]
    scale = heat_maps.linear_scale(np.array([0.0, 1.0]))
    heads = {"x_recovered": "x", "recovered": "both x and x + ρ", "undecided": "both: undecided"}
    for panel, (column, head) in zip(axes[0], heads.items(), strict=True):
        shares = np.array([each.mean(axis=0) for each in passed[column]]).T
        edges = np.arange(len(values) + 1) - 0.5
        panel.pcolormesh(
            edges, np.append(counts, top + 2) - 0.5, shares, cmap=heat_maps.color_map(), norm=scale
        )
        for share, line in CONTOURS.values() if column in proved else ():
            places = [np.quantile(one, share, method="inverted_cdf") for one in proved[column]]
            panel.plot(range(len(values)), places, color="white", linewidth=2.4, linestyle=line)
            panel.plot(range(len(values)), places, color="black", linewidth=1.2, linestyle=line, marker=".")
        panel.set_xticks(
            range(len(values)), [f"{value}" for value in values], rotation=45 if len(values) > 5 else 0
        )
        panel.set(xlabel=SIZE if by == "size" else "sparsity s", title=head)
        panel.grid(False)
    axes[0, 0].set_ylabel("frequencies m")
    bar = figure.colorbar(axes[0, 1].collections[0], ax=axes[0].tolist())
    bar.set_label("share of draws")
    lines = [
        Line2D([], [], color="black", linestyle=line, label=f"probability {name}")
        for name, (_, line) in CONTOURS.items()
    ]
    style.legend_below(figure, lines)
    return style.settle(figure)


@style.printed()
def recovery_artifacts(frame: pd.DataFrame, *, labels: Mapping[str, str], title: str | None = None) -> Figure:
    """Amplification of artifacts against `n`, with the least that their shape allows, and in ℓ2.

    Args:
        frame: `entry`, `sparsity`, `size`, `quantity`, `value`, `low`, `high`.
        labels: entry to the name to print.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a point is given twice.

    Source: [alaifari2023], section 5.
    """
    keys = ("entry", "sparsity", "size", "quantity")
    curves.check(frame, columns=(*keys, "value", "low", "high"), keys=keys, where="recovery_artifacts")
    figure, axes = curves.panels(1, 2, title=title, height=2.6)
    colors, signs = _looks(frame)
    heads = {"amplification": "amplification ‖ρ‖∞/‖r‖∞", "amplification_l2": "in ℓ2, ‖ρ‖₂/‖r‖₂"}
    for panel, (quantity, head) in zip(axes[0], heads.items(), strict=True):
        shown = frame[frame["quantity"] == quantity]
        for entry, sparsity in _lines(shown):
            part = shown[(shown["entry"] == entry) & (shown["sparsity"] == sparsity)]
            part = part.assign(mean=part["value"])
            curves.curve(panel, part, x="size", color=colors[entry], signs=signs[sparsity])
        _size_axis(panel, frame)
        panel.set(xlabel=SIZE, ylabel=head)
    least = frame[frame["quantity"] == "least"].sort_values("size")
    for entry, sparsity in _lines(least):
        part = least[(least["entry"] == entry) & (least["sparsity"] == sparsity)]
        axes[0, 0].plot(part["size"], part["value"], color=colors[entry], **LAW)
    for panel in axes[0]:
        curves.log_scale(panel, "y", inches=2.0)
    named, marked = _keys(colors, signs, labels)
    bound = Line2D([], [], color="black", **LAW, label="least, (‖ρ‖∞/‖ρ‖₁)·n/m")
    style.legend_below(figure, named, [*marked, bound, curves.interval_handle()])
    return style.settle(figure)


@style.printed()
def recovery_noise(frame: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Share of the amplification `n/m` that is left, against `λ/‖r‖∞`, a panel a size, a colour a level.

    Args:
        frame: `size`, `level`, `weight`, `mean`, `low`, `high`.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a point is given twice.

    Source: our choice.
    """
    keys = ("size", "level", "weight")
    curves.check(frame, columns=(*keys, "mean", "low", "high"), keys=keys, where="recovery_noise")
    sizes, levels = sorted(set(frame["size"])), sorted(set(frame["level"]))
    figure, axes = curves.panels(1, len(sizes), title=title, height=2.3, sharey=True)
    for panel, size in zip(axes[0], sizes, strict=True):
        for place, level in enumerate(levels):
            part = frame[(frame["size"] == size) & (frame["level"] == level)]
            signs, color = SIGNS[place % len(SIGNS)], COLORS[place % len(COLORS)]
            curves.curve(panel, part, x="weight", color=color, signs=signs)
        ends = np.array([0.0, 1.0])
        panel.plot(ends, 1.0 - ends, color=style.REFERENCE, **LAW)
        panel.set(xlabel="weight λ/‖r‖∞", title=f"n = {size}")
    axes[0, 0].set_ylabel("α/(n/m)")
    named = [
        curves.sign_key(
            f"‖e‖₂/‖Ax‖₂ = {style.percent(100 * level)}",
            SIGNS[place % len(SIGNS)],
            COLORS[place % len(COLORS)],
        )
        for place, level in enumerate(levels)
    ]
    law = Line2D([], [], color=style.REFERENCE, **LAW, label="1 − λ/‖r‖∞")
    style.legend_below(figure, named, [law, curves.interval_handle()])
    return style.settle(figure)


@style.printed()
def recovery_phantoms(frame: pd.DataFrame, *, labels: Mapping[str, str], title: str | None = None) -> Figure:
    """Amplification of the spike and of the attack beside `n²/m`, and distances to `x` and `x + δ`, by size.

    Args:
        frame: `entry`, `size`, `quantity`, `mean`, `low`, `high`.
        labels: entry to the name to print.
        title: heading.

    Raises:
        ValueError: if a column is missing, or a point is given twice.

    Source: [alaifari2023], section 5, in two dimensions.
    """
    keys = ("entry", "size", "quantity")
    curves.check(frame, columns=(*keys, "mean", "low", "high"), keys=keys, where="recovery_phantoms")
    figure, axes = curves.panels(1, 2, title=title, height=2.6)
    drawn = (
        (axes[0, 0], {"spike_amplification": "closed-form spike", "amplification": "localized attack"}),
        (axes[0, 1], {"distance": "to x", "artifact_distance": "to x + δ"}),
    )
    colors = {name: COLORS[place % len(COLORS)] for place, name in enumerate(curves.order(frame["entry"]))}
    for panel, quantities in drawn:
        for place, quantity in enumerate(quantities):
            for entry, color in colors.items():
                part = frame[(frame["entry"] == entry) & (frame["quantity"] == quantity)]
                curves.curve(panel, part, x="size", color=color, signs=SIGNS[place])
        _size_axis(panel, frame)
        panel.set_xlabel("side n")
    for entry in colors:
        part = frame[(frame["entry"] == entry) & (frame["quantity"] == "least")].sort_values("size")
        axes[0, 0].plot(part["size"], part["mean"], color="black", zorder=4, **LAW)
    axes[0, 0].set(ylabel="amplification ‖ρ‖∞/‖r‖∞")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 1].set(ylabel="relative distance")
    curves.log_scale(axes[0, 1], "y", inches=2.0)
    named = [curves.key(labels.get(name, name), color) for name, color in colors.items()]
    signs = [
        curves.sign_key(f"{first}; {second}", SIGNS[place])
        for place, (first, second) in enumerate(zip(*(each.values() for _, each in drawn), strict=True))
    ]
    law = Line2D([], [], color="black", **LAW, label="n²/m")
    style.legend_below(figure, named, [*signs, law])
    return style.settle(figure)

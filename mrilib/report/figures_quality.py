"""Figure of the quality of all reconstructions of clean data."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.experiments.scores import lowest_tuned, valued
from mrilib.metrics.quantities import QUANTITIES, Quantity
from mrilib.metrics.statistics import summarise
from mrilib.report import curves, style
from mrilib.report.names import method_label
from mrilib.report.tables_quality import simulated_label


@style.printed()
def quality_figure(
    scores: pd.DataFrame,
    *,
    quantity: str = "ssim",
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    mask_labels: Mapping[str, str] | None = None,
    domain_labels: Mapping[str, str] | None = None,
    simulated: Mapping[str, bool] | None = None,
    quantities: Mapping[str, Quantity] = QUANTITIES,
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """Scores of all images by method: a panel for each source, mask and domain, a row for each method.

    A dot is an image; the diamond is their mean, with its 95 % bootstrap interval, resampled by patient,
    where there are two patients or more. The number of images that failed, or whose score is not finite,
    stands right of the panel. A method that was tuned by level counts with the parameter of the lowest.

    Args:
        scores: of `experiments.scores.read_scores`; rows of perturbed data are left out.
        quantity: one of reconstructions.
        methods: all methods of the run, for the order and for colours that are those of its other figures.
        labels: names to print for methods, before those of `report.names`.
        mask_labels: names to print for masks.
        domain_labels: names to print for domains that are not the usual ones.
        simulated: sources whose raw data was made from images.
        quantities: how numbers are shown.
        seed: of the resampling.
        title: heading.

    Raises:
        ValueError: if the quantity is unknown, a column is missing or an image is given twice.

    Source: our choice.
    """
    known = [name for name, each in quantities.items() if each.of == "reconstruction"]
    if quantity not in known:
        raise ValueError(f"quality_figure: expected one of {known}, got {quantity!r}")
    place = ("source", "mask", "domain")
    perturbed = ("kind", "attack", "made_for", "level", "factor", "varied", "value")
    keys = (*place, "method", "volume", "position", "tuned", *perturbed)
    curves.check(scores, columns=(*keys, "patient", "failed", quantity), keys=keys, where="quality_figure")
    scores = valued(lowest_tuned(scores), quantity)
    every = curves.order(scores["method"]) if methods is None else list(methods)
    found = set(scores["method"])
    shown = [method for method in every if method in found]
    orders = [curves.order(scores[name], mask_labels if name == "mask" else None) for name in place]
    places = sorted(
        curves.order(scores[list(place)].itertuples(index=False, name=None)),
        key=lambda each: [names.index(name) for names, name in zip(orders, each, strict=True)],
    )
    columns = min(max(len(places), 1), 2 if len(places) in (2, 4) else 3)
    rows = max(1, -(-len(places) // columns))
    height = 0.75 + 0.24 * max(len(shown), 3)
    figure, axes = curves.panels(rows, columns, title=title, height=height, sharex=True, sharey=True)
    width = figure.get_figwidth() / columns - 0.9
    for panel, (source, mask, domain) in zip(axes.flat, places, strict=False):
        part = scores[(scores[list(place)] == [source, mask, domain]).all(axis=1)]
        names = [simulated_label(source, simulated or {}), (mask_labels or {}).get(mask, mask)]
        names += [f"tuned on {(domain_labels or {}).get(domain, domain)}"] if domain else []
        panel.set_title(f"{style.fitted(', '.join(names), width)}\n{_counts(part)}")
        for row, method in enumerate(shown):
            _strip(panel, part[part["method"] == method], row, style.color(method, every), seed)
    first = axes[0, 0]
    first.set_yticks(range(len(shown)), [method_label(method, labels) for method in shown])
    first.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    if not places:
        curves.nothing(first)
    if quantities[quantity].median and places:
        curves.log_scale(first, "x", inches=width)
    direction = "higher" if quantities[quantity].higher_is_better else "lower"
    text = f"{quantities[quantity].title}; {direction} is better"
    curves.label(axes, len(places), x=style.fitted(text, width), y="")
    style.legend_below(figure, [_dot("image"), _diamond("mean of images"), _interval()])
    return style.settle(figure)


def _counts(part: pd.DataFrame) -> str:
    """How many images there are, and of how many patients where that is another number."""
    images, patients = len(part[["volume", "position"]].drop_duplicates()), part["patient"].nunique()
    text = _count(images, "image")
    return text if images == patients else f"{text}, {_count(patients, 'patient')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _strip(axes: Axes, part: pd.DataFrame, row: int, color: str, seed: int) -> None:
    """One method: dots side by side to be seen, their mean, and how many are missing."""
    values = part["number"].to_numpy(dtype=float)
    told = np.isfinite(values)
    missing = int(part["missing"].sum())
    if missing:
        axes.text(
            1.01,
            row,
            f"{missing if told.any() else 'all'} missing",
            transform=axes.get_yaxis_transform(),
            va="center",
            color=style.REFERENCE,
        )
    if not told.any():
        return
    # evenly spread heights that neither the order of slices nor a random number decides
    heights = row + 0.3 * (np.modf(np.arange(told.sum()) * 0.618033988749895)[0] - 0.5)
    axes.plot(
        np.sort(values[told]),
        heights,
        linestyle="",
        marker="o",
        markersize=2.2,
        color=color,
        alpha=0.55,
        mew=0,
    )
    summary = summarise(values[told].tolist(), groups=part["patient"][told].tolist(), seed=seed)
    if np.isfinite(summary.low):
        axes.hlines(row, summary.low, summary.high, color="black", linewidth=1.1, zorder=4)
    axes.plot(
        summary.mean,
        row,
        marker="D",
        markersize=3.8,
        markerfacecolor=color,
        markeredgecolor="black",
        markeredgewidth=0.7,
        zorder=5,
    )


def _dot(label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="o", markersize=2.2, color=style.REFERENCE, label=label)


def _diamond(label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="D", markersize=3.8, color="white", mec="black", label=label)


def _interval() -> Line2D:
    return Line2D([], [], color="black", linewidth=1.1, label="95 % interval of the mean")

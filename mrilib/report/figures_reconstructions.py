"""Figures of reconstructions of clean data: images beside their reference, and scores of all slices."""

from collections.abc import Mapping, Sequence
from typing import SupportsFloat

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Inexact
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from mrilib.experiments.assessment import cropped_modulus
from mrilib.experiments.quality import HIGHER_IS_BETTER
from mrilib.metrics.statistics import summarise
from mrilib.report import curves, sheets, style
from mrilib.report.names import mask_label, method_label
from mrilib.report.sheets import Location, Window
from mrilib.report.tables_quality import simulated_label

# Methods beside a reference, above which panels would be narrower than their names.
MOST_METHODS = 6
ERRORS = "magma"
# Inches: row labels, and the colour bars below the panels.
LEFT, RIGHT, FOOT = 0.4, 0.06, 0.56
QUANTITIES = {
    "ssim": "SSIM (data range: maximum of the volume)",
    "ssim_slice": "SSIM (data range: maximum of the slice)",
    "psnr": "PSNR (dB)",
    "nmse": "NMSE",
    "relative_error": "relative error ‖ |x| − |x*| ‖₂/‖x*‖₂",
    "seconds": "seconds a slice",
}


def score_text(ssim: SupportsFloat, psnr: SupportsFloat) -> str:
    """What stands below a method's name: SSIM, and PSNR in dB."""
    return f"SSIM {float(ssim):.3f}\n{float(psnr):.1f} dB"


@style.printed()
def reconstruction_panel(
    reference: Inexact[np.ndarray, "y x"],
    reconstructions: Mapping[str, np.ndarray | None],
    *,
    scores: Mapping[str, str],
    close_up: Location | None,
    error_scale: float,
    title: str | None,
    upright: bool = True,
) -> Figure:
    """Reconstructions beside their reference, maps of their absolute errors, and close-ups.

    All are moduli in units of the reference's maximum, on one grey scale over [0, 1]; a pixel above 1 by more
    than half of one of 256 grey levels is red. The error `||rec| − |x*||` times `error_scale` has
    colours over [0, 1]; above that it has the colour of 1. More than six methods take several blocks of rows,
    each with the reference.

    Args:
        reference: `x*` as stored.
        reconstructions: name to print to the image, at least as large as the reference; the middle is shown.
            `None` where there is none.
        scores: name to what stands below it, such as `score_text` makes, or why there is no image.
        close_up: row and column, as stored, at the centre of the close-ups; `None` for none.
        error_scale: factor on the errors.
        title: image source, mask and slice.
        upright: turn images upside down, as those stored as in fastMRI need.

    Raises:
        ValueError: if there is no reconstruction, if the reference is not finite or is zero, if the factor is
            not positive, or if a reconstruction is smaller than the reference.

    Source: our choice.
    """
    if not reconstructions:
        raise ValueError("reconstruction_panel: expected at least one reconstruction, got none")
    if not error_scale > 0:
        raise ValueError(f"reconstruction_panel: expected a positive error_scale, got {error_scale}")
    largest = float(np.abs(reference).max())
    if not (np.isfinite(largest) and largest > 0):
        raise ValueError(
            f"reconstruction_panel: expected a finite reference that is not zero, got maximum {largest}"
        )
    height, width = reference.shape
    place = None if close_up is None else sheets.window((height, width), close_up)
    if place is not None and upright:
        place = (slice(height - place[0].stop, height - place[0].start), place[1])

    def shown(image: np.ndarray) -> np.ndarray:
        moduli = cropped_modulus(image, (height, width)) / largest
        return np.flipud(moduli) if upright else moduli

    truth = shown(reference)
    images = {name: None if image is None else shown(image) for name, image in reconstructions.items()}
    blocks = _blocks(list(images))
    columns = max(map(len, blocks)) + 1
    figure, axes, names = _sheet(truth.shape, place, blocks, scores, columns, title)
    rows = len(axes) // len(blocks)
    for number, block in enumerate(blocks):
        part = axes[number * rows : (number + 1) * rows]
        _reference(part[:, 0], truth, place)
        part[0, 0].set_title("reference")
        labels = ("image", f"|error| × {error_scale:g}", "close-up")
        for panel, label in zip(part[:, 0], labels, strict=False):
            panel.set_ylabel(label)
        for column, name in zip(part[:, 1:].T, block, strict=False):
            _reconstruction(column, images[name], truth, place, error_scale)
            column[0].set_title(names[name])
        for panel in part[:, len(block) + 1 :].flat:
            panel.set_visible(False)
    _explain(figure, axes, error_scale)
    return figure


def _blocks(names: Sequence[str]) -> list[list[str]]:
    """Names in groups that are as equal as possible, none larger than `MOST_METHODS`."""
    count = -(-len(names) // MOST_METHODS)
    size = -(-len(names) // count)
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


def _sheet(
    shape: tuple[int, ...],
    place: Window | None,
    blocks: Sequence[Sequence[str]],
    scores: Mapping[str, str],
    columns: int,
    title: str | None,
) -> tuple[Figure, np.ndarray, dict[str, str]]:
    """Figure and axes with room for what stands above every block, and those texts."""
    # three columns at least, as `sheets.sheet` has them
    width = sheets.panel_width(max(columns, 3), left=LEFT, right=RIGHT)
    names = {
        name: "\n".join(
            style.fitted(line, width) for text in (name, scores.get(name, "")) for line in text.splitlines()
        )
        for block in blocks
        for name in block
    }
    heads = [max(names[name].count("\n") + 1 for name in block) for block in blocks]
    ratios = [sheets.ratio(shape)] * 2
    if place is not None:
        ratios.append(sheets.ratio([part.stop - part.start for part in place]))
    between: list[float] = [sheets.GAP] * (len(ratios) - 1)
    for head in heads[1:]:
        between += [sheets.LINE * head + 0.2, *[sheets.GAP] * (len(ratios) - 1)]
    figure, axes = sheets.sheet(
        ratios * len(blocks),
        columns=columns,
        title=title,
        left=LEFT,
        right=RIGHT,
        head=heads[0],
        foot=FOOT,
        between=between,
    )
    return figure, axes, names


def _reference(column: np.ndarray, truth: np.ndarray, place: Window | None) -> None:
    sheets.show(column[0], truth, moduli=True)
    sheets.bare(column[1])
    if place is not None:
        sheets.box(column[0], place)
        sheets.close_up(column[2], truth, place, moduli=True)


def _reconstruction(
    column: np.ndarray, image: np.ndarray | None, truth: np.ndarray, place: Window | None, error_scale: float
) -> None:
    if image is None:
        for panel in column:
            sheets.missing(panel)
        return
    sheets.show(column[0], image, moduli=True)
    column[1].imshow(
        np.ma.masked_invalid(error_scale * np.abs(image - truth)),
        cmap=matplotlib.colormaps[ERRORS].with_extremes(bad=style.MISSING),
        vmin=0.0,
        vmax=1.0,
        interpolation="none",
        aspect="auto",
    )
    sheets.bare(column[1])
    if place is not None:
        sheets.close_up(column[2], image, place, moduli=True)


def _explain(figure: Figure, axes: np.ndarray, error_scale: float) -> None:
    """Two colour bars at the foot: what grey and red mean, and what the colours of the errors mean."""
    errors = [panel.images[0] for panel in axes.flat if panel.images and panel.images[0].cmap.name == ERRORS]
    width, height = figure.get_size_inches()
    boxes = [panel.get_position() for panel in axes.flat]
    left, right = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    # space for the words beside the tip of the grey bar
    above = style.text_width("above 1") + 0.12
    length = (right - left) / 2 - (above + 0.1) / width

    def bar(start: float, image: AxesImage, label: str) -> Axes:
        place = figure.add_axes((start, (FOOT - 0.2) / height, length, 0.1 / height))
        figure.colorbar(image, cax=place, orientation="horizontal", extend="max", extendfrac=0.05)
        place.set_xticks([0, 0.5, 1])
        place.tick_params(pad=1.5)
        place.set_xlabel(label, loc="left", labelpad=1)
        return place

    grey = bar(left, axes[0, 0].images[0], "modulus (reference maximum = 1)")
    grey.text(
        1.05 + 0.05 / (length * width),
        0.5,
        "above 1",
        transform=grey.transAxes,
        va="center",
        color=style.ABOVE,
    )
    if errors:
        label = f"{error_scale:g} × |error|, in the same unit"
        bar((left + right) / 2 + 0.1 / width, errors[0], label)


@style.printed()
def quality_figure(
    scores: pd.DataFrame,
    *,
    quantity: str = "ssim",
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    simulated: Mapping[str, bool] | None = None,
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """Scores of all slices by method: a panel for each source and mask, a row for each method.

    A dot is a slice; the diamond is their mean, with its 95 % bootstrap interval, resampled by patient, where
    there are two patients or more. The number of slices that failed, or whose score is not finite, stands
    right of the panel.

    Args:
        scores: one row a slice: `source`, `mask`, `method`, `volume`, `position`, `patient`, `failed` and the
            quantity.
        quantity: one of `QUANTITIES`.
        methods: all methods of the run, for the order and for colours that are those of its other figures.
        labels: names to print for methods, before those of `report.names`.
        simulated: sources whose raw data was made from images.
        seed: of the resampling.
        title: heading.

    Raises:
        ValueError: if the quantity is unknown, a column is missing or a slice is given twice.

    Source: our choice.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quality_figure: expected one of {list(QUANTITIES)}, got {quantity!r}")
    keys = ("source", "mask", "method", "volume", "position")
    curves.check(scores, columns=(*keys, "patient", "failed", quantity), keys=keys, where="quality_figure")
    every = curves.order(scores["method"]) if methods is None else list(methods)
    found = set(scores["method"])
    shown = [method for method in every if method in found]
    sources, masks = curves.order(scores["source"]), curves.order(scores["mask"])
    pairs = {(row.source, row.mask) for row in scores[["source", "mask"]].itertuples()}
    places = [(source, mask) for source in sources for mask in masks if (source, mask) in pairs]
    columns = min(max(len(places), 1), 2 if len(places) in (2, 4) else 3)
    rows = max(1, -(-len(places) // columns))
    height = 0.75 + 0.24 * max(len(shown), 3)
    figure, axes = curves.panels(rows, columns, title=title, height=height, sharex=True, sharey=True)
    for panel, (source, mask) in zip(axes.flat, places, strict=False):
        part = scores[(scores["source"] == source) & (scores["mask"] == mask)]
        heading = f"{simulated_label(source, simulated or {})}, {mask_label(mask)}"
        slices = part[["volume", "position"]].drop_duplicates()
        patients = part["patient"].where(part["patient"].notna(), part["volume"]).nunique()
        panel.set_title(
            f"{style.fitted(heading, figure.get_figwidth() / columns - 0.9)}\n"
            f"{_count(len(slices), 'slice')}, {_count(patients, 'patient')}"
        )
        for row, method in enumerate(shown):
            _strip(panel, part[part["method"] == method], quantity, row, style.color(method, every), seed)
    first = axes[0, 0]
    first.set_yticks(range(len(shown)), [method_label(method, labels) for method in shown])
    first.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    if not places:
        curves.nothing(first)
    if quantity == "seconds" and places:
        curves.log_scale(first, "x", inches=figure.get_figwidth() / columns - 0.9)
    direction = "higher" if quantity in HIGHER_IS_BETTER else "lower"
    text = f"{QUANTITIES[quantity]}; {direction} is better"
    curves.label(axes, len(places), x=style.fitted(text, figure.get_figwidth() / columns - 0.9), y="")
    style.legend_below(figure, [_dot("slice"), _diamond("mean of slices"), _interval()])
    return style.settle(figure)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _strip(axes: Axes, part: pd.DataFrame, quantity: str, row: int, color: str, seed: int) -> None:
    """One method: dots side by side to be seen, their mean, and how many are missing."""
    values = part[quantity].to_numpy(dtype=float)
    told = (part["failed"].isna() | (part["failed"] == "")).to_numpy() & np.isfinite(values)
    missing = int((~told).sum())
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
    patients = part["patient"].where(part["patient"].notna(), part["volume"])[told].tolist()
    summary = summarise(values[told].tolist(), groups=patients, seed=seed)
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

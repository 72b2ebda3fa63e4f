"""Figures that show images: perturbations, reconstructions, masks, and where a method is weak.

All images stand on the scale on which the maximum of the clean image is 1. Grey runs over [0, 1]; a
pixel above 1, or below 0, by more than half of one of 256 grey levels is red, or blue. If one image of a
figure is complex, all are shown by their moduli.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat, TypedDict

import numpy as np
from jaxtyping import Bool, Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrilib.report import heat_maps, sheets, style
from mrilib.report.sheets import Location

MOST_LEVELS = 6
# Of a map along one side, up to which a third of the page leaves room for numbers of three digits.
MOST_CELLS = 8

Image = Num[np.ndarray, "y x"]


class LevelRow(TypedDict):
    """One level of `level_panel`; `None` for an image or a location that there is not."""

    level: SupportsFloat
    perturbed: np.ndarray | None
    reconstruction: np.ndarray | None
    location: Location | None
    alpha: SupportsFloat


@style.printed()
def noise_and_feature(
    image: Image,
    noisy: Image,
    feature: Image,
    *,
    level: SupportsFloat,
    close_up: Location,
    title: str | None = None,
) -> Figure:
    """An image, the image with Gaussian noise, and with a local feature of the same norm, as moduli.

    Args:
        image: `x`.
        noisy: `x` plus noise.
        feature: `x` plus the feature.
        level: norm of what was added, in per cent of `‖x‖₂`.
        close_up: row and column at the centre of the close-ups.
        title: what the image is.

    Source: [alaifari2023], Fig. 1.
    """
    share = f"{style.percent(level)} of ‖x‖₂"
    panels = {
        "image x": image,
        f"x + Gaussian noise\nof ℓ2 norm {share}": noisy,
        f"x + local feature\nof ℓ2 norm {share}": feature,
    }
    return _with_close_ups(panels, location=close_up, title=title, moduli=True)


@style.printed()
def mask_and_zero_filled(
    mask: Bool[np.ndarray, "ky kx"],
    image: Image,
    zero_filled: Image,
    *,
    label: str,
    acceleration: SupportsFloat,
    adjoint: str = "A†",
    title: str | None = None,
) -> Figure:
    """The mask, an image, and what zero-filling makes of its undersampled data.

    Args:
        mask: `True` where k-space is sampled; zero frequency at the centre. It may have another shape than
            the images, which show the middle of what was measured.
        image: `x`.
        zero_filled: `A†Ax`, or with coils `AᴴAx` as they see it.
        label: what the mask is, such as `40 lines`.
        acceleration: k-space samples over those that are kept, `n²/m`.
        adjoint: what takes k-space to an image: `Aᴴ` with coils.
        title: what the image is.

    Source: [alaifari2023], Fig. 2.
    """
    ratio = sheets.ratio(image.shape)
    figure, axes = sheets.sheet([ratio], columns=3, title=title, left=0.62, foot=0.4)
    sampling = axes[0, 0]
    height, width = mask.shape
    left, top = -(width // 2) - 0.5, -(height // 2) - 0.5
    sampling.imshow(
        mask,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="none",
        extent=(left, left + width, top + height, top),
        aspect="auto",
    )
    sampling.set_title(f"mask: {label} (white),\n{style.number(acceleration)}-fold acceleration")
    sampling.set_xlabel("kx (cycles per field of view)", labelpad=1)
    name = "ky (cycles per field of view)"
    height_of_axis = sampling.get_position().height * figure.get_figheight()
    # The first and the last number stand beside its ends.
    sampling.set_ylabel(name if style.text_width(name) < height_of_axis - 0.2 else "ky", labelpad=-6)
    sampling.set_xticks([-(width // 2), 0, (width - 1) // 2])
    sampling.set_yticks([-(height // 2), 0, (height - 1) // 2])
    moduli = sheets.complex_among([image, zero_filled])
    sheets.show(axes[0, 1], image, moduli=moduli)
    sheets.show(axes[0, 2], zero_filled, moduli=moduli)
    axes[0, 1].set_title("image x")
    axes[0, 2].set_title(f"zero-filled {adjoint}Ax")
    sheets.explain(figure, axes, [image, zero_filled], moduli=moduli)
    return figure


@style.printed()
def attack_panel(
    image: Image,
    perturbed: Image | None,
    reconstruction: Image | None,
    *,
    location: Location | None,
    level: SupportsFloat,
    alpha: SupportsFloat,
    severity: SupportsFloat,
    title: str,
    picture: str = "A†e",
) -> Figure:
    """The image, the perturbed image and what the method makes of the perturbed data, with close-ups.

    Args:
        image: `x`.
        perturbed: `x + A†e`; `None` where the attack failed.
        reconstruction: `rec(y + e)`, or `None`.
        location: row and column of the attack's window; `None` or (−1, −1), as a global attack has it,
            for no close-ups.
        level: `‖e‖₂/‖Ax‖₂`, in per cent.
        alpha: amplification `α`.
        severity: `‖ρ‖∞`, in units of the image's maximum.
        title: image source, method and mask.
        picture: how the perturbation is shown: `|Aᴴe|` with coils.

    Source: [alaifari2023], Fig. 3, and Fig. 5 for a network.
    """
    outcome = f"α = {style.number(alpha)}, severity {style.number(severity)}"
    panels = {
        "image x": image,
        f"perturbed image x + {picture}\n‖e‖₂ = {style.percent(level)} of ‖Ax‖₂": perturbed,
        f"reconstruction rec(y + e)\n{outcome}": reconstruction,
    }
    moduli = sheets.complex_among(panels.values())
    return _with_close_ups(panels, location=sheets.present(location), title=title, moduli=moduli)


@style.printed()
def level_panel(rows: Sequence[LevelRow], *, title: str | None = None, picture: str = "A†e") -> Figure:
    """Perturbed image, reconstruction and its close-up, one column a level.

    Args:
        rows: one to six levels, each with `level` (`‖e‖₂/‖Ax‖₂`, per cent), `perturbed` (`x + A†e`),
            `reconstruction` (`rec(y + e)`), `location` (row and column of the attack's window) and
            `alpha`. An image that is `None` is shown as missing.
        title: image source, method and mask.
        picture: how perturbations are shown: `|Aᴴe|` with coils.

    Raises:
        ValueError: for no rows or too many.

    Source: [alaifari2023], Fig. 4.
    """
    if not 1 <= len(rows) <= MOST_LEVELS:
        raise ValueError(f"level_panel: expected 1 to {MOST_LEVELS} levels, got {len(rows)}")
    images = [image for row in rows for image in (row["perturbed"], row["reconstruction"])]
    moduli = sheets.complex_among(images)
    shape = next((image.shape for image in images if image is not None), (1, 1))
    ratio, close = sheets.ratio(shape), sheets.ratio([min(size, sheets.CLOSE_UP) for size in shape])
    figure, axes = sheets.sheet([ratio, ratio, close], columns=len(rows), title=title, left=0.68)
    for column, row in zip(axes.T, rows, strict=True):
        column[0].set_title(f"{style.percent(row['level'])}\nα = {style.number(row['alpha'])}")
        location = sheets.present(row["location"])
        for panel, image in zip(column, (row["perturbed"], row["reconstruction"]), strict=False):
            if image is None:
                sheets.missing(panel)
                continue
            sheets.show(panel, image, moduli=moduli)
            if location is not None:
                sheets.box(panel, sheets.window(image.shape, location))
        if row["reconstruction"] is None or location is None:
            sheets.missing(column[2])
        else:
            place = sheets.window(row["reconstruction"].shape, location)
            sheets.close_up(column[2], row["reconstruction"], place, moduli=moduli)
    labels = (
        f"perturbed\nimage x + {picture}",
        "reconstruction\nrec(y + e)",
        "close-up of the\nreconstruction",
    )
    for panel, label in zip(axes[:, 0], labels, strict=True):
        panel.set_ylabel(label)
    axes[0, 0].annotate(
        "‖e‖₂/‖Ax‖₂",
        (0, 1),
        xytext=(-3, 17),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="baseline",
    )
    sheets.explain(figure, axes, images, moduli=moduli)
    return figure


@style.printed()
def severity_map(
    maps: Mapping[float, Num[np.ndarray, "grid grid"] | None]
    | Mapping[int, Num[np.ndarray, "grid grid"] | None],
    *,
    image: Image,
    places: Float[np.ndarray, "grid grid 2"] | None = None,
    title: str | None = None,
) -> Figure:
    """Severity that the localized attack saw at each place of its grid, beside the image.

    Args:
        maps: for each level (`‖e‖₂/‖Ax‖₂`, per cent) the severities `‖ρ‖∞`, in units of the image's
            maximum; NaN where a place was left out, `None` where the attack failed. Every map has its own
            colours; its largest entry is framed, and ringed in the image.
        image: `x`; dots show the places.
        places: row and column of each place in the image, NaN for none; by default those of a grid over the
            whole image, `((k + ½)·size/grid)` rounded down.
        title: image source, method and mask.

    Raises:
        ValueError: if there is no map.

    Source: our choice; the grid is that of [alaifari2023], section 4.
    """
    if not maps:
        raise ValueError("severity_map: expected at least one level")
    levels = {
        float(level): None if values is None else np.asarray(values, dtype=float)
        for level, values in maps.items()
    }
    there = [values for values in levels.values() if values is not None]
    grid = there[0].shape if there else (0, 0)
    if places is None:
        places = _grid(image.shape, grid)
    numbers = max(grid) <= MOST_CELLS
    columns = min(3, len(levels) + 1)
    rows = -(-(len(levels) + 1) // columns)
    figure, axes = sheets.sheet(
        [sheets.ratio(image.shape)] * rows,
        columns=columns,
        title=title,
        left=0.06,
        right=0.06 if numbers else 0.55,
        head=1,
        foot=0.65,
        gap=0.1 if numbers else 0.6,
        between=0.25,
    )
    picture, *panels = axes.flat
    sheets.show(picture, image, moduli=sheets.complex_among([image]))
    picture.set_title(f"image x with the {grid[0]} × {grid[1]} grid" if there else "image x")
    _dots(picture, places, markersize=2.2, color=sheets.BOX, mec="black", mew=0.3)
    for panel, (level, severities) in zip(panels, levels.items(), strict=False):
        panel.set_title(f"‖e‖₂ = {style.percent(level)} of ‖Ax‖₂")
        if severities is None:
            sheets.missing(panel)
            continue
        _heat_map(panel, severities, numbers=numbers)
        worst = places[_largest(severities)]
        _dots(picture, worst, markersize=7, color="none", mec=style.ABOVE, mew=1.2)
        if not numbers:
            _bar(figure, panel)
    for panel in panels[len(levels) :]:
        panel.set_axis_off()
    note = (
        f"Colour{' and number' if numbers else ''}: largest pixel ‖ρ‖∞ of the artifact when the attack aims "
        "at this place, after the first round of its search, in units of the image maximum. Colours span "
        "each map's own range. Red: the worst place."
    )
    if any(np.isnan(severities).any() for severities in there):
        note += " Grey: left out, outside of the object or seen by no coil."
    width, height = figure.get_size_inches()
    figure.text(0.06 / width, 0.55 / height, style.wrapped(note, width * 1.12), va="top")
    return figure


def _grid(shape: tuple[int, ...], grid: tuple[int, ...]) -> np.ndarray:
    """Places of a grid over a whole image."""
    axes = [(np.arange(count) + 0.5) * size // count for count, size in zip(grid, shape, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _dots(axes: Axes, places: np.ndarray, **marker: Any) -> None:
    """Marks on an image at places `(…, 2)` that are there."""
    for y, x in places.reshape(-1, 2):
        if np.isfinite(y) and np.isfinite(x):
            axes.plot(x, y, marker="o", **marker)


def _heat_map(axes: Axes, values: np.ndarray, *, numbers: bool) -> None:
    scale = heat_maps.linear_scale(values)
    high = float(scale.vmax or 0.0)
    # Three digits of the largest value, as far as three decimals give them; the same decimals in every cell.
    decimals = min(3, max(0, 2 - math.floor(math.log10(high)))) if high > 0 else 2
    texts = [[f"{value:.{decimals}f}" if np.isfinite(value) else "–" for value in line] for line in values]
    sheets.bare(axes)
    heat_maps.draw(axes, values, scale=scale, texts=texts if numbers else None)
    heat_maps.outline(axes, _largest(values), color=style.ABOVE, width=1.6)


def _largest(values: np.ndarray) -> np.ndarray:
    """Where the largest finite entry stands."""
    finite = np.isfinite(values)
    return finite & (values == np.max(values, where=finite, initial=-np.inf))


def _bar(figure: Figure, axes: Axes) -> None:
    """Colour bar right of a map whose cells hold no numbers."""
    place = axes.get_position()
    width = figure.get_figwidth()
    bar = figure.add_axes((place.x1 + 0.05 / width, place.y0, 0.08 / width, place.height))
    figure.colorbar(axes.images[0], cax=bar)


def _with_close_ups(
    panels: Mapping[str, np.ndarray | None], *, location: Location | None, title: str | None, moduli: bool
) -> Figure:
    """Images in a row and, where there is a location, their close-ups below; the first one is there."""
    shape = next(image.shape for image in panels.values() if image is not None)
    ratios = [sheets.ratio(shape)]
    if location is not None:
        place = sheets.window(shape, location)
        size = tuple(part.stop - part.start for part in place)
        ratios.append(sheets.ratio(size))
    figure, axes = sheets.sheet(ratios, columns=len(panels), title=title)
    for column, (label, image) in zip(axes.T, panels.items(), strict=True):
        column[0].set_title(label)
        if image is None:
            for panel in column:
                sheets.missing(panel)
            continue
        sheets.show(column[0], image, moduli=moduli)
        if location is not None:
            sheets.box(column[0], place)
            sheets.close_up(column[1], image, place, moduli=moduli)
    if location is not None:
        row, column = (int(index) for index in location)
        axes[1, 0].set_ylabel(f"close-up, {size[0]} × {size[1]} pixels\naround row {row}, column {column}")
    sheets.explain(figure, axes, list(panels.values()), moduli=moduli)
    return figure

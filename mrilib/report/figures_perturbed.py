"""Figure of methods under perturbations made for each of them."""

from collections.abc import Mapping
from typing import SupportsFloat, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrilib.report import error_maps, sheets, style
from mrilib.report.names import method_label
from mrilib.report.sheets import Location

MOST_ROWS = 4
COLUMNS = 5
# Inches: what stands left of the images, the least room for the text above an image, the tallest figure.
LEFT, RIGHT, TEXT, PAGE = 0.5, 0.06, 1.2, 9.3
# Factors on perturbations and artifacts.
FACTORS = tuple(digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5))


class Perturbation(TypedDict):
    """What was done to a method, in units of the reference's maximum: see `perturbed_panel`."""

    clean: np.ndarray
    perturbed: np.ndarray
    reconstruction: np.ndarray
    added: np.ndarray
    artifact: np.ndarray
    clean_ssim: SupportsFloat
    ssim: SupportsFloat
    severity: SupportsFloat
    location: Location | None


@style.printed()
def perturbed_panel(
    rows: Mapping[str, Perturbation | None],
    *,
    level: SupportsFloat,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
    picture: str = "|Aᴴe|",
) -> Figure:
    """Methods under the perturbations made for each: clean, perturbed, reconstructed, and the artifact.

    A row is a method. Images are moduli on one grey scale over [0, 1]; a pixel above 1 by more than half of
    one of 256 grey levels is red. The perturbation's picture and the artifact are scaled, each by the
    factor of `factor_of` that is printed above it, in colours over [0, 1].

    Args:
        rows: method to `clean` (`rec(y)`), `perturbed` (`x` plus the picture of `e`), `reconstruction`
            (`rec(y + e)`), `added` (the picture of `e`), `artifact` (`ρ`), all of one size; `clean_ssim` and
            `ssim` of both reconstructions, `severity` (`‖ρ‖∞` on the whole grid), and `location` (row and
            column of the attack's window, which is ringed; `None` or (−1, −1), as a global attack has it, for
            no ring). `None` where the attack failed.
        level: `‖e‖₂/‖Ax‖₂`, in per cent.
        labels: names to print for methods.
        title: heading: image, mask and attack.
        picture: how perturbations are shown: `|Aᴴe|` with coils, `A†e` of a single coil.

    Raises:
        ValueError: for no methods or too many.

    Source: [darestani2021], Fig. 9 and 10, with the perturbation and the artifact by themselves as well.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ValueError(f"perturbed_panel: expected 1 to {MOST_ROWS} methods, got {len(rows)}")
    there = [row for row in rows.values() if row is not None]
    ratio = sheets.ratio(there[0]["clean"].shape if there else (1, 1))
    width = sheets.panel_width(COLUMNS, left=LEFT, right=RIGHT)
    between = sheets.LINE + 0.1
    room = PAGE - 5 * sheets.LINE - error_maps.FOOT - (len(rows) - 1) * between
    width = min(width, room / (len(rows) * ratio))
    figure, axes = sheets.sheet(
        [ratio] * len(rows),
        columns=COLUMNS,
        title=title,
        left=LEFT,
        right=max(RIGHT, (TEXT - width) / 2),
        head=3,
        foot=error_maps.FOOT,
        gap=max(sheets.GAP, TEXT - width),
        between=between,
        widest=width,
    )
    modulus = "|" + picture.strip("|") + "|"
    heads = (
        "reconstruction\nrec(y)",
        f"perturbed image\nx + {picture}",
        "reconstruction\nrec(y + e)",
        f"perturbation {modulus},\nscaled",
        "artifact |ρ|,\nscaled",
    )
    for number, (line, (method, row)) in enumerate(zip(axes, rows.items(), strict=True)):
        line[0].set_ylabel(style.fitted(method_label(method, labels), max(width * ratio, TEXT)))
        texts = _texts(row, level)
        for panel, head, text in zip(line, heads, texts, strict=True):
            panel.set_title(f"{head}\n{text}" if number == 0 else text)
        _fill(line, row)
    error_maps.explain(figure, axes, "modulus × the factor above the image, same unit")
    return figure


def factor_of(image: np.ndarray) -> float:
    """The largest of `FACTORS` that leaves the largest modulus of an image in [0, 1]; 1 for zero."""
    largest = float(np.abs(image).max())
    fitting = [factor for factor in FACTORS if factor * largest <= 1.0]
    return max(fitting, default=FACTORS[0]) if largest > 0 else 1.0


def _texts(row: Perturbation | None, level: SupportsFloat) -> list[str]:
    """What stands above each panel of a row."""
    if row is None:
        return ["n/a"] * COLUMNS
    return [
        f"SSIM {float(row['clean_ssim']):.3f}",
        f"{style.percent(level)} of ‖Ax‖₂",
        f"SSIM {float(row['ssim']):.3f}",
        f"{factor_of(row['added']):g} ×, largest {style.number(np.abs(row['added']).max(), 2)}",
        f"{factor_of(row['artifact']):g} ×, severity {style.number(row['severity'], 2)}",
    ]


def _fill(panels: np.ndarray, row: Perturbation | None) -> None:
    if row is None:
        for panel in panels:
            sheets.missing(panel)
        return
    for panel, image in zip(panels, (row["clean"], row["perturbed"], row["reconstruction"]), strict=False):
        sheets.show(panel, image, moduli=True)
    for panel, image in zip(panels[3:], (row["added"], row["artifact"]), strict=True):
        error_maps.show(panel, factor_of(image) * np.abs(image))
    location = sheets.present(row["location"])
    if location is not None:
        for panel in panels[2:]:
            _ring(panel, location)


def _ring(axes: Axes, location: Location) -> None:
    y, x = (int(index) for index in location)
    for color, width in (("black", 2.0), (sheets.BOX, 1.0)):
        axes.plot(x, y, marker="o", markersize=9, color="none", markeredgecolor=color, markeredgewidth=width)

"""Scaled moduli in colours, beside images in grey, and the two colour bars that explain both."""

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mrilib.report import sheets, style

COLORS = "magma"
# Inches that the colour bars need below the panels.
FOOT = 0.56


def show(axes: Axes, values: Float[np.ndarray, "y x"]) -> None:
    """Scaled moduli in colours over [0, 1]; above that they have the colour of 1."""
    axes.imshow(
        np.ma.masked_invalid(values),
        cmap=matplotlib.colormaps[COLORS].with_extremes(bad=style.MISSING),
        vmin=0.0,
        vmax=1.0,
        interpolation="none",
        aspect="auto",
    )
    sheets.bare(axes)


def explain(figure: Figure, axes: np.ndarray, label: str) -> None:
    """Two colour bars at the foot: what grey and red mean, and what the colours mean, which `label` says."""
    images = [panel.images[0] for panel in axes.flat if panel.images]
    colored = [image for image in images if image.cmap.name == COLORS]
    grey_ones = [image for image in images if image.cmap.name != COLORS]
    width, height = figure.get_size_inches()
    boxes = [panel.get_position() for panel in axes.flat]
    left, right = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    # space for the words beside the tip of the grey bar
    above = style.text_width("above 1") + 0.12
    length = (right - left) / 2 - (above + 0.1) / width

    def bar(start: float, image: AxesImage, text: str) -> Axes:
        place = figure.add_axes((start, (FOOT - 0.2) / height, length, 0.1 / height))
        figure.colorbar(image, cax=place, orientation="horizontal", extend="max", extendfrac=0.05)
        place.set_xticks([0, 0.5, 1])
        place.tick_params(pad=1.5)
        place.set_xlabel(text, loc="left", labelpad=1)
        return place

    if grey_ones:
        grey = bar(left, grey_ones[0], "modulus (reference maximum = 1)")
        grey.text(
            1.05 + 0.05 / (length * width),
            0.5,
            "above 1",
            transform=grey.transAxes,
            va="center",
            color=style.ABOVE,
        )
    if colored:
        bar((left + right) / 2 + 0.1 / width, colored[0], label)

"""How figures look: sizes for print, colours and signs with a meaning, and saving without a trace of time."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat, cast

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

from mrilib.metrics.quantities import QUANTITIES
from mrilib.report.names import NO_ATTACK, About, sort_of
from mrilib.store.atomic import atomic_path

# Inches, of one and of two columns of a printed page.
SINGLE = 3.4
DOUBLE = 7.0
# Points. Only numbers inside the cells of a map are smaller.
FONT = 8.0
CELL_FONT = 6.0
# Inches from one row of a legend to the next.
LEGEND_LINE = 0.16
RESOLUTION = 300

# Names with one colour in every figure, whatever a method of that name is: Okabe and Ito's for the methods of
# [alaifari2023], Tol's muted set beyond them. Okabe and Ito's yellow is too pale for a line on white.
METHOD_COLORS = {
    "zero-filled": "#7F7F7F",
    "tikhonov": "#000000",
    "tv": "#0072B2",
    "l1-wavelet": "#56B4E9",
    "l1-dct": "#332288",
    "l1-fourier": "#117733",
    "tira": "#D55E00",
    "tirafl": "#E69F00",
    "unet": "#009E73",
    "itnet": "#44AA99",
    "varnet": "#CC79A7",
    "convdecoder": "#882255",
    "deepdecoder": "#999933",
}
SPARE_COLORS = ("#AA4499", "#661100", "#6699CC", "#B8860B")

# Red and blue that differ from each other and from grey under every kind of colour blindness.
ABOVE = "#FF3B20"
BELOW = "#0072B2"
MISSING = "#CFCFCF"
# Mark of numbers that may be rounding.
DOUBTFUL = "‡"
REFERENCE = "#444444"

# Labels of axes, in two lines, so that narrow panels hold them.
NOISE_LEVEL = "relative noise level\n‖e‖₂/‖Ax‖₂ (%)"
SEVERITY = QUANTITIES["severity"].axis
AMPLIFICATION = QUANTITIES["amplification"].axis
RELATIVE_ERROR = QUANTITIES["relative_error"].axis

_PRINT: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same bytes on every machine
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "legend.fontsize": FONT,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
    "legend.labelspacing": 0.35,
    "figure.titlesize": FONT,
    "figure.titleweight": "bold",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.ymargin": 0.1,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "figure.dpi": RESOLUTION,
    "savefig.dpi": RESOLUTION,
    "pdf.fonttype": 42,  # text stays text
}


class Signs(NamedTuple):
    """How a curve is drawn: `linestyle`, `marker`, and whether the marker is `filled`."""

    linestyle: Any
    marker: str
    filled: bool


# By what an attack says that it is. Attacks are filled, what searches nothing (noise, another fit) is open.
SORTS = {
    "global": Signs("-", "o", True),
    "peak": Signs((0, (5, 1, 1, 1)), "^", True),
    "disk": Signs((0, (3, 1, 1, 1, 1, 1)), "v", True),
    "gaussian": Signs((0, (4, 2)), "s", False),
    "refit": Signs((0, (1, 1)), "D", False),
}
# Of what nothing perturbs: dotted.
CLEAN_SIGNS = Signs((0, (1, 1.5)), "", False)
_OTHER_MARKERS = ("P", "X", "d", "<", ">", "p", "h")


@contextmanager
def printed() -> Iterator[None]:
    """Settings of all figures, whatever the user's matplotlibrc says; the old ones come back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, _PRINT))
        yield


def color(method: str, methods: Sequence[str]) -> str:
    """Colour of `method`, the same in every figure of a run.

    A name of `METHOD_COLORS` has the colour that stands there. Other names among `methods`, in
    alphabetical order, take `SPARE_COLORS` and then those that no name among `methods` has; when
    these are used up they come again from the start.

    Args:
        method: name of the method.
        methods: all methods of the run, in any order.

    Raises:
        ValueError: if `method` is neither a known name nor among `methods`.
    """
    if method in METHOD_COLORS:
        return METHOD_COLORS[method]
    if method not in methods:
        raise ValueError(
            f"color: expected one of {sorted(methods)}, got {method!r}; pass all methods of the run"
        )
    strangers = sorted(set(methods) - METHOD_COLORS.keys())
    unused = [value for name, value in METHOD_COLORS.items() if name not in methods]
    free = [*SPARE_COLORS, *unused]
    return free[strangers.index(method) % len(free)]


def signs(attack: str, attacks: Mapping[str, About]) -> Signs:
    """Line and marker of an attack, by what it is; others and those alike differ by their marker.

    Args:
        attack: its name; empty for clean reconstructions.
        attacks: all attacks of the run, with what each is: see `names.attack_labels`.
    """
    if attack == NO_ATTACK:
        return CLEAN_SIGNS
    sorts = {name: sort_of(about) for name, about in attacks.items()}
    first = {sort: name for name, sort in reversed(list(sorts.items())) if sort in SORTS}
    sort = sorts.get(attack, "")
    if first.get(sort) == attack:
        return SORTS[sort]
    strangers = sorted({*sorts, attack} - set(first.values()))
    marker = _OTHER_MARKERS[strangers.index(attack) % len(_OTHER_MARKERS)]
    opened = sort in SORTS and not SORTS[sort].filled
    return SORTS[sort]._replace(marker=marker) if opened else Signs("-", marker, True)


def number(value: SupportsFloat, digits: int = 3, *, zeros: bool = False) -> str:
    """`value` with `digits` significant digits and no exponent; `n/a` where it is not finite.

    Zeros at the end of a fraction are left out unless `zeros` asks for them.
    """
    if not np.isfinite(float(value)):
        return "n/a"
    if zeros:
        exact = f"{float(value):.{digits - 1}e}"
        return f"{float(exact):.{max(0, digits - 1 - int(exact.split('e')[1]))}f}"
    return np.format_float_positional(
        float(value), precision=digits, unique=False, fractional=False, trim="-"
    )


def percent(level: SupportsFloat) -> str:
    """A level given in per cent, such as `0.5 %`."""
    return f"{float(level):g} %"


def text_width(text: str, size: float = FONT) -> float:
    """Inches that the longest line of `text` takes in a font of `size` points."""
    font = FontProperties(size=size)
    return max(
        text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] / 72
        for line in text.split("\n")
    )


def fitted(text: str, width: float, size: float = FONT) -> str:
    """`text` in lines of at most `width` inches, the fewest of all; words that are too long are broken."""
    # no letter is narrower than a quarter of the font's size
    most = min(len(text), int(width * 72 / (0.25 * size)))
    lines = (textwrap.fill(text, letters) for letters in range(max(most, 1), 1, -1))
    return next((each for each in lines if text_width(each, size) <= width), text)


def wrapped(text: str | None, width: float) -> str:
    """`text` in lines that fit `width` inches in bold; empty for `None`."""
    return "" if text is None else textwrap.fill(text, int(width * 72 / (0.68 * FONT)))


def legend_below(figure: Figure, *groups: Sequence[Artist]) -> None:
    """Legends under all panels, a group in as few rows as the width of the figure holds.

    The figure grows by what they need, and its panels, laid out by the constrained engine, keep their size.
    """
    placed = [(list(group), _columns(figure, group)) for group in groups if group]
    lines = sum(-(-len(group) // columns) for group, columns in placed)
    width, height = figure.get_size_inches()
    strip = LEGEND_LINE * lines + 0.08
    figure.set_size_inches(width, height + strip)
    top = strip - 0.05
    for group, columns in placed:
        legend = figure.legend(
            handles=group, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, top / (height + strip))
        )
        legend.set_in_layout(False)
        top -= LEGEND_LINE * -(-len(group) // columns)
    share = strip / (height + strip)
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(rect=(0, share, 1, 1 - share))


def _columns(figure: Figure, group: Sequence[Artist]) -> int:
    """How many entries of a legend stand side by side in the figure."""
    for columns in range(len(group), 1, -1):
        legend = figure.legend(handles=list(group), ncols=columns)
        width = legend.get_window_extent().width
        legend.remove()
        if width <= 0.97 * figure.bbox.width:
            return columns
    return 1


def settle(figure: Figure) -> Figure:
    """Compute the layout once and keep it, so that PDF and PNG have the same."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `stem`.pdf and `stem`.png (300 dpi); the same figure gives the same bytes.

    Neither file names a date or a version. Each is written under a temporary name in the same folder and
    then renamed, so that no half file ever has the final name.

    Args:
        figure: what one of the figure functions returned.
        stem: path without the ending; dots in its name belong to the name.

    Returns:
        The paths of the PDF and of the PNG.
    """
    with printed():
        pdf = _write(figure, stem, "pdf", {"Creator": None, "Producer": None, "CreationDate": None})
        png = _write(figure, stem, "png", {"Software": None})
    return pdf, png


def _write(figure: Figure, stem: Path, ending: str, metadata: dict[str, None]) -> Path:
    path = stem.with_name(f"{stem.name}.{ending}")
    with atomic_path(path) as partial:
        figure.savefig(partial, format=ending, dpi=RESOLUTION, metadata=metadata)
    return path

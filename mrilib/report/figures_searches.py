"""Figures of how attacks search: by an argument of the search, and by its effort.

Frames hold one row an image: the figures show every image faintly, and the mean with its 95 % bootstrap
interval. NaN stands for a unit that failed: a gap in the line of its image, and a cross at the foot.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import curves, style
from mrilib.report.figures_curves import CHOSEN
from mrilib.report.figures_studies import MEAN, finish, image_handles
from mrilib.report.names import method_label

# Of what is tuned, as the axis has it.
PARAMETERS = {"beta": "β of the joint objective"}
MOST_COLUMNS = 3


@style.printed()
def search_study(
    frame: pd.DataFrame,
    *,
    parameter: str,
    reached: str = style.SEVERITY,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """What an attack reaches against an argument of its search.

    A panel is a source and a mask, a colour a method.

    Every image is drawn faintly, its mean with a 95 % bootstrap interval; a star stands at the value that was
    chosen, a cross at the foot where an attack failed.

    Args:
        frame: `place` (what a panel is called), `method`, `position`, `value` (of the argument, above 0),
            `reached` (what the attack maximises; NaN where it failed), `chosen`.
        parameter: name of the argument.
        reached: label of the axis of what is reached.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice.
    """
    keys = ("place", "method", "position", "value")
    curves.check(frame, columns=(*keys, "reached", "chosen"), keys=keys, where="search_study")
    axes = {"x": ("value", PARAMETERS.get(parameter, parameter)), "y": ("reached", reached)}
    star = ("chosen", "chosen")
    return _by_method(frame, "place", axes, star, methods=methods, labels=labels, title=title)


@style.printed()
def effort_study(
    frame: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """What an attack reaches, over what its largest effort reaches, against gradient evaluations.

    A colour is a method; a star stands at the effort after which a doubling adds less than 1 %.

    Args:
        frame: `panel` (what stands above each), `method`, `source`, `position`, `value` (the effort),
            `evaluations` (of gradients, the mean over the images), `share_of_largest`, `enough` (bool).
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading: the attack, and what it reaches.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice.
    """
    keys = ("panel", "method", "source", "position", "value")
    columns = (*keys, "evaluations", "share_of_largest", "enough")
    curves.check(frame, columns=columns, keys=keys, where="effort_study")
    axes = {
        "x": ("evaluations", "gradient evaluations\n(mean over images)"),
        "y": ("share_of_largest", "share of what the\nlargest effort reaches"),
    }
    star = ("enough", "from here a doubling adds less than 1 %")
    return _by_method(frame, "panel", axes, star, methods=methods, labels=labels, title=title, limit=1.0)


def _by_method(
    frame: pd.DataFrame,
    panel: str,
    labelled: Mapping[str, tuple[str, str]],
    star: tuple[str, str],
    *,
    methods: Sequence[str] | None,
    labels: Mapping[str, str] | None,
    title: str | None,
    limit: float | None = None,
) -> Figure:
    """Images and their mean by method, a panel for each value of a column.

    Args:
        frame: with the column `panel`, `method`, `position`, where it has it `source`, and those named by the
            axes and the star; what is not above 0 has no place on the axis.
        labelled: `x` and `y` to column and label; `x` is logarithmic.
        star: column that says where one stands, and its label.
        limit: of the values, drawn across. Without one the axis begins at 0.
    """
    (x, x_label), (y, y_label), (where, star_label) = labelled["x"], labelled["y"], star
    names, shown = curves.order(frame[panel]) or [None], curves.order(frame["method"], methods)
    every = shown if methods is None else methods
    items = [each for each in ("source", "position") if each in frame]
    columns = min(len(names), MOST_COLUMNS)
    figure, axes = curves.panels(-(-len(names) // columns), columns, title=title, sharex=True, sharey=True)
    for place, name in zip(axes.flat, names, strict=False):
        part = frame[(frame[panel] == name) & (frame[x] > 0)]
        for method in shown:
            line, color = part[part["method"] == method], style.color(method, every)
            curves.images_and_mean(place, line, x=x, y=y, color=color, signs=MEAN, item=items)
            best = line[line[where].astype(bool)].groupby(x)[y].mean()
            for value, height in best.items():
                place.plot([value], [height], linestyle="", **CHOSEN, color=color)
        images = len(part.drop_duplicates(items))
        place.set_title("" if name is None else "\n".join(filter(None, [str(name), f"n = {images}"])))
        if not part[y].notna().any():
            curves.nothing(place)
        elif limit is not None:
            place.axhline(limit, **curves.SPIKE)
    if not (frame[x] > 0).any():
        curves.without_ticks(axes)
    else:
        curves.log_scale(axes[0, 0], "x", inches=figure.get_figwidth() / columns - 0.6)
        if limit is None and frame[y].notna().any():
            axes[0, 0].set_ylim(0.0, frame[y].max() * 1.05)
    curves.label(axes, len(names), x=x_label, y=y_label)
    keys = [curves.key(method_label(method, labels), style.color(method, every)) for method in shown]
    stars = Line2D([], [], linestyle="", **CHOSEN, color="white", label=star_label)
    return finish(figure, frame[[y]], keys, [*image_handles(), stars])

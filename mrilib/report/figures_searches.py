"""The figure of a search's argument: what an attack does on validation images, by the argument's value."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import curves, style
from mrilib.report.figures_curves import CHOSEN
from mrilib.report.figures_studies import MEAN, image_handles
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
    """What an attack reaches against an argument of its search, a panel for each source and mask, a colour a method.

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
    places, shown = curves.order(frame["place"]) or [None], curves.order(frame["method"], methods)
    every = shown if methods is None else methods
    columns = min(len(places), MOST_COLUMNS)
    figure, axes = curves.panels(-(-len(places) // columns), columns, title=title, sharex=True, sharey=True)
    for panel, place in zip(axes.flat, places, strict=False):
        part = frame[frame["place"] == place]
        for method in shown:
            line, color = part[part["method"] == method], style.color(method, every)
            curves.images_and_mean(
                panel, line, x="value", y="reached", color=color, signs=MEAN, item=["position"]
            )
            for value, best in line[line["chosen"].astype(bool)].groupby("value"):
                panel.plot([value], [best["reached"].mean()], color=color, linestyle="", **CHOSEN)
        if place is not None:
            panel.set_title(f"{place}\nn = {part['position'].nunique()}")
        if not part["reached"].notna().any():
            curves.nothing(panel)
    if frame["reached"].notna().any():
        axes[0, 0].set_ylim(0.0, frame["reached"].max() * 1.05)
        curves.log_scale(axes[0, 0], "x", inches=figure.get_figwidth() / columns - 0.6)
    else:
        curves.without_ticks(axes)
    curves.label(axes, len(places), x=PARAMETERS.get(parameter, parameter), y=reached)
    names = [curves.key(method_label(method, labels), style.color(method, every)) for method in shown]
    star = Line2D([], [], color="white", linestyle="", label="chosen", **CHOSEN)
    failed = [curves.cross_handle()] if frame["reached"].isna().any() else []
    style.legend_below(figure, names, [*image_handles(), star, *failed])
    return style.settle(figure)

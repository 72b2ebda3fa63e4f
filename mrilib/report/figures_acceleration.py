"""Figure of methods that were tuned at one acceleration, at others."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from mrilib.experiments.acceleration_shift import HOME, THERE
from mrilib.report import curves, style
from mrilib.report.figures_shift import FAMILIES
from mrilib.report.names import method_label
from mrilib.report.style import Signs

TUNED = {THERE: Signs("-", "o", True), HOME: Signs((0, (4, 2)), "s", False)}


@style.printed()
def acceleration_figure(
    frame: pd.DataFrame,
    *,
    axis: str,
    home: str,
    methods: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """A quantity against acceleration: a panel a family, a colour a method.

    Filled and solid: tuned and trained at each acceleration. Open and dashed: tuned and trained at home.

    Args:
        frame: `method`, `family`, `tuned`, `acceleration`, `mean`, `low`, `high`, `n`.
        axis: name of the quantity.
        home: what the home mask is called.
        methods: all methods of the run, so that colours are those of its other figures.
        labels: names to print for methods.
        title: heading.

    Raises:
        ValueError: if a column is missing or a point is given twice.

    Source: our choice.
    """
    keys = ("method", "tuned", "acceleration")
    columns = (*keys, "family", "mean", "low", "high", "n")
    curves.check(frame, columns=columns, keys=keys, where="acceleration_figure")
    shown = curves.order(frame["method"], methods)
    every = shown if methods is None else methods
    families = curves.order(frame["family"], FAMILIES) or ["other"]
    columns_shown = 2 if len(families) in (2, 4) else min(len(families), 3)
    figure, axes = curves.panels(
        -(-len(families) // columns_shown), columns_shown, title=title, sharex=True, sharey=True
    )
    for panel, family in zip(axes.flat, families, strict=False):
        inside = frame[frame["family"] == family]
        panel.set_title(f"{family}\n{curves.count_label(inside)}")
        for method in curves.order(inside["method"], every):
            for tuned, signs in TUNED.items():
                line = inside[(inside["method"] == method) & (inside["tuned"] == tuned)]
                if len(line):
                    color = style.color(method, every)
                    curves.curve(panel, line, x="acceleration", color=color, signs=signs)
        if inside.empty:
            curves.nothing(panel)
    curves.label(axes, len(families), x="acceleration", y=axis)
    keys_shown = [curves.key(method_label(method, labels), style.color(method, every)) for method in shown]
    signs_shown = [
        curves.sign_key("tuned and trained there", TUNED[THERE]),
        curves.sign_key(f"tuned and trained at {home}", TUNED[HOME]),
        curves.interval_handle(),
    ]
    style.legend_below(figure, keys_shown, signs_shown)
    return style.settle(figure)

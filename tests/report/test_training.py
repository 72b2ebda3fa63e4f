"""The figure of training: its curves, phases and marks, whether it can be read, and its files."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mrilib.report import style
from mrilib.report.figures_training import loss_curves

PHASES = {"tira": (50, 10), "tirafl": (30, 7), "tira-jitterless": (50, 10)}
LABELS = {"tira": "Tira (reduced)", "tirafl": "TiraFL (reduced)", "tira-jitterless": "Tira without jitter"}
TITLE = "Training on ellipse phantoms (256 × 256), 40 radial lines"


def history(methods: tuple[str, ...] = tuple(PHASES), *, floor: float = 0.02) -> pd.DataFrame:
    rows = [
        {
            "method": method,
            "epoch": float(epoch),
            "phase": int(epoch > PHASES[method][0]),
            "loss": 1000.0 * error**2,
            "validation_error": error,
            "best": epoch == sum(PHASES[method]) - 1,
        }
        for method in methods
        for epoch in range(1, sum(PHASES[method]) + 1)
        for error in [floor + 0.2 * np.exp(-epoch / 8)]
    ]
    return pd.DataFrame(rows)


def short() -> pd.DataFrame:
    """Few epochs of one network, not all of them validated, in a narrow range."""
    frame = history(("tira",), floor=1.0).query("epoch < 6").assign(phase=0, best=False)
    frame.loc[frame["epoch"] == 2.0, "validation_error"] = np.nan
    return frame


FIGURES: dict[str, Callable[[], Figure]] = {
    "loss_curves": lambda: loss_curves(history(), zero_filled=0.24, labels=LABELS, title=TITLE),
    "loss_curves of one": lambda: loss_curves(short()),
    "loss_curves, empty": lambda: loss_curves(history().iloc[:0], title=TITLE),
    "loss_curves, all failed": lambda: loss_curves(history().assign(loss=np.nan, validation_error=np.nan)),
    "loss_curves without validation": lambda: loss_curves(history().assign(validation_error=np.nan)),
}


@cache
def built(name: str) -> Figure:
    return FIGURES[name]()


def lines(figure: Figure, index: int) -> list[Line2D]:
    """The curves of a panel, without marks and without lines across it."""
    return [line for line in figure.axes[index].get_lines() if len(line.get_xdata()) > 2]


def upright(figure: Figure) -> dict[float, str]:
    found = [line for line in figure.axes[0].get_lines() if list(line.get_ydata()) == [0, 1]]
    return {float(line.get_xdata()[0]): line.get_color() for line in found}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read_in_print(name, unreadable):
    figure = built(name)
    assert unreadable(figure) == []
    assert figure.get_size_inches()[0] == style.DOUBLE


def test_equal_input_gives_equal_files(tmp_path):
    first = style.save(built("loss_curves"), tmp_path / "first")
    anew = style.save(FIGURES["loss_curves"](), tmp_path / "anew")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in anew]


def test_the_figure_says_what_it_shows(texts):
    found = texts(built("loss_curves"))
    assert {TITLE, *LABELS.values(), "next phase", "kept: the best epoch", "zero-filled A†y"} <= set(found)
    axes = {"training loss\n(mean over the epoch)", "relative error on the\nvalidation images (%)", "epoch"}
    assert axes <= set(found)
    plain = texts(built("loss_curves of one"))
    assert not {"next phase", "kept: the best epoch", "zero-filled A†y"} & set(plain)
    assert "tira" in plain


def test_a_method_has_its_color_and_errors_are_in_per_cent():
    figure = built("loss_curves")
    for index, factor in ((0, None), (1, 100.0)):
        drawn = {line.get_color(): line for line in lines(figure, index)}
        assert list(drawn) == [style.color(method, list(PHASES)) for method in PHASES]
        if factor:
            expected = factor * history(("tirafl",))["validation_error"]
            assert drawn[style.METHOD_COLORS["tirafl"]].get_ydata() == pytest.approx(expected.to_numpy())
    part = loss_curves(history(("tira-jitterless",)), methods=["a network", *PHASES])
    assert lines(part, 0)[0].get_color() == style.SPARE_COLORS[1]


def test_phases_end_at_upright_lines():
    assert upright(built("loss_curves")) == {30.5: style.METHOD_COLORS["tirafl"], 50.5: style.REFERENCE}
    assert upright(built("loss_curves of one")) == {}


def test_the_epoch_that_is_kept_has_a_star():
    for axes in built("loss_curves").axes:
        stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
        assert [line.get_xdata().tolist() for line in stars] == [[59.0], [36.0], [59.0]]


def test_an_epoch_without_validation_is_left_out():
    (curve,) = lines(built("loss_curves of one"), 1)
    assert curve.get_xdata().tolist() == [1.0, 3.0, 4.0, 5.0]
    assert curve.get_marker() == "."


def test_wide_ranges_are_logarithmic():
    assert [axes.get_yscale() for axes in built("loss_curves").axes] == ["log", "log"]
    assert [axes.get_yscale() for axes in built("loss_curves of one").axes] == ["linear", "linear"]
    dropped = loss_curves(history().assign(loss=lambda frame: frame["loss"].where(frame["epoch"] > 1, 0.0)))
    assert dropped.axes[0].get_yscale() == "linear"


def test_zero_filling_is_a_line_across():
    axes = built("loss_curves").axes[1]
    (across,) = [line for line in axes.get_lines() if list(line.get_xdata()) == [0, 1]]
    assert across.get_ydata()[0] == pytest.approx(24.0)


def test_a_figure_without_values_says_so(texts):
    assert len(texts(built("loss_curves, empty"))["no data"]) == 2
    assert len(texts(built("loss_curves, all failed"))["no data"]) == 2
    assert len(texts(built("loss_curves without validation"))["no data"]) == 1


def test_wrong_frames_are_refused():
    frame = history()
    with pytest.raises(ValueError, match="loss_curves: expected one row for each of"):
        loss_curves(pd.concat([frame, frame.iloc[:1]]))
    for column in frame.columns:
        with pytest.raises(ValueError, match=f"loss_curves: expected columns .*'{column}'"):
            loss_curves(frame.drop(columns=column))


def test_losses_of_methods_are_compared_with_their_own_zero_filling(texts):
    frame = history().assign(validation_error=lambda all: all["validation_error"])
    methods = list(PHASES)[:2]
    reference = dict(zip(methods, (0.3, 0.5), strict=True))
    figure = loss_curves(frame, zero_filled=reference, relative=False)
    across = {
        line.get_color(): line.get_ydata()[0] for line in figure.axes[1].lines if len(line.get_xdata()) == 2
    }
    for method, value in reference.items():
        assert across[style.color(method, list(PHASES))] == value
    assert "loss on the\nvalidation images" in texts(figure)
    best = frame[frame["best"].eq(True)]["validation_error"].tolist()
    stars = [line for line in figure.axes[1].lines if line.get_marker() == "*"]
    assert sorted(float(line.get_ydata()[0]) for line in stars) == pytest.approx(sorted(best))

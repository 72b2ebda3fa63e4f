"""Figures of transferred perturbations: what they show, whether they can be read, and their files."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from mrilib.metrics.quantities import ARTIFACTS, QUANTITIES
from mrilib.report import figures_transfer, heat_maps, style

METHODS = ("tv", "tira", "tirafl", "tira-jitterless")
MANY = (*METHODS, "unet", "itnet", "l1-wavelet", "l1-dct", "zero-filled")
LABELS = {
    "tv": "TV",
    "tira": "Tira (reduced)",
    "tirafl": "TiraFL (reduced)",
    "tira-jitterless": "Tira without jitter (reduced)",
}
TITLE = "ellipse phantoms (64 × 64), 40 radial lines, localized attack (one pixel)"


def means(
    levels: tuple[float, ...] = (1.0, 4.0, 8.0),
    *,
    methods: tuple[str, ...] = METHODS,
    made: tuple[str, ...] | None = None,
    scale: float = 1.0,
    power: float = 0.0,
) -> pd.DataFrame:
    """Means of which no two are equal, the largest on the diagonal."""
    rows = []
    for level in levels:
        for first in made or methods:
            for second in methods:
                mean = scale * (6.0 if first == second else 1.2) * level**power + 0.0123 * scale * len(rows)
                rows.append({"made_for": first, "reconstructed_by": second, "level": level, "mean": mean})
    return pd.DataFrame(rows).assign(low=lambda all: 0.9 * all["mean"], high=lambda all: all["mean"], n=50)


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """One cell failed, and one was not computed."""
    frame.loc[5, ["mean", "low", "high"]] = np.nan
    frame.loc[3, "n"] = 48
    return frame.drop(index=20)


def matrix(frame: pd.DataFrame, quantity: str = "amplification", **named: object) -> Figure:
    return figures_transfer.transfer_matrix(frame, quantity=quantity, labels=LABELS, **named)


def row(
    made_for: str,
    receivers: tuple[str, ...] = METHODS,
    *,
    location: tuple[int, int] | None = (40, 24),
    shape: tuple[int, int] = (64, 64),
) -> figures_transfer.TransferRow:
    image = np.zeros(shape, dtype=complex)
    image[8:56, 16:48] = 0.5
    artifact = np.zeros(shape)
    artifact[39:42, 23:26] = 1.0
    return {
        "made_for": made_for,
        "level": 4.0,
        "location": location,
        "perturbed": image + 0.2 * artifact,
        "received": [
            {
                "method": method,
                "reconstruction": image + (1.5 if method == made_for else 0.3) * artifact,
                "alpha": 7.644 if method == made_for else 1.3,
                "severity": np.float32(1.5) if method == made_for else 0.3,
            }
            for method in receivers
        ],
    }


def panel(count: int = 3, receivers: tuple[str, ...] = METHODS, **named: object) -> Figure:
    rows = [row(method, receivers, **named) for method in METHODS[::-1][:count]]
    return figures_transfer.transfer_panel(rows, labels=LABELS, title=TITLE)


FIGURES: dict[str, Callable[[], Figure]] = {
    "transfer_matrix": lambda: matrix(means(), title=TITLE),
    "transfer_matrix of six with gaps": lambda: matrix(
        with_gaps(means((0.5, 1.0, 2.0, 4.0, 8.0, 10.0), scale=0.1, power=1.0)), "severity", title=TITLE
    ),
    "transfer_matrix with doubts": lambda: matrix(
        means((1.0, 4.0), methods=METHODS[:2]).assign(doubtful=[0, 2, 0, 0, 0, 0, 0, 0]), title=TITLE
    ),
    "transfer_matrix of one": lambda: matrix(means((4.0,), scale=5.0), "relative_error", title=TITLE),
    "transfer_matrix of moduli": lambda: matrix(
        means((0.5, 1.0, 2.0, 4.0), methods=METHODS[:2]), "amplification_of_moduli", title=TITLE
    ),
    "transfer_matrix of one perturbation": lambda: matrix(
        means((4.0,), made=("tira-jitterless",)), "severity_of_moduli"
    ),
    "transfer_matrix of one cell": lambda: matrix(means((4.0,), methods=("tv",)), title=TITLE),
    "transfer_matrix of many": lambda: matrix(means((1.0, 4.0, 8.0, 10.0), methods=MANY), title=TITLE),
    "transfer_matrix, empty": lambda: matrix(means().iloc[:0], title=TITLE),
    "transfer_matrix, all failed": lambda: matrix(means().assign(mean=np.nan), title=TITLE),
    "transfer_panel": panel,
    "transfer_panel of one": lambda: panel(1, ("tv",)),
    "transfer_panel of two": lambda: panel(2, METHODS[:2]),
    "transfer_panel of tall images": lambda: panel(shape=(128, 64)),
    "transfer_panel of global attacks": lambda: panel(2, location=(-1, -1)),
}


@cache
def built(name: str) -> Figure:
    return FIGURES[name]()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read_in_print(name, unreadable):
    figure = built(name)
    if name != "transfer_matrix, empty":
        assert unreadable(figure) == []
    width, height = figure.get_size_inches()
    assert width <= style.DOUBLE + 1e-9
    assert height <= 9.5
    cells = {id(text) for axes in figure.axes if axes.images for text in axes.texts}
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if id(text) not in cells}
    assert sizes == {style.FONT}


@pytest.mark.parametrize("name", ["transfer_matrix", "transfer_panel of two"])
def test_equal_input_gives_equal_files(name, tmp_path):
    first = style.save(built(name), tmp_path / "first")
    anew = style.save(FIGURES[name](), tmp_path / "anew")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in anew]


def test_a_matrix_says_what_it_shows(texts):
    found = texts(built("transfer_matrix"))
    assert {TITLE, style.AMPLIFICATION, "perturbation\nmade for", "reconstructed by"} <= set(found)
    assert {"‖e‖₂/‖Ax‖₂ = 4 %\nn = 50", "Tira (reduced)", "Tira without jitter\n(reduced)"} <= set(found)
    assert {"6.00", "1.21", "1.22"} <= set(found)
    assert not any("n/a" in text for text in found)


@pytest.mark.parametrize("quantity", [*ARTIFACTS, "relative_error", "mine"])
def test_the_colors_name_their_quantity(quantity, texts):
    found = texts(matrix(means((4.0,), methods=METHODS[:2]), quantity))
    assert (QUANTITIES[quantity].axis if quantity in QUANTITIES else quantity) in found


def test_own_perturbations_are_framed_in_the_order_of_the_run():
    figure = matrix(means((4.0,), made=("tira", "tv", "itnet")), methods=["itnet", "tv", "tira"])
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    # columns tv, tira, tirafl, tira-jitterless
    assert [tuple(frame.get_center().round().tolist()) for frame in frames] == [(0, 1), (1, 2)]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["itnet", "TV", "Tira (reduced)"]


def test_what_failed_or_was_not_computed_is_grey_and_never_zero(texts):
    figure = built("transfer_matrix of six with gaps")
    found = texts(figure)
    assert len(found["n/a"]) == 2
    assert "‖e‖₂/‖Ax‖₂ = 0.5 %\nn = 48 to 50" in found
    assert any("n/a: failed, or not computed." in text.replace("\n", " ") for text in found)
    first = figure.axes[0].images[0]
    assert first.get_array().mask.sum() == 1
    assert to_hex(first.cmap.get_bad()).upper() == style.MISSING
    nothing = texts(built("transfer_matrix, all failed"))
    assert len(nothing["n/a"]) == 48
    assert style.AMPLIFICATION not in nothing
    assert "no data" in texts(built("transfer_matrix, empty"))


def test_a_mean_of_artifacts_that_may_be_rounding_is_marked_and_explained(texts):
    figure = built("transfer_matrix with doubts")
    found = texts(figure)
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in cells if "‡" in text] == ["1.21‡"]
    told = next(text for text in found if "Framed" in text).replace("\n", " ")
    assert "‡: of some images the largest pixel of the artifact is less than ten times" in told
    assert not any("‡" in text for text in texts(built("transfer_matrix")))
    # What is missing is no number to doubt.
    missing = matrix(means((4.0,)).assign(mean=np.nan, doubtful=1))
    assert not any("‡" in text for text in texts(missing))


def test_panels_share_their_colors():
    figure = built("transfer_matrix")
    scales = {id(axes.images[0].norm) for axes in figure.axes[:3]}
    assert len(scales) == 1
    assert not isinstance(figure.axes[0].images[0].norm, LogNorm)
    wide = built("transfer_matrix of six with gaps").axes[0].images[0].norm
    assert isinstance(wide, LogNorm)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        ((1.0, 19.0), False),
        ((1.0, 21.0), True),
        ((0.0, 21.0), False),
        ((2.0, 2.0), False),
        ((np.nan,), False),
    ],
)
def test_wide_ranges_are_logarithmic(values, logarithmic):
    assert isinstance(heat_maps.wide_scale(np.array(values)), LogNorm) is logarithmic


def test_numbers_are_dark_on_light_and_light_on_dark():
    figure = built("transfer_matrix")
    colors = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert (colors["6.00"], colors["1.21"]) == ("black", "white")


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2.00"), (0.0970, "0.0970"), (9.996, "10.0"), (134.4, "134"), (1344, "1340"), (0.0, "0.00")],
)
def test_cells_have_three_digits(value, text):
    assert style.number(value, zeros=True) == text


def test_wrong_frames_are_refused():
    frame = means()
    with pytest.raises(ValueError, match="transfer_matrix: expected one row for each of"):
        matrix(pd.concat([frame, frame.iloc[:1]]))
    for column in frame.columns:
        with pytest.raises(ValueError, match=f"transfer_matrix: expected columns .*'{column}'"):
            matrix(frame.drop(columns=column))


def test_a_panel_says_what_it_shows(texts):
    found = texts(built("transfer_panel"))
    assert {TITLE, "made for\nTira without jitter\n(reduced)", "close-up at\nrow 40,\ncolumn 24"} <= set(
        found
    )
    assert len(found["perturbed image\nx + A†e, ‖e‖₂ =\n4 % of ‖Ax‖₂"]) == 3
    assert len(found["TV\nα = 1.3\nseverity 0.3"]) == 3
    assert len(found["Tira (reduced)\nα = 7.64\nseverity 1.5"]) == 1
    assert "modulus of a pixel\n(image maximum = 1)" in found


def test_a_panel_shows_each_image_with_its_close_up():
    axes = built("transfer_panel of two").axes
    assert [np.shape(panel.images[0].get_array()) for panel in axes[:6]] == [(64, 64)] * 3 + [(48, 48)] * 3
    # made for the network without jitter, which is not among the receivers
    assert [panel.images[0].get_array().max() for panel in axes[3:6]] == pytest.approx([0.7, 0.8, 0.8])
    assert len(built("transfer_panel of global attacks").axes) == 2 * 5 + 1


def test_an_image_that_is_not_there_is_missing(texts):
    rows = [row("tv"), row("tira", METHODS[:3])]
    rows[0]["received"][2] |= {"reconstruction": None, "alpha": np.nan, "severity": np.nan}
    figure = figures_transfer.transfer_panel(rows, labels=LABELS)
    found = texts(figure)
    assert len(found["missing"]) == 2
    assert "TiraFL (reduced)\nα = n/a\nseverity n/a" in found
    # the second row has one receiver less: an image and its close-up
    assert sum(not panel.axison for panel in figure.axes) == 2
    for each in rows:
        each["perturbed"] = None
        each["received"] = [received | {"reconstruction": None} for received in each["received"]]
    assert len(texts(figures_transfer.transfer_panel(rows))["missing"]) == 2 * 9


@pytest.mark.parametrize(
    "rows", [[], [row("tv")] * 4, [row("tv", ())], [row("tv"), row("tv", (*METHODS, "unet"))]]
)
def test_wrong_numbers_of_images_are_refused(rows):
    with pytest.raises(ValueError, match="transfer_panel: expected 1 to 3 perturbations, each with 1 to 4"):
        figures_transfer.transfer_panel(rows)

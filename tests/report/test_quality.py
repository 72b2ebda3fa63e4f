"""Table and figures of reconstructions of clean data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mrilib.experiments.quality import quality_records
from mrilib.metrics.quantities import QUALITY
from mrilib.report import sheets, style
from mrilib.report.figures_quality import quality_figure
from mrilib.report.figures_reconstructions import reconstruction_panel, score_text
from mrilib.report.tables import render
from mrilib.report.tables_quality import NOTE, quality_table
from tests.experiments.frames import clean, run_of

METHODS = ["zero-filled", "tv", "l1-wavelet", "unet", "varnet", "convdecoder", "mine"]


def scores(sources=("knee", "brain"), masks=("random-4",), failing=("convdecoder",)):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        clean(
            0.1,
            source=source,
            mask=mask,
            domain="",
            method=method,
            volume=f"v{volume}",
            position=position,
            patient=f"p{volume}",
            failed="no convergence" if method in failing and source == "brain" else "",
            ssim=0.7 + 0.03 * place + 0.01 * rng.standard_normal(),
            psnr=30.0 + place,
            nmse=0.01 / (1 + place),
            seconds=3.21 * (1 + place),
        )
        for source in sources
        for mask in masks
        for place, method in enumerate(METHODS)
        for volume in range(3)
        for position in range(4)
    )


def table_records(frame, quantities=("ssim", "psnr", "nmse", "seconds"), **options):
    order = {"methods": dict.fromkeys(METHODS), "masks": {"random-4": {}}, "sources": ["knee", "brain"]}
    run = run_of(frame, **order)
    return [record for quantity in quantities for record in quality_records(run, quantity, **options)]


def test_the_table_has_a_row_a_method_and_a_column_a_quantity():
    found = table_records(scores())
    table = quality_table(found, labels={"mine": "My method"}, simulated={"brain": True, "knee": False})
    columns = ["images", "mask", "method", "SSIM", "PSNR (dB)", "NMSE", "s a reconstruction (median)", "n"]
    assert table.wide.columns.tolist() == columns
    assert table.wide["images"].tolist() == ["knee"] * 7 + ["brain (simulated)"] * 7
    assert table.wide["method"].tolist()[:2] == ["zero-filled", "tv"]
    assert table.wide["method"].iloc[6] == "My method"
    first = table.wide.iloc[0]
    mean = found[0]
    assert first["SSIM"] == f"{mean.value:.3f} ± {mean.sd:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
    assert first["PSNR (dB)"] == "30.00 ± 0.00"
    assert first["NMSE"].startswith("0.0100 ± 0.0000")
    assert (first["s a reconstruction (median)"], first["n"]) == ("3.21", "12")
    failed = table.wide.iloc[12]
    assert failed.tolist()[3:] == ["— (12 missing)"] * 4 + ["0"]
    assert len(table.long) == len(found)
    rendered = render(table)
    assert NOTE in rendered["md"]
    assert rendered["tex"].isascii()


def test_the_table_has_only_what_was_measured():
    found = table_records(scores(), ("psnr",))
    table = quality_table([*found, *table_records(scores(sources=("knee",)), ("ssim",))], labels={}, note="")
    assert table.wide.columns.tolist() == ["images", "mask", "method", "SSIM", "PSNR (dB)", "n"]
    assert table.wide["SSIM"].tolist()[7:] == ["—"] * 7


def test_the_papers_value_has_its_column():
    frame = scores(sources=("knee",))
    papers = {("knee", "random-4", "tv"): (0.8, 0.02)}
    found = table_records(frame, ["ssim"], papers=papers)
    column = quality_table(found, labels={}).wide["paper’s SSIM"].tolist()
    assert column == ["—", "0.800 ± 0.020", *["—"] * 5]


def test_records_that_do_not_make_a_table_are_refused():
    found = table_records(scores())
    with pytest.raises(ValueError, match=r"quality_table: expected a quantity of .*, got 'severity'"):
        quality_table([replace(found[0], quantity="severity")], labels={})
    with pytest.raises(ValueError, match="quality_table: expected one record a cell"):
        quality_table([*found, found[0]], labels={})


def test_without_records_there_is_a_table_without_rows():
    assert "images" in render(quality_table([], labels={}))["md"]


def test_the_table_says_where_and_at_which_level_methods_were_tuned():
    frame = pd.concat(
        [
            scores(sources=("knee",)),
            scores(sources=("knee",)).assign(domain="brain@random-4", tuned="0.01", level=0.01),
        ]
    )
    found = table_records(frame, ["ssim"])
    labels = {"mask_labels": {"random-4": "random 4×"}, "domain_labels": {"brain@random-4": "the brain"}}
    wide = quality_table(found, labels={}, **labels).wide
    assert wide["tuned on"].tolist() == ["—"] * 7 + ["the brain"] * 7
    assert wide["tuned at"].tolist() == ["—"] * 7 + ["1 %"] * 7
    assert set(wide["mask"]) == {"random 4×"}
    assert "tuned at: " in quality_table(found, labels={}).note


def stored(height=64, width=56):
    """An image as fastMRI stores it, upside down, brightest at the right of the last rows."""
    image = np.full((height, width), 0.4)
    image[height - 20 : height - 10, width - 16 : width - 8] = 2.0
    return image


def panel(count=2, *, missing=(), **changes):
    image = stored()
    names = [f"method {index}" for index in range(count)]
    padded = {
        name: None if index in missing else np.pad((1 + 0.02 * index) * image + 0.1j * image, 3)
        for index, name in enumerate(names)
    }
    arguments = {
        "scores": {
            name: "did not converge" if index in missing else score_text(0.9123, 34.12)
            for index, name in enumerate(names)
        },
        "close_up": (45, 43),
        "error_scale": 5.0,
        "title": "Knee, 4-fold random mask, volume 1, slice 17",
    } | changes
    return reconstruction_panel(image, padded, **arguments)


def grid(figure, columns, rows=3):
    """Panels of images, without the colour bars, which stand at the end."""
    return np.array(figure.axes[: rows * columns], dtype=object).reshape(-1, columns)


def pixels(axes):
    (image,) = axes.get_images()
    return np.asarray(image.get_array())


def test_images_errors_and_close_ups_are_on_the_scale_of_the_reference():
    axes = grid(panel(), 3)
    truth = stored()[::-1] / 2.0
    np.testing.assert_allclose(pixels(axes[0, 0]), truth)
    moduli = np.abs(1.02 + 0.1j) * truth
    np.testing.assert_allclose(pixels(axes[0, 2]), moduli)
    np.testing.assert_allclose(pixels(axes[1, 2]), 5.0 * np.abs(moduli - truth))
    assert axes[1, 2].images[0].get_clim() == (0.0, 1.0)
    assert len({axes[0, column].images[0].get_clim() for column in range(3)}) == 1
    assert not axes[1, 0].images
    assert [axes[row, 0].get_ylabel() for row in range(3)] == ["image", "|error| × 5", "close-up"]


@pytest.mark.parametrize("upright", [True, False])
def test_the_box_is_around_the_close_up(upright):
    axes = grid(panel(upright=upright), 3)
    (frame,) = axes[0, 0].patches
    left, top = (round(value + 0.5) for value in frame.get_xy())
    part = pixels(axes[0, 0])[top : top + sheets.CLOSE_UP, left : left + sheets.CLOSE_UP]
    np.testing.assert_array_equal(pixels(axes[2, 0]), part)
    rows, columns = sheets.window((64, 56), (45, 43))
    expected = stored()[rows, columns] / 2.0
    np.testing.assert_allclose(part, expected[::-1] if upright else expected)
    assert all(not axes[0, column].patches for column in (1, 2))


def test_more_than_six_methods_take_a_second_block():
    figure = panel(8, missing=(6,))
    axes = grid(figure, 5, 6)
    assert len(axes) == 6
    for row in (0, 3):
        assert axes[row, 0].get_title() == "reference"
        np.testing.assert_allclose(pixels(axes[row, 0]), stored()[::-1] / 2.0)
    titles = [axes[row, column].get_title().split("\n")[0] for row in (0, 3) for column in range(1, 5)]
    assert titles == [f"method {index}" for index in range(8)]
    assert axes[3, 3].get_title() == "method 6\ndid not converge"
    for row in (3, 4, 5):
        assert [text.get_text() for text in axes[row, 3].texts] == ["missing"]
    assert axes[0, 1].get_title() == "method 0\nSSIM 0.912\n34.1 dB"
    assert [axes[row, 4].get_visible() for row in (0, 3)] == [True, True]
    assert [each.get_visible() for each in grid(panel(7), 5, 6)[3]] == [True] * 4 + [False]


def test_a_figure_without_any_reconstruction_and_without_close_up():
    figure = panel(1, missing=(0,), close_up=None)
    assert len(figure.axes) == 2 * 2 + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "expected at least one reconstruction, got none"),
        ({"error_scale": 0.0}, r"expected a positive error_scale, got 0\.0"),
    ],
)
def test_panels_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"reconstruction_panel: {message}"):
        panel(**changes)


def test_a_reference_of_zeros_is_refused():
    with pytest.raises(ValueError, match="expected a finite reference that is not zero"):
        reconstruction_panel(
            np.zeros((9, 9)), {"a": np.ones((9, 9))}, scores={}, close_up=None, error_scale=1.0, title=None
        )


def test_the_strips_show_every_slice_and_the_mean():
    frame = scores()
    names = {"labels": {"mine": "My method"}, "mask_labels": {"random-4": "random 4×"}}
    figure = quality_figure(frame, methods=METHODS, simulated={"brain": True}, **names)
    knee, brain = figure.axes[:2]
    assert knee.get_title() == "knee, random 4×\n12 images, 3 patients"
    assert brain.get_title() == "brain (simulated), random 4×\n12 images, 3 patients"
    assert [label.get_text() for label in knee.get_yticklabels()][-1] == "My method"
    tv = frame[(frame["source"] == "knee") & (frame["method"] == "tv")]["ssim"]
    dots, diamond = knee.lines[2:4]
    np.testing.assert_array_equal(np.sort(tv), dots.get_xdata())
    assert dots.get_color() == style.METHOD_COLORS["tv"]
    assert np.abs(dots.get_ydata() - 1).max() < 0.5
    assert diamond.get_xdata()[0] == pytest.approx(tv.mean())
    assert len(knee.lines) == 14
    assert len(brain.lines) == 12
    assert [text.get_text() for text in brain.texts] == ["all missing"]


FIGURES = {
    "one method": lambda: panel(1, error_scale=12.5),
    "five methods": lambda: panel(5),
    "six methods, long names": lambda: reconstruction_panel(
        stored(),
        {f"calibrationless method {index}": stored() for index in range(6)},
        scores={f"calibrationless method {index}": score_text(0.9, 120.0) for index in range(6)},
        close_up=None,
        error_scale=5.0,
        title=None,
    ),
    "fourteen methods": lambda: panel(14, missing=(3, 13)),
    "strips": lambda: quality_figure(scores(), methods=METHODS, title="Quality"),
    "strips of one panel": lambda: quality_figure(scores(sources=("knee",)), quantity="psnr"),
    "strips of six panels": lambda: quality_figure(
        scores(sources=("a", "brain", "a long name of a source"), masks=("random-4", "equispaced-8")),
        quantity="nmse",
    ),
    "seconds": lambda: quality_figure(scores(), quantity="seconds"),
    "strips with much missing": lambda: quality_figure(scores(failing=METHODS[2:])),
    "nothing": lambda: quality_figure(scores().iloc[:0]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read_in_print(name, unreadable):
    figure = FIGURES[name]()
    assert unreadable(figure) == []
    assert figure.get_figwidth() <= style.DOUBLE + 1e-9
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()}
    assert sizes == {style.FONT}


def test_files_are_the_same_at_every_run(tmp_path):
    first, second = (
        [path.read_bytes() for path in style.save(panel(), tmp_path / name)] for name in ("a", "b")
    )
    assert first == second
    assert b"CreationDate" not in first[0]


def test_a_quantity_without_a_figure_is_refused():
    with pytest.raises(ValueError, match=r"quality_figure: expected one of .*, got 'sim'"):
        quality_figure(scores(), quantity="sim")
    assert set(QUALITY) >= {"ssim", "psnr", "nmse", "seconds"}


def test_images_that_are_their_own_patients_are_counted_once():
    frame = scores(sources=("phantoms",)).assign(volume="", patient=lambda all: all["position"].astype(str))
    frame = frame.drop_duplicates(["method", "position"])
    shifted = frame.assign(domain="brain@random-4")
    figure = quality_figure(pd.concat([frame, shifted]), domain_labels={"brain@random-4": "the brain"})
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        "phantoms, random-4\n4 images",
        "phantoms, random-4, tuned on the brain\n4 images",
    ]

import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import rejected, to_frame
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.volumes.inspection import inspect_volume
from mrilib.data.volumes.simulated import simulate_volume
from mrilib.report import figures_volumes, style
from workflow_scripts.stages import draw_volumes


@pytest.fixture
def stored():
    """An image as fastMRI stores it, upside down: seen upright, a bright box is at the top left."""
    image = np.full((40, 32), 0.2, np.float32)
    image[30:36, 3:11] = 1.0
    return image


def shown(panel):
    (image,) = panel.get_images()
    return np.asarray(image.get_array())


def test_thumbnails_are_upright_and_bare(stored):
    figure = figures_volumes.thumbnails([stored] * 5, [f"volume-{n}" for n in range(5)], title="volumes")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 5
    for panel in panels:
        np.testing.assert_array_equal(shown(panel), stored[::-1])
        assert len(panel.get_xticks()) == len(panel.get_yticks()) == 0
    assert [panel.get_title() for panel in panels] == [f"volume-{n}" for n in range(5)]


def test_a_box_covers_what_was_annotated(stored):
    boxes = pd.DataFrame({"row": [30], "column": [3], "height": [6], "width": [8], "label": ["Cyst"]})
    figure = figures_volumes.annotated([stored], [boxes], ["volume, slice 0"], title="boxes")
    panel = figure.axes[0]
    (frame,) = panel.patches
    left, top = frame.get_xy()
    rows = slice(round(top + 0.5), round(top + 0.5 + frame.get_height()))
    columns = slice(round(left + 0.5), round(left + 0.5 + frame.get_width()))
    bright = np.zeros((40, 32), bool)
    bright[rows, columns] = True
    np.testing.assert_array_equal(bright, shown(panel) == 1.0)
    assert panel.get_title() == "volume, slice 0\nCyst"


def test_long_names_keep_their_ends(stored):
    name = "0123456789abcdef" * 6
    figure = figures_volumes.thumbnails([stored] * 8, [name] * 8, title="volumes")
    title = figure.axes[0].get_title()
    assert "…" in title
    assert name.startswith(title.split("…")[0])
    assert name.endswith(title.split("…")[1])


def test_nothing_to_show():
    figure = figures_volumes.thumbnails([], [], title="0 volumes, 2 rejected")
    assert [text.get_text() for text in figure.axes[0].texts] == ["missing"]
    with pytest.raises(ValueError, match="expected at least one image, got none"):
        figures_volumes.annotated([], [], [], title="none")


NAMES = ("file_brain_AXT2_200_2000019", "b7d435a1-2421-48d2-946c-d1b3372f7c60", "x" * 90, "short")
REASONS = (
    "reconstruction_rss: expected float32 (slice, y, x), got float64 of shape (16, 320, 320); copy it again",
    "kspace: expected sampled columns, got "
    + ", ".join(map(str, range(3, 300, 3)))
    + " that are zero; find others",
    "HDF5: $file signature$ not found",
    "/a/path/without/a/blank" * 9,
)


def out(count):
    return [(NAMES[number % 4], f"{number}: {REASONS[number % 4]}") for number in range(count)]


def page(stored, images, count):
    names = [f"{NAMES[number % 4]} {number}" for number in range(images)]
    return figures_volumes.thumbnails([stored[:32]] * images, names, title="a dataset", rejected=out(count))


def reasons(figure):
    """Name and reason of every panel that has them."""
    return [
        tuple(text.get_text().replace("\n", " ") for text in axes.texts)
        for axes in figure.axes
        if len(axes.texts) == 2
    ]


@pytest.mark.parametrize(("images", "count"), [(1, 1), (1, 4), (8, 3), (8, 12), (40, 30), (0, 1), (0, 20)])
def test_rejected_volumes_are_shown_with_their_reasons(stored, unreadable, texts, images, count):
    figure = page(stored, images, count)
    assert unreadable(figure) == []
    width, height = figure.get_size_inches()
    assert width <= style.DOUBLE + 1e-9
    assert height <= 9.5
    found = reasons(figure)
    assert len(found) == min(count, 12)
    for (name, reason), (volume, why) in zip(found, out(count), strict=False):
        assert name.replace(" ", "").rstrip("…") == volume[: len(name.replace(" ", "").rstrip("…"))]
        short = reason.replace(" ", "").rstrip("…")
        assert why.replace(" ", "").startswith(short)
        assert len(reason.split("…")[0]) > 25
    more = [text.get_text() for text in figure.texts if "more" in text.get_text()]
    assert more == ([f"and {count - 12} more, see the catalogue"] if count > 12 else [])
    # every text lies inside its frame, and images keep their size
    drawn = texts(figure)
    for axes in figure.axes:
        frame = axes.get_position(original=True)
        left, right, low, high = (
            72 * part * side
            for part, side in zip(
                (frame.x0, frame.x1, frame.y0, frame.y1), (width, width, height, height), strict=True
            )
        )
        for text in axes.texts:
            assert any(
                left <= box[0] and box[2] <= right and low <= box[1] and box[3] <= high
                for box in drawn[text.get_text()]
            ), text.get_text()
        if axes.get_images():
            assert axes.get_position().width * width == pytest.approx(frame.width * width)


def test_images_are_as_large_with_rejected_volumes_as_without(stored):
    sides = {
        figure.axes[0].get_position().width * figure.get_figwidth()
        for figure in (page(stored, 8, 0), page(stored, 8, 5))
    }
    assert max(sides) == pytest.approx(min(sides))


def test_names_and_reasons_that_fit_are_whole(stored):
    figure = figures_volumes.thumbnails(
        [stored], ["file1 0"], title="volumes", rejected=[("file2", "without a target; it is needed")]
    )
    assert reasons(figure) == [("file2", "without a target; it is needed")]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """`drawn(entries)`: what the stage shows of a catalogue; the page is written."""
    found = {}
    make = figures_volumes.thumbnails

    def recorded(images, names, **options):
        found.update(images=images, names=names, **options)
        return make(images, names, **options)

    monkeypatch.setattr(figures_volumes, "thumbnails", recorded)

    def run(entries):
        to_frame(entries).to_csv(tmp_path / "catalogue.csv", index=False)
        draw_volumes.main(
            {"catalogue": tmp_path / "catalogue.csv"}, {"pdf": tmp_path / "page.pdf"}, {"dataset": "brains"}
        )
        assert (tmp_path / "page.pdf").stat().st_size > 0
        assert (tmp_path / "page.png").stat().st_size > 0
        return found

    return run


def test_the_page_of_a_dataset_says_why_volumes_are_rejected(drawn, tmp_path):
    path = tmp_path / "good.h5"
    images = list(ellipse_phantoms(2, size=64, seed=1).numpy().clip(0))
    simulate_volume(images, path, coils=4, rows=64, columns=64, noise=0.01, seed=1)
    good = inspect_volume(path, dataset="brains", anatomy="brain")
    bad = rejected("brains", "0012", "brain", "no k-space") + rejected(
        "brains", "b", "brain", "damaged, lost"
    )
    found = drawn([bad[0], *good, bad[1]])
    assert found["names"] == ["good 0", "good 1"]
    assert found["rejected"] == [("0012", "no k-space"), ("b", "damaged, lost")]
    assert found["title"] == "brains, simulated: 1 volume, 2 rejected"


def test_the_page_of_a_dataset_of_which_nothing_can_be_used(drawn):
    found = drawn([each for name in "abc" for each in rejected("brains", name, "brain", f"why {name}")])
    assert found["images"] == []
    assert found["rejected"] == [("a", "why a"), ("b", "why b"), ("c", "why c")]
    assert found["title"] == "brains: 0 volumes, 3 rejected"

import numpy as np
import pandas as pd
import pytest

from mrilib.report import figures_volumes


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

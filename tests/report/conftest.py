"""What a figure says, and whether it can be read."""

from collections.abc import Callable

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

Boxes = dict[str, list[tuple[float, ...]]]


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Figure], Boxes]:
    """Boxes, in points from the lower left corner, of all text that is drawn."""
    draw = Text.draw

    def found(figure: Figure) -> Boxes:
        boxes: Boxes = {}

        def recorded(self: Text, renderer: object, *arguments: object, **named: object) -> None:
            draw(self, renderer, *arguments, **named)
            if self.get_visible() and self.get_text().strip():
                box = self.get_window_extent(renderer)
                place = tuple(value / figure.dpi * 72 for value in (box.x0, box.y0, box.x1, box.y1))
                boxes.setdefault(self.get_text(), []).append(place)

        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", recorded)
            FigureCanvasAgg(figure).draw()
        return boxes

    return found


@pytest.fixture
def unreadable(texts: Callable[[Figure], Boxes]) -> Callable[[Figure], list[tuple[str, ...]]]:
    """Text that the edge cuts off, and pairs of text that cover each other."""

    def faults(figure: Figure) -> list[tuple[str, ...]]:
        width, height = figure.get_size_inches() * 72
        found = [(text, box) for text, boxes in texts(figure).items() for box in boxes]
        assert len(found) >= 3
        outside = [
            (text,) for text, box in found if min(box) < -0.5 or box[2] > width + 0.5 or box[3] > height + 0.5
        ]
        return outside + [
            (first, second)
            for index, (first, a) in enumerate(found)
            for second, b in found[:index]
            # the boxes hold the space for descenders: half a point of them may meet
            if min(a[2], b[2]) - max(a[0], b[0]) > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5
        ]

    return faults

"""A user's package: searches that stop at their second level, the first time that they come to it."""

import time
from pathlib import Path

from mrilib.attacks.searches.gradient import GradientAscent


class Waiting(GradientAscent):
    """Waits for what a test does to it.

    Args:
        notes: folder for what it saw: `first`, the radius of its first level, and `reached`, which is there
            once it came to another. From then on it goes through.
    """

    def __init__(self, *, notes):
        super().__init__(rounds=[[1, 1]])
        self._notes = Path(notes)

    def begin(self, task):
        self._notes.mkdir(exist_ok=True)
        first, reached = self._notes / "first", self._notes / "reached"
        if not first.exists():
            first.write_text(f"{task.radius}")
        elif first.read_text() != f"{task.radius}" and not reached.exists():
            reached.touch()
            self.fault()
        super().begin(task)

    def fault(self):
        time.sleep(300)
        raise TimeoutError("nothing came")


class Hungry(Waiting):
    """Takes 2 GB, and waits."""

    def fault(self):
        self._taken = b"\x01" * 2_000_000_000
        super().fault()

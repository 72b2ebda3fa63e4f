"""The configuration of studies of small features: a class of `mrilib.features.kinds`, or one's own."""

from typing import ClassVar

from workflow_scripts.config.entries import Entry
from workflow_scripts.config.strict import Count, Names
from workflow_scripts.provenance import class_attribute


class Feature(Entry):
    """A study of small features.

    It is run on all sources under all masks with all methods, or on those named, and on all test images of a
    source, or on the first `images`. Methods are those of the usual domain.
    """

    family: ClassVar[str] = "feature"

    masks: Names | None = None
    methods: Names | None = None
    sources: Names | None = None
    images: Count | None = None

    @property
    def needs_boxes(self) -> bool:
        """Whether it is for images with annotated boxes alone."""
        return class_attribute(self.path, "needs_boxes") is True

    @property
    def needs_steps(self) -> bool:
        """Whether it is for methods that are fitted in steps."""
        return class_attribute(self.path, "needs_steps") is True

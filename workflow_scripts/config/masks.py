"""The configuration of masks: each entry is a class of `mrilib.data.sampling`, or one's own."""

from typing import Any, ClassVar

from workflow_scripts.config.entries import Entry
from workflow_scripts.config.strict import Label, Name


class Mask(Entry):
    """How a mask is drawn.

    `tuned_on` is the mask whose methods are applied under this one, `label` what tables call it.
    """

    family: ClassVar[str] = "mask"

    tuned_on: Name | None = None
    label: Label | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What tables and figures are told of it."""
        own = {} if self.label is None else {"label": self.label}
        return self.arguments | {"class": self.path, "kind": self.word} | own

"""What every format of raw data offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mrilib.store.classes import load_class


class Reader(ABC):
    """Turns one raw file into one volume of the fastMRI schema.

    A config names a subclass by a short word of ours, or by `class: package.module:Name`; what else stands in
    the entry are the arguments of its constructor.

    Attributes:
        word: the short word; only readers of this package have one.
        suffixes: endings of the files that it takes where a config names no reader, as literals: they are
            read from the text of the class. Only readers of this package are looked for.
    """

    word: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def convert(self, source: Path, destination: Path) -> object:
        """Convert one file, atomically, for instance with `mrilib.data.volumes.fastmri.write_volume`.

        Args:
            source: raw file; what lies beside it may be read as well.
            destination: volume to write.

        Returns:
            What describes the conversion; of a dataclass each field is kept, of anything else its text.

        Raises:
            VolumeError: if the file cannot be used. The volume is then rejected with this reason, and the
                destination stays as it was.
        """


def reader_from(described: Mapping[str, Any]) -> Reader:
    """What converts raw files, from `class`, an import path, and the `arguments` of its constructor."""
    found: Reader = load_class(described["class"], Reader)(**described["arguments"])
    return found

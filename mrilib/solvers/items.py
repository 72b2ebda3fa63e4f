"""Problems, states and warm starts as what they are to a batch: tensors with an entry for every item."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

Own = TypeVar("Own", bound="Items")


@dataclass(frozen=True)
class Items:
    """A dataclass of which some fields have an entry for every item of a batch.

    Attributes:
        axes: those fields, with the number of axes of an entry; it does not matter for a field that is such
            a dataclass itself. Such a field may be `None`. All items share the other fields.
    """

    axes: ClassVar[Mapping[str, int]]

    def __getitem__(self: Own, items: Tensor | int) -> Own:
        return self._changed(lambda value, _: value[items])

    def to(self: Own, dtype: torch.dtype) -> Own:
        """The same in the precision of the complex type `dtype`."""
        return self._changed(lambda value, _: in_precision(value, dtype))

    def reshape(self: Own, *batch: int) -> Own:
        """The same with another batch shape."""

        def change(value: Any, axes: int) -> Any:
            if isinstance(value, Items):
                return value.reshape(*batch)
            return value.reshape((*batch, *value.shape[value.ndim - axes :]))

        return self._changed(change)

    @classmethod
    def joined(cls: type[Own], parts: Sequence[Own]) -> Own:
        """The items of several batches as one; what items share is that of the first."""

        def together(values: list[Any]) -> Any:
            return values[0].joined(values) if isinstance(values[0], Items) else torch.cat(values)

        given = [name for name in cls.axes if getattr(parts[0], name) is not None]
        values = {name: together([getattr(one, name) for one in parts]) for name in given}
        return replace(parts[0], **values)

    def _changed(self: Own, change: Callable[[Any, int], Any]) -> Own:
        values = {name: (getattr(self, name), axes) for name, axes in self.axes.items()}
        return replace(
            self, **{name: change(value, axes) for name, (value, axes) in values.items() if value is not None}
        )


def in_precision(value: Any, dtype: torch.dtype) -> Any:
    """A tensor, or items, in the precision of the complex type `dtype`; real numbers stay real."""
    if isinstance(value, Tensor) and not value.is_complex():
        return value.to(dtype.to_real())
    return value.to(dtype)

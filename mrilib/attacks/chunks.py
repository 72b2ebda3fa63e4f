"""Work on many candidates in parts that fit into the device's memory."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from mrilib.solvers.gradient_memory import gradient_room

Result = TypeVar("Result")

# Our choice: a batch that keeps a GPU busy; on a CPU larger ones leave the cache.
CUDA_SIZE = 64
CPU_SIZE = 4


class Chunks:
    """Parts of at most `size` candidates; a part that runs out of memory is halved, for good.

    Args:
        size: the largest part; `None`: `CUDA_SIZE` on a GPU, `CPU_SIZE` elsewhere, or fewer if so many would
            take more than the device's `gradient_room`.
        device: where the candidates are.
        bytes_each: what is kept for the gradient of a candidate, where it is known.

    Raises:
        ValueError: if `size` is below 1.
    """

    def __init__(self, size: int | None, device: torch.device, *, bytes_each: int = 0) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Chunks: expected size >= 1, got {size}")
        default = CUDA_SIZE if device.type == "cuda" else CPU_SIZE
        if bytes_each:
            default = min(default, max(1, gradient_room(device) // bytes_each))
        self.size, self._device = default if size is None else size, device

    def map(self, function: Callable[[Int[Tensor, "part"]], Result], count: int) -> list[Result]:
        """Values of `function` on the indices `0 … count − 1`, part by part.

        `function` must change nothing: a part for which there was no memory comes again, in halves.

        Raises:
            torch.OutOfMemoryError: if there is no memory for a single candidate.
        """
        return [value for _, value in self.parts(function, count)]

    def parts(
        self, function: Callable[[Int[Tensor, "part"]], Result], count: int
    ) -> Iterator[tuple[Int[Tensor, "part"], Result]]:
        """The same, each part with its value: its caller may write that where the part was read from.

        Raises:
            torch.OutOfMemoryError: if there is no memory for a single candidate.
        """
        first = 0
        while first < count:
            part = torch.arange(first, min(first + self.size, count), device=self._device)
            try:
                value = function(part)
            except torch.OutOfMemoryError:
                if part.numel() == 1:
                    raise
                self.size = part.numel() // 2
                print(f"no memory for {part.numel()} candidates at once: from here {self.size}", flush=True)
            else:
                first += part.numel()
                yield part, value

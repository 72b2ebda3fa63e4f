"""Work on many candidates in parts that fit into the device's memory."""

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

Result = TypeVar("Result")

# Our choice: a batch that keeps a GPU busy; on a CPU larger ones leave the cache.
CUDA_SIZE = 64
CPU_SIZE = 4


class Chunks:
    """Parts of at most `size` candidates; a part that runs out of memory is halved, for good.

    Args:
        size: the largest part; `None`: `CUDA_SIZE` on a GPU, `CPU_SIZE` elsewhere.
        device: where the candidates are.

    Raises:
        ValueError: if `size` is below 1.
    """

    def __init__(self, size: int | None, device: torch.device) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Chunks: expected size >= 1, got {size}")
        default = CUDA_SIZE if device.type == "cuda" else CPU_SIZE
        self.size, self._device = default if size is None else size, device

    def map(self, function: Callable[[Int[Tensor, "part"]], Result], count: int) -> list[Result]:
        """Values of `function` on the indices `0 … count − 1`, part by part.

        `function` must change nothing: a part for which there was no memory comes again, in halves.

        Raises:
            torch.OutOfMemoryError: if there is no memory for a single candidate.
        """
        results: list[Result] = []
        first = 0
        while first < count:
            part = torch.arange(first, min(first + self.size, count), device=self._device)
            try:
                results.append(function(part))
            except torch.OutOfMemoryError:
                if part.numel() == 1:
                    raise
                self.size = part.numel() // 2
                print(f"no memory for {part.numel()} candidates at once: from here {self.size}", flush=True)
            else:
                first += part.numel()
        return results

"""Memory that gradients take: what is kept for them, and what a device has for that."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

# Our choice: a GPU of 40 GB has as much beside the candidates of a search, and jobs on CPUs ask for a few GB.
CUDA_BYTES, CUDA_SHARE = 24 << 30, 0.5
CPU_BYTES = 4 << 30


def saved_bytes(work: Callable[[], Any], *, but: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps for the gradient of what `work` computes: of every array once, views or not.

    `work` is run once with gradients enabled. Nothing is kept meanwhile, so that it takes the memory of a run
    without gradient, and nothing of what it returns can be differentiated. What it computes again for the
    gradient (`torch.utils.checkpoint`) does not count, but what it computes that from does.

    Args:
        work: a computation.
        but: arrays that exist anyway, such as the parameters of a network.
    """
    # A weak reference frees the array and keeps its address from being given to another.
    seen = {(ref := StorageWeakRef(array.untyped_storage())).cdata: ref for array in but}
    total = 0

    def count(array: Tensor) -> None:
        nonlocal total
        storage = array.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata not in seen:
            seen[reference.cdata] = reference
            total += storage.nbytes()

    def never(_: None) -> Tensor:
        raise RuntimeError("saved_bytes: what was counted has no gradient; compute it again outside of work")

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, never):
        work()
    return total


def gradient_room(device: torch.device) -> int:
    """Bytes that what is kept for a gradient may take: of a kind of device, and not of the moment.

    On a GPU the smaller of `CUDA_BYTES` and `CUDA_SHARE` of its memory, elsewhere `CPU_BYTES`. What is free
    at the moment would make results depend, in their rounding, on what else runs.
    """
    if device.type != "cuda":
        return CPU_BYTES
    return min(CUDA_BYTES, int(CUDA_SHARE * torch.cuda.get_device_properties(device).total_memory))

"""Which samples a number of a training that is not finite comes from."""

import math
from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mrilib.training.task import Sample, TrainingTask


def reduced(fabric: Fabric, value: Tensor, how: str) -> float:
    """A number of every process, as one."""
    found = fabric.all_reduce(value, reduce_op=how)
    return float(found) if isinstance(found, Tensor) else math.nan


def to_blame(fabric: Fabric, flags: Tensor) -> list[int]:
    """Places of the flags, in order, that some process has set; called by all of them."""
    return [place for place, flag in enumerate(flags.flatten()) if reduced(fabric, flag, "sum")]


def step_to_blame(
    fabric: Fabric,
    model: nn.Module,
    task: TrainingTask,
    group: np.ndarray,
    draw: Callable[[int], Sample],
) -> list[int]:
    """Samples of a step that have by themselves no finite loss or gradient; called by all processes.

    Args:
        fabric: of the process.
        model: the bare network, whose processes need not wait for each other.
        task: on the device.
        group: samples of the step, a row a batch.
        draw: a sample of the epoch by its index.
    """
    flags = torch.zeros(group.shape, device=fabric.device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for batch, row in zip(group, flags, strict=True):
        for place in range(fabric.global_rank, len(batch), fabric.world_size):
            alone = tuple(fabric.to_device(part[None]) for part in draw(int(batch[place])))
            with fabric.autocast():
                loss = task.loss(model, alone)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            finite = [bool(each.isfinite().all()) for each in (loss, *gradients) if each is not None]
            row[place] = not all(finite)
    return [int(group.flat[place]) for place in to_blame(fabric, flags)]


def because(names: list[str], count: int, faults: str) -> str:
    """How many of `count` samples are to blame, and the first of them, with what is wrong in its data."""
    first = f"{names[0]} ({faults})" if faults else names[0]
    return f"because of {len(names)} of {count} samples, first {first}; leave that one out"

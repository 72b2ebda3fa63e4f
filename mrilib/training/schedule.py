"""Schedules of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Optimizer = Literal["adam", "rmsprop"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one setting of the optimizer.

    Args:
        epochs: passes over the training samples.
        batch: samples a gradient.
        learning_rate: of the optimizer.
        eps: of the optimizer.
        weight_decay: of the optimizer (its ℓ2 form).
        accumulate: gradients averaged for one step.
        optimizer: `adam`, or `rmsprop`, which fastMRI has for its U-net.
        restart: whether the optimizer starts anew; if not, it keeps the moments of the phase before, so that
            the phase is a mere step of the learning rate.
    """

    epochs: int
    batch: int
    learning_rate: float
    eps: float = 1e-8
    weight_decay: float = 0.0
    accumulate: int = 1
    optimizer: Optimizer = "adam"
    restart: bool = True


def check_phases(phases: Sequence[Phase], *, count: int, devices: int, uniform: bool = True) -> None:
    """Raise `ValueError` unless `count` samples can be trained on in these phases by so many devices.

    `uniform` says whether all samples have one size, so that a device can be given more than one at once.
    """
    if not phases:
        raise ValueError("fit: expected at least one phase")
    for number, phase in enumerate(phases, start=1):
        if phase.epochs < 1 or phase.accumulate < 1 or not phase.learning_rate > 0:
            raise ValueError(
                f"fit: phase {number}: expected epochs, accumulate >= 1 and learning_rate > 0, got {phase}"
            )
        if phase.optimizer not in get_args(Optimizer):
            raise ValueError(
                f"fit: phase {number}: expected an optimizer of {get_args(Optimizer)}, "
                f"got {phase.optimizer!r}"
            )
        if not phase.restart and (number == 1 or phases[number - 2].optimizer != phase.optimizer):
            raise ValueError(
                f"fit: phase {number}: without restart it keeps the moments of the phase before, which has "
                "to be there and have the same optimizer; set restart"
            )
        if not 1 <= phase.batch <= count:
            raise ValueError(
                f"fit: phase {number}: expected a batch between 1 and the {count} training samples, "
                f"got {phase.batch}"
            )
        if phase.batch % devices:
            raise ValueError(
                f"fit: phase {number}: {devices} devices cannot share a batch of {phase.batch} evenly; "
                "choose a multiple"
            )
        if not uniform and phase.batch != devices:
            raise ValueError(
                f"fit: phase {number}: samples of different sizes cannot stand in one batch; expected a "
                f"batch of {devices}, one a device, got {phase.batch}; gradients are averaged by accumulate"
            )

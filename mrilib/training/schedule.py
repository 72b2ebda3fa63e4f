"""Schedules of training."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one setting of Adam, which starts anew with each phase.

    Args:
        epochs: passes over the training samples.
        batch: samples a gradient.
        learning_rate: of Adam.
        eps: of Adam.
        weight_decay: of Adam (its ℓ2 form).
        accumulate: gradients averaged for one step.
    """

    epochs: int
    batch: int
    learning_rate: float
    eps: float = 1e-8
    weight_decay: float = 0.0
    accumulate: int = 1


def check_phases(phases: Sequence[Phase], *, count: int, devices: int) -> None:
    """Raise `ValueError` unless `count` samples can be trained on in these phases by so many devices."""
    if not phases:
        raise ValueError("fit: expected at least one phase")
    for number, phase in enumerate(phases, start=1):
        if phase.epochs < 1 or phase.accumulate < 1 or not phase.learning_rate > 0:
            raise ValueError(
                f"fit: phase {number}: expected epochs, accumulate >= 1 and learning_rate > 0, got {phase}"
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

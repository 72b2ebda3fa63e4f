"""Checkpoints of networks: parameters and what they belong to, never a pickled object."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrilib.store.atomic import atomic_path
from mrilib.store.units import content_hash

FORMAT = 1
# What reading a damaged or foreign file raises, by where it is damaged.
DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class Checkpoint:
    """A network's parameters.

    Args:
        state: `state_dict` of the model, on the CPU.
        about: what the parameters belong to, plain values: `method` (the reconstructor's arguments),
            `shape` of the images, where in the training they stood.
    """

    state: dict[str, Tensor]
    about: dict[str, Any]

    @property
    def hash(self) -> str:
        """Hash of the parameters: equal for equal parameters, whatever file they came from."""
        return content_hash(
            *[part for name in sorted(self.state) for part in (name, self.state[name].contiguous().numpy())]
        )


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, atomically."""
    state = {name: value.detach().cpu() for name, value in checkpoint.state.items()}
    write_state(path, {"state": state, "about": json.dumps(checkpoint.about, sort_keys=True)})


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed.

    Raises:
        ValueError: if the file is missing, damaged, or no checkpoint of this package.
    """
    found = read_state(path)
    if not {"state", "about"} <= found.keys():
        raise ValueError(
            f"{path}: expected a checkpoint with 'state' and 'about', found {sorted(found)}; "
            "checkpoints of other programs need their own reader"
        )
    return Checkpoint(found["state"], json.loads(found["about"]))


def write_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values, atomically."""
    with atomic_path(path) as partial:
        torch.save({"format": FORMAT, **state}, partial)


def read_state(path: str | Path) -> dict[str, Any]:
    """Read what `write_state` wrote, onto the CPU; nothing in the file is executed.

    Raises:
        ValueError: if the file is missing, damaged, or of another format.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such checkpoint; train first, or mend the path")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise ValueError(f"{path}: not a readable checkpoint ({error}); delete it and train again") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(
            f"{path}: expected a checkpoint of format {FORMAT}; this one is of another program or version"
        )
    return found

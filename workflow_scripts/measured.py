"""Measurements as jobs read them, and methods as jobs make them."""

import json
from pathlib import Path
from typing import Any

import torch

from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.store.arrays import read_group


class Measured:
    """A prepared slice on this job's device, or the place of one that there is not (`missing`)."""

    def __init__(self, path: str | Path) -> None:
        group = read_group(path)
        self.attributes = group.attributes
        self.missing = bool(group.attributes.get("missing", False))
        if not self.missing:
            self.target = group.arrays["target"]
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            kspace, mask, maps = (
                torch.from_numpy(group.arrays[name]).to(device) for name in ("kspace", "mask", "coil_maps")
            )
            self.kspace, self.operator = kspace, CoilFourier(mask=mask, coil_maps=maps)


def made(method: dict[str, Any], inputs: dict[str, Any]) -> Reconstructor:
    """A method with its tuned parameter and its trained network, where it has them."""
    arguments = dict(method["parameters"])
    if inputs.get("tuning"):
        arguments[method["tuned"]] = json.loads(Path(inputs["tuning"]).read_text())["chosen"]
    if inputs.get("checkpoint"):
        arguments["checkpoint"] = inputs["checkpoint"]
    return load_class(method["reconstructor"], Reconstructor)(**arguments)

"""What the attack jobs of an image share: its subjects at every level, and the keys of their units."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mrilib.attacks.perturb import Subject
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.store.arrays import Group, read_group
from mrilib.store.checkpoints import read_checkpoint
from mrilib.store.units import content_hash


class Subjects:
    """An image under a mask and a method, at every level and multiple of the tuned parameter.

    Args:
        inputs: `image`, `mask`, and `tuning` and `checkpoint` where the method has them.
        params: `method`, `identity`, `levels`, `factors`, `seed`.
    """

    def __init__(self, inputs: dict[str, Any], params: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        self._params = params
        image, mask = read_group(inputs["image"]), read_group(inputs["mask"])
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._operator = MaskedFourier(mask=torch.from_numpy(mask.arrays["mask"])).to(device)
        self._image = torch.from_numpy(image.arrays["image"]).to(device)
        data = content_hash(image.arrays["image"], mask.arrays["mask"])
        tuning, checkpoint = inputs.get("tuning"), inputs.get("checkpoint")
        self._tuned = json.loads(Path(tuning).read_text())["levels"] if tuning else {}
        method = params["method"]
        self._kind, self._given = load_class(method["reconstructor"], Reconstructor), {}
        self._key = {"reconstructor": method["reconstructor"], "data": data}
        if checkpoint:
            self._given["checkpoint"] = read_checkpoint(checkpoint)
            self._key["checkpoint"] = self._given["checkpoint"].hash
        self._made: dict[str, Reconstructor] = {}
        self.root = Group(
            {"image": image.arrays["image"]}, params["identity"] | {"patient": image.attributes["patient"]}
        )

    def __iter__(self) -> Iterator[tuple[str, Subject, dict[str, Any]]]:
        """Name of the groups (`level/factor`), subject, and key of its units."""
        for level in self._params["levels"]:
            for factor in self._params["factors"]:
                arguments = dict(self._params["method"]["parameters"])
                tuned = self._params["method"]["tuned"]
                if tuned:
                    arguments[tuned] = factor * self._tuned[f"{level:g}"]["chosen"]
                identity = self._params["identity"]
                subject = Subject(
                    image=self._image,
                    operator=self._operator,
                    reconstructor=self._reconstructor(arguments),
                    level=level,
                    weight=arguments.get(tuned),
                    factor=factor,
                    seed=[self._params["seed"], identity["source"], identity["position"]],
                )
                yield f"{level:g}/{factor:g}", subject, {**self._key, "arguments": arguments}

    def _reconstructor(self, arguments: dict[str, Any]) -> Reconstructor:
        name = content_hash(arguments)
        if name not in self._made:
            self._made[name] = self._kind(**arguments, **self._given)
        return self._made[name]

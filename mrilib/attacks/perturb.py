"""One perturbation of a configured kind, as it is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.base import AttackResult, Clock, Search, Task, gaussian_starts, judge, result_of
from mrilib.attacks.localized import localized_attack
from mrilib.attacks.pgd import global_attack
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor, load_class
from mrilib.solvers.solution import NotConvergedError, Solution
from mrilib.store.arrays import Group
from mrilib.store.units import derived_seed


@dataclass(frozen=True)
class Subject:
    """An image, its measurement and the method under attack.

    Args:
        image: `x`; the data are `y = Ax`, without noise.
        operator: `A`.
        reconstructor: the method.
        level: `‖e‖₂/‖Ax‖₂`.
        weight: the tuned parameter, for the record.
        factor: its ratio to the tuned value.
        seed: what names the image; every attack and level derives its own seed from it.
    """

    image: Float[Tensor, "y x"]
    operator: MaskedFourier
    reconstructor: Reconstructor
    level: float
    weight: float | None
    factor: float
    seed: list[int | str]

    @cached_property
    def kspace(self) -> Complex[Tensor, "ky kx"]:
        """The clean data `y = Ax`."""
        return self.operator.forward(self.image)

    @cached_property
    def clean(self) -> Solution:
        """`rec(y)`, which every attack starts from."""
        return self.reconstructor.solve(self.kspace, self.operator)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"level": self.level, "weight": self.weight, "factor": self.factor}


def clean_unit(subject: Subject) -> Group:
    """Reconstruction of the clean data; levels with the same weight share it, so it names none."""
    return _outcome({"weight": subject.weight}, lambda: ({"reconstruction": subject.clean.value}, {}))


def perturbed_unit(subject: Subject, attack: Mapping[str, Any]) -> Group:
    """The perturbation that a configured attack finds, with its reconstruction.

    Args:
        subject: what is attacked.
        attack: `kind` (`localized`, `global`, `gaussian`), its parameters, and `search`, an import path.

    Returns:
        `perturbation`, `reconstruction`, for localized attacks `severities` and
        `severities_first_round`; counted work and place as
        attributes. A numerical failure is an outcome: its reason stands in `failed`.
    """

    def compute() -> tuple[dict[str, Tensor], dict[str, Any]]:
        result = _attack(subject, attack)
        arrays = {"perturbation": result.perturbation, "reconstruction": result.reconstruction}
        for name in ("severities", "severities_first_round"):
            if getattr(result, name) is not None:
                arrays[name] = getattr(result, name)
        row, column = result.location.tolist()
        stats = {key: float(value) for key, value in result.stats.items()}
        return arrays, stats | {"row": row, "column": column}

    return _outcome(subject.attributes, compute)


def _outcome(
    attributes: dict[str, Any], compute: Callable[[], tuple[dict[str, Tensor], dict[str, Any]]]
) -> Group:
    try:
        arrays, found = compute()
    except (NotConvergedError, FloatingPointError) as error:
        print(f"failed: {error}", flush=True)
        return Group(attributes=attributes | {"failed": str(error)})
    units = dict.fromkeys(arrays, "image maximum") | {"perturbation": "image maximum, orthonormal transform"}
    return Group(
        arrays={key: value.cpu().numpy() for key, value in arrays.items()},
        attributes=attributes | found,
        units={key: units[key] for key in arrays},
    )


def _attack(subject: Subject, attack: Mapping[str, Any]) -> AttackResult:
    kspace, clean = subject.kspace, subject.clean
    radius = subject.level * float(norm2(kspace))
    settings = {key: value for key, value in attack.items() if key not in ("kind", "search")}
    seed = derived_seed(*subject.seed, subject.level, dict(attack))
    if attack["kind"] == "gaussian":
        return _gaussian(subject, radius, seed)
    search = load_class(attack["search"], Search)()
    common = {"radius": radius, "seed": seed, "search": search, "clean": clean, **settings}
    if attack["kind"] == "global":
        return global_attack(subject.reconstructor, kspace, subject.operator, **common)
    if attack["kind"] == "localized":
        truth = subject.image if settings["select"] == "truth" else None
        return localized_attack(subject.reconstructor, kspace, subject.operator, truth=truth, **common)
    raise ValueError(f"attack: expected kind localized, global or gaussian, got {attack['kind']!r}")


def _gaussian(subject: Subject, radius: float, seed: int) -> AttackResult:
    """Gaussian noise of exactly the attacks' norm: the baseline."""
    clock = Clock()
    starts = gaussian_starts(subject.operator, 1, radius, [seed])
    task = Task(
        reconstructor=subject.reconstructor,
        operator=subject.operator,
        kspace=subject.kspace,
        radius=radius,
        clean=subject.clean,
        windows=torch.ones_like(starts.real),
        starts=starts,
    )
    judged = judge(task, starts)
    stats = {"solver_steps": 0.0, "gradient_evaluations": 0.0, "judging_steps": judged.steps}
    row, column = divmod(int(judged.artifacts[0].abs().argmax()), subject.image.shape[-1])
    stats["seconds"] = clock.seconds
    return result_of(task, judged, 0, location=torch.tensor([row, column]), stats=stats)

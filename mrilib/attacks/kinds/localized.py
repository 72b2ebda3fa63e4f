"""The localized attack, eq. (6): the worst artifact inside a small disk, over a grid of places."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor

from mrilib.attacks.judge import AttackResult, Judged
from mrilib.attacks.kinds.base import AttackKind, Conditions
from mrilib.attacks.objectives import localized_windows
from mrilib.attacks.places import Region, grid_places, nearest_place
from mrilib.attacks.rivals import Rival, baselines
from mrilib.attacks.rounds import GIVEN, Found, Plan, attacked
from mrilib.attacks.searches.base import Search, chosen_search, starts_of
from mrilib.attacks.target import Artifact, Observed, Start, Target, check_attack
from mrilib.metrics.artifacts import severity
from mrilib.operators.base import MeasurementOperator
from mrilib.operators.coil_images import center_crop
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import Solution
from mrilib.store.units import derived_seed

# The paper's radius, on images of its size.
DISK_RADIUS, DISK_SIZE = 5.0, 256


class Localized(AttackKind):
    """A window at every place of a grid over the image, or over the object in it: see `localized_attack`.

    Args:
        objective, grid, region, restarts, disk_radius, artifact: as there.
        select: `clean`, or `truth`: places are then judged as the reference's code does, by the true image,
            and the result stays as it was found.
    """

    word: ClassVar[str] = "localized"
    has_places: ClassVar[bool] = True

    def __init__(
        self,
        *,
        objective: Literal["peak", "disk"] = "peak",
        grid: Annotated[int, Field(ge=1)] = 8,
        region: Region = "image",
        restarts: Annotated[int, Field(ge=1)] = 1,
        disk_radius: Annotated[int | float, Field(ge=0)] | None = None,
        artifact: Artifact = "complex",
        select: Literal["clean", "truth"] = "clean",
    ) -> None:
        self.objective, self.grid, self.region, self.restarts = objective, grid, region, restarts
        self.disk_radius = None if disk_radius is None else float(disk_radius)
        self.artifact, self.select = artifact, select

    def check_shape(self, shape: tuple[int, int]) -> None:
        if not 1 <= self.grid <= min(shape):
            raise ValueError(
                f"localized_attack: expected 1 <= grid <= {min(shape)}, got {self.grid}; take fewer places, "
                "or larger images"
            )
        if self.disk_radius is not None and self.disk_radius < 0:
            raise ValueError(f"localized_attack: expected disk_radius >= 0, got {self.disk_radius}")
        if self.disk_radius is not None and self.disk_radius > max(shape):
            raise ValueError(
                f"localized_attack: expected disk_radius <= {max(shape)}, got {self.disk_radius:g}; for the "
                "whole image take the global attack"
            )

    def check(
        self, shape: tuple[int, int], reference: Tensor | None, truth: Tensor | None, starts: Sequence[Start]
    ) -> None:
        """Raise `ValueError` if the attack cannot be run on images of `shape` with what is given."""
        self.check_shape(shape)
        for name, allowed in (("objective", ("peak", "disk")), ("region", ("image", "object"))):
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(
                    f"localized_attack: expected {name} {allowed[0]!r} or {allowed[1]!r}, got {value!r}"
                )
        if (self.region == "object") != (reference is not None):
            raise ValueError(
                "localized_attack: region='object' goes with reference, and reference with it alone"
            )
        if self.restarts < 1:
            raise ValueError(f"localized_attack: expected restarts >= 1, got {self.restarts}")
        if (self.select == "truth") != (truth is not None):
            raise ValueError("localized_attack: select='truth' goes with truth, and truth with it alone")
        for row, column in (start.location for start in starts):
            if not (0 <= row < shape[0] and 0 <= column < shape[1]):
                raise ValueError(f"localized_attack: expected starts inside {shape}, got ({row}, {column})")

    def attack(self, target: Target, conditions: Conditions) -> AttackResult:
        return localized_attack(
            target.reconstructor,
            target.kspace,
            target.operator,
            radius=target.radius,
            grid=self.grid,
            disk_radius=self.disk_radius,
            objective=self.objective,
            region=self.region,
            reference=conditions.reference if self.region == "object" else None,
            artifact=self.artifact,
            seed=conditions.seed,
            restarts=conditions.restarts or self.restarts,
            starts=conditions.starts,
            search=conditions.search,
            select=self.select,
            truth=conditions.reference if self.select == "truth" else None,
            clean=target.clean,
        )

    def measure(self, artifact: Tensor) -> Float[Tensor, "*batch"]:
        """`‖ρ‖∞`."""
        return severity(artifact)

    def rivals(self, target: Target, result: AttackResult, conditions: Conditions) -> list[Rival]:
        """Spikes where the attack ended and in the middle of where it looked, and noise."""
        reference = conditions.reference if self.region == "object" else None
        cells, kept = grid_places(target.operator, self.grid, self.region, reference)
        ended, middle = result.location.cpu(), nearest_place(cells[kept], *target.operator.mask.shape)
        spikes = {"spike": ended}
        if not torch.equal(ended, middle):
            spikes["spike in the centre"] = middle
        places = {name: (int(row), int(column)) for name, (row, column) in spikes.items()}
        return baselines(target, places, [derived_seed(conditions.seed, "rival")])

    @property
    def checked(self) -> bool:
        return self.select == "clean"

    @property
    def about(self) -> dict[str, Any]:
        found = super().about | {"region": self.region, "sort": self.objective, "grid": self.grid}
        return found | {"table_1": self.region == "image"}

    def seeded_by(self, target: Target) -> dict[str, Any]:
        names = ("objective", "grid", "restarts", "select")
        found = {"kind": self.name} | {name: getattr(self, name) for name in names}
        later = (("region", "image"), ("artifact", "complex"))
        found |= {name: getattr(self, name) for name, usual in later if getattr(self, name) != usual}
        if self.disk_radius is not None:
            found["disk_radius"] = self.disk_radius
        elif target.operator.kspace_axes == 2:
            found["disk_radius"] = usual_disk_radius(target.operator.mask.shape)
        return found


def usual_disk_radius(shape: Sequence[int]) -> float:
    """`5·n/256` pixels, `n` the shorter side."""
    return DISK_RADIUS * min(shape) / DISK_SIZE


def localized_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch_and_coil ky kx"],
    operator: MeasurementOperator,
    *,
    radius: float | Float[Tensor, "*batch"],
    grid: int = 8,
    disk_radius: float | None = None,
    objective: Literal["peak", "disk"] = "peak",
    region: Region = "image",
    reference: Tensor | None = None,
    artifact: Artifact = "complex",
    seed: int,
    restarts: int = 1,
    starts: Sequence[Start] = (),
    search: Search | None = None,
    select: Literal["clean", "truth"] = "clean",
    truth: Tensor | None = None,
    clean: Solution | Observed | None = None,
) -> AttackResult:
    """Maximise `‖φ ⊙ ρ‖₂` over `‖e‖₂ ≤ η` at every place of a grid; keep the worst.

    `ρ = rec(y + e) − rec(y)`; `φ` is the indicator of a disk (`disk`, eq. (6)) or of its centre (`peak`, its
    limit for a small disk, which climbs the very number that judges). Centres stand at `(k + ½)·n/grid` of
    the image, or of the object's bounding box. The search drops places between its rounds, in every restart
    by itself, so that one more never makes the result worse; what it keeps to the end is solved anew to the
    reconstructor's accuracy, and the place with the largest `‖ρ‖∞` is the result.

    With coils the budget is that of all coils together, and `ρ` is what they see of it (`Target.artifacts`).

    Args:
        reconstructor: the method under attack.
        kspace: clean data `y`, `(*batch, ky, kx)`, or `(*batch, coil, ky, kx)` under a multi-coil operator;
            leading axes are independent items.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        grid: places along each axis.
        disk_radius: radius `σ` of the disk in pixels (5 holds 81 pixels); by default `5·n/256`, `n` the
            shorter side.
        objective: `peak` or `disk`.
        region: `image`, or `object`: the grid spans the bounding box of the reference above 5 % of its
            maximum (our choice), and places outside the object are left out. In either, places that no coil
            sees are left out.
        reference: real image `(y, x)` or one an item, as large as the reconstruction or cropped at the
            centre; it says where the object is.
        artifact: of methods that return complex images, `ρ` (`complex`) or `|rec(y + e)| − |rec(y)|`
            (`magnitude`), in the search as in the judgement; others return magnitudes in any case.
        seed: seed of random starts; the spike, where most searches of this package start, needs none.
        restarts: searches of the whole grid: the first from the search's own kind of start, further ones
            from Gaussian noise.
        starts: further candidates with windows of their own at any pixel, kept to the end; the result is
            no weaker than any of them. Only for a single item.
        search: how to search; by default a new one of the class that the reconstructor names, or
            `GradientAscent` where that one does not serve (see `chosen_search`).
        select: judge places by the change of the reconstruction (`clean`) or, as the reference does, by
            the difference of moduli to `truth`.
        truth: the image itself, as large as the reconstruction or cropped at the centre; only for
            `select="truth"`.
        clean: `reconstructor.solve(kspace, operator)` of a single item, or what was `Observed` of it, if the
            caller has it.

    Returns:
        `AttackResult`, batched as `kspace`; the location is off the grid where one of `starts` won, and the
        maps hold each place's largest value over the restarts, NaN where a place was left out. `stats`:
        `solver_steps`, `gradient_evaluations`, `judging_steps`, `seconds`, `gap` and `objective` of the
        judged solve where the method has them.

    Raises:
        ValueError: for arguments out of range, a search that does not serve, and a method without derivative.
        NoPlaceError: if no place of the grid is left.

    Source: [alaifari2023], eq. (6). Deviates: complex difference instead of moduli, clean reconstruction as
    reference, best iterate instead of last.
    """
    radii = check_attack(kspace, operator, radius, "localized_attack", starts, artifact)
    kind = Localized(
        objective=objective,
        grid=grid,
        region=region,
        restarts=restarts,
        disk_radius=disk_radius,
        artifact=artifact,
        select=select,
    )
    height, width = kspace.shape[-2:]
    kind.check((height, width), reference, truth, starts)
    running = chosen_search(search, reconstructor, operator, artifact, "localized_attack")
    images = (
        _by_item(reference, radii.numel(), (height, width), "reference"),
        _by_item(truth, radii.numel(), (height, width), "truth"),
    )
    return attacked(
        reconstructor,
        kspace,
        operator,
        radii,
        search=running,
        rounds=running.rounds,
        planned=partial(_planned, kind, running, starts, images, seed),
        given=starts,
        clean=clean,
        artifact=artifact,
    )


def _planned(
    kind: Localized,
    search: Search,
    given: Sequence[Start],
    images: tuple[Tensor | None, Tensor | None],
    seed: int,
    item: int,
    operator: MeasurementOperator,
    radius: float,
) -> Plan:
    """The candidates of an item: `kind.restarts` times all places, then the given starts.

    `images` are the references and the true images, one an item, where there are any.
    """
    references, truths = images
    height, width = operator.mask.shape
    reference = None if references is None else references[item]
    cells, kept = grid_places(operator, kind.grid, kind.region, reference)
    places, restarts = cells[kept], kind.restarts
    elsewhere = torch.tensor([start.location for start in given], dtype=torch.long).reshape(-1, 2)
    locations = torch.cat([places.repeat(restarts, 1), elsewhere])
    groups = torch.arange(restarts).repeat_interleave(len(places))

    def over_restarts(values: Tensor) -> Tensor:
        whole = torch.full((kind.grid**2,), math.nan, dtype=values.dtype)
        whole[kept] = values[: restarts * len(places)].reshape(restarts, len(places)).amax(0)
        return whole.reshape(kind.grid, kind.grid)

    def chosen(found: Found) -> tuple[int, dict[str, Any]]:
        judged = found.judged
        ranking = judged.severities if truths is None else _severity_to_truth(judged, truths[item])
        best = int(ranking.argmax())
        return best, {
            "location": locations[found.candidates[best]],
            "severities": over_restarts(found.seen),
            "severities_first_round": over_restarts(found.first_round),
        }

    disk_radius = usual_disk_radius((height, width)) if kind.disk_radius is None else kind.disk_radius
    return Plan(
        windows=localized_windows(
            locations, height, width, objective=kind.objective, disk_radius=disk_radius
        ),
        groups=torch.cat([groups, torch.full((len(given),), GIVEN)]),
        starts=starts_of(search, operator, places, radius, [seed, item], restarts),
        chosen=chosen,
    )


def _by_item(image: Tensor | None, items: int, size: tuple[int, int], name: str) -> Tensor | None:
    """`(items, y, x)` of an image, or of one an item, no larger than `size`."""
    if image is None:
        return None
    shape = tuple(image.shape)
    fits = len(shape) >= 2 and all(1 <= own <= full for own, full in zip(shape[-2:], size, strict=True))
    if not fits or image.is_complex() or math.prod(shape[:-2]) not in (1, items):
        raise ValueError(
            f"localized_attack: expected {name} as a real image of at most {size[0]}×{size[1]}, or {items}, "
            f"got {image.dtype} of shape {shape}"
        )
    return image.reshape(-1, *shape[-2:]).expand(items, *shape[-2:])


def _severity_to_truth(judged: Judged, truth: Tensor) -> Tensor:
    moduli = center_crop(judged.reconstructions.abs(), (truth.shape[-2], truth.shape[-1]))
    return severity(moduli - truth.abs().to(moduli))

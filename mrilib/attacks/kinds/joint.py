"""The two-step attack on methods that minimise, of the whole image or of its worst place."""

from typing import Literal

from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.attacks.judge import AttackResult
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.places import Region
from mrilib.attacks.searches.base import Round
from mrilib.attacks.searches.joint import BETA, STEPS, WARM, JointDescent
from mrilib.attacks.target import Artifact, Observed
from mrilib.operators.base import MeasurementOperator
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.solution import Solution


def joint_attack(
    reconstructor: Reconstructor,
    kspace: Complex[Tensor, "*batch_and_coil ky kx"],
    operator: MeasurementOperator,
    *,
    radius: float | Float[Tensor, "*batch"],
    reference: Float[Tensor, "y x"] | None = None,
    beta: float = BETA,
    steps: int = STEPS,
    seed: int,
    warm: int = WARM,
    rate: float = 0.1,
    restarts: int = 2,
    objective: Literal["whole", "peak", "disk"] = "whole",
    grid: int = 8,
    disk_radius: float | None = None,
    region: Region = "image",
    artifact: Artifact = "complex",
    clean: Solution | Observed | None = None,
) -> AttackResult:
    """Move what a method minimises over and the perturbation together; judge by fresh reconstructions.

    It is `JointDescent` in place of the search of `global_attack` (`whole`, `φ = 1`) or `localized_attack`.
    The joint iterates choose two candidates, of the restarts or of the places; each is reconstructed from
    `y + z` anew, and the result is the one with the larger artifact.

    Args:
        reconstructor: `Untrained`, or a convex model: `L1`, and `TotalVariation` of several coils.
        kspace: clean data `y`, `(*batch, ky, kx)`, or `(*batch, coil, ky, kx)` under a multi-coil operator.
        operator: the measurement.
        radius: budget `η > 0`, absolute, one number or one an item.
        reference: `x*` of eq. (3), real and as large as what is measured; by default the clean
            reconstruction, by which artifacts are measured. It says where the object is, too.
        beta: `β` of eq. (3).
        steps: of the joint descent.
        seed: of random starts.
        warm: steps before the perturbation moves.
        rate: length of its moves, in units of the budget.
        restarts: starts of each candidate, on `Untrained` each from a fit of its own; two are judged.
        objective, grid, disk_radius, region, artifact, clean: see `localized_attack`.

    Returns:
        `AttackResult`, batched as `kspace`.

    Raises:
        ValueError: for arguments out of range, and for methods that minimise nothing.
        FloatingPointError: if the joint iterate is not finite; says at which step.

    Source: [darestani2021], eq. (3) and (4); localized as [alaifari2023], eq. (6). See `JointDescent` for
    what deviates.
    """
    if steps < 1:
        raise ValueError(f"joint_attack: expected steps >= 1, got {steps}")
    if objective not in ("whole", "peak", "disk"):
        raise ValueError(f"joint_attack: expected objective whole, peak or disk, got {objective!r}")
    search = JointDescent(
        beta=beta, rounds=[Round(steps, 2)], warm=min(warm, steps - 1), rate=rate, reference=reference
    )
    if objective == "whole":
        return global_attack(
            reconstructor,
            kspace,
            operator,
            radius=radius,
            steps=steps,
            restarts=restarts,
            artifact=artifact,
            seed=seed,
            search=search,
            clean=clean,
        )
    return localized_attack(
        reconstructor,
        kspace,
        operator,
        radius=radius,
        grid=grid,
        disk_radius=disk_radius,
        objective=objective,
        region=region,
        reference=reference if region == "object" else None,
        artifact=artifact,
        seed=seed,
        restarts=restarts,
        search=search,
        clean=clean,
    )

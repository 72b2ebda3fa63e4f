"""The configuration of the theory of section 5: what is recovered exactly, at which sizes and sparsities."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.strict import EACH_ONCE, LISTED, Count, Fraction, Label, Name, Strict

Sizes = Annotated[list[Annotated[int, Field(ge=16, le=2**14)]], LISTED, EACH_ONCE]


class Recovery(Strict):
    """Thresholds of exact recovery in one dimension, of every size with every sparsity.

    Args:
        signal: what `x` is; `piecewise-constant` signals are recovered by total variation, others by ℓ1.
        sampling: how frequencies are drawn; that of total variation always has frequency 0.
        sizes: `n`.
        sparsities: `s`: entries that are not 0, or jumps.
        draws: of signal and frequencies, each a threshold.
        artifact, width: a plateau of so many ones (a spike for 1), or so many ones at places of their own.
        max_steps: of the search for a proof; more leave fewer draws undecided.
        label: what tables and figures call it.
    """

    kind: Literal["recovery"]
    signal: Literal["real", "complex", "non-negative", "separated", "piecewise-constant"]
    sampling: Literal["uniform", "uniform-with-zero", "low-frequencies", "centre"] = "uniform"
    sizes: Sizes
    sparsities: Annotated[list[Count], LISTED, EACH_ONCE]
    draws: Count
    artifact: Literal["plateau", "sparse"] = "plateau"
    width: Count = 1
    max_steps: Count = 1000
    label: Label | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Recovery":
        needed = 2 * (max(self.sparsities) + 2 * self.width + 2)
        if needed > min(self.sizes):
            raise ValueError(
                f"sizes: expected {needed} or more for {max(self.sparsities)} entries and an artifact of "
                f"{self.width}, got {min(self.sizes)}; leave the smallest out"
            )
        if self.signal == "separated" and self.width != 1:
            raise ValueError(f"width: expected 1 beside separated entries, got {self.width}")
        return self

    @property
    def cases(self) -> list[tuple[int, int]]:
        """Size and sparsity of every job."""
        return [(size, sparsity) for size in self.sizes for sparsity in self.sparsities]

    @property
    def about(self) -> dict[str, Any]:
        """What tables and figures are told of it."""
        return self.model_dump(include={"signal", "sampling", "artifact", "width", "label", "draws"})

    @property
    def described(self) -> dict[str, Any]:
        """What changes the numbers of a job, beside its size and sparsity."""
        return self.model_dump(exclude={"kind", "sizes", "sparsities", "label"})


class Noisy(Strict):
    """Amplification on the draws of another entry, under a weight and a level of noise.

    Args:
        of: the entry, of ℓ1 and of spikes.
        surplus: frequencies, as a multiple of each draw's threshold.
        weights: `λ/‖r‖∞`, `r` the picture of the perturbation.
        levels: `‖e‖₂/‖Ax‖₂`.
        label: what tables and figures call it.
    """

    kind: Literal["noisy"]
    of: Name
    sizes: Sizes
    sparsities: Annotated[list[Count], LISTED, EACH_ONCE]
    surplus: Annotated[float, Field(ge=1)] = 1.5
    weights: Annotated[list[Annotated[float, Field(gt=0)]], LISTED, EACH_ONCE]
    levels: Annotated[list[Fraction], LISTED, EACH_ONCE]
    label: Label | None = None

    @property
    def cases(self) -> list[tuple[int, int]]:
        """Size and sparsity of every job."""
        return [(size, sparsity) for size in self.sizes for sparsity in self.sparsities]

    @property
    def about(self) -> dict[str, Any]:
        """What tables and figures are told of it."""
        return self.model_dump(include={"label", "surplus"})

    @property
    def described(self) -> dict[str, Any]:
        """What changes the numbers of a job, beside its size and sparsity."""
        return self.model_dump(include={"surplus", "weights", "levels"})


class Phantoms(Strict):
    """Recovery of phantoms by total variation, and attacks on it.

    Args:
        sizes: side `n` of the images.
        lines: of the radial mask at the smallest size.
        grow: `none`, the same number of lines at every size; `log`, in proportion to `ln n`.
        images: number of phantoms, the same at every size.
        weight: `λ`; the smaller, the closer the data are met.
        level: of the perturbations' norm, relative to the data.
        tolerance: relative gap of the solver.
        grid: places of the attack along each axis.
        ramps: whether the phantoms are the paper's, piecewise linear: total variation recovers none of those
            exactly. By default they are piecewise constant.
        label: what tables and figures call it.
    """

    kind: Literal["phantoms"]
    sizes: Sizes
    lines: Count
    grow: Literal["none", "log"] = "none"
    images: Count
    weight: Annotated[float, Field(gt=0)] = 1e-4
    level: Fraction = 0.01
    tolerance: Fraction = 1e-4
    grid: Count = 4
    ramps: bool = False
    label: Label | None = None

    @property
    def cases(self) -> list[tuple[int, int]]:
        """Size and lines of every job."""
        first = math.log(min(self.sizes))
        grown = {size: math.log(size) / first if self.grow == "log" else 1.0 for size in self.sizes}
        return [(size, round(self.lines * grown[size])) for size in self.sizes]

    @property
    def about(self) -> dict[str, Any]:
        """What tables and figures are told of it."""
        return self.model_dump(include={"label", "grow", "weight", "level"})

    @property
    def described(self) -> dict[str, Any]:
        """What changes the numbers of a job, beside its size and lines."""
        return self.model_dump(include={"images", "weight", "level", "tolerance", "grid", "ramps"})


Theory = Annotated[Recovery | Noisy | Phantoms, Field(discriminator="kind")]

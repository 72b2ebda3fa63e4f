"""The configuration of the theory of section 5: what is recovered exactly, at which sizes and sparsities."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.strict import EACH_ONCE, LISTED, Count, Label, Strict

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


Theory = Annotated[Recovery, Field(discriminator="kind")]

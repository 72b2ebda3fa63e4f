"""Sparse signals and artifacts in one dimension, as supports and signs: recovery depends on nothing else."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from mrilib.solvers.sign_patterns import SignPattern

Signal = Literal["real", "complex", "non-negative", "separated", "piecewise-constant"]
Artifact = Literal["plateau", "sparse"]
# Times that a place off the jumps is drawn before the signal is called too short.
TRIES = 1000


@dataclass(frozen=True)
class Instances:
    """Draws of a signal `x` and of an artifact `ρ`.

    For piecewise constant signals `x` and `with_artifact` are patterns of the differences.

    Args:
        x: support and signs of `x`.
        with_artifact: those of `x + ρ`.
        artifact: `ρ` itself, of largest modulus 1.
    """

    x: SignPattern
    with_artifact: SignPattern
    artifact: Complex[Tensor, "draw size"]


def draw_instances(
    signal: Signal,
    size: int,
    sparsity: int,
    draws: int,
    *,
    artifact: Artifact = "plateau",
    width: int = 1,
    generator: torch.Generator,
) -> Instances:
    """Signals with `s` entries that are not 0, at random places, and artifacts off them.

    - `real`: signs ±1; `complex`: uniform phases; `non-negative`: signs 1;
    - `separated`: signs ±1, and no two entries of `x + ρ` nearer than `n/(2(s + 1))`, periodically: half of
      what `s + 1` equal distances would be (our choice);
    - `piecewise-constant`: `s` jumps between levels of a standard normal distribution; the pattern is that of
      the periodic differences, and each artifact is off them by one place.

    The artifact is a plateau of `width` ones, a spike for 1, or that many ones at places of their own.

    Raises:
        ValueError: if signal and artifact do not fit into the size, or no plateau has a place.

    Source: [alaifari2023], section 5. The distribution of places and signs is our choice.
    """
    if signal == "separated" and width != 1:
        raise ValueError(f"draw_instances: expected a spike beside separated entries, got a width of {width}")
    if sparsity < 1 or (sparsity + 2 * width + 2) * (2 if signal == "piecewise-constant" else 1) > size:
        raise ValueError(
            f"draw_instances: {sparsity} entries and an artifact of {width} do not fit into {size}; take a "
            "larger size"
        )
    if signal == "piecewise-constant":
        return _piecewise_constant(size, sparsity, draws, artifact, width, generator)
    if signal == "separated":
        places = _separated(size, sparsity + 1, draws, generator)
    elif artifact == "sparse":
        places = _chosen(size, sparsity + width, draws, generator)
    else:
        places = _beside_plateau(size, sparsity, width, draws, generator)
    angle = torch.zeros(draws, sparsity, dtype=torch.float64)
    if signal != "non-negative":
        angle = torch.rand(draws, sparsity, dtype=torch.float64, generator=generator)
        angle = 2.0 * math.pi * (angle if signal == "complex" else (angle < 0.5).double() / 2)
    signs = torch.polar(torch.ones_like(angle), angle)
    if signal != "complex":
        signs = signs.real.round().to(torch.complex128)
    ones = torch.ones(draws, places.shape[-1] - sparsity, dtype=torch.complex128)
    return Instances(
        _pattern(places[:, :sparsity], signs, size),
        _pattern(places, torch.cat([signs, ones], dim=-1), size),
        _pattern(places[:, sparsity:], ones, size).signal,
    )


def _pattern(index: Tensor, signs: Tensor, size: int) -> SignPattern:
    return SignPattern(index, signs, torch.ones_like(index, dtype=torch.bool), size)


def _chosen(size: int, count: int, draws: int, generator: torch.Generator) -> Int[Tensor, "draw count"]:
    """Different places, in a random order."""
    return torch.rand(draws, size, generator=generator).argsort(dim=-1)[:, :count]


def _beside_plateau(
    size: int, sparsity: int, width: int, draws: int, generator: torch.Generator
) -> Int[Tensor, "draw count"]:
    """`s` places off a plateau at a random place, then those of the plateau."""
    first = torch.randint(size, (draws, 1), generator=generator)
    apart = _chosen(size - width, sparsity, draws, generator) + width
    return torch.cat([first + apart, first + torch.arange(width)], dim=-1) % size


def _separated(size: int, count: int, draws: int, generator: torch.Generator) -> Int[Tensor, "draw count"]:
    """Places no two of which are nearer than `n/(2·count)`, in a random order."""
    least = size // (2 * count)
    # What is left is shared out like points on a line, and the whole is turned by a random shift.
    cuts = torch.sort(torch.randint(size - count * least + 1, (draws, count), generator=generator)).values
    places = cuts + least * torch.arange(count)
    turned = (places + torch.randint(size, (draws, 1), generator=generator)) % size
    return turned.gather(-1, torch.rand(draws, count, generator=generator).argsort(dim=-1))


def _piecewise_constant(
    size: int, jumps: int, draws: int, artifact: Artifact, width: int, generator: torch.Generator
) -> Instances:
    places = _chosen(size, jumps, draws, generator).sort(dim=-1).values
    levels = torch.randn(draws, jumps, dtype=torch.float64, generator=generator)
    # At jump k the level changes from that of k − 1 to that of k; the first follows the last.
    signs = (levels - levels.roll(1, -1)).sign().to(torch.complex128)
    taken = torch.zeros(draws, size, dtype=torch.bool).scatter_(1, places, True)
    pieces = [width] if artifact == "plateau" else [1] * width
    rho = torch.zeros(draws, size, dtype=torch.complex128)
    added: list[Tensor] = []
    for long in pieces:
        first = _free(taken, long, generator)
        # (Dz)_j = z_{j+1} − z_j: up before the plateau, and down at its last place.
        added += [(first - 1) % size, (first + long - 1) % size]
        for step in range(-1, long + 1):
            taken.scatter_(1, (first + step) % size, True)
        for step in range(long):
            rho.scatter_(1, (first + step) % size, 1.0)
    edges = torch.tensor([1.0, -1.0] * len(pieces), dtype=torch.complex128).expand(draws, -1)
    return Instances(
        _pattern(places, signs, size),
        _pattern(torch.cat([places, *added], dim=-1), torch.cat([signs, edges], dim=-1), size),
        rho,
    )


def _free(taken: Tensor, width: int, generator: torch.Generator) -> Int[Tensor, "draw 1"]:
    """First places of plateaus off all that is taken, with a place between."""
    size = taken.shape[-1]
    blocked = torch.stack([taken.roll(-step, -1) for step in range(-1, width + 1)]).any(dim=0)
    if bool(blocked.all(dim=-1).any()):
        raise ValueError(
            f"draw_instances: no place of a signal of {size} holds a plateau of {width} off the jumps; take "
            "a larger size, or fewer jumps"
        )
    chance = torch.rand(taken.shape, generator=generator).masked_fill(blocked, -1.0)
    return chance.argmax(dim=-1, keepdim=True)


def product_margin(index: Int[Tensor, "draw support"], size: int) -> Float[Tensor, "draw"]:
    """log₁₀ of `1 − max v_off` of the certificate of non-negative signals, in exact arithmetic above −∞.

    With the frequencies `−c…c`, `c ≥ s`, `v_j = 1 − P_j/max P`, `P_j = ∏_{k∈S} sin²(π(j − k)/n)`, is a
    trigonometric polynomial of degree `s`, so `v = Aᴴq`. It is 1 on `S`, and in `[0, 1)` off it. `2c + 1 > s`
    frequencies in a row are a Vandermonde matrix on `S`, so `A_S` is injective. Hence every non-negative `x`
    with at most `c` entries is the only minimiser of `‖z‖₁` among all complex `z` with its data. The margin
    says how little of this floating point would see: `v` itself is not computed for the proof.

    Source: [alaifari2023], section 5 (deterministic sets of low frequencies).
    """
    apart = (torch.arange(size) - index.unsqueeze(-1)).double()
    logs = 2.0 * torch.log10(torch.sin(math.pi * apart / size).abs().clamp(min=1e-300)).sum(dim=-2)
    off = torch.ones(index.shape[0], size, dtype=torch.bool).scatter_(1, index, False)
    return logs.masked_fill(~off, math.inf).amin(dim=-1) - logs.masked_fill(~off, -math.inf).amax(dim=-1)

"""Orders in which frequencies are measured: a set is the first of them, so sets of one draw are nested."""

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier

Scheme = Literal["uniform", "uniform-with-zero", "low-frequencies", "centre"]


def centred(size: int) -> Int[Tensor, "size"]:
    """The frequencies in the order of `torch.fft.fft`, from `−n/2` to below `n/2`."""
    number = torch.arange(size)
    return torch.where(number < (size + 1) // 2, number, number - size)


def ranks(scheme: Scheme, size: int, draws: int, *, generator: torch.Generator) -> Int[Tensor, "draw size"]:
    """When each frequency is measured, from 0: a set of level `k` has the ranks up to `k`.

    - `uniform`: all orders are alike, so the first `m` are a uniform set [alaifari2023, theorem 5.1];
    - `uniform-with-zero`: frequency 0, then so [theorem 5.2];
    - `low-frequencies`: frequency 0, then drawn one after another with probability in proportion to `1/|f|`
      of those left. [alaifari2023] mentions variable densities beside the uniform one; this one is that of
      [krahmer2014] in one dimension, and to draw without replacement is our choice;
    - `centre`: `|f|`: a set of level `c` is `−c…c`, without a draw.

    Args:
        scheme: as above.
        size: `n`.
        draws: orders, each its own.
        generator: of the draws.
    """
    frequency = centred(size).abs()
    if scheme == "centre":
        return frequency.expand(draws, size).clone()
    # The order of Gumbel-perturbed logarithms is that of drawing one after another (exponential race).
    race = torch.empty(draws, size, dtype=torch.float64).exponential_(generator=generator)
    if scheme == "low-frequencies":
        race = race * frequency.clamp(min=1)
    if scheme != "uniform":
        race[:, 0] = -1.0
    return race.argsort(dim=-1).argsort(dim=-1)


def measured(order: Int[Tensor, "draw size"], level: Int[Tensor, "draw"]) -> PartialFourier:
    """The frequencies of each draw up to its level."""
    return PartialFourier(order <= level.unsqueeze(-1))

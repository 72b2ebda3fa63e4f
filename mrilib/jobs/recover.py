"""Thresholds of exact recovery at one size and sparsity; some draws are a unit."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mrilib.solvers.partial_fourier import PartialFourier
from mrilib.store.arrays import Group
from mrilib.store.units import UnitStore, derived_seed
from mrilib.theory.interpolation import interpolated
from mrilib.theory.sampling import measured, ranks
from mrilib.theory.signals import Instances, draw_instances, product_margin
from mrilib.theory.thresholds import amplification, find_thresholds

# Draws of a unit: their sets are decided as one batch.
BATCH = 25


def recover(
    entry: Mapping[str, Any], size: int, sparsity: int, store: UnitStore, *, seed: int, code: str
) -> pd.DataFrame:
    """How many frequencies recover `x`, and how many both `x` and `x + ρ`, draw by draw.

    What recovers `x + ρ` recovers `x`, whose signs are a part of its signs (see `Duals`), so that the second
    number is the threshold of `x + ρ`.

    Args:
        entry: `signal`, `sampling`, `artifact`, `width`, `draws`, `max_steps` of the config's entry.
        size: `n`.
        sparsity: `s`, entries of `x`, or jumps.
        store: of the units.
        seed: of the run.
        code: code hash, a part of the units' keys.

    Returns:
        A row a draw: `KINDS` of `mrilib.theory.tables`.
    """
    rows = []
    for first in range(0, entry["draws"], BATCH):
        count = min(BATCH, entry["draws"] - first)
        spec = {name: value for name, value in entry.items() if name != "draws"}
        key = {"stage": "recover", "entry": spec, "size": size, "sparsity": sparsity, "seed": seed}
        key |= {"first": first, "count": count, "code": code}
        arrays = store.get(key, partial(recovered_unit, spec, size, sparsity, first, count, seed)).arrays
        found = pd.DataFrame({name: arrays[name] for name in sorted(arrays)})
        rows.append(found.assign(draw=np.arange(first, first + count)))
        told = found[["x_recovered", "recovered", "undecided"]]
        print(f"draws {first} to {first + count - 1}: {told.median().to_dict()}", flush=True)
    return pd.concat(rows, ignore_index=True).assign(size=size, sparsity=sparsity)


def drawn(
    entry: Mapping[str, Any], size: int, sparsity: int, first: int, count: int, seed: int
) -> tuple[Tensor, Instances]:
    """Orders of frequencies and signals of `count` draws from the `first` on, which begins a batch."""
    own = derived_seed(seed, "recover", entry["signal"], entry["sampling"], size, sparsity, first)
    generator = torch.Generator().manual_seed(own)
    order = ranks(entry["sampling"], size, count, generator=generator)
    if entry["signal"] == "piecewise-constant":
        # Frequency 0 of the differences is known.
        order[:, 0] = -1
    shape = {"artifact": entry["artifact"], "width": entry["width"]}
    return order, draw_instances(entry["signal"], size, sparsity, count, **shape, generator=generator)


def recovered_unit(
    entry: Mapping[str, Any], size: int, sparsity: int, first: int, count: int, seed: int
) -> Group:
    """Thresholds of some draws, and what their artifact does at the threshold."""
    order, instances = drawn(entry, size, sparsity, first, count, seed)
    whole, x = instances.with_artifact, instances.x
    by_formula = entry["signal"] == "non-negative" and entry["sampling"] == "centre"
    top = torch.full((count,), whole.index.shape[-1]) if by_formula else None
    find = partial(
        find_thresholds,
        candidate=interpolated if entry["sampling"] == "centre" else None,
        max_steps=entry["max_steps"],
    )
    both = find(order, whole, highest=top)
    alone = find(order, x, highest=both.level)
    fourier: PartialFourier = measured(order, both.level)
    margin = product_margin(whole.index, size) if by_formula else torch.full((count,), torch.nan)
    columns = {
        "x_recovered": alone.recovered,
        "x_refuted": alone.refuted,
        "recovered": both.recovered,
        "refuted": both.refuted,
        "undecided": alone.undecided + both.undecided,
        "bound": both.bound,
        "smallest": both.smallest,
        "log_margin": margin.double(),
        **amplification(fourier, instances.artifact),
    }
    return Group(arrays={name: value.numpy() for name, value in columns.items()})

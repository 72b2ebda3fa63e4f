"""A small scene for the tests of the attacks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

LEVEL = 0.04


@pytest.fixture
def scene(measured: Callable[..., Any]) -> Callable[..., Any]:
    """`scene(coupling, phase=False)`: total variation, k-space of 24² pixels, operator, radius of 4 %."""
    # Not at the top: jaxtyping's hook must come before mrilib.
    from mrilib.operators.base import norm2
    from mrilib.reconstructors.total_variation import TotalVariation

    def set_up(coupling="split", *, size=24, lines=8, phase=False, dtype=torch.complex64):
        _, kspace, operator = measured(size, lines, phase=phase, dtype=dtype)
        method = TotalVariation(weight=5.6e-3, coupling=coupling, tolerance=1e-4)
        return method, kspace, operator, LEVEL * float(norm2(kspace))

    return set_up


@pytest.fixture
def task_of() -> Callable[..., Any]:
    """`task_of(search, method, kspace, operator, radius)`: the task of a localized attack."""
    from mrilib.attacks.objectives import grid_locations, localized_windows
    from mrilib.attacks.searches.base import starts_of
    from mrilib.attacks.target import Task, clean_of

    def set_up(search, method, kspace, operator, radius, *, grid=2, objective="peak", disk_radius=3.0):
        height, width = kspace.shape
        locations = grid_locations(height, width, grid)
        return Task(
            reconstructor=method,
            operator=operator,
            kspace=kspace,
            radius=radius,
            clean=clean_of(method, kspace, operator, None),
            windows=localized_windows(locations, height, width, objective=objective, disk_radius=disk_radius),
            starts=starts_of(search, operator, locations, radius, [0]),
        )

    return set_up

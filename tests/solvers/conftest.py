"""Random problems for the tests of the solvers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch


@pytest.fixture(params=["split", "complex", "isotropic"])
def coupling(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def problem_of(draw: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """`problem_of(height, width)`: random data on a random mask, so light or heavy a weight that a third to
    nearly all of the differences survive. With `real` the problem is that of a real image, whose spectrum
    is even and whose data are Hermitian.
    """
    # Not at the top: jaxtyping's hook must come before mrilib.
    from mrilib.solvers.total_variation.problem import VariationProblem

    def problem(height, width, *, coupling="split", real=False, seed=0):
        generator = torch.Generator().manual_seed(seed)
        spectrum = (torch.rand((height, width), generator=generator, dtype=torch.float64) < 0.4).double()
        spectrum[0, 0] = 1.0
        data = draw(height, width, seed=seed + 1) * 10
        if real:
            spectrum = 0.5 * (spectrum + spectrum.flip((0, 1)).roll((1, 1), (0, 1)))
            data = torch.fft.fft2(torch.fft.ifft2(data).real)
        data = data * spectrum
        energy = data.abs().square().sum() / data.numel()
        return VariationProblem(spectrum, data, energy, torch.tensor(0.2, dtype=torch.float64), coupling)

    return problem


@pytest.fixture
def stacked() -> Callable[[list[Any]], Any]:
    """Problems of one mask as a batch."""

    def stack(problems):
        names = ("data", "energy", "weight")
        return replace(
            problems[0],
            **{name: torch.stack([getattr(problem, name) for problem in problems]) for name in names},
        )

    return stack

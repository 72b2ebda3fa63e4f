import torch

from mrilib.operators.bases import Cosine
from mrilib.operators.coils import CoilFourier
from mrilib.solvers.bases.fista import BasisProblem, solve_linearised
from mrilib.solvers.coils.data import scaled_data


def problem_of(dtype):
    """Noise through a drawn mask and one coil."""
    generator = torch.Generator().manual_seed(2)
    mask = torch.rand(12, 12, generator=generator) < 0.6
    image = torch.randn(1, 12, 12, generator=generator, dtype=torch.complex128).to(dtype)
    operator = CoilFourier(mask=mask, coil_maps=torch.ones(1, 12, 12, dtype=dtype))
    measurement = scaled_data(operator.forward(image), operator, "test").measurement
    return BasisProblem.of(measurement, Cosine(), torch.full((1,), 0.05, dtype=dtype.to_real()))


def dense_solution(problem, coefficients, direction):
    """The linearised optimality condition on the active set, written out and solved in float64."""
    size = coefficients[0].numel()
    eye = torch.eye(size, dtype=torch.complex128).reshape(-1, *coefficients.shape[1:])
    curve = torch.cat([problem.curve(unit[None]) for unit in eye]).flatten(1).mT
    real = torch.cat([torch.cat([curve.real, -curve.imag], 1), torch.cat([curve.imag, curve.real], 1)])
    flat = coefficients.flatten()
    active = flat.abs() > 0
    moduli = torch.where(active, flat.abs(), 1.0)
    across = 1j * flat / moduli
    rows = torch.zeros(2 * size, size, dtype=torch.float64)
    rows[:size].diagonal().copy_(across.real)
    rows[size:].diagonal().copy_(across.imag)
    matrix = real + (rows * (float(problem.weight) / moduli)) @ rows.mT
    right = problem.basis.forward(direction).flatten()
    kept = active.repeat(2)
    solution = torch.zeros(2 * size, dtype=torch.float64)
    solution[kept] = torch.linalg.solve(matrix[kept][:, kept], torch.cat([right.real, right.imag])[kept])
    return problem.basis.adjoint(torch.complex(*solution.chunk(2)).reshape(coefficients.shape))


def test_the_derivative_bears_coefficients_of_nearly_nothing():
    exact, problem = problem_of(torch.complex128), problem_of(torch.complex64)
    coefficients = exact.basis.forward(exact.minimise(tolerance=1e-6, max_steps=10_000).value)
    coefficients = torch.where(coefficients.abs() > 1e-3, coefficients, 0.0)
    generator = torch.Generator().manual_seed(4)
    direction = torch.randn(1, 12, 12, generator=generator, dtype=torch.complex128)
    # What single precision leaves where a coefficient has just passed its threshold.
    first = tuple(coefficients.abs().nonzero()[0])
    coefficients[first] *= 1e-8 / coefficients[first].abs()
    expected = dense_solution(exact, coefficients.to(torch.complex64).to(torch.complex128), direction)
    single = coefficients.to(torch.complex64), direction.to(torch.complex64)
    found = solve_linearised(problem, *single, tolerance=1e-5, max_steps=1_000)
    assert (found.value - expected).norm() <= 1e-4 * expected.norm()

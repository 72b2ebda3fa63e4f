"""Total variation by a general solver, the slow and obvious reference."""

import warnings

import cvxpy
import numpy as np


def minimum_by_cvxpy(matrix, data, along_x, along_y, *, weight, coupling):
    """Minimiser (flat) and minimum of `½‖Mz − y‖² + λ‖∇z‖₁`, with `M` and `∇` given as matrices."""
    pixels = matrix.shape[1]
    real, imaginary = cvxpy.Variable(pixels), cvxpy.Variable(pixels)
    parts = [along_x @ real, along_x @ imaginary, along_y @ real, along_y @ imaginary]
    groups = {
        "split": [[part] for part in parts],
        "complex": [parts[:2], parts[2:]],
        "isotropic": [parts],
    }[coupling]
    norm = sum(cvxpy.sum(cvxpy.norm(cvxpy.vstack(group), axis=0)) for group in groups)
    whole = np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])
    residual = whole @ cvxpy.hstack([real, imaginary]) - np.concatenate([data.real, data.imag])
    problem = cvxpy.Problem(cvxpy.Minimize(0.5 * cvxpy.sum_squares(residual) + weight * norm))
    with warnings.catch_warnings():
        # Asked for 1e-12 it may stop a little short; the comparison is what counts.
        warnings.filterwarnings("ignore", message="Solution may be inaccurate", category=UserWarning)
        problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return real.value + 1j * imaginary.value, problem.value

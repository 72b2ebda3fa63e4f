"""Straight lines through points with errors in both coordinates."""

import numpy as np
from jaxtyping import Float


def orthogonal_line(
    x: Float[np.ndarray, "*draws points"], y: Float[np.ndarray, "*draws points"]
) -> tuple[Float[np.ndarray, "*draws"], Float[np.ndarray, "*draws"]]:
    """Slope and offset of the line that minimises the sum of squared orthogonal distances to the points.

    With `s_xx`, `s_yy`, `s_xy` of the centred points,

        `b = (s_yy − s_xx + √((s_yy − s_xx)² + 4·s_xy²))/(2·s_xy)`,   `a = ȳ − b·x̄`,

    the direction of their first principal component. So errors of both coordinates count alike, and the line
    of exchanged coordinates is the same line. Points with NaN are left out.

    Args:
        x, y: coordinates; leading axes are fits of their own.

    Returns:
        `b` and `a`; NaN for fewer than two different points, and where the line is vertical or has no
        direction.

    Source: orthogonal distance regression of a line with equal errors; [deming1943], chapter 11.
    """
    told = np.isfinite(x) & np.isfinite(y)
    count = told.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x, mean_y = (np.where(told, each, 0.0).sum(axis=-1) / count for each in (x, y))
        across = np.where(told, x - mean_x[..., None], 0.0)
        up = np.where(told, y - mean_y[..., None], 0.0)
        s_xx, s_yy, s_xy = ((a * b).sum(axis=-1) for a, b in ((across, across), (up, up), (across, up)))
        difference = s_yy - s_xx
        root = np.sqrt(difference**2 + 4.0 * s_xy**2)
        # Of the two equal forms the one that subtracts no equal numbers.
        rising = (difference + root) / (2.0 * s_xy)
        flat = 2.0 * s_xy / (root - difference)
        slope = np.where(difference >= 0, rising, flat)
    slope = np.where(np.isfinite(slope) & (count >= 2), slope, np.nan)
    return np.asarray(slope), np.asarray(mean_y - slope * mean_x)


def orthogonal_distances(
    x: Float[np.ndarray, "*draws points"],
    y: Float[np.ndarray, "*draws points"],
    slope: Float[np.ndarray, "*draws"],
    offset: Float[np.ndarray, "*draws"],
) -> Float[np.ndarray, "*draws points"]:
    """Signed distances of points from their lines, positive above: `(y − a − b·x)/√(1 + b²)`."""
    b, a = slope[..., None], offset[..., None]
    found: np.ndarray = (y - a - b * x) / np.sqrt(1.0 + b**2)
    return found

"""Numbers that the papers print, to stand beside ours."""

import math

# Table 1 of [alaifari2023]: amplification, mean and standard deviation over 50 images, by relative level.
_LEVELS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.10)
_TABLE_1: dict[tuple[str, int], tuple[tuple[float, float], ...]] = {
    ("tv", 25): ((8.12, 2.83), (9.05, 2.56), (9.05, 2.40), (9.06, 0.43), (9.75, 0.52), (8.80, 0.71)),
    ("tv", 40): ((6.23, 2.16), (5.64, 2.24), (5.88, 0.40), (6.88, 0.56), (5.91, 0.28), (5.65, 0.42)),
    ("tv", 80): ((3.15, 0.15), (3.55, 0.26), (3.22, 0.19), (3.19, 0.10), (3.07, 0.07), (2.99, 0.11)),
    ("tira", 40): ((7.29, 5.00), (5.91, 4.76), (3.20, 1.53), (2.38, 0.81), (1.89, 0.44), (1.80, 0.48)),
    ("tirafl", 40): ((7.36, 3.83), (5.67, 4.40), (3.59, 2.61), (2.34, 0.69), (1.96, 0.58), (1.77, 0.60)),
}


def published_amplification(column: str | None, lines: int | None, level: float) -> tuple[float, float]:
    """Mean and standard deviation of α in Table 1 of [alaifari2023]; NaN where it has none.

    Args:
        column: `tv`, `tira` or `tirafl`; `None` for methods that are not in the table.
        lines: lines of the radial mask; `None` for other masks.
        level: relative noise level.
    """
    cells = _TABLE_1.get((column or "", lines or 0))
    for index, printed in enumerate(_LEVELS):
        if cells is not None and math.isclose(printed, level, rel_tol=1e-9):
            return cells[index]
    return math.nan, math.nan

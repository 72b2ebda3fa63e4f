"""What studies of an attack of which something is varied have in common."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.records import records_of
from mrilib.experiments.scores import varied_scores
from mrilib.store.records import Record


def studied(run: ScoredRun, attacks: Sequence[str], where: str) -> pd.DataFrame:
    """The varied scores of some attacks, of methods that are tuned and trained as usual.

    Raises:
        ValueError: if the run has no such attack.
    """
    for name in attacks:
        if name not in run.attacks:
            raise ValueError(f"{where}: expected an attack of {list(run.attacks)}, got {name!r}")
    return varied_scores(run.scores[run.scores["domain"] == ""], attacks)


def study_records(
    run: ScoredRun, scores: pd.DataFrame, quantities: Iterable[str], table: str
) -> list[Record]:
    """Records of every source, mask, level, attack and value of what is varied."""
    by = ["source", "mask", "level", "kind", "attack", "varied", "value"]
    return [
        record for quantity in quantities for record in records_of(run, scores, quantity, by=by, table=table)
    ]


def told_apart(run: ScoredRun, scores: pd.DataFrame, columns: Iterable[str]) -> tuple[str, pd.Series]:
    """What all rows have in common, as a heading, and what tells them apart, as a name for each row.

    Args:
        run: for the names to print.
        scores: rows.
        columns: of `method`, `mask`, `source` and `level`.

    Returns:
        The heading, such as `TV, 40 lines, ellipses, level 4 %`; the names, empty where nothing differs.
    """
    common, names = [], pd.Series([""] * len(scores), index=scores.index, dtype=object)
    for column in columns:
        texts = scores[column].map(lambda value, column=column: _text(run, column, value))
        if texts.nunique() <= 1:
            common += texts.head(1).tolist()
        else:
            names = names.where(names == "", names + ", ") + texts
    return ", ".join(common), names


def places_of(run: ScoredRun, attacks: Iterable[str]) -> str:
    """The grid of places that the attacks share, such as `8×8 places`; empty where they share none."""
    grids = {run.attacks.get(name, {}).get("grid") for name in attacks}
    grid = grids.pop() if len(grids) == 1 else None
    return f"{grid}×{grid} places" if grid else ""


def _text(run: ScoredRun, column: str, value: object) -> str:
    if column == "level":
        return f"level {100 * float(str(value)):g} %"
    labels = {"method": run.labels, "mask": run.mask_labels}.get(column, {})
    return labels.get(str(value), str(value))

"""Records: one for every measured number, as JSON."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mrilib.store.atomic import write_text


@dataclass(frozen=True)
class Record:
    """One measured number and all that a reader needs to judge it.

    Args:
        table: the table that it stands in.
        quantity: what was measured, e.g. `amplification`.
        row: what it was measured on: source, mask, level, ...
        method: whose number it is.
        value: mean over the images.
        sd: standard deviation over the images; NaN for one.
        low: lower end of the 95 % bootstrap interval of the mean; NaN where there is none.
        high: upper end.
        n: number of images.
        missing: images whose computation failed and that are not in the mean.
        flagged: images in it whose first search found less than a spike, noise, or another method's
            perturbation; it was repeated and the strongest counts.
        unit: `1` for ratios.
        paper: the paper's mean, NaN where it gives none.
        paper_sd: the paper's standard deviation.
        code_hash: hash of the code that measured.
        seed: seed of the run.
        doubtful: images in it whose artifact is not well above what the method is accurate to, or not above
            what another fit changes, so that their numbers may say nothing of the perturbation: see
            `mrilib.experiments.scores.doubtful`.
    """

    table: str
    quantity: str
    row: dict[str, str | int | float]
    method: str
    value: float
    sd: float
    low: float
    high: float
    n: int
    missing: int
    flagged: int
    unit: str
    paper: float
    paper_sd: float
    code_hash: str
    seed: int
    doubtful: int = 0

    @property
    def flat(self) -> dict[str, Any]:
        """All in one row: the fields, then the keys of `row`, with `row_` before those called as a field."""
        named = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "row"}
        return named | {f"row_{key}" if key in named else key: value for key, value in self.row.items()}


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write records as a JSON list, atomically; NaN becomes `null`."""
    rows = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(record).items()
        }
        for record in records
    ]
    write_text(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def read_records(path: str | Path) -> list[Record]:
    """Read what `write_records` wrote."""
    rows: list[dict[str, Any]] = json.loads(Path(path).read_text(encoding="utf-8"))
    for row in rows:
        row.update({key: math.nan for key, value in row.items() if value is None})
    return [Record(**row) for row in rows]

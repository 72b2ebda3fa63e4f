"""Columns of score files: what stands beside the reported quantities, and which type each has."""

from typing import Literal

from mrilib.metrics.quantities import QUANTITIES

Kind = Literal["name", "flag", "count", "number"]

# In the order of the file. The first ones, up to `kind`, say who the image is and what reconstructed it.
_KINDS: dict[str, Kind] = {
    "source": "name",
    "mask": "name",
    "method": "name",
    "domain": "name",
    "position": "count",
    "volume": "name",
    "slice": "number",
    "patient": "name",
    "anatomy": "name",
    "simulated": "flag",
    "acceleration": "number",
    "coils": "count",
    "through_adjoint": "flag",
    "kind": "name",
    "attack": "name",
    "region": "name",
    "artifact": "name",
    "made_for": "name",
    "level": "number",
    "tuned": "name",
    "factor": "number",
    "varied": "name",
    "value": "number",
    "weight": "number",
    "row": "count",
    "column": "count",
    "failed": "name",
    "weaker_than": "name",
    "gap": "number",
    "solver_steps": "number",
    "clean_error": "number",
}
_KINDS |= dict.fromkeys(QUANTITIES, "number")

COLUMNS = tuple(_KINDS)
NAMES, FLAGS, COUNTS, NUMBERS = (
    tuple(name for name, kind in _KINDS.items() if kind == wanted)
    for wanted in ("name", "flag", "count", "number")
)
# Who the image is and what reconstructed it: attributes of the file of reconstructions.
ABOUT = COLUMNS[: COLUMNS.index("kind")]

"""Columns of score files: what stands beside the reported quantities, and which type each has."""

import math
from typing import Any

from mrilib.metrics.quantities import QUANTITIES
from mrilib.store.tables import Kind

# What stands for the attack in rows of clean data. No attack has this name: names are not empty.
NO_ATTACK = ""

# In the order of the file. The first ones, up to `kind`, say who the image is and what reconstructed it.
KINDS: dict[str, Kind] = {
    "source": "text",
    "mask": "text",
    "method": "text",
    "domain": "text",
    "position": "count",
    "volume": "text",
    "slice": "number",
    "slices": "number",
    "patient": "text",
    "anatomy": "text",
    "simulated": "flag",
    "snr": "number",
    "acceleration": "number",
    "coils": "count",
    "through_adjoint": "flag",
    "output": "text",
    "kind": "text",
    "attack": "text",
    "region": "text",
    "artifact": "text",
    "relative_to": "text",
    "made_for": "text",
    "level": "number",
    "tuned": "text",
    "factor": "number",
    "varied": "text",
    "value": "number",
    "weight": "number",
    "row": "count",
    "column": "count",
    "failed": "text",
    "weaker_than": "text",
    "weaker_than_transfer": "text",
    "gap": "number",
    "solver_steps": "number",
    "reference_norm": "number",
    "clean_error": "number",
    "accuracy": "number",
    "fit_to_fit": "number",
    "perturbation_norm": "number",
}
KINDS |= dict.fromkeys(QUANTITIES, "number")

# Rows of small features: whose they are; the columns of the studies follow.
FEATURES: dict[str, Kind] = {
    "feature": "text",
    "kind": "text",
    "method": "text",
    "domain": "text",
    "source": "text",
    "mask": "text",
    "position": "count",
    "volume": "text",
    "slice": "number",
    "patient": "text",
    "anatomy": "text",
    "simulated": "flag",
    "tuned": "text",
    "output": "text",
    "failed": "text",
}
# The same of their maps.
FEATURE_MAPS: dict[str, Kind] = dict.fromkeys(
    ("feature", "kind", "method", "domain", "source", "mask"), "text"
)

COLUMNS = tuple(KINDS)
NUMBERS = tuple(name for name, kind in KINDS.items() if kind == "number")
# Who the image is and what reconstructed it: attributes of the file of reconstructions.
ABOUT = COLUMNS[: COLUMNS.index("kind")]


def empty_row() -> dict[str, Any]:
    """A row in which nothing is said."""
    row: dict[str, Any] = {key: math.nan if key in NUMBERS else "" for key in COLUMNS}
    return row | {"simulated": False, "coils": 0, "through_adjoint": False, "row": -1, "column": -1}

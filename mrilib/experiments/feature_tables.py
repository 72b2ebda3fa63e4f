"""What studies of small features found, as tables: a row an image, and sums by place."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mrilib.experiments.columns import FEATURE_MAPS, FEATURES
from mrilib.features.kinds.base import FeatureKind
from mrilib.jobs.feature import columns_of
from mrilib.store.arrays import Group, group_names, read_group
from mrilib.store.tables import empty_table

PREFIX = "features/"


def feature_tables(
    paths: Iterable[str | Path], kinds: Mapping[str, FeatureKind]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of all images of an application: a row an image and entry of `FeatureKind.table`, and maps.

    Args:
        paths: files of features of one application, in order of position; of images that a set does not have,
            too.
        kinds: study to its kind.

    Returns:
        `FEATURES` with the columns of the studies, empty where a study has none of that name; a study that
        failed on an image has one row, which says why. And maps: `FEATURE_MAPS` with the columns of
        `FeatureKind.map`, summed over images, and `images`, how many these are.
    """
    rows: list[pd.DataFrame] = []
    maps: dict[str, list[pd.DataFrame]] = {name: [] for name in kinds}
    whose: dict[str, dict[str, Any]] = {}
    for path in paths:
        root = read_group(path, arrays=[]).attributes
        if root.get("missing", False):
            continue
        for group_name in sorted(name for name in group_names(path) if name.startswith(PREFIX)):
            name = group_name.removeprefix(PREFIX)
            if name not in kinds:
                continue
            group = read_group(path, group_name)
            about = _identity(root | group.attributes)
            whose[name] = {key: about[key] for key in FEATURE_MAPS}
            if about["failed"]:
                rows.append(pd.DataFrame([about]))
                continue
            frame, of_image = _findings(group), _of_image(group)
            told = kinds[name].table(frame)
            more = {key: value for key, value in of_image.items() if key not in told}
            rows.append(told.assign(**more, **about))
            if len(found := kinds[name].map(frame)):
                maps[name].append(found)
    told = pd.concat(rows, ignore_index=True) if rows else empty_table(FEATURES)
    summed = [_summed(kinds[name], found).assign(**whose[name]) for name, found in maps.items() if found]
    every = pd.concat(summed, ignore_index=True) if summed else empty_table(FEATURE_MAPS)
    return _in_order(told, FEATURES), _in_order(every, FEATURE_MAPS)


def _identity(attributes: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: "" if kind == "text" else np.nan for name, kind in FEATURES.items()} | {"simulated": False}
    found = {name: attributes.get(name, plain[name]) for name in FEATURES}
    return found | {"patient": found["patient"] or found["volume"]}


def _findings(group: Group) -> pd.DataFrame:
    """A row a finding, with what was found of the image as a whole."""
    # In double precision, for sums.
    arrays = {
        name: array.astype(float) if array.dtype.kind == "f" else array
        for name, array in columns_of(group).items()
    }
    frame = pd.DataFrame(arrays)
    return frame.assign(**{name: value for name, value in _of_image(group).items() if name not in frame})


def _of_image(group: Group) -> dict[str, Any]:
    """What was found of the image as a whole; what is true is 1."""
    about = {name: value for name, value in group.attributes.items() if name not in FEATURES}
    return {
        name: int(value) if isinstance(value, bool | np.bool_) else value for name, value in about.items()
    }


def _summed(kind: FeatureKind, found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    keys = [*kind.KEYS, "row", "column"]
    every = pd.concat([each.assign(images=1) for each in found], ignore_index=True)
    return every.groupby(keys, as_index=False, sort=True).sum()


def _in_order(frame: pd.DataFrame, first: Iterable[str]) -> pd.DataFrame:
    names = list(first)
    return frame[[*names, *(name for name in frame.columns if name not in names)]]

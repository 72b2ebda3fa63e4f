"""Which slices of a catalogue stand in a set, by position."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mrilib.store.units import derived_seed


def split_patients(patients: Sequence[str], fractions: Mapping[str, float], *, seed: int) -> dict[str, str]:
    """Deal patients out to the parts of a split, all volumes of a patient to the same part.

    Patients stand in an order drawn from the seed and their names alone; each part takes its share of that
    order, rounded so that the shares add up, in the order of `fractions`.

    Args:
        patients: names; repeated ones count once.
        fractions: name of a part to its share; they add up to 1.
        seed: of the order.

    Returns:
        Name of a patient to the name of its part.

    Raises:
        ValueError: if a part would stay empty.
    """
    order = sorted(set(patients), key=lambda name: (derived_seed(seed, "split", name), name))
    found, first, total = {}, 0, 0.0
    for part, share in fractions.items():
        total += share
        last = round(total * len(order))
        if last == first:
            raise ValueError(
                f"split_patients: part {part!r} ({share:g}) of {len(order)} patients is empty; add volumes, "
                "or name the volumes of each part as a dataset of its own"
            )
        found.update(dict.fromkeys(order[first:last], part))
        first = last
    return found


def apart_from(catalogue: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """A catalogue without the volumes that share data or a patient with other datasets.

    So nothing is tuned or trained on what it is tested on, whatever files are called: slices are the same if
    their k-space is, bit for bit.

    Args:
        catalogue: as `inspect_volume` gives it, a row a slice.
        others: name of a dataset to its catalogue.

    Returns:
        The rows that are left, rejected volumes among them, and one line for each volume that is left out.
    """
    reasons: dict[tuple[str, str], str] = {}
    accepted = catalogue[catalogue["accepted"]]
    for name, rows in others.items():
        usable = rows[rows["accepted"]]
        hashes, patients = set(usable["hash"]), set(usable["patient"])
        shared = accepted[accepted["hash"].isin(hashes) | accepted["patient"].isin(patients)]
        for row in shared.to_dict("records"):
            same = f"slice {row['slice']}" if row["hash"] in hashes else f"patient {row['patient']}"
            volume = str(row["volume"])
            reasons.setdefault((str(row["dataset"]), volume), f"{volume}: left out, {same} is in {name}")
    volumes = pd.Series(zip(catalogue["dataset"], catalogue["volume"], strict=True), index=catalogue.index)
    return catalogue[~volumes.isin(list(reasons)) | ~catalogue["accepted"]], list(reasons.values())


def select_slices(
    catalogue: pd.DataFrame,
    *,
    count: int,
    seed: int,
    acquisitions: Sequence[str] | None = None,
    middle: float = 1.0,
    per_volume: int | None = None,
    fewer: bool = False,
) -> pd.DataFrame:
    """Choose slices: volumes in an order drawn from the seed, a slice of each in turn.

    So a set is spread over as many volumes as it can be, and its first n positions are the set of n. Slices
    of a volume stand in an order drawn from the seed and the volume's name.

    Args:
        catalogue: as `inspect_volume` gives it, a row a slice; rejected volumes are left out.
        count: number of slices.
        seed: of both orders.
        acquisitions: those taken; all by default.
        middle: share of a volume's slices taken, around its middle; at least one.
        per_volume: most slices of one volume.
        fewer: take what there is where there is less than `count`.

    Returns:
        Rows of the catalogue in order, with their `position` from 0.

    Raises:
        ValueError: if there are fewer slices than `count`, or none; says how many and why others are out.
    """
    accepted = catalogue[catalogue["accepted"]]
    if acquisitions is not None:
        accepted = accepted[accepted["acquisition"].isin(acquisitions)]
    kept = accepted[_in_the_middle(accepted, middle)]
    keys = pd.DataFrame(
        {
            "turn": 0,
            "volume_order": [derived_seed(seed, "volume", name) for name in kept["volume"]],
            "slice_order": [
                derived_seed(seed, "slice", name, int(position))
                for name, position in zip(kept["volume"], kept["slice"], strict=True)
            ],
        },
        index=kept.index,
    )
    keys["turn"] = keys.groupby("volume_order")["slice_order"].rank(method="first")
    if per_volume is not None:
        keys = keys[keys["turn"] <= per_volume]
    chosen = keys.sort_values(["turn", "volume_order"]).index[:count]
    if len(chosen) < count and (not fewer or len(chosen) == 0):
        rejected = catalogue.loc[~catalogue["accepted"], "volume"].nunique()
        raise ValueError(
            f"select_slices: expected {count} slices, found {len(chosen)} in {kept['volume'].nunique()} "
            f"volumes ({rejected} more are rejected); add volumes, lower the count, loosen acquisitions, "
            "middle or per_volume, or allow fewer"
        )
    return catalogue.loc[chosen].reset_index(drop=True).rename_axis("position").reset_index()


def _in_the_middle(rows: pd.DataFrame, share: float) -> pd.Series:
    """Whether a slice is one of the `share` around the middle of its volume."""
    distance = (rows["slice"] - (rows["slices"] - 1) / 2).abs()
    return distance <= (share * rows["slices"] / 2 - 0.5).clip(lower=0.5)

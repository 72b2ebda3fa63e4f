"""Records of attacks and of their transfer, with the paper's values beside ours."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mrilib.experiments.published import published_amplification
from mrilib.experiments.scores import RECONSTRUCTION, clean_scores, own_scores, summarise_scores
from mrilib.metrics.quantities import QUANTITIES
from mrilib.store.records import Record

NO_PAPER = (math.nan, math.nan)


@dataclass(frozen=True)
class Order:
    """How rows of tables are ordered, and what the paper's table has of them.

    Args:
        methods: method to its column of the paper's table, or to `None`; in order.
        masks: mask to what it is (`about` of its sampling: `kind`, `lines` or `acceleration`); in order.
        attacks: attack to what it is (`kind`, and where it has them `objective`, `region`, `artifact`); in
            order, after clean reconstructions.
        sources: in order; others come after.
        published_sources: sources of images like the paper's, phantoms.
    """

    methods: Mapping[str, str | None]
    masks: Mapping[str, Mapping[str, Any]]
    attacks: Mapping[str, Mapping[str, Any]]
    sources: Sequence[str] = field(default=())
    published_sources: Sequence[str] = field(default=())

    def place(self, row: Mapping[Hashable, Any]) -> tuple[Any, ...]:
        """Sorting key; tables of attacks go by method and mask, those of transfer and quality by mask."""
        level, method = row.get("level", math.nan), _rank(row["method"], self.methods)
        return (
            _rank(row["source"], self.sources),
            method if "level" in row and "made_for" not in row else 0,
            _rank(row["mask"], self.masks),
            row["domain"],
            -1.0 if math.isnan(level) else level,
            _rank(row.get("made_for", row["method"]), self.methods),
            -1 if row.get("kind") == RECONSTRUCTION else _rank(row.get("attack", ""), self.attacks),
            method,
        )

    def paper(self, row: Mapping[Hashable, Any]) -> tuple[float, float]:
        """The paper's mean and sd of α for a row: of localized attacks over the whole image, on phantoms."""
        about, mask = self.attacks.get(row["attack"], {}), self.masks.get(row["mask"], {})
        like = row["source"] in self.published_sources and not row["domain"]
        if row["kind"] != "localized" or not like or mask.get("kind") != "radial":
            return NO_PAPER
        if about.get("region", "image") != "image":
            return NO_PAPER
        return published_amplification(self.methods.get(row["method"]), mask.get("lines"), row["level"])


def _rank(name: Any, names: Sequence[str] | Mapping[str, Any]) -> int:
    """Place of a name, after all others where it is not among them."""
    known = list(names)
    return known.index(name) if name in known else len(known)


def table_records(
    scores: pd.DataFrame, *, quantity: str, order: Order, code_hash: str, seed: int
) -> list[Record]:
    """Records of one quantity for every source, method, mask, level and attack.

    For `relative_error` there are also those of the clean reconstructions that the attacks started from:
    their `kind` is `reconstruction`, and they have no `attack`.

    Args:
        scores: of `read_scores`; rows of perturbations made for other methods are left out. Their `domain`
            stands in the row of a record unless it is empty: see `with_usual_domains`.
        quantity: one of `metrics.quantities.QUANTITIES`.
        order: of the rows, and the paper's values.
        code_hash: hash of the code.
        seed: of the resampling.
    """
    chosen = own_scores(scores)
    if quantity == "relative_error":
        chosen = pd.concat([clean_scores(scores), chosen], ignore_index=True)
    by = ["source", "mask", "domain", "level", "kind", "attack"]
    return records_of("localized", chosen, quantity, by=by, order=order, code_hash=code_hash, seed=seed)


def transfer_records(
    scores: pd.DataFrame, *, quantity: str, order: Order, code_hash: str, seed: int
) -> list[Record]:
    """Records of one quantity for every source, mask, level, attack, method that a perturbation was made for,
    and method that it was given to; arguments as those of `table_records`.

    Masks with a single method have no transfer and no record. Source: [alaifari2023], Figs. 6 and 7.
    """
    perturbed = scores[scores["kind"] != RECONSTRUCTION]
    carried = perturbed[perturbed["made_for"] != perturbed["method"]]
    chosen = perturbed.merge(carried[["source", "mask", "attack"]].drop_duplicates())
    by = ["source", "mask", "domain", "level", "kind", "attack", "made_for"]
    return records_of("transfer", chosen, quantity, by=by, order=order, code_hash=code_hash, seed=seed)


def records_of(
    table: str,
    scores: pd.DataFrame,
    quantity: str,
    *,
    by: Sequence[str],
    order: Order,
    code_hash: str,
    seed: int,
) -> list[Record]:
    """Records of one quantity for each group of `by` and method, in the order of the table.

    The row of a record has `by`, without an empty domain. For `seconds` the value is the median, without sd
    and interval.
    """
    found = summarise_scores(scores, quantity, by=[*by, "method"], seed=seed)
    records = []
    for row in sorted(found.to_dict("records"), key=order.place):
        with_paper = quantity == "amplification" and table == "localized"
        paper, paper_sd = order.paper(row) if with_paper else NO_PAPER
        median = quantity == "seconds"
        records.append(
            Record(
                table=table,
                quantity=quantity,
                row={key: row[key] for key in by if key != "domain" or row[key]},
                method=row["method"],
                value=row["median" if median else "mean"],
                sd=math.nan if median else row["sd"],
                low=math.nan if median else row["low"],
                high=math.nan if median else row["high"],
                n=int(row["n"]),
                missing=int(row["missing"]),
                flagged=int(row["flagged"]),
                unit=QUANTITIES[quantity].unit,
                paper=paper,
                paper_sd=paper_sd,
                code_hash=code_hash,
                seed=seed,
            )
        )
    return records

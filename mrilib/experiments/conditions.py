"""Conditions that a shift lies between: images under a mask, and what methods were tuned and trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, ValidationError

from mrilib.experiments.base import ScoredRun
from mrilib.experiments.scores import check_once, lowest_tuned, usual_domain, valued
from mrilib.metrics.statistics import Summary, summarise

# What tells an image from another, whatever source it stands in.
IMAGE = ["volume", "slice", "position"]


class Condition(BaseModel):
    """A source under a mask, reconstructed by methods of a domain.

    Args:
        source: of images.
        mask: by default the only one under which the source was reconstructed.
        domain: what methods were tuned and trained on: its name, or `source@mask` for the usual domain of
            these; by default the usual one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    mask: str | None = None
    domain: str | None = None


# A condition, or what a config has of one.
Given = Condition | Mapping[str, Any]


def condition_of(given: Given) -> Condition:
    """The condition that is given, or that a config describes.

    Raises:
        ValueError: for keys that a condition does not have, or that are no texts.
    """
    if isinstance(given, Condition):
        return given
    try:
        return Condition.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"condition: expected source, and where there are several mask and domain, as texts; {where}: "
            f"{first['msg'].lower()}"
        ) from error


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Clean reconstructions under a condition.

    Args:
        condition: with its mask.
        scores: of `valued`, a row an image and method, the methods in the order of the run.
        mask_label: what the mask is called.
        domain_label: what methods were tuned and trained on, where the condition says so; else empty.
    """

    condition: Condition
    scores: pd.DataFrame
    mask_label: str
    domain_label: str

    @property
    def label(self) -> str:
        """What the condition is called, such as `brain, random 4×, tuned on abdomen`."""
        return ", ".join(filter(None, [self.condition.source, self.mask_label, self.domain_label]))

    @property
    def without_mask(self) -> str:
        """The same where the mask is said elsewhere."""
        return ", ".join(filter(None, [self.condition.source, self.domain_label]))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(self.scores["method"]))

    @property
    def patients(self) -> list[str]:
        return list(dict.fromkeys(self.scores["patient"]))

    def summary(self, method: str, seed: int) -> Summary:
        """Of a method's images, resampled by patient."""
        told = self.scores[(self.scores["method"] == method) & self.scores["number"].notna()]
        return summarise(told["number"].tolist(), groups=told["patient"].tolist(), seed=seed)

    def missing(self, method: str) -> int:
        """Images that the method failed on."""
        return int(self.scores.loc[self.scores["method"] == method, "missing"].sum())

    def row(self, ending: str = "") -> dict[str, str]:
        """Source, mask and domain for the row of a record, each name with an ending."""
        found = self.condition.model_dump(exclude_none=True)
        return {f"{key}{ending}": value for key, value in found.items()}


def conditioned(run: ScoredRun, given: Given, quantity: str, where: str) -> Conditioned:
    """Reconstructions of the images of a condition, by every method that has any there.

    Methods that are neither tuned nor trained are the same in every domain: theirs are those of the usual.

    Args:
        run: with its scores; a parameter that was tuned by level is that of the lowest.
        given: the condition.
        quantity: of reconstructions.
        where: who asks, for messages.

    Raises:
        ValueError: if the quantity is none of reconstructions, if the run has no reconstruction there, if the
            mask is not given and there are several, or if an image is given twice.
    """
    if run.quantity(quantity, where).of != "reconstruction":
        raise ValueError(f"{where}: expected a quantity of reconstructions, such as ssim, got {quantity!r}")
    condition = condition_of(given)
    scores = lowest_tuned(run.scores)
    scores = scores[scores["source"] == condition.source]
    masks = list(dict.fromkeys(scores["mask"]))
    if condition.mask is None and len(masks) > 1:
        raise ValueError(f"{where}: {condition.source} was measured under {masks}; name the mask meant")
    condition = condition.model_copy(update={"mask": condition.mask or next(iter(masks), "")})
    mask = str(condition.mask)
    scores = scores[scores["mask"] == mask]
    usual = usual_domain(run.usual, condition.source, mask)
    named = condition.domain
    if named is not None and "@" in named:
        source, _, under = named.partition("@")
        named = usual_domain(run.usual, source, under)
    domain = "" if named in (None, usual) else named
    same = (scores["domain"] == "") & ~scores["method"].isin(list(run.adapted))
    scores = valued(scores[(scores["domain"] == domain) | same], quantity)
    if scores.empty:
        raise ValueError(
            f"{where}: no reconstruction of {condition.source} under {mask or 'any mask'} by methods of "
            f"{condition.domain or 'the usual domain'}; look at images, masks and shifts of the config"
        )
    check_once(scores, ["method", *IMAGE], where)
    ranks = {name: rank for rank, name in enumerate(run.methods)}
    scores = scores.sort_values(
        "method", key=lambda names: names.map(ranks).fillna(len(ranks)), kind="stable"
    )
    told = "" if named is None else f"tuned on {_domain_label(run, named, mask)}"
    return Conditioned(condition, scores, run.mask_labels.get(mask, mask), told)


def _domain_label(run: ScoredRun, domain: str, mask: str) -> str:
    """What a domain is called beside a mask: by its source alone where its mask is that one."""
    pair = run.domains.get(domain, {})
    if domain == f"{pair.get('source')}@{mask}":
        return pair["source"]
    return run.domain_labels.get(domain, domain)


def patient_sums(
    scores: pd.DataFrame, methods: Sequence[str], patients: Sequence[str]
) -> tuple[Float[np.ndarray, "patients methods"], Float[np.ndarray, "patients methods"]]:
    """Sum and count of the values of every patient and method, which any mean over patients is made of."""
    told = scores[scores["number"].notna()]
    by = told.groupby(["patient", "method"])["number"]

    def table(values: pd.Series) -> Float[np.ndarray, "patients methods"]:
        whole = values.unstack().reindex(index=list(patients), columns=list(methods))
        return whole.fillna(0.0).to_numpy(dtype=float)

    return table(by.sum()), table(by.count())


def drawn_means(
    scores: pd.DataFrame,
    methods: Sequence[str],
    patients: Sequence[str],
    weights: Float[np.ndarray, "draws patients"],
) -> Float[np.ndarray, "draws methods"]:
    """Mean of every method over the images of the patients, each of them as often as it is drawn."""
    sums, counts = patient_sums(scores, methods, patients)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((weights @ sums) / (weights @ counts))


def resampled_patients(
    first: Sequence[str], second: Sequence[str], *, draws: int, seed: int
) -> tuple[list[str], Float[np.ndarray, "draws patients"]]:
    """Patients of two conditions, and how often each is drawn: in both alike, for both share them.

    Those that stand in both, in the first alone and in the second alone are drawn apart, each group as often
    as it has patients, so that no condition is ever without any. Names may be given more than once, and count
    once.
    """
    one, other = dict.fromkeys(first), dict.fromkeys(second)
    groups = [
        [name for name in one if name in other],
        [name for name in one if name not in other],
        [name for name in other if name not in one],
    ]
    generator = np.random.default_rng(seed)
    drawn = [
        generator.multinomial(len(group), np.full(len(group), 1.0 / len(group)), size=draws)
        for group in groups
        if group
    ]
    return [name for group in groups for name in group], np.concatenate(drawn, axis=1).astype(float)


def drawn_rows(patients: Sequence[str], *, draws: int, seed: int) -> list[Int[np.ndarray, "rows"]]:
    """Rows of a table in every draw of its patients: all those of a patient, as often as it is drawn.

    Args:
        patients: one a row.
        draws: how many.
        seed: of the drawing.
    """
    names = list(dict.fromkeys(patients))
    if not names:
        return []
    labels = np.array(patients, dtype=object)
    rows = [np.flatnonzero(labels == name) for name in names]
    _, weights = resampled_patients(names, names, draws=draws, seed=seed)
    return [
        np.concatenate([np.tile(own, int(times)) for own, times in zip(rows, drawn, strict=True)])
        for drawn in weights
    ]

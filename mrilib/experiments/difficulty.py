"""Why images are hard: their energy by frequency, and what is left of their difficulty under another mask."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from mrilib.data.spectra import low_frequency_share
from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.comparison import DRAWS
from mrilib.experiments.conditions import (
    Condition,
    Conditioned,
    conditioned,
    drawn_means,
    drawn_rows,
    resampled_patients,
)
from mrilib.experiments.records import record_of
from mrilib.metrics.quantities import Quantity
from mrilib.metrics.ranking import spearman
from mrilib.metrics.statistics import Summary, percentile_interval, summarise
from mrilib.store.records import Record

SHARE, CORRELATION, CROSSING, REMAINING = "low_frequency_share", "correlation", "crossing", "remaining"
OWN = {
    SHARE: Quantity("Low-frequency share of the energy", decimals=4),
    CORRELATION: Quantity("Rank correlation of the score and the low-frequency share", decimals=2),
    CROSSING: Quantity("Column from which hard images have more energy", "columns", decimals=0),
    REMAINING: Quantity("Share of the gap that remains under the tested mask", decimals=2),
}
# Whose number it is where it is that of images and of no method.
IMAGES = "images"
POOL, HARD, CONTROL = "pool", "hard", "control"
SLICE = ["volume", "slice"]
EVERY, CLEAR = "all", "not noisy"
# Values under the mask that is tested, and under that of the selection.
DRAWN = TESTED, SELECTED = ["tested", "selected"]


@dataclass(frozen=True, eq=False)
class Images:
    """The images of the pool.

    Args:
        table: a row an image: `volume`, `slice`, `patient`, `snr`, `score` (mean over the selectors),
            `share`, `energy`, and whether it is in the `hard` set, in the `control`, and `noisy`.
        spectra: share of each one's energy in the columns of frequency `±f`, by `f` from 0.
    """

    table: pd.DataFrame
    spectra: Float[np.ndarray, "images frequencies"]

    def where(self, chosen: pd.Series) -> "Images":
        return Images(self.table[chosen].reset_index(drop=True), self.spectra[chosen.to_numpy()])


class Difficulty(Experiment):
    """What tells hard images from others, of which the selectors' own scores say which they are.

    With the score of an image, the mean of `quantity` over the methods that reconstructed the pool:

    - `low_frequency_share`: energy of the central columns over that of all, mean over the images of the pool,
      of the hard set and of its control;
    - `correlation`: Spearman's of score and share over the pool, with its percentile interval, patients
      resampled: [darestani2021] expects hard images to have less of low frequencies;
    - `crossing`: the `f` at which `Σ_{g ≤ f} (h_g − p_g)` is smallest, `h_g` and `p_g` the mean share of the
      energy in the columns `±g` of hard images and of the pool: below it hard images have less, above it
      more; none if they have no less anywhere;
    - `remaining`: for every selector, the gap between control and hard set under the mask that is tested over
      that under the mask by which they were selected. What is missing to 1 was luck of that draw: regression
      to the mean.

    All are made of every image, and again without those whose reference is noisy.

    Args:
        pool: source of all candidates, which the selectors reconstructed.
        hard, control: sources of the hard slices and of their control.
        quantity: by which they were selected.
        center_fraction: central part of the columns that counts as low frequencies.
        least_snr: a reference with less signal to noise is noisy; by default none is.

    Source: [darestani2021], figures 14 and 15, whose curves cross at column 45; how it selected, and from
    which statistic it concludes, are not published: our choice.
    """

    word: ClassVar[str] = "difficulty"
    title: ClassVar[str] = "What tells hard images from others"
    names_spectra: ClassVar[tuple[str, ...]] = ("pool",)
    figure: ClassVar[str | None] = "mrilib.report.figures_difficulty:difficulty_figure"

    def __init__(
        self,
        *,
        pool: str,
        hard: str,
        control: str,
        quantity: str = "ssim",
        center_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.08,
        least_snr: Annotated[int | float, Field(ge=0)] = 0,
    ) -> None:
        self.pool, self.hard, self.control = pool, hard, control
        self.quantity, self.center_fraction, self.least_snr = quantity, center_fraction, least_snr

    @property
    def conditions(self) -> Mapping[str, Condition]:
        return {name: Condition(source=getattr(self, name)) for name in (POOL, HARD, CONTROL)}

    def records(self, run: ScoredRun) -> list[Record]:
        sides = self._sides(run)
        images = self._images(run, sides)
        clear = ~images.table["noisy"]
        found = list(self._of_images(run, images, EVERY)) + list(self._remaining(run, sides, images, EVERY))
        if not clear.all():
            some = images.where(clear)
            found += self._of_images(run, some, CLEAR)
            found += self._remaining(run, sides, some, CLEAR)
        return found

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        noisy = int(self._images(run, self._sides(run)).table["noisy"].sum())
        told = (
            f"The score is the mean {run.quantity(self.quantity, self.word).heading} of the selectors. "
            f"Low frequencies: the central {100 * self.center_fraction:g} % of the columns. "
            f"Noisy: {noisy} images whose reference has less signal to noise than {self.least_snr:g}. "
            "Mean ± sd over images [95 % interval, resampled by patient]; n images."
        )
        return super().table_arguments(run) | {"quantities": {**run.quantities, **OWN}, "note": told}

    def frame(self, run: ScoredRun, records: Sequence[Record]) -> pd.DataFrame:
        """A row an image of the pool: see `Images.table`."""
        return self._images(run, self._sides(run)).table

    def figure_arguments(self, run: ScoredRun) -> dict[str, Any]:
        sides = self._sides(run)
        images = self._images(run, sides)
        simulated = " (simulated)" if sides[POOL].scores["simulated"].any() else ""
        return {
            "spectra": self._curves(run, images),
            "crossing": _crossing(images),
            "correlation": _correlation(images.table),
            "score": f"{run.quantity(self.quantity, self.word).heading}, mean of\n"
            + ", ".join(run.labels.get(name, name) for name in sides[POOL].methods),
            "center_fraction": self.center_fraction,
            "title": f"Hard images and others: {sides[POOL].label}{simulated}",
        }

    def _sides(self, run: ScoredRun) -> dict[str, Conditioned]:
        return {
            name: conditioned(run, condition, self.quantity, self.word)
            for name, condition in self.conditions.items()
        }

    def _images(self, run: ScoredRun, sides: Mapping[str, Conditioned]) -> Images:
        pool = sides[POOL].scores
        scores = pool.groupby([*SLICE, "position"], sort=False).agg(
            patient=("patient", "first"),
            snr=("snr", "first"),
            score=("number", lambda each: each.mean(skipna=False)),
        )
        table = scores.reset_index().dropna(subset=["score"]).reset_index(drop=True)
        for name in (HARD, CONTROL):
            inside = pd.MultiIndex.from_frame(sides[name].scores[SLICE])
            table[name] = pd.MultiIndex.from_frame(table[SLICE]).isin(inside)
        table["noisy"] = ~(table["snr"] >= self.least_snr) if self.least_snr else False
        rows = run.spectra[run.spectra["source"] == self.pool]
        by_position = dict(tuple(rows.groupby("position")))
        lacking = [position for position in table["position"] if position not in by_position]
        if lacking:
            raise ValueError(
                f"{self.word}: expected the spectrum of every image of {self.pool}, got none of position "
                f"{lacking[0]}"
            )
        spectra, shares, energies = [], [], []
        for position in table["position"]:
            own = by_position[position]
            energy, frequency = own["energy"].to_numpy(float), own["frequency"].to_numpy(float)
            shares.append(low_frequency_share(frequency, energy, self.center_fraction))
            energies.append(float(energy.sum()))
            spectra.append(np.bincount(np.abs(frequency).astype(int), energy / energy.sum()))
        longest = max((len(each) for each in spectra), default=0)
        padded = [np.pad(each, (0, longest - len(each))) for each in spectra]
        table = table.assign(share=shares, energy=energies)
        return Images(table, np.array(padded).reshape(len(table), longest))

    def _of_images(self, run: ScoredRun, images: Images, which: str) -> Iterator[Record]:
        table = images.table
        groups = {POOL: pd.Series(True, table.index), HARD: table[HARD], CONTROL: table[CONTROL]}
        for name, inside in groups.items():
            told = table[inside]
            found = summarise(told["share"].tolist(), groups=told["patient"].tolist(), seed=run.seed)
            yield self._record(run, SHARE, IMAGES, found, which, set=name)
        draws = drawn_rows(table["patient"].tolist(), draws=DRAWS, seed=run.seed)
        drawn = [_correlation(table.iloc[chosen]) for chosen in draws]
        low, high = percentile_interval(np.array(drawn))
        correlation = Summary(_correlation(table), math.nan, low, high, len(table))
        yield self._record(run, CORRELATION, IMAGES, correlation, which, set=POOL)
        drawn = [_crossing(Images(table.iloc[chosen], images.spectra[chosen])) for chosen in draws]
        low, high = percentile_interval(np.array(drawn))
        crossing = Summary(_crossing(images), math.nan, low, high, int(table[HARD].sum()))
        yield self._record(run, CROSSING, IMAGES, crossing, which, set=HARD)

    def _remaining(
        self, run: ScoredRun, sides: Mapping[str, Conditioned], images: Images, which: str
    ) -> Iterator[Record]:
        """Gaps under the mask that is tested, over those under the mask of the selection."""
        kept = pd.MultiIndex.from_frame(images.table[SLICE])
        for method in sides[POOL].methods:
            if method not in sides[HARD].methods or method not in sides[CONTROL].methods:
                continue
            values = []
            for name in (HARD, CONTROL):
                tested, selected = (
                    _by_slice(sides[side], method, under)
                    for side, under in ((name, TESTED), (POOL, SELECTED))
                )
                both = tested.join(selected[SELECTED], how="inner")
                values.append(both[both.index.isin(kept)].dropna(subset=DRAWN))
            hard, control = values
            names, weights = resampled_patients(
                hard["patient"].tolist(), control["patient"].tolist(), draws=DRAWS, seed=run.seed
            )
            # The first row are all images as they are.
            weights = np.concatenate([np.ones((1, len(names))), weights])
            worse, usual = (
                drawn_means(
                    each.melt("patient", DRAWN, var_name="method", value_name="number"), DRAWN, names, weights
                )
                for each in (hard, control)
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = (usual[:, 0] - worse[:, 0]) / (usual[:, 1] - worse[:, 1])
            low, high = percentile_interval(ratios[1:])
            found = Summary(float(ratios[0]), math.nan, low, high, len(hard))
            yield self._record(run, REMAINING, method, found, which, set=HARD)

    def _curves(self, run: ScoredRun, images: Images) -> pd.DataFrame:
        """Mean spectra of the pool and of the hard set with pointwise intervals, patients resampled."""
        table = images.table
        draws = drawn_rows(table["patient"].tolist(), draws=DRAWS, seed=run.seed)
        frames = []
        for name, inside in ((POOL, np.ones(len(table), bool)), (HARD, table[HARD].to_numpy())):
            drawn = [images.spectra[chosen[inside[chosen]]] for chosen in draws]
            means = np.array([each.mean(axis=0) for each in drawn if len(each)])
            ends = np.array([percentile_interval(column) for column in means.T]).reshape(-1, 2)
            frames.append(
                pd.DataFrame(
                    {
                        "set": name,
                        "frequency": np.arange(images.spectra.shape[1]),
                        "share": images.spectra[inside].mean(axis=0),
                        "low": ends[:, 0],
                        "high": ends[:, 1],
                        "n": int(inside.sum()),
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    def _record(
        self, run: ScoredRun, quantity: str, method: str, found: Summary, which: str, **row: str
    ) -> Record:
        about = {"source": self.pool, "measure": self.quantity, "references": which} | row
        unit = OWN[quantity].unit
        return record_of(run, found, table=self.word, quantity=quantity, row=about, method=method, unit=unit)


def _correlation(table: pd.DataFrame) -> float:
    """Spearman's, of score and low-frequency share."""
    return spearman(table["score"].to_numpy(dtype=float), table["share"].to_numpy(dtype=float))


def _crossing(images: Images) -> float:
    """The frequency below which hard images lack most of the pool's share of energy; NaN for none."""
    hard = images.table[HARD].to_numpy(dtype=bool)
    if not hard.any() or hard.all():
        return math.nan
    lacking = np.cumsum(images.spectra[hard].mean(axis=0) - images.spectra.mean(axis=0))
    lowest = int(lacking.argmin())
    # Below zero by more than rounding: shares add up to 1.
    return float(lowest + 1) if lacking[lowest] < -1e-9 else math.nan


def _by_slice(side: Conditioned, method: str, name: str) -> pd.DataFrame:
    """Values of a method by slice, in a column of this name, with the patient."""
    own = side.scores[side.scores["method"] == method]
    return own.set_index(SLICE)[["number", "patient"]].rename(columns={"number": name})

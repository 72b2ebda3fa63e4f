"""Quality of whole volumes, as fastMRI evaluates reconstructions."""

from collections.abc import Hashable
from typing import Any, ClassVar

import pandas as pd

from mrilib.experiments.base import Experiment, ScoredRun
from mrilib.experiments.quality import tuned_records
from mrilib.experiments.scores import check_once, lowest_tuned
from mrilib.metrics.volume import volume_scores
from mrilib.store.records import Record

# In the order of fastMRI's tables.
SHOWN = ("nmse", "psnr", "ssim")
VOLUME = ["source", "mask", "domain", "method", "tuned", "volume"]
NOTE = (
    "Mean ± sd over volumes [95 % bootstrap interval of the mean, resampled by patient; none for fewer than "
    "two patients, or for equal values]. Scores are those of fastMRI’s evaluation: NMSE and PSNR over all "
    "pixels of a volume, SSIM as the mean over its slices, of moduli on the crop that the reference image "
    "has; data range of PSNR and SSIM: maximum of the volume. n: complete volumes, of which the set has "
    "every slice and none failed. missing: volumes of which the set has every slice, and one failed."
)
NOTHING_COMPLETE = "No set of test images has all slices of a volume."


class VolumeQuality(Experiment):
    """SSIM, PSNR and NMSE per volume for every source, mask, domain and method.

    Volumes count that are complete: the set has all of their slices, and none failed. If a slice failed, the
    volume is missing. Volumes of which the set does not have all slices are left out, and the note of the
    table counts them. Images that are no slices of a volume have no record. A method that is tuned by level
    counts with the parameter of the lowest one, which stands as `tuned` in the row.

    Raises:
        ValueError: if a slice is given twice.

    Source: `fastmri.evaluate` [zbontar2018], see `mrilib.metrics.volume`.
    """

    word: ClassVar[str] = "volume-quality"
    title: ClassVar[str] = "Quality of reconstructions per volume"
    table: ClassVar[str] = "mrilib.report.tables_quality:quality_table"

    def records(self, run: ScoredRun) -> list[Record]:
        rows = volume_rows(run.scores).assign(weaker_than="", weaker_than_transfer="")
        return [record for name in SHOWN for record in tuned_records(run, rows, name, table=self.word)]

    def table_arguments(self, run: ScoredRun) -> dict[str, Any]:
        return {
            "title": self.title,
            "labels": run.labels,
            "note": _note(run),
            "simulated": run.scores.groupby("source")["simulated"].any().to_dict(),
            "mask_labels": run.mask_labels,
            "domain_labels": run.domain_labels,
            "quantities": {name: run.quantities[name] for name in SHOWN},
        }


def volume_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """SSIM, PSNR and NMSE of every volume of which all slices are in the scores, by every method.

    Args:
        scores: of `read_scores`; rows of perturbed data, and of images that are no slices, are left out.

    Returns:
        One row a source, mask, domain, method and volume: these, `tuned`, `patient`, `slices`, `nmse`,
        `psnr`, `ssim`, and `failed`: why there is no number, empty where there is one.

    Raises:
        ValueError: if a slice is given twice.
    """
    slices = _slices(scores)
    rows = [
        dict(zip(VOLUME, key, strict=True)) | _scored(group)
        for key, group in slices[slices["whole"]].groupby(VOLUME, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*VOLUME, "patient", "slices", "failed", *SHOWN])


def _scored(group: pd.DataFrame) -> dict[str, Any]:
    """What is said of a volume, from the rows of all of its slices under one method."""
    failed = group[group["failed"] != ""]
    numbers = group[list(SHOWN)].where(group["failed"] == "").astype(float)
    found = volume_scores(
        [{name: float(row[name]) for name in SHOWN} for row in numbers.to_dict("records")],
        group["reference_norm"].astype(float).tolist(),
    )
    why = [f"slice {int(row['slice'])}: {row['failed']}" for row in failed.to_dict("records")]
    about = {"patient": str(group["patient"].iloc[0]), "slices": len(group), "failed": "; ".join(why)}
    return about | found


def _slices(scores: pd.DataFrame) -> pd.DataFrame:
    """One clean reconstruction a slice; `whole` says whether all slices of its volume are there."""
    chosen = lowest_tuned(scores)
    chosen = chosen[chosen["volume"] != ""]
    check_once(chosen[chosen["slice"].notna()], [*VOLUME, "slice"], "volume_rows", what="a slice")
    found = chosen.groupby(VOLUME)["slice"].transform("nunique")
    # Nobody may have counted the slices of some of them: files of an earlier version do not tell.
    agree = (found == chosen["slices"]).groupby([chosen[key] for key in VOLUME]).transform("all")
    return chosen.assign(whole=agree.astype(bool))


def _note(run: ScoredRun) -> str:
    """The note of the table, with how many volumes of each source are left out."""
    slices = _slices(run.scores)
    by_volume = slices.groupby(["source", "volume"], sort=False)["whole"].all()
    by_source = by_volume.groupby(level="source", sort=False)
    told: dict[Hashable, str] = {
        source: f"{int((~whole).sum())} of {len(whole)} volumes of {source}"
        for source, whole in by_source
        if not whole.all()
    }
    ordered = [*(source for source in run.sources if source in told), *told]
    texts = [told[source] for source in dict.fromkeys(ordered)]
    left_out = (
        f"Left out, for the set does not have all of their slices: {', '.join(texts)}." if texts else ""
    )
    nothing = "" if slices["whole"].any() else NOTHING_COMPLETE
    return " ".join(filter(None, [NOTE, nothing, left_out]))

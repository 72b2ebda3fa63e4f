"""Every linear and sparse method under every kind of attack, on one coil and on several."""

import math

import pytest

from mrilib.experiments.columns import NO_ATTACK
from mrilib.experiments.scoring import score_image
from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from tests.experiments.scenes import Stored, phantom, scan

ROUGH = {"weight": 0.003, "tolerance": 1e-2}
METHODS = {
    "zero-filled": ZeroFilled,
    "tikhonov": lambda: Tikhonov(weight=0.01),
    "tv-split": lambda: TotalVariation(coupling="split", **ROUGH),
    "tv-isotropic": lambda: TotalVariation(coupling="isotropic", **ROUGH),
    "l1-wavelet": lambda: L1(basis=Wavelet(levels=2), **ROUGH),
    "l1-dct": lambda: L1(basis=Cosine(), **ROUGH),
    "l1-fourier": lambda: L1(basis=FourierBasis(), **ROUGH),
}
SEARCH = {
    "search": "mrilib.attacks.searches.gradient:GradientAscent",
    "search_arguments": {"rounds": [[2, 1]]},
}
KINDS = {
    "peak": {"kind": "localized", "grid": 2} | SEARCH,
    "disk": {"kind": "localized", "objective": "disk", "disk_radius": 3.0, "grid": 2} | SEARCH,
    "object": {"kind": "localized", "region": "object", "grid": 3} | SEARCH,
    "moduli": {"kind": "localized", "artifact": "magnitude", "grid": 1} | SEARCH,
    "global": {"kind": "global", "steps": 2, "restarts": 2} | SEARCH,
    "noise": {"kind": "gaussian"},
}


# Those that take seconds; the others are solved some hundred times.
QUICK = {("zero-filled", phantom), ("zero-filled", scan), ("tikhonov", phantom), ("tikhonov", scan)}
QUICK |= {("tv-split", phantom), ("l1-fourier", scan)}


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        pytest.param(name, measured, marks=[pytest.mark.slow] * ((name, measured) not in QUICK))
        for name in METHODS
        for measured in (phantom, scan)
    ],
)
def test_every_kind_of_attack_works_and_is_no_weaker_than_noise(tmp_path, name, measured):
    stored = Stored(tmp_path, measured(), METHODS[name]())
    rows = {row["attack"]: row for row in score_image(*stored.attacked(**KINDS))}
    assert rows.keys() == {NO_ATTACK, *KINDS}
    noise = rows["noise"]
    for attack, row in rows.items():
        assert row["failed"] == ""
        assert math.isfinite(row["relative_error"])
        if attack == NO_ATTACK:
            continue
        assert all(row[each] > 0 for each in ("severity", "amplification", "artifact_norm", "accuracy"))
        measure = "artifact_norm" if attack == "global" else "severity"
        # What is selected by moduli may have less of a complex artifact.
        assert row[measure] >= 0.99 * noise[measure] or attack in ("moduli", "noise", "disk")

"""Every number that is reported: what it is called, its unit, and how it is printed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """How a number is shown; what it is stands with the function that computes it.

    Args:
        title: of a table or a figure of this number alone.
        unit: in records; `1` for ratios.
        axis: label of an axis, in two lines so that narrow panels hold it.
        column: heading in a table of several quantities.
        decimals: printed in tables.
        percent: whether tables and figures show a hundred times the number.
        higher_is_better: for measures of quality.
    """

    title: str
    unit: str = "1"
    axis: str = ""
    column: str = ""
    decimals: int = 2
    percent: bool = False
    higher_is_better: bool = False


_IMAGE = "image maximum"

QUANTITIES = {
    "amplification": Quantity("Amplification α = ‖ρ‖∞/‖r‖∞", axis="amplification\nα = ‖ρ‖∞/‖r‖∞"),
    "amplification_of_moduli": Quantity(
        "Amplification of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞/‖r‖∞",
        axis="amplification of moduli\n‖ |rec(y+e)| − |rec(y)| ‖∞/‖r‖∞",
    ),
    "amplification_to_truth": Quantity(
        "Amplification to the image ‖ |rec(y+e)| − |x| ‖∞/‖r‖∞",
        axis="amplification to the image\n‖ |rec(y+e)| − |x| ‖∞/‖r‖∞",
    ),
    "severity": Quantity(
        "Severity ‖ρ‖∞, in units of the image maximum",
        _IMAGE,
        axis="severity ‖ρ‖∞ (units\nof the image maximum)",
    ),
    "severity_of_moduli": Quantity(
        "Severity of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞, in units of the image maximum",
        _IMAGE,
        axis="severity of moduli\n‖ |rec(y+e)| − |rec(y)| ‖∞",
    ),
    "artifact_norm": Quantity("Norm of the artifact ‖ρ‖₂/‖x‖₂", axis="norm of the artifact\n‖ρ‖₂/‖x‖₂"),
    "relative_error": Quantity(
        "Relative ℓ2 error of the reconstruction, %",
        axis="relative error\n‖rec − x‖₂/‖x‖₂ (%)",
        column="relative error (%)",
        percent=True,
    ),
    "ssim": Quantity(
        "SSIM (data range: maximum of the volume)", column="SSIM", decimals=3, higher_is_better=True
    ),
    "ssim_slice": Quantity(
        "SSIM (data range: maximum of the slice)",
        column="SSIM (range of the slice)",
        decimals=3,
        higher_is_better=True,
    ),
    "psnr": Quantity("PSNR (dB)", "dB", column="PSNR (dB)", higher_is_better=True),
    "nmse": Quantity("NMSE", column="NMSE", decimals=4),
    "seconds": Quantity("seconds a reconstruction", "s", column="s a reconstruction (median)"),
}
# What is reported of perturbations, and of reconstructions.
ARTIFACTS = (
    "amplification",
    "amplification_of_moduli",
    "amplification_to_truth",
    "severity",
    "severity_of_moduli",
    "artifact_norm",
)
# Those that say how much a method enlarges what it was given: not defined for every method, see `scoring`.
AMPLIFICATIONS = ARTIFACTS[:3]
QUALITY = ("ssim", "ssim_slice", "psnr", "nmse", "relative_error", "seconds")

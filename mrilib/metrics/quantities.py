"""Every number that is reported: what it is called, its unit, how it is printed, and where it stands."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Quantity:
    """How a number is shown; what it is stands with the function that computes it.

    Args:
        title: of a table or a figure of this number alone.
        unit: in records; `1` for ratios.
        axis: label of an axis, in two lines so that narrow panels hold it; by default the title.
        column: heading in a table of several quantities; by default the title.
        decimals: printed in tables.
        percent: whether tables and figures show a hundred times the number.
        higher_is_better: for measures of quality.
        of: what it is measured on: one reconstruction, or a perturbation and what it changes.
        relative_to_perturbation: whether it is divided by the perturbation's picture `r`: then it is not
            defined for every method, see `mrilib.experiments.scoring`.
        of_complex_images: whether it needs the phase of a reconstruction: then it is not defined for methods
            that return magnitudes.
        size: name of the largest pixel of an artifact that the number is made of: tables mark it where that
            is not well above the method's accuracy. Empty for numbers that are made of none.
        median: whether records hold the median over images, without sd and interval, and not the mean.
        in_quality_table: whether the table of quality has a column of it; records of quality have all.
        remark: printed below tables of attacks of this number.
        tabled: whether every run with attacks has a table of it by method and attack.
        transferred: whether every run with several attacked methods has a table of it by pairs of methods.
    """

    title: str
    unit: str = "1"
    axis: str = ""
    column: str = ""
    decimals: int = 2
    percent: bool = False
    higher_is_better: bool = False
    of: Literal["reconstruction", "perturbation"] = "reconstruction"
    relative_to_perturbation: bool = False
    of_complex_images: bool = False
    size: str = ""
    median: bool = False
    in_quality_table: bool = True
    remark: str = ""
    tabled: bool = False
    transferred: bool = False

    @property
    def heading(self) -> str:
        """Heading of its column among others."""
        return self.column or self.title

    @property
    def scale(self) -> float:
        """What the number is multiplied by before it is shown."""
        return 100.0 if self.percent else 1.0


_IMAGE = "image maximum"

# In the order in which tables of several have them.
QUANTITIES = {
    "amplification": Quantity(
        "Amplification α = ‖ρ‖∞/‖r‖∞",
        axis="amplification\nα = ‖ρ‖∞/‖r‖∞",
        of="perturbation",
        size="severity",
        relative_to_perturbation=True,
        tabled=True,
        transferred=True,
    ),
    "amplification_of_moduli": Quantity(
        "Amplification of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞/‖r‖∞",
        axis="amplification of moduli\n‖ |rec(y+e)| − |rec(y)| ‖∞/‖r‖∞",
        of="perturbation",
        size="severity_of_moduli",
        relative_to_perturbation=True,
        tabled=True,
    ),
    "amplification_to_truth": Quantity(
        "Amplification to the image ‖ |rec(y+e)| − |x| ‖∞/‖r‖∞",
        axis="amplification to the image\n‖ |rec(y+e)| − |x| ‖∞/‖r‖∞",
        of="perturbation",
        relative_to_perturbation=True,
    ),
    "severity": Quantity(
        "Severity ‖ρ‖∞, in units of the image maximum",
        _IMAGE,
        axis="severity ‖ρ‖∞ (units\nof the image maximum)",
        of="perturbation",
        size="severity",
        tabled=True,
        transferred=True,
    ),
    "severity_of_moduli": Quantity(
        "Severity of moduli ‖ |rec(y+e)| − |rec(y)| ‖∞, in units of the image maximum",
        _IMAGE,
        axis="severity of moduli\n‖ |rec(y+e)| − |rec(y)| ‖∞",
        of="perturbation",
        size="severity_of_moduli",
        tabled=True,
    ),
    "artifact_norm": Quantity(
        "Norm of the artifact ‖ρ‖₂/‖x‖₂",
        axis="norm of the artifact\n‖ρ‖₂/‖x‖₂",
        of="perturbation",
        size="severity",
    ),
    "data_residual": Quantity(
        "Residual of the perturbed data over the budget, ‖A rec(y+e) − (y+e)‖₂/η",
        axis="residual of the data\n‖A rec(y+e) − (y+e)‖₂/η",
        of="perturbation",
        of_complex_images=True,
        remark="Of methods that minimise, 1 says that the weight solves the problem with the constraint "
        "‖Az − (y+e)‖₂ ≤ η; less fits the data closer, more violates it. Of complex images only.",
        tabled=True,
    ),
    "gradient_evaluations": Quantity(
        "Gradient evaluations of the search",
        axis="gradient evaluations\nof the search",
        of="perturbation",
        decimals=0,
    ),
    "ssim": Quantity(
        "SSIM (data range: maximum of the volume)", column="SSIM", decimals=3, higher_is_better=True
    ),
    "ssim_slice": Quantity(
        "SSIM (data range: maximum of the slice)",
        column="SSIM (range of the slice)",
        decimals=3,
        higher_is_better=True,
        in_quality_table=False,
    ),
    "psnr": Quantity("PSNR (dB)", "dB", column="PSNR (dB)", higher_is_better=True),
    "nmse": Quantity("NMSE", column="NMSE", decimals=4),
    "relative_error": Quantity(
        "Relative ℓ2 error of the reconstruction, %",
        axis="relative error\n‖rec − x‖₂/‖x‖₂ (%)",
        column="relative error (%)",
        percent=True,
        in_quality_table=False,
        tabled=True,
        transferred=True,
    ),
    "null_space_share": Quantity(
        "Share of the error that the data do not see, %",
        axis="share of the error\nin the null space (%)",
        column="null-space share (%)",
        percent=True,
        decimals=1,
        of_complex_images=True,
    ),
    "seconds": Quantity("seconds a reconstruction", "s", column="s a reconstruction (median)", median=True),
}
# What is reported of perturbations, and of reconstructions.
ARTIFACTS = tuple(name for name, each in QUANTITIES.items() if each.of == "perturbation")
QUALITY = tuple(name for name, each in QUANTITIES.items() if each.of == "reconstruction")

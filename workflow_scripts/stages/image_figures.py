"""Figures that show one image without a method: P1's figures 1 and 2.

Inputs:
    measurement: of the image.

Outputs:
    noise, mask: the PDF of each; the PNG is written beside it.

Params:
    mask: its name.
    about: what the mask is (`about` of its sampling).
    title: source and position.
    seed: of the noise.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.pictures import is_scan, noise_and_feature, shown, zero_filled
    from mrilib.report import figures_images, style
    from mrilib.report.names import mask_label

    measurement = read_measurement(inputs["measurement"])
    if measurement is None:
        raise ValueError("the set has no image at this position; choose another under figures.examples")
    image = shown(measurement, measurement.reference)
    noisy, feature, place = noise_and_feature(image, level=0.1, feature_radius=3.0, seed=params["seed"])
    figures = {
        "noise": figures_images.noise_and_feature(
            image, noisy, feature, level=10.0, close_up=place, title=params["title"]
        ),
        "mask": figures_images.mask_and_zero_filled(
            measurement.operator.mask.numpy(),
            image,
            zero_filled(measurement),
            label=mask_label(params["mask"], params["about"]),
            acceleration=measurement.acceleration,
            adjoint="Aᴴ" if is_scan(measurement) else "A†",
            title=params["title"],
        ),
    }
    for name, figure in figures.items():
        style.save(figure, Path(outputs[name]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

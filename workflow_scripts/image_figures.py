"""Figures that show one image without a method: P1's figures 1 and 2."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import noise_and_feature, zero_filled
    from mrilib.report import figures_images, style
    from mrilib.store.arrays import read_group

    mask = read_group(inputs["mask"])
    image = read_group(inputs["image"]).arrays["image"]
    noisy, feature, place = noise_and_feature(image, level=0.1, feature_radius=3.0, seed=params["seed"])
    figures = {
        "noise": figures_images.noise_and_feature(
            image, noisy, feature, level=10.0, close_up=place, title=params["title"]
        ),
        "mask": figures_images.mask_and_zero_filled(
            mask.arrays["mask"],
            image,
            zero_filled(image, mask.arrays["mask"]),
            lines=mask.attributes["lines"],
            acceleration=mask.attributes["acceleration"],
            title=params["title"],
        ),
    }
    for name, figure in figures.items():
        style.save(figure, Path(outputs[name]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

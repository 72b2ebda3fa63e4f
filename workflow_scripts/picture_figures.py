"""Figures that show one image: P1's figures 1 to 4, and the map of severities."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import attack_picture, noise_and_feature, zero_filled
    from mrilib.report import figures_images, style
    from mrilib.store.arrays import read_group

    mask = read_group(inputs["mask"])
    image = read_group(inputs["image"]).arrays["image"]
    attack, level = params["attack"], params["level"]
    title = f"{params['image_source']} {params['position']}, {params['mask']}, {params['label']}"

    def save(name, figure):
        style.save(figure, Path(outputs[name]).with_suffix(""))

    noisy, feature, place = noise_and_feature(image, level=0.1, feature_radius=3.0, seed=params["seed"])
    heading = f"{params['image_source']} {params['position']}"
    save(
        "noise",
        figures_images.noise_and_feature(image, noisy, feature, level=10.0, close_up=place, title=heading),
    )
    save(
        "mask",
        figures_images.mask_and_zero_filled(
            mask.arrays["mask"],
            image,
            zero_filled(image, mask.arrays["mask"]),
            lines=mask.attributes["lines"],
            acceleration=mask.attributes["acceleration"],
            title=heading,
        ),
    )
    found = {each: attack_picture(inputs["attacks"], attack, each) for each in params["levels"]}
    shown = found[level]
    if shown is None:
        raise ValueError(
            f"the attack at level {level:g} failed; choose another under figures.level in the config"
        )
    save(
        "attack",
        figures_images.attack_panel(
            shown.image,
            shown.perturbed,
            shown.reconstruction,
            location=shown.location,
            level=100.0 * level,
            alpha=shown.alpha,
            severity=shown.severity,
            title=title,
        ),
    )
    rows = [
        {
            "level": 100.0 * each,
            "perturbed": None if picture is None else picture.perturbed,
            "reconstruction": None if picture is None else picture.reconstruction,
            "location": None if picture is None else picture.location,
            "alpha": float("nan") if picture is None else picture.alpha,
        }
        for each, picture in found.items()
    ]
    save("levels", figures_images.level_panel(rows[: figures_images.MOST_LEVELS], title=title))
    maps = {100.0 * each: picture.severities for each, picture in found.items() if picture is not None}
    save("map", figures_images.severity_map(maps, image=image, title=title))


if "snakemake" in globals():
    run(snakemake, main)

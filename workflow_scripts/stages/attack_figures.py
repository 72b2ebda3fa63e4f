"""Figures of one method's attacks on one image: P1's figures 3, 4 and 5, and the map of severities.

Inputs:
    measurement, reconstruction, attacks: files of the image.
    transfer: that of the method's transfer, where it has one; else nothing.

Outputs:
    attack, levels: the PDF of each; the PNG is written beside it.
    map: so, for localized attacks.

Params:
    attack: which.
    level: of the first figure.
    levels: of the others.
    title: source, position, mask and method.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import attack_picture
    from mrilib.experiments.stored import read_results
    from mrilib.report import figures_images, style

    attack, level, title = params["attack"], params["level"], params["title"]
    files = ("measurement", "reconstruction", "attacks", "transfer")
    results = read_results(*(inputs.get(name) or None for name in files))
    if results is None:
        raise ValueError("the set has no image at this position; choose another under figures.examples")
    found = {each: attack_picture(results, attack, each) for each in params["levels"]}
    shown = found.get(level)
    if shown is None:
        raise ValueError(
            f"the attack at level {level:g} failed; choose another under figures.level in the config"
        )
    drawn = {
        "attack": figures_images.attack_panel(
            shown.image,
            shown.perturbed,
            shown.reconstruction,
            location=shown.location,
            level=100.0 * level,
            alpha=shown.alpha,
            severity=shown.severity,
            title=title,
            picture=shown.picture,
        )
    }
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
    rows = rows[: figures_images.MOST_LEVELS]
    drawn["levels"] = figures_images.level_panel(rows, title=title, picture=shown.picture)
    if "map" in outputs:
        maps = {100.0 * each: picture.severities for each, picture in found.items() if picture is not None}
        drawn["map"] = figures_images.severity_map(maps, image=shown.image, places=shown.places, title=title)
    for name, figure in drawn.items():
        style.save(figure, Path(outputs[name]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

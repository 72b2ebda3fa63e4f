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

    from mrilib.experiments.pictures import attack_picture, picture_of, shown
    from mrilib.experiments.stored import read_results
    from mrilib.report import figures_images, style

    attack, level, title = params["attack"], params["level"], params["title"]
    files = ("measurement", "reconstruction", "attacks", "transfer")
    results = read_results(*(inputs.get(name) or None for name in files))
    if results is None:
        raise ValueError("the set has no image at this position; choose another under figures.examples")
    # What failed is shown as missing.
    found = {each: attack_picture(results, attack, each) for each in params["levels"]}
    image, picture = (
        shown(results.measurement, results.measurement.reference),
        picture_of(results.measurement),
    )

    def told(each, name, otherwise=None):
        return otherwise if found[each] is None else getattr(found[each], name)

    drawn = {
        "attack": figures_images.attack_panel(
            image,
            told(level, "perturbed"),
            told(level, "reconstruction"),
            location=told(level, "location"),
            level=100.0 * level,
            alpha=told(level, "alpha", float("nan")),
            severity=told(level, "severity", float("nan")),
            title=title,
            picture=picture,
        )
    }
    rows = [
        {"level": 100.0 * each, "alpha": told(each, "alpha", float("nan"))}
        | {name: told(each, name) for name in ("perturbed", "reconstruction", "location")}
        for each in list(found)[: figures_images.MOST_LEVELS]
    ]
    drawn["levels"] = figures_images.level_panel(rows, title=title, picture=picture)
    if "map" in outputs:
        places = next((told(each, "places") for each in found if found[each] is not None), None)
        maps = {100.0 * each: told(each, "severities") for each in found}
        drawn["map"] = figures_images.severity_map(maps, image=image, places=places, title=title)
    for name, figure in drawn.items():
        style.save(figure, Path(outputs[name]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

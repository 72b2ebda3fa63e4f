"""Figures of one method's attacks on one image: P1's figures 3, 4 and 5, and the map of severities."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import attack_picture
    from mrilib.report import figures_images, style

    attack, level, title = params["attack"], params["level"], params["title"]

    def save(name, figure):
        style.save(figure, Path(outputs[name]).with_suffix(""))

    transfer = inputs["transfer"] or None
    found = {
        each: attack_picture(inputs["attacks"], attack, each, transfer=transfer) for each in params["levels"]
    }
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
    save("map", figures_images.severity_map(maps, image=shown.image, title=title))


if "snakemake" in globals():
    run(snakemake, main)

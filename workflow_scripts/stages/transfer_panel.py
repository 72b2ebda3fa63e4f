"""P1's figures 6 and 7: one image's perturbations, each made for a method and given to all.

Inputs:
    measurement: of the image.
    reconstructions, attacks, transfers: a file for each method, in the order of `methods`.

Outputs:
    pdf; the PNG is written beside it.

Params:
    attack, level: which.
    methods: those shown; the first three are those that perturbations were made for.
    labels: method to the name to print.
    title: source, position and mask.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import attack_picture
    from mrilib.experiments.stored import read_results
    from mrilib.report import style
    from mrilib.report.figures_transfer import MOST_ROWS, transfer_panel

    attack, level, methods = params["attack"], params["level"], params["methods"]
    files = zip(inputs["reconstructions"], inputs["attacks"], inputs["transfers"], strict=True)
    results = {
        method: read_results(inputs["measurement"], *each)
        for method, each in zip(methods, files, strict=True)
    }
    if None in results.values():
        raise ValueError("the set has no image at this position; choose another under figures.examples")
    rows = []
    for made_for in methods[:MOST_ROWS]:
        found = {
            method: attack_picture(each, attack, level, made_for=made_for) for method, each in results.items()
        }
        own = found[made_for]
        rows.append(
            {
                "made_for": made_for,
                "level": 100.0 * level,
                "location": None if own is None else own.location,
                "perturbed": None if own is None else own.perturbed,
                "received": [
                    {
                        "method": method,
                        "reconstruction": None if each is None else each.reconstruction,
                        "alpha": float("nan") if each is None else each.alpha,
                        "severity": float("nan") if each is None else each.severity,
                    }
                    for method, each in found.items()
                ],
            }
        )
    picture = next((each.picture for each in found.values() if each is not None), "A†e")
    figure = transfer_panel(rows, labels=params["labels"], title=params["title"], picture=picture)
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""P1's figures 6 and 7: one image's perturbations, each made for a method and given to all."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.pictures import attack_picture
    from mrilib.report import style
    from mrilib.report.figures_transfer import MOST_ROWS, transfer_panel

    attack, level, methods = params["attack"], params["level"], params["methods"]
    files = dict(zip(methods, zip(inputs["attacks"], inputs["transfers"], strict=True), strict=True))

    def picture(made_for, method):
        path, transfer = files[method]
        rival = {} if made_for == method else {"transfer": transfer, "made_for": made_for}
        return attack_picture(path, attack, level, **rival)

    rows = []
    for made_for in methods[:MOST_ROWS]:
        found = {method: picture(made_for, method) for method in methods}
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
    figure = transfer_panel(rows, labels=params["labels"], title=params["title"])
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""Scores and figure of a study of one parameter: the disk's radius, or the weight."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.experiments import curves
    from mrilib.experiments.scoring import score_attacks
    from mrilib.report import figures_studies, style
    from mrilib.store.arrays import read_group
    from mrilib.store.atomic import write_text

    scores = pd.DataFrame([row for path in inputs["attacks"] for row in score_attacks(path)])
    write_text(outputs["scores"], scores.to_csv(index=False))
    if params["study"] == "radius":
        figure = figures_studies.radius_study(curves.radius_study(scores), title=params["title"])
    else:
        spike = read_group(inputs["mask"]).attributes["acceleration"]
        frame = curves.weight_study(scores, reference=params["reference"])
        figure = figures_studies.weight_study(frame, spike=spike, title=params["title"])
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

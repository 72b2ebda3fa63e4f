"""Scores and figure of a study of one parameter: the disk's radius, or the weight.

Inputs:
    measurements, reconstructions, attacks: lists of files in order of position, the last those of the study.

Outputs:
    scores: the CSV.
    pdf; the PNG is written beside it.

Params:
    study: `radius` or `weight`.
    attacks: those of the radius study, with what each is (`kind`, `objective`, `disk_radius`).
    searches: those of the weight study, attack to `reference`, `coupled` or the name of another search.
    title: method, mask, source.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments import curves
    from mrilib.experiments.scores import read_scores, scores_csv
    from mrilib.experiments.scoring import score_image
    from mrilib.report import figures_studies, style
    from mrilib.store.atomic import write_text

    files = zip(inputs["measurements"], inputs["reconstructions"], inputs["attacks"], strict=True)
    write_text(outputs["scores"], scores_csv([row for each in files for row in score_image(*each)]))
    scores = read_scores([outputs["scores"]])
    if params["study"] == "radius":
        frame = curves.radius_study(scores, params["attacks"])
        figure = figures_studies.radius_study(frame, title=params["title"])
    else:
        spike = next(iter(curves.spikes_of(scores).values()), None)
        frame = curves.weight_study(scores, params["searches"])
        figure = figures_studies.weight_study(frame, spike=spike, title=params["title"])
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""SSIM of every image by method, for one mask.

Inputs:
    scores: score files of the mask.

Outputs:
    pdf; the PNG is written beside it.

Params:
    mask: its name.
    about: what the mask is (`about` of its sampling).
    usual: source to mask to the domain that the config gives them.
    domain_labels: domain to the name to print.
    methods: all methods of the run, in order.
    labels: method to the name to print.
    seed: of the resampling.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.scores import read_scores, with_usual_domains
    from mrilib.report import style
    from mrilib.report.figures_quality import quality_figure
    from mrilib.report.names import mask_label

    scores = with_usual_domains(read_scores(inputs["scores"]), params["usual"])
    label = mask_label(params["mask"], params["about"])
    figure = quality_figure(
        scores,
        methods=params["methods"],
        labels=params["labels"],
        mask_labels={params["mask"]: label},
        domain_labels=params["domain_labels"],
        simulated=scores.groupby("source")["simulated"].any().to_dict(),
        seed=params["seed"],
        title=f"Quality of reconstructions, {label}",
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

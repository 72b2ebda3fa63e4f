"""SSIM of every slice by method, for one mask."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.report import figures_reconstructions, style

    scores = pd.concat([pd.read_csv(path) for path in inputs["scores"]], ignore_index=True)
    figure = figures_reconstructions.quality_figure(
        scores,
        methods=list(params["labels"]),
        labels=params["labels"],
        simulated=scores.groupby("source")["simulated"].any().to_dict(),
        title=f"Quality of reconstructions, {params['mask']}",
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""Loss and validation error of every training under one mask."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.report import style
    from mrilib.report.figures_training import loss_curves

    frame = pd.concat([pd.read_csv(path) for path in inputs["histories"]], ignore_index=True)
    figure = loss_curves(
        frame,
        zero_filled=float(frame["zero_filled"].iloc[0]),
        methods=params["methods"],
        labels=params["labels"],
        title=params["mask"],
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

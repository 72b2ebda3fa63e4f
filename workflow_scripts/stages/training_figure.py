"""Loss and validation error of every training on one domain.

Inputs:
    histories: one file a method.

Outputs:
    pdf; the PNG is written beside it.

Params:
    methods: all methods of the run, in order.
    labels: method to the name to print.
    title: of the domain.
    relative: whether validation errors are relative errors (phantoms); else each method's own loss (scans).
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    import pandas as pd

    from mrilib.report import style
    from mrilib.report.figures_training import loss_curves
    from mrilib.training.history import read_history

    frame = pd.concat([read_history(path) for path in inputs["histories"]], ignore_index=True)
    zero_filled = frame.groupby("method", sort=False)["zero_filled"].first()
    figure = loss_curves(
        frame,
        zero_filled=float(zero_filled.iloc[0]) if params["relative"] else zero_filled.to_dict(),
        relative=params["relative"],
        methods=params["methods"],
        labels=params["labels"],
        title=params["title"],
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""Heat maps of one quantity: every method under the perturbations made for every other.

Inputs:
    records: those of `tables/transfer-QUANTITY`.

Outputs:
    pdf; the PNG is written beside it.

Params:
    quantity, source_name, mask, attack: which.
    methods: all methods of the run, in order.
    labels: method to the name to print.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments import curves
    from mrilib.report import style
    from mrilib.report.figures_transfer import transfer_matrix
    from mrilib.store.records import read_records

    place = {"source": params["source_name"], "mask": params["mask"], "attack": params["attack"]}
    frame = curves.transfer_matrix(read_records(inputs["records"]), **place)
    figure = transfer_matrix(
        frame,
        quantity=params["quantity"],
        methods=params["methods"],
        labels=params["labels"],
        title=", ".join(place.values()),
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

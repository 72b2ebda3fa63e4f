"""What every method makes of one image, with errors and close-ups.

Inputs:
    measurement: of the image.
    reconstructions: a file for each method.

Outputs:
    pdf; the PNG is written beside it.

Params:
    labels: method to the name to print.
    mask: its name.
    about: what the mask is (`about` of its sampling).
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.pictures import clean_pictures
    from mrilib.report import figures_reconstructions, style
    from mrilib.report.names import mask_label

    found = clean_pictures(inputs["measurement"], inputs["reconstructions"])
    figure = figures_reconstructions.clean_panel(
        read_measurement(inputs["measurement"]),
        {params["labels"].get(name, name): each for name, each in found.items()},
        mask=mask_label(params["mask"], params["about"]),
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

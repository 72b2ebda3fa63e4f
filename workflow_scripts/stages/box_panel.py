"""Boxes on the first annotated slices of a source: the reference, and what every method makes of them.

Inputs:
    boxes: scores of the boxes, a file for each method.
    measurements: of the test images, in order of position.
    reconstructions: a file for each method and position, those of one position together.

Outputs:
    pdf; the PNG is written beside it.

Params:
    labels: method to the name to print.
    source_name: of the images.
    mask: its name.
    about: what the mask is (`about` of its sampling).
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.box_table import first_boxes, read_boxes
    from mrilib.experiments.pictures import clean_pictures
    from mrilib.report import figures_reconstructions, style
    from mrilib.report.names import mask_label

    count = len(inputs["boxes"])
    shown = []
    for scores in first_boxes(read_boxes(inputs["boxes"])):
        position = int(scores["position"].iloc[0])
        measurement = inputs["measurements"][position]
        files = inputs["reconstructions"][count * position : count * (position + 1)]
        shown.append((read_measurement(measurement), clean_pictures(measurement, files), scores))
    figure = figures_reconstructions.box_panel(
        shown,
        labels=params["labels"],
        title=f"Boxes on {params['source_name']}: {mask_label(params['mask'], params['about'])}",
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

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

# Errors of a per cent or two of the maximum are to be seen.
ERROR_SCALE = 5.0


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.pictures import clean_pictures, is_scan, picture_title
    from mrilib.report import figures_reconstructions, style
    from mrilib.report.names import mask_label

    measurement = read_measurement(inputs["measurement"])
    if measurement is None:
        raise ValueError("the set has no image at this position; choose another")
    found = clean_pictures(inputs["measurement"], inputs["reconstructions"])
    labels = params["labels"]
    figure = figures_reconstructions.reconstruction_panel(
        measurement.reference.numpy(),
        {labels.get(name, name): each.image for name, each in found.items()},
        scores={
            labels.get(name, name): each.failed or figures_reconstructions.score_text(each.ssim, each.psnr)
            for name, each in found.items()
        },
        close_up=tuple(side // 2 for side in measurement.reference.shape),
        error_scale=ERROR_SCALE,
        title=f"{picture_title(measurement)}: {mask_label(params['mask'], params['about'])}, "
        f"{measurement.acceleration:.2f}-fold acceleration",
        upright=is_scan(measurement),
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

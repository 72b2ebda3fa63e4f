"""What every method makes of one image, with errors and close-ups.

Inputs:
    measurement: of the image.
    reconstructions: a file for each method.
    shifted: files of methods of another domain, of a shift.

Outputs:
    pdf; the PNG is written beside it.

Params:
    labels: method to the name to print.
    mask: its name.
    about: what the mask is (`about` of its sampling).
    domain: what the other domain is called.
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.pictures import clean_pictures
    from mrilib.report import figures_reconstructions, style
    from mrilib.report.names import mask_label

    labels = params["labels"]
    usual = clean_pictures(inputs["measurement"], inputs["reconstructions"])
    shown = {labels.get(name, name): each for name, each in usual.items()}
    shifted = clean_pictures(inputs["measurement"], inputs.get("shifted", []))
    shown |= {
        f"{labels.get(name, name)}, tuned on {params['domain']}": each for name, each in shifted.items()
    }
    figure = figures_reconstructions.clean_panel(
        read_measurement(inputs["measurement"]), shown, mask=mask_label(params["mask"], params["about"])
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

"""What methods of an image's own domain, and of another one, make of it, with errors and close-ups.

Inputs:
    measurement: of the image.
    usual: reconstructions by methods of its own domain.
    shifted: by those of the other, as far as that makes a difference.

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

    usual, shifted = (clean_pictures(inputs["measurement"], inputs[name]) for name in ("usual", "shifted"))
    labels, domain = params["labels"], params["domain"]
    shown = {labels.get(name, name): each for name, each in usual.items()}
    shown |= {f"{labels.get(name, name)}, tuned on {domain}": each for name, each in shifted.items()}
    figure = figures_reconstructions.clean_panel(
        read_measurement(inputs["measurement"]), shown, mask=mask_label(params["mask"], params["about"])
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

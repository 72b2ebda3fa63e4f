"""P2's figures 9 and 10: several methods, each under the perturbation made for it.

Inputs:
    measurement: of the image.
    reconstructions, attacks: a file for each method, in the order of `methods`.
    transfers: those of the methods among `transferred`, in their order.

Outputs:
    pdf; the PNG is written beside it.

Params:
    attack, level: which.
    methods: those shown.
    transferred: those of them whose attacks were held against others' perturbations.
    attacks: attack to what it is.
    labels: method to the name to print.
    mask: its name.
    about: what the mask is (`about` of its sampling).
"""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.attacks.kinds.base import abouts
    from mrilib.data.measurement_files import read_measurement
    from mrilib.experiments.pictures import attack_picture, picture_of, picture_title
    from mrilib.experiments.stored import read_results
    from mrilib.report import style
    from mrilib.report.figures_perturbed import perturbed_panel
    from mrilib.report.names import attack_labels, mask_label

    measurement = read_measurement(inputs["measurement"])
    if measurement is None:
        raise ValueError("the set has no image at this position; choose another under figures.examples")
    transfers = dict(zip(params["transferred"], inputs["transfers"], strict=True))
    files = zip(params["methods"], inputs["reconstructions"], inputs["attacks"], strict=True)
    rows = {}
    for method, reconstruction, attacks in files:
        results = read_results(inputs["measurement"], reconstruction, attacks, transfers.get(method))
        found = attack_picture(results, params["attack"], params["level"])
        rows[method] = None if found is None else vars(found)
    mask = mask_label(params["mask"], params["about"])
    attack = attack_labels(abouts(params["attacks"]))[params["attack"]]
    about = [f"{picture_title(measurement)}: {mask}", f"{measurement.acceleration:.2f}-fold acceleration"]
    figure = perturbed_panel(
        rows,
        level=100.0 * params["level"],
        labels=params["labels"],
        title=", ".join([*about, attack]),
        picture=picture_of(measurement),
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)

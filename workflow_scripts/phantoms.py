"""Phantoms of a set: one test image, or all validation images."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.ellipses import ellipse_phantoms
    from mrilib.store.arrays import Group, write_groups
    from mrilib.store.units import derived_seed

    single, first = "position" in params, params.get("position", 0)
    seed = derived_seed(params["seed"], params["name"], params["set"])
    images = ellipse_phantoms(params["number"], size=params["size"], seed=seed, first=first).numpy()
    write_groups(
        outputs["image"],
        {
            "": Group(
                arrays={"image": images[0] if single else images},
                attributes={"description": "ellipse phantom", "patient": f"{params['set']}-{first}"},
                units={"image": "image maximum"},
            )
        },
    )


if "snakemake" in globals():
    run(snakemake, main)

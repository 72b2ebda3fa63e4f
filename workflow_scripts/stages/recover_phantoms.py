"""Recovery of phantoms of one size under one number of lines; an image is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.recover_phantoms import recover_phantoms
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    frame = recover_phantoms(
        params["size"],
        params["lines"],
        store,
        **params["phantoms"],
        seed=params["seed"],
        code=params["code"],
    )
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_text(outputs["recoveries"], frame.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)

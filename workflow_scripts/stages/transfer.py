"""The other methods' perturbations of one image, given to one method; its own attacks held against them."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.attack import with_tuned_searches
    from mrilib.jobs.subjects import Subjects
    from mrilib.jobs.transfer import transfer_image
    from mrilib.store.arrays import write_groups
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    attacks = with_tuned_searches(
        params["attacks"], dict(zip(params["searches"], inputs["searches"], strict=True))
    )
    groups = transfer_image(
        Subjects(inputs, params, store.get),
        attacks,
        params["codes"],
        store,
        own=inputs["own"],
        rivals=dict(zip(params["rivals"], inputs["rivals"], strict=True)),
    )
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["transfer"], groups)


if "snakemake" in globals():
    run(snakemake, main)

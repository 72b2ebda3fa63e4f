"""All studies of small features on one image under one method and mask; each study is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.feature import feature_image
    from mrilib.store.arrays import write_groups
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    groups = feature_image(inputs, params, store)
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["features"], groups)


if "snakemake" in globals():
    run(snakemake, main)

"""All attacks on one image under one method and mask; each attack at each level and weight is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.attack import attack_image, with_tuned_searches
    from mrilib.jobs.subjects import Subjects
    from mrilib.store.arrays import write_groups
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    subjects = Subjects(inputs, params, store.get)
    attacks = with_tuned_searches(
        params["attacks"], dict(zip(params["searches"], inputs["searches"], strict=True))
    )
    groups = attack_image(subjects, attacks, params["codes"], store)
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["attacks"], groups)


if "snakemake" in globals():
    run(snakemake, main)

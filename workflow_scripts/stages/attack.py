"""All attacks on one image under one method and mask; each attack at each level and weight is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.jobs.attack import perturbed_unit
    from mrilib.jobs.subjects import Subjects
    from mrilib.store.arrays import write_groups
    from mrilib.store.units import UnitStore

    store = UnitStore(params["units"], params["index"])
    subjects = Subjects(inputs, params, store.get)
    groups = {"": subjects.root}
    if subjects.missing:
        write_groups(outputs["attacks"], groups)
        return
    for place, subject, key in subjects:
        for name, attack in params["attacks"].items():
            unit = {**key, "stage": "attack", "code": params["codes"][name], "attack": attack}
            unit |= {"level": subject.level, "factor": subject.factor, "seed": subject.seed}
            groups[f"perturbed/{name}/{place}"] = store.get(
                unit, lambda subject=subject, attack=attack: perturbed_unit(subject, attack)
            )
            print(f"level {subject.level:g}, weight factor {subject.factor:g}, {name}: done", flush=True)
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["attacks"], groups | subjects.computed)


if "snakemake" in globals():
    run(snakemake, main)

"""The other methods' perturbations of one image, given to one method; its own attacks held against them."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import torch

    from mrilib.jobs.attack import carried_unit, challenged_unit
    from mrilib.jobs.subjects import Subjects
    from mrilib.store.arrays import group_names, read_group, write_groups
    from mrilib.store.units import UnitStore, content_hash

    store = UnitStore(params["units"], params["index"])
    subjects = Subjects(inputs, params, store.get)
    groups = {"": subjects.root}
    if subjects.missing:
        write_groups(outputs["transfer"], groups)
        return
    files = dict(zip(params["rivals"], inputs["rivals"], strict=True))
    present = {rival: set(group_names(path)) for rival, path in files.items()}
    for place, subject, key in subjects:
        for name, attack in params["attacks"].items():
            group = f"perturbed/{name}/{place}"
            found = {
                rival: read_group(path, group).arrays.get("perturbation")
                for rival, path in files.items()
                if group in present[rival]
            }
            rivals = {rival: array for rival, array in found.items() if array is not None}
            common = key | {"code": params["codes"][name], "level": subject.level, "seed": subject.seed}
            artifact = attack.get("artifact", "complex")
            for rival, array in rivals.items():
                perturbation = torch.from_numpy(array).to(subject.kspace.device)
                carried = store.get(
                    common | {"stage": "carried", "perturbation": content_hash(array), "artifact": artifact},
                    lambda subject=subject, perturbation=perturbation, artifact=artifact: carried_unit(
                        subject, perturbation, artifact=artifact
                    ),
                )
                carried.arrays["perturbation"] = array
                groups[f"carried/{rival}/{name}/{place}"] = carried
            own = read_group(inputs["own"], group)
            challenge = common | {"stage": "challenged", "attack": attack, "factor": subject.factor}
            challenge["own"] = content_hash(*own.arrays.values())
            challenge["rivals"] = {rival: content_hash(array) for rival, array in rivals.items()}

            def challenged(subject=subject, attack=attack, own=own, rivals=rivals):
                device = subject.kspace.device
                moved = {rival: torch.from_numpy(array).to(device) for rival, array in rivals.items()}
                return challenged_unit(subject, attack, own, moved)

            groups[group] = store.get(challenge, challenged)
            weaker = groups[group].attributes.get("weaker_than_transfer", "")
            note = f", was weaker than what was made for {weaker}" if weaker else ""
            print(f"level {subject.level:g}, {name}: {len(rivals)} rivals{note}", flush=True)
    store.finish()
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["transfer"], groups)


if "snakemake" in globals():
    run(snakemake, main)

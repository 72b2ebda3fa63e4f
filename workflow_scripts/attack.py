"""All attacks on one image under one method and mask; each attack at each level and weight is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json
    from pathlib import Path

    import torch

    from mrilib.attacks.perturb import Subject, clean_unit, perturbed_unit
    from mrilib.operators.fourier import MaskedFourier
    from mrilib.reconstructors.base import Reconstructor, load_class
    from mrilib.store.arrays import Group, read_group, write_groups
    from mrilib.store.units import UnitStore, content_hash

    torch.set_num_threads(1)
    image, mask = read_group(inputs["image"]), read_group(inputs["mask"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    operator = MaskedFourier(mask=torch.from_numpy(mask.arrays["mask"])).to(device)
    data = content_hash(image.arrays["image"], mask.arrays["mask"])
    tuned = json.loads(Path(inputs["tuning"]).read_text())["levels"] if inputs.get("tuning") else {}
    method = params["method"]
    kind = load_class(method["reconstructor"], Reconstructor)
    store = UnitStore(params["units"])
    groups = {
        "": Group(
            {"image": image.arrays["image"]}, params["identity"] | {"patient": image.attributes["patient"]}
        )
    }
    for level in params["levels"]:
        for factor in params["factors"]:
            arguments = dict(method["parameters"])
            if method["tuned"]:
                arguments[method["tuned"]] = factor * tuned[f"{level:g}"]["chosen"]
            subject = Subject(
                image=torch.from_numpy(image.arrays["image"]).to(device),
                operator=operator,
                reconstructor=kind(**arguments),
                level=level,
                weight=arguments.get(method["tuned"]),
                factor=factor,
                seed=[params["seed"], params["identity"]["source"], params["identity"]["position"]],
            )
            key = {"reconstructor": method["reconstructor"], "arguments": arguments, "data": data}
            clean = {**key, "stage": "clean", "source": params["sources"]["clean"]}
            groups[f"clean/{level:g}/{factor:g}"] = store.get(
                clean, lambda subject=subject: clean_unit(subject)
            )
            for name, attack in params["attacks"].items():
                unit = {**key, "stage": "attack", "source": params["sources"][name], "attack": attack}
                unit |= {"level": level, "factor": factor, "seed": subject.seed}
                groups[f"perturbed/{name}/{level:g}/{factor:g}"] = store.get(
                    unit, lambda subject=subject, attack=attack: perturbed_unit(subject, attack)
                )
                print(f"level {level:g}, weight factor {factor:g}, {name}: done", flush=True)
    print(f"{store.computed} units computed, {store.found} found")
    write_groups(outputs["attacks"], groups)


if "snakemake" in globals():
    run(snakemake, main)

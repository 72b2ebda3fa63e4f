"""A method's parameter on validation images, level by level; each level is a unit."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json

    import torch

    from mrilib.operators.fourier import MaskedFourier
    from mrilib.reconstructors.base import Reconstructor, load_class
    from mrilib.store.arrays import Group, read_group
    from mrilib.store.atomic import write_text
    from mrilib.store.units import UnitStore, content_hash
    from mrilib.training.tuning import tune_weight

    torch.set_num_threads(1)
    images = read_group(inputs["images"]).arrays["image"]
    mask = read_group(inputs["mask"]).arrays["mask"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    operator = MaskedFourier(mask=torch.from_numpy(mask)).to(device)
    method, tune = params["method"], params["tune"]
    kind = load_class(method["reconstructor"], Reconstructor)
    arguments = method["parameters"] | {"tolerance": tune["tolerance"]}
    store = UnitStore(params["units"], params["index"])

    def unit(level):
        found = tune_weight(
            lambda value: kind(**arguments, **{tune["parameter"]: value}),
            torch.from_numpy(images).to(device),
            operator,
            level=level,
            weights=params["values"],
            seed=params["seed"],
        )
        return Group(
            arrays={"errors": found.errors},
            attributes={
                "chosen": found.chosen,
                "at_edge": found.at_edge,
                "weights": found.weights,
                "unconverged": found.unconverged,
            },
        )

    levels = {}
    for level in params["levels"]:
        key = {"stage": "tune", "source": params["source"], "method": method, "arguments": arguments}
        key |= {"values": params["values"], "level": level, "seed": params["seed"]}
        found = store.get(key | {"data": content_hash(images, mask)}, lambda level=level: unit(level))
        values = {
            name: getattr(value, "tolist", lambda value=value: value)()
            for name, value in found.attributes.items()
        }
        levels[f"{level:g}"] = values | {"errors": found.arrays["errors"].tolist()}
        if values["at_edge"]:
            print(f"warning: at level {level:g} the best value {values['chosen']:.2e} is at the grid's edge")
    store.finish()
    print(f"{store.computed} levels computed, {store.found} found")
    write_text(
        outputs["tuning"], json.dumps({"parameter": tune["parameter"], "levels": levels}, indent=1) + "\n"
    )


if "snakemake" in globals():
    run(snakemake, main)

"""A method's parameter on the validation slices of a source of scans."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import json

    import torch

    from mrilib.reconstructors.base import Reconstructor, load_class
    from mrilib.store.atomic import write_text
    from mrilib.training.tuning import Validation, walk_weights
    from workflow_scripts.measured import Measured

    torch.set_num_threads(1)
    method, tune = params["method"], params["tune"]
    kind = load_class(method["reconstructor"], Reconstructor)
    arguments = method["parameters"] | {"tolerance": tune["tolerance"]}
    slices = [found for path in inputs["measurements"] if not (found := Measured(path)).missing]
    found = walk_weights(
        lambda value: kind(**arguments, **{tune["parameter"]: value}),
        [
            Validation(each.kspace, each.operator, torch.from_numpy(each.target).to(each.kspace.device))
            for each in slices
        ],
        weights=params["values"],
        name=f"{len(slices)} slices",
    )
    if found.at_edge:
        print(f"warning: the best value {found.chosen:.2e} is at the grid's edge")
    result = {
        "parameter": tune["parameter"],
        "chosen": found.chosen,
        "at_edge": found.at_edge,
        "weights": found.weights,
        "errors": found.errors.tolist(),
        "unconverged": found.unconverged,
    }
    write_text(outputs["tuning"], json.dumps(result, indent=1) + "\n")


if "snakemake" in globals():
    run(snakemake, main)

"""Training of one method's network on the slices of a source of scans; a killed job goes on."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import pandas as pd

    from mrilib.store.units import content_hash, derived_seed
    from mrilib.training.slices import ColumnSampling, SliceTask
    from workflow_scripts.training import fitted, network, write_fit

    method, training = params["method"], params["training"]
    sets = {
        name: pd.read_csv(inputs[name], dtype={"volume": str, "patient": str})
        for name in ("train", "validation")
    }
    seed = derived_seed(params["seed"], training["seed"], *params["name"])
    model = network(method, seed)
    task = SliceTask(
        sets["train"],
        sets["validation"],
        sampling=ColumnSampling(**params["mask"]),
        seed=seed,
        loss=training["loss"],
    )
    key = content_hash({"source": params["source"], "method": method, "training": training, "seed": seed})
    key = content_hash(key, params["mask"], *(list(each["hash"]) for each in sets.values()))
    found = fitted(model, task, params, seed=seed, key=key)
    source, name, mask = params["name"]
    write_fit(
        found,
        outputs,
        about={"method": method, "training": training, "mask": params["mask"]},
        names={"source": source, "method": name, "mask": mask},
        zero_filled=task.zero_filled_error(),
    )


if "snakemake" in globals():
    run(snakemake, main)

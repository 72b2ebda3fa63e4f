"""Training of one method's network for one mask; its state is kept, and a killed job goes on from it."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import torch

    from mrilib.operators.fourier import MaskedFourier
    from mrilib.reconstructors.trained import start_from
    from mrilib.store.arrays import read_group
    from mrilib.store.checkpoints import Checkpoint, read_state, write_state
    from mrilib.store.units import content_hash, derived_seed
    from mrilib.training.task import PhantomTask
    from workflow_scripts.training import fitted, network, write_fit

    mask = read_group(inputs["mask"]).arrays["mask"]
    method, training = params["method"], params["training"]
    seed = derived_seed(params["seed"], training["seed"])
    model = network(method, seed)
    start, started_from = training["start"], {}
    if start:
        started_from = read_state(inputs["start"])["epochs"][str(start["epoch"])]
        start_from(model, started_from, inputs["start"])
    images = {
        each: derived_seed(params["seed"], training["source"], each) for each in ("training", "validation")
    }
    task = PhantomTask(
        MaskedFourier(mask=torch.from_numpy(mask)),
        count=training["images"],
        validation=training["validation"],
        seeds=(images["training"], images["validation"]),
        jitter=training["jitter"],
    )
    key = content_hash({"source": params["source"], "method": method, "training": training, "seed": seed})
    key = content_hash(key, mask, Checkpoint(started_from, {}).hash)
    found = fitted(model, task, params, seed=seed, key=key)
    write_fit(
        found,
        outputs,
        about={"method": method, "shape": list(mask.shape), "training": training},
        names={"method": params["name"], "mask": params["mask"]},
        zero_filled=task.zero_filled_error(),
    )
    write_state(outputs["kept"], {"epochs": {str(epoch): state for epoch, state in found.kept.items()}})


if "snakemake" in globals():
    run(snakemake, main)

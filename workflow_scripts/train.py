"""Training of one method's network for one mask; its state is kept, and a killed job goes on from it."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import os

    import pandas as pd
    import torch

    from mrilib.operators.fourier import MaskedFourier
    from mrilib.reconstructors.base import Reconstructor, load_class
    from mrilib.reconstructors.trained import start_from
    from mrilib.store.arrays import read_group
    from mrilib.store.atomic import write_text
    from mrilib.store.checkpoints import Checkpoint, read_state, write_checkpoint, write_state
    from mrilib.store.units import UnitStore, content_hash, derived_seed
    from mrilib.training.fit import Phase, best_marked, fit, seeded
    from mrilib.training.task import PhantomTask

    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    mask = read_group(inputs["mask"]).arrays["mask"]
    method, training = params["method"], params["training"]
    kind = load_class(method["reconstructor"], Reconstructor)
    seed = derived_seed(params["seed"], training["seed"])
    model = seeded(lambda: kind(**method["parameters"]), seed).model.train().requires_grad_(True)
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
    parameters = sum(value.numel() for value in model.parameters())
    print(f"{parameters:,} parameters, {task.count} images an epoch, {threads} threads")
    key = content_hash({"source": params["source"], "method": method, "training": training, "seed": seed})
    key = content_hash(key, mask, Checkpoint(started_from, {}).hash)
    gpus, store = torch.cuda.device_count(), UnitStore(params["units"], params["index"])
    fitted = fit(
        model,
        task,
        phases=[Phase(**phase) for phase in training["phases"]],
        seed=seed,
        state=store.claim(f"training-{key}.pt"),
        keep=training["keep"],
        devices=max(gpus, 1),
        workers=threads - 1,
    )
    store.finish()
    about = {"method": method, "shape": list(mask.shape), "training": training}
    for name, state, epoch in (
        ("best", fitted.best, fitted.best_epoch),
        ("last", fitted.last, len(fitted.history)),
    ):
        write_checkpoint(outputs[name], Checkpoint(state, about | {"epoch": epoch}))
    write_state(outputs["kept"], {"epochs": {str(epoch): state for epoch, state in fitted.kept.items()}})
    history = pd.DataFrame(best_marked(fitted.history)).assign(
        method=params["name"], mask=params["mask"], zero_filled=task.zero_filled_error()
    )
    write_text(outputs["history"], history.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)

"""Training of one method's network on the slices of a source of scans; a killed job goes on."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    import os

    import pandas as pd
    import torch

    from mrilib.reconstructors.base import Reconstructor, load_class
    from mrilib.store.atomic import write_text
    from mrilib.store.checkpoints import Checkpoint, write_checkpoint
    from mrilib.store.units import UnitStore, content_hash, derived_seed
    from mrilib.training.fit import Phase, best_marked, fit, seeded
    from mrilib.training.slices import ColumnSampling, SliceTask

    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    method, training = params["method"], params["training"]
    sets = {
        name: pd.read_csv(inputs[name], dtype={"volume": str, "patient": str})
        for name in ("train", "validation")
    }
    seed = derived_seed(params["seed"], training["seed"], *params["name"])
    kind = load_class(method["reconstructor"], Reconstructor)
    model = seeded(lambda: kind(**method["parameters"]), seed).model.train().requires_grad_(True)
    task = SliceTask(
        sets["train"],
        sets["validation"],
        sampling=ColumnSampling(**params["mask"]),
        seed=seed,
        loss=training["loss"],
    )
    parameters = sum(value.numel() for value in model.parameters())
    print(f"{parameters:,} parameters, {task.count} slices an epoch, {threads} threads")
    key = content_hash({"source": params["source"], "method": method, "training": training, "seed": seed})
    key = content_hash(key, params["mask"], *(list(each["hash"]) for each in sets.values()))
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
    about = {"method": method, "training": training, "mask": params["mask"]}
    for name, state, epoch in (
        ("best", fitted.best, fitted.best_epoch),
        ("last", fitted.last, len(fitted.history)),
    ):
        write_checkpoint(outputs[name], Checkpoint(state, about | {"epoch": epoch}))
    source, name, mask = params["name"]
    history = pd.DataFrame(best_marked(fitted.history)).assign(
        source=source, method=name, mask=mask, zero_filled=task.zero_filled_error()
    )
    write_text(outputs["history"], history.to_csv(index=False))


if "snakemake" in globals():
    run(snakemake, main)

"""Training of one method's network on one domain; its state is kept, and a killed job goes on from it."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.catalogue import read_catalogue
    from mrilib.data.sampling.base import sampling_from
    from mrilib.jobs.train import fitted, network, write_fit
    from mrilib.reconstructors.trained import start_from
    from mrilib.store.checkpoints import Checkpoint, read_state, write_state
    from mrilib.store.units import content_hash, derived_seed
    from mrilib.training.slices import SliceTask
    from mrilib.training.task import PhantomTask

    method, training, sampling = params["method"], params["training"], params["sampling"]
    source, mask, name = params["name"]
    drawing = sampling_from(sampling)
    parts = [params["seed"], training["seed"]]
    if inputs.get("train"):
        seed = derived_seed(*parts, source, name, mask)
        sets = {part: read_catalogue(inputs[part]) for part in ("train", "validation")}
        task = SliceTask(
            sets["train"], sets["validation"], sampling=drawing, seed=seed, loss=training["loss"]
        )
        about, data = {}, [list(each["hash"]) for each in sets.values()]
    else:
        seed = derived_seed(*parts)
        task = PhantomTask(
            drawing,
            size=params["size"],
            count=training["images"],
            validation=training["validation"],
            seeds=tuple(derived_seed(params["seed"], source, part) for part in ("training", "validation")),
            jitter=training["jitter"],
        )
        about, data = {"shape": [params["size"], params["size"]]}, [source, params["size"]]
    model = network(method, seed)
    start, started_from = training["start"], {}
    if start:
        started_from = read_state(inputs["start"])["epochs"][str(start["epoch"])]
        start_from(model, started_from, inputs["start"])
    key = content_hash(
        {"code": params["code"], "method": method, "training": training, "seed": seed, "sampling": sampling},
        data,
        Checkpoint(started_from, {}).hash,
    )
    found = fitted(model, task, params, seed=seed, key=key)
    write_fit(
        found,
        outputs,
        about=about | {"method": method, "training": training, "sampling": sampling},
        names={"method": name, "domain": params["domain"], "source": source, "mask": mask},
        zero_filled=task.zero_filled_error(),
    )
    write_state(outputs["kept"], {"epochs": {str(epoch): state for epoch, state in found.kept.items()}})


if "snakemake" in globals():
    run(snakemake, main)
